// Between OpenSSL's byte pointers and error queue and our texts and failures.
#pragma once

#include "domain/result.hpp"

#include <string>
#include <string_view>

#include <openssl/err.h>

namespace carillon::outbound {

inline unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// Empties the thread's error queue: what is left there would be found by
/// whoever asks next.
inline failure crypto_failure(std::string_view what) {
  ERR_clear_error();
  return {errc::permanent, "the crypto library failed: " + std::string{what}, {}, {}};
}

} // namespace carillon::outbound
