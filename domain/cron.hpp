// Cron expressions: five fields that say in which minutes of a wall clock
// something runs (docs/schedule.md). Which instants those minutes are is a
// matter of a time zone: domain/schedule.hpp.
#pragma once

#include "domain/result.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace carillon {

/// What a wall clock shows, in no zone yet.
using local_minute = std::chrono::local_time<std::chrono::minutes>;

/// A parsed expression: a set of minutes, cheap to copy. Equal ones run at the
/// same times, however they were written.
class cron_expression {
public:
  bool matches(local_minute t) const noexcept;

  /// The first match in [from, until); nothing when there is none, or none in
  /// the years 1 to 9999. Jumps from field to field, not from minute to
  /// minute.
  std::optional<local_minute> next(local_minute from,
                                   local_minute until) const noexcept;

  bool operator==(const cron_expression&) const = default;

private:
  friend class cron_parser;
  friend std::string to_string(const cron_expression& cron);
  friend bool follows_elapsed_time(const cron_expression& cron) noexcept;

  cron_expression() = default;

  /// Bits 1 to 31: the days of that month on which it runs.
  std::uint32_t days_of(std::chrono::year_month month) const noexcept;
  bool any_day() const noexcept;
  bool any_weekday() const noexcept;

  // Sets of bits: bit n stands for the value n.
  std::uint64_t minutes_ = 0;
  std::uint32_t hours_ = 0;
  std::uint32_t days_ = 0;
  std::uint32_t days_before_last_ = 0; ///< 0: the month's last day.
  std::uint16_t months_ = 0;
  std::uint8_t weekdays_ = 0; ///< 0: Sunday.
  /// By weekday; 1 to 5: only the nth of the month, 0: only the last.
  std::array<std::uint8_t, 7> nth_weekdays_{};
};

/// The longest text that is read.
inline constexpr std::size_t max_cron_length = 200;

/// Minute, hour, day of month, month and day of week, parted by spaces or
/// tabs, or one of @yearly @annually @monthly @weekly @daily @midnight
/// @hourly. A field is a list of `*`, values, ranges (`a-b`) and steps
/// (`*/n`, `a-b/n`, and `a/n` from a to the end of the field).
///
/// - Names of three letters in any case: JAN to DEC, SUN to SAT. Sunday is 0
///   and 7. A range does not run backwards, but Sunday may end one: FRI-SUN.
/// - Day of month: also `L`, the last day, and `L-3`, three days before it; in
///   a month that is too short for that, no day.
/// - Day of week: also `MON#2`, the second Monday, and `5L`, `FRIL` or `L5`,
///   the last Friday of the month.
/// - `?` alone in either day field is `*`.
/// - When both day fields are restricted, either is enough. A field that
///   allows all its values (`*`, `*/1`, `1-31`) is not restricted.
///
/// errc::invalid_argument with the field (`minute`, `hour`, `day_of_month`,
/// `month`, `day_of_week`, else `expression`) and the reason; also for an
/// expression that no calendar date can match, like `0 0 30 2 *`.
result<cron_expression> parse_cron(std::string_view text);

/// The shortest usual form; parse_cron reads it back as an equal value.
std::string to_string(const cron_expression& cron);

/// True for an expression that repeats: one that runs in every hour, or at
/// even steps of an hour during stretches of two hours or more (`*/15 9-17`).
/// Such a one counts elapsed time when the clocks change, any other names
/// times of the wall clock (domain/schedule.hpp).
bool follows_elapsed_time(const cron_expression& cron) noexcept;

} // namespace carillon
