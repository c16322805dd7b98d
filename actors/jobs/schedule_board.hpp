// What the owner of a shard keeps in memory of its schedule: who is due next.
// A look at the clock touches only what is due.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/ports/schedule_store.hpp"
#include "domain/workspace_schedule.hpp"

namespace carillon {

/// Runs of one cadence that are due together. Out of the board's hands until
/// it is given back with `moved` or `put_back`.
struct due_runs {
  std::size_t cadence_index = 0;
  std::string kind;
  std::vector<planned_run> runs;
  std::size_t missed = 0; ///< Came later than their grace, or stand for several.
};

/// For one thread; no clock of its own.
class schedule_board {
public:
  /// `cadences` outlive it.
  explicit schedule_board(std::vector<const cadence*> cadences);

  /// In place of what it had of this workspace and kind. A kind that is none
  /// of its cadences' is passed over.
  void put(const schedule_entry& entry);
  void erase(const workspace_id& workspace);
  void erase_if(const std::function<bool(const workspace_id&)>& wanted);
  void clear();

  /// At most `limit` of each cadence, those that waited longest first.
  std::vector<due_runs> take_due(instant now, std::size_t limit);
  /// They were started, but for the stale ones: these are forgotten.
  void moved(const due_runs& runs, const std::vector<workspace_id>& stale);
  /// Nothing is known of them: they are due as before.
  void put_back(const due_runs& runs);

  /// When to look next.
  std::optional<instant> next_turn();

  std::size_t entries() const noexcept;
  std::size_t zones() const noexcept {
    return zones_.size();
  }
  /// Names that no zone has, read as UTC; each is told once while in use.
  std::vector<std::string> take_unknown_zones();

private:
  struct zone_group {
    time_zone zone;
    std::size_t members = 0;
  };
  using zone_map = std::unordered_map<std::string, zone_group>;
  using zone_entry = zone_map::value_type;

  struct entry {
    zone_entry* zone = nullptr;
    instant last;
    std::chrono::milliseconds turn{};
    /// Which of the wake-ups counts; 0 while it is taken or has no next run.
    std::uint64_t generation = 0;
  };
  struct wake_up {
    instant at;
    workspace_id workspace;
    std::uint64_t generation;

    bool operator>(const wake_up& other) const noexcept {
      return at > other.at;
    }
  };
  struct track {
    explicit track(const cadence& of) : calendar(of) {
    }
    cadence_calendar calendar;
    std::unordered_map<workspace_id, entry> entries;
    std::priority_queue<wake_up, std::vector<wake_up>, std::greater<>> wake_ups;
  };

  void arm(track& on, const workspace_id& workspace, entry& which);
  void leave_zone(zone_entry& zone);
  void drop_outdated(track& on);

  std::vector<track> tracks_;
  zone_map zones_;
  std::vector<std::string> unknown_;
  std::uint64_t generation_ = 0;
};

} // namespace carillon
