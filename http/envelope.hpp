// Envelopes that belong to no failure, and the reading of JSON bodies. The
// others are declared in http/route.hpp.
#pragma once

#include "http/route.hpp"

#include <string_view>

namespace carillon::http {

/// `{success:false, message}` (contract §1.4).
reply error_reply(int status, std::string_view message);

/// What call::body() does, on any text: UTF-8, well formed, an object, at
/// most 64 levels deep, no U+0000. Never throws, also on hostile input.
result<json> parse_json_object(std::string_view text);

/// The API's form of a time, or null.
json time_or_null(const std::optional<instant>& t);

} // namespace carillon::http
