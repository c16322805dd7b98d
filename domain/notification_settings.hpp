// Quiet hours and digests of one user (docs/notifications.md). Off by default.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "domain/notification_type.hpp"

namespace carillon {

enum class digest_period : std::uint8_t { off, hourly, daily };

std::string_view to_string(digest_period value) noexcept;
template <>
std::optional<digest_period> parse<digest_period>(std::string_view text) noexcept;

/// Minutes after midnight on a wall clock.
using time_of_day = std::chrono::minutes;

/// `07:00`.
std::string format_time_of_day(time_of_day t);

/// `00:00` to `23:59`, two digits each; nothing for any other text.
std::optional<time_of_day> parse_time_of_day(std::string_view text) noexcept;

struct notification_settings {
  bool quiet_enabled = false;
  /// In the user's zone, else the tenant's, else UTC; the end is outside. A
  /// window that ends before it starts goes over midnight.
  time_of_day quiet_start{22 * 60};
  time_of_day quiet_end{7 * 60};
  /// Of every category.
  std::map<notification_category, digest_period> digests;
  /// When daily digests go out.
  int digest_hour = 8;
  std::string time_zone = "UTC"; ///< Read only: the zone that counts.
};

/// A null field keeps what is stored; so do categories that are not named.
struct settings_change {
  std::optional<bool> quiet_enabled;
  std::optional<time_of_day> quiet_start;
  std::optional<time_of_day> quiet_end;
  std::map<notification_category, digest_period> digests;
  std::optional<int> digest_hour;
};

} // namespace carillon
