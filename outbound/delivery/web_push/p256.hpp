// Keys on the curve P-256, by OpenSSL's EVP. Everything is raw bytes: a
// scalar has 32, an uncompressed point 65, a signature (r then s) 64.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "domain/result.hpp"

namespace carillon::outbound {

inline constexpr std::size_t p256_scalar_size = 32;
inline constexpr std::size_t p256_point_size = 65;
inline constexpr std::size_t p256_signature_size = 64;

/// A private key with its point. Immutable; safe from any thread.
class p256_key {
public:
  /// errc::permanent: the crypto library failed.
  static result<p256_key> generate();

  /// errc::invalid_argument: not 32 bytes, zero, or not below the order.
  static result<p256_key> from_scalar(std::string_view scalar);

  const std::string& point() const noexcept {
    return point_;
  }
  std::string scalar() const;

  /// The x-coordinate that both sides of ECDH get. errc::invalid_argument:
  /// `peer_point` is not on the curve.
  result<std::string> agree(std::string_view peer_point) const;

  /// ECDSA with SHA-256 (ES256, RFC 7518 §3.4).
  result<std::string> sign(std::string_view text) const;

private:
  explicit p256_key(std::shared_ptr<EVP_PKEY> key, std::string point)
    : key_(std::move(key)), point_(std::move(point)) {
  }
  static result<p256_key> of(EVP_PKEY* key);

  std::shared_ptr<EVP_PKEY> key_;
  std::string point_;
};

bool is_p256_point(std::string_view point);

/// Of p256_key::sign, with the public key alone.
bool verify_p256(std::string_view point, std::string_view text, std::string_view signature);

} // namespace carillon::outbound
