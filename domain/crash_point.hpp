// Named places where a test lets the process die (CARILLON_CRASH_POINT).
#pragma once

#include <string_view>

namespace carillon {

namespace crash_points {
/// A due post is about to be moved to publishing.
inline constexpr std::string_view before_start = "before-start";
/// The attempt row is committed, the network has not been called.
inline constexpr std::string_view after_attempt = "after-attempt";
/// The network answered, nothing was recorded.
inline constexpr std::string_view after_accept = "after-accept";
/// The recording transaction is open.
inline constexpr std::string_view before_record = "before-record";
/// One outcome is committed, others of the run may not be.
inline constexpr std::string_view after_record = "after-record";
/// Inside the roll-up, before its commit.
inline constexpr std::string_view in_roll_up = "in-roll-up";
} // namespace crash_points

/// Kills this process with SIGKILL, after one line on standard error, when
/// CARILLON_CRASH_POINT is `name` or `name:N` and this is the N-th visit
/// (default the first). Costs one load otherwise. Safe from any thread.
void crash_point(std::string_view name) noexcept;

} // namespace carillon
