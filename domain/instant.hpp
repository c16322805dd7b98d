// Points in time and their text forms (contract §1.5). Instants are UTC.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "domain/result.hpp"

namespace carillon {

/// UTC, microseconds, the resolution of PostgreSQL's timestamptz.
using instant = std::chrono::sys_time<std::chrono::microseconds>;

/// `2026-02-07T10:00:00+00:00`: what the API answers.
std::string format_api_time(instant t);

/// `2026-02-07T10:00:00.123456+00:00`: lossless, for logs and SQL.
std::string format_precise_time(instant t);

/// ISO-8601 with any offset or `Z`, optional fraction, `T` or space.
/// Without an offset the time is naive and is read in `zone` (IANA name): a
/// local time in a clock-change gap moves forward by the gap, one in a fold
/// takes the first. errc::invalid_argument for anything else, also for an
/// instant outside the years 1 to 9999.
result<instant> parse_time(std::string_view text, std::string_view zone = "UTC");

/// True for a name of the system's IANA database.
bool is_time_zone(std::string_view name);

} // namespace carillon
