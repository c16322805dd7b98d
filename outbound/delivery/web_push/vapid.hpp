// Who sends a push message: VAPID (RFC 8292), a JSON Web Token signed ES256.
#pragma once

#include <string>
#include <string_view>

#include "domain/instant.hpp"
#include "outbound/delivery/web_push/p256.hpp"

namespace carillon::outbound {

/// A new private key as the configuration writes it: base64url of 32 bytes.
result<std::string> make_vapid_key();

/// Immutable; safe from any thread.
class vapid_signer {
public:
  /// `private_key` is base64url of 32 bytes; `subject` a `mailto:` or
  /// `https:` contact. errc::invalid_argument: no such key.
  static result<vapid_signer> from(std::string_view private_key, std::string subject);

  /// What a browser needs as applicationServerKey: base64url of 65 bytes.
  const std::string& public_key() const noexcept {
    return public_key_;
  }

  /// The value of the Authorization header for a push service with that
  /// origin; good for twelve hours from `now`.
  result<std::string> authorization(std::string_view origin, instant now) const;

private:
  vapid_signer(p256_key key, std::string subject);

  p256_key key_;
  std::string subject_;
  std::string public_key_;
};

} // namespace carillon::outbound
