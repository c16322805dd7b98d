// One cadence for many workspaces: when each has its turn.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "domain/cadences.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/schedule.hpp"

namespace carillon {

/// UTC for a name that no zone has.
time_zone zone_or_utc(std::string_view name);

/// For one thread. `entry` outlives it.
class cadence_calendar {
public:
  explicit cadence_calendar(const cadence& entry) : entry_(&entry), runs_(entry.cron) {
  }

  const cadence& of() const noexcept {
    return *entry_;
  }

  std::chrono::milliseconds turn_of(const workspace_id& workspace) const {
    return spread_offset(workspace, entry_->name, entry_->spread);
  }

  /// The first turn of a run after `last`, which is a time of runs.
  std::optional<instant> next_turn(time_zone zone, std::chrono::milliseconds turn, instant last) {
    const auto run = runs_.next_run(zone, last);
    return run ? std::optional{*run + turn} : std::nullopt;
  }

  /// What is due at `now` for one whose turn it is `turn` after each run.
  run_plan due(time_zone zone, std::chrono::milliseconds turn, instant last, instant now) {
    return runs_.plan_runs(zone, entry_->missed, last, now - turn, entry_->grace);
  }

private:
  const cadence* entry_;
  run_calendar runs_;
};

} // namespace carillon
