// Form bodies, as `curl -d` and `curl -F` send them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carillon::http::sandbox {

/// One field or file of a multipart body (RFC 7578).
struct form_part {
  std::string name;
  std::optional<std::string> file_name; ///< Set for a file.
  std::string content_type;
  std::string_view content; ///< Into the body.
};

/// Nothing when the body is not what `content_type` says, or has more than 32
/// parts.
std::optional<std::vector<form_part>>
parse_multipart(std::string_view content_type, std::string_view body);

/// `a=1&b[]=2&b[]=3` in its order; nothing when malformed or not UTF-8.
std::optional<std::vector<std::pair<std::string, std::string>>>
parse_fields(std::string_view body);

} // namespace carillon::http::sandbox
