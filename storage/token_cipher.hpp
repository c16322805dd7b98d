// Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce.
// Why here and not in outbound: docs/adr/0001-token-encryption-in-storage.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "domain/result.hpp"

namespace carillon::storage {

/// 32 bytes from 64 hexadecimal digits, as the configuration gives them.
/// errc::invalid_argument for anything else.
result<std::string> parse_token_key(std::string_view text);

/// Immutable after construction; safe from any thread.
class token_cipher {
public:
  static constexpr std::size_t key_size = 32;

  /// Encrypts with `current`; decrypts also what one of `former` encrypted,
  /// so that a key can be changed without reading every row at once. Throws
  /// std::invalid_argument for a key that has not 32 bytes.
  explicit token_cipher(std::string_view current,
                        const std::vector<std::string>& former = {});
  ~token_cipher();
  token_cipher(const token_cipher&) = delete;
  token_cipher& operator=(const token_cipher&) = delete;

  /// `v1:<key id>:<base64 of nonce | ciphertext | tag>`. `associated` says
  /// what the secret belongs to: a text copied to another row does not
  /// decrypt there. errc::permanent: the crypto library failed.
  result<std::string> encrypt(std::string_view plain,
                              std::string_view associated) const;

  /// errc::permanent: not our form, unknown key, or not authentic.
  result<std::string> decrypt(std::string_view stored,
                              std::string_view associated) const;

  /// First 8 hex digits of the current key's SHA-256: what rows name.
  const std::string& key_id() const noexcept {
    return keys_.front().id;
  }

private:
  struct key {
    std::string id;
    std::array<std::uint8_t, key_size> bytes;
  };

  std::vector<key> keys_; ///< The current one first.
};

} // namespace carillon::storage
