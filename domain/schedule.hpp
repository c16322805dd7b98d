// When a cron expression runs in a time zone, also across clock changes
// (docs/schedule.md). Pure: the clock comes in as an instant.
#pragma once

#include "domain/cron.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace date {
class time_zone;
} // namespace date

namespace carillon {

/// A zone of the system's IANA database: a handle, valid as long as the
/// program runs, usable from any thread.
class time_zone {
public:
  /// UTC, also where there is no database.
  time_zone() = default;

  std::string_view name() const noexcept;

  /// What a clock in the zone shows at `t`.
  std::chrono::local_time<std::chrono::microseconds> local(instant t) const;

  /// By name: a zone and an alias of it are two.
  bool operator==(const time_zone&) const = default;

private:
  friend std::hash<time_zone>;
  friend result<time_zone> find_time_zone(std::string_view name);
  friend struct zone_period;

  const date::time_zone* zone_ = nullptr;
};

/// errc::invalid_argument for what is no name of the database.
result<time_zone> find_time_zone(std::string_view name);

} // namespace carillon

template <>
struct std::hash<carillon::time_zone> {
  std::size_t operator()(carillon::time_zone zone) const noexcept {
    return std::hash<const void*>{}(zone.zone_);
  }
};

namespace carillon {

/// The first run after `after`; nothing when that is not before the year 9999.
///
/// When the clocks change, an expression that names times of the wall clock
/// runs exactly once for each time it names: times that a gap leaves out run
/// at the first instant after the gap, several of them as one run; times that
/// a fold shows twice run at the first. A date that a zone left out as a whole
/// has no runs.
///
/// One that repeats (follows_elapsed_time) keeps its distance: in a fold it
/// runs in both passes; times that a gap leaves out have no run, unless that
/// put more than an hour between two runs: then one, at the end of the gap.
std::optional<instant> next_run(const cron_expression& cron, time_zone zone,
                                instant after);

/// The last run in (after, until].
std::optional<instant> latest_run(const cron_expression& cron, time_zone zone,
                                  instant after, instant until);

/// What becomes of runs whose time passed while nobody looked.
enum class missed_policy : std::uint8_t {
  skip,     ///< Nothing; the next run comes at its time.
  run_once, ///< One run for all of them.
  run_all,  ///< A run for each, the newest `max_missed_runs` at most.
};

std::string_view to_string(missed_policy policy) noexcept;

inline constexpr std::size_t max_missed_runs = 100;

struct run_plan {
  std::vector<instant> now;    ///< Times of the runs to start, oldest first.
  std::optional<instant> next; ///< The first run that is still to come.
  /// Some run came later than the grace or not at all; worth a log line.
  bool missed = false;
};

/// What is due at `now`, when all runs up to `last` are dealt with. `last` is
/// the time of the latest run that was started or skipped (not the time at
/// which it was), or when the entry came to be or its zone was changed: runs
/// before that do not count as missed.
///
/// A run is on time until `grace` after its time, and then starts under every
/// policy; of several that are on time skip and run_once start the newest.
///
/// With a spread, ask with `now - spread_offset(...)`.
run_plan plan_runs(const cron_expression& cron, time_zone zone,
                   missed_policy policy, instant last, instant now,
                   std::chrono::microseconds grace);

/// Where in [0, window) of a run's time this workspace has its turn, so that
/// 100,000 of them are a stream and not a spike. Stable across nodes, builds
/// and restarts; another one for each entry. Windows up to 49 days.
std::chrono::milliseconds spread_offset(const workspace_id& workspace,
                                        std::string_view entry,
                                        std::chrono::milliseconds window);

/// The runs of one expression for many workspaces: evaluated once for each
/// zone and run, then only looked up. For one thread.
class run_calendar {
public:
  explicit run_calendar(const cron_expression& cron) : cron_(cron) {}

  const cron_expression& cron() const noexcept {
    return cron_;
  }

  /// As the functions above.
  std::optional<instant> next_run(time_zone zone, instant after);
  run_plan plan_runs(time_zone zone, missed_policy policy, instant last,
                     instant now, std::chrono::microseconds grace);

  /// How often a run was computed, not looked up.
  std::size_t evaluations() const noexcept {
    return evaluations_;
  }

private:
  /// For every instant in [from, next) the next run is `next`.
  struct stretch {
    instant from = instant::max();
    std::optional<instant> next;

    bool holds(instant t) const noexcept {
      return t >= from && (!next || t < *next);
    }
  };
  /// While a run is fanned out, some ask from before it and some from after.
  struct stretches {
    stretch newest;
    stretch other;
  };

  cron_expression cron_;
  std::unordered_map<time_zone, stretches> known_;
  std::size_t evaluations_ = 0;
};

} // namespace carillon
