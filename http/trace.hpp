// W3C Trace Context: where a correlation id comes from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carillon::http {

/// The 32 hex digits of the trace id in a `traceparent` header, or nothing
/// when the header is not valid (W3C Trace Context §3.2).
std::optional<std::string> parse_trace_id(std::string_view traceparent);

/// A new random trace id of 32 hex digits.
std::string make_trace_id();

} // namespace carillon::http
