// What only who knows a key can say of a text.
#pragma once

#include <string>
#include <string_view>

namespace carillon::http {

/// HMAC-SHA256, 32 bytes. Compare with equal_in_constant_time (http/token.hpp).
/// Throws std::runtime_error when the library has none to give.
std::string hmac_sha256(std::string_view key, std::string_view text);

} // namespace carillon::http
