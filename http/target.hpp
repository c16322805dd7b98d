// Request targets and percent-encoding (RFC 3986 §2.1, RFC 9112 §3.2).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace carillon::http {

struct target {
  std::string path; ///< Decoded; an encoded slash stays `%2F`.
  std::map<std::string, std::string> query; ///< Decoded; last one wins.
};

/// Origin form, absolute form, or `*`. Nothing when it is none of them, when
/// an escape is malformed, or when decoded text is not UTF-8 or holds NUL.
std::optional<target> parse_target(std::string_view text);

/// `a=1&b=2`, with `+` for a space: query strings and form bodies. Nothing as
/// for parse_target.
std::optional<std::map<std::string, std::string>>
parse_query(std::string_view text);

/// Every byte but RFC 3986 unreserved ones is escaped; `also_kept` stay.
std::string percent_encode(std::string_view text,
                           std::string_view also_kept = {});

} // namespace carillon::http
