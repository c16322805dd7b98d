// When a server says to come back.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "domain/instant.hpp"

namespace carillon::outbound {

/// The value of a Retry-After header, seconds or an HTTP date (RFC 9110
/// §10.2.3), as a wait from `now`: at least zero, at most a day. Nothing for
/// anything else.
std::optional<std::chrono::milliseconds>
parse_retry_after(std::string_view value, instant now);

/// The value of an X-RateLimit-Reset or RateLimit-Reset header, likewise: ISO
/// 8601 as Mastodon sends it, Unix seconds as others do, or seconds from now
/// (draft-polli-ratelimit-headers-02, section 3.3).
std::optional<std::chrono::milliseconds>
parse_rate_limit_reset(std::string_view value, instant now);

/// An HTTP date in any of the forms of RFC 9110 §5.6.7.
std::optional<instant> parse_http_date(std::string_view value);

} // namespace carillon::outbound
