// base64url without padding (RFC 4648 §5): how Web Push and JSON Web Tokens
// write bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carillon {

std::string encode_base64url(std::string_view bytes);

/// Padding at the end is passed over. Nothing for any other character, a
/// length that no encoder makes, or bits set beyond the last byte.
std::optional<std::string> decode_base64url(std::string_view text);

} // namespace carillon
