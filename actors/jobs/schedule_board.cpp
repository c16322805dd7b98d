#include "actors/jobs/schedule_board.hpp"

#include <algorithm>
#include <utility>

namespace carillon {

schedule_board::schedule_board(std::vector<const cadence*> cadences) {
  tracks_.reserve(cadences.size());
  for (const auto* c : cadences)
    tracks_.emplace_back(*c);
}

void schedule_board::arm(track& on, const workspace_id& workspace, entry& which) {
  which.generation = 0;
  if (const auto at = on.calendar.next_turn(which.zone->second.zone, which.turn, which.last)) {
    which.generation = ++generation_;
    on.wake_ups.push({*at, workspace, which.generation});
  }
}

void schedule_board::leave_zone(zone_entry& zone) {
  if (--zone.second.members == 0)
    zones_.erase(zones_.find(zone.first));
}

void schedule_board::put(const schedule_entry& what) {
  const auto on = std::find_if(tracks_.begin(), tracks_.end(),
                               [&](const track& t) { return t.calendar.of().kind == what.kind; });
  if (on == tracks_.end())
    return;
  auto known = zones_.find(what.zone);
  if (known == zones_.end()) {
    const auto found = find_time_zone(what.zone);
    if (!found)
      unknown_.push_back(what.zone);
    known = zones_.emplace(what.zone, zone_group{found.value_or(time_zone{}), 0}).first;
  }
  auto* zone = &*known;
  ++zone->second.members;
  const auto [at, fresh] = on->entries.try_emplace(what.workspace);
  auto& mine = at->second;
  if (fresh) {
    mine.turn = on->calendar.turn_of(what.workspace);
  } else {
    const bool same = mine.zone == zone && mine.last == what.last_run_at && mine.generation != 0;
    leave_zone(*mine.zone);
    if (same)
      return;
  }
  mine.zone = zone;
  mine.last = what.last_run_at;
  arm(*on, what.workspace, mine);
}

void schedule_board::erase(const workspace_id& workspace) {
  for (auto& on : tracks_) {
    const auto found = on.entries.find(workspace);
    if (found == on.entries.end())
      continue;
    leave_zone(*found->second.zone);
    on.entries.erase(found);
  }
}

void schedule_board::erase_if(const std::function<bool(const workspace_id&)>& wanted) {
  for (auto& on : tracks_)
    for (auto i = on.entries.begin(); i != on.entries.end();) {
      if (!wanted(i->first)) {
        ++i;
        continue;
      }
      leave_zone(*i->second.zone);
      i = on.entries.erase(i);
    }
}

void schedule_board::clear() {
  for (auto& on : tracks_) {
    on.entries.clear();
    on.wake_ups = {};
  }
  zones_.clear();
  unknown_.clear();
}

void schedule_board::drop_outdated(track& on) {
  while (!on.wake_ups.empty()) {
    const auto& top = on.wake_ups.top();
    const auto found = on.entries.find(top.workspace);
    if (found != on.entries.end() && found->second.generation == top.generation)
      return;
    on.wake_ups.pop();
  }
}

std::vector<due_runs> schedule_board::take_due(instant now, std::size_t limit) {
  std::vector<due_runs> out;
  for (std::size_t index = 0; index < tracks_.size(); ++index) {
    auto& on = tracks_[index];
    due_runs due{index, std::string{on.calendar.of().kind}, {}, 0};
    while (due.runs.size() < limit) {
      drop_outdated(on);
      if (on.wake_ups.empty() || on.wake_ups.top().at > now)
        break;
      const auto workspace = on.wake_ups.top().workspace;
      on.wake_ups.pop();
      auto& mine = on.entries.find(workspace)->second;
      const auto zone = mine.zone->second.zone;
      const auto plan = on.calendar.due(zone, mine.turn, mine.last, now);
      planned_run run;
      run.workspace = workspace;
      run.last_run_at = mine.last;
      // Several runs that were missed become one: they would overlap.
      run.starts = !plan.now.empty();
      run.moves_to = run.starts ? plan.now.back() : now - mine.turn;
      run.next_run_at = on.calendar.next_turn(zone, mine.turn, run.moves_to);
      if (plan.missed)
        ++due.missed;
      mine.generation = 0;
      due.runs.push_back(run);
    }
    if (!due.runs.empty())
      out.push_back(std::move(due));
  }
  return out;
}

void schedule_board::moved(const due_runs& done, const std::vector<workspace_id>& stale) {
  auto& on = tracks_[done.cadence_index];
  const std::set<workspace_id> wrong{stale.begin(), stale.end()};
  for (const auto& run : done.runs) {
    const auto found = on.entries.find(run.workspace);
    if (found == on.entries.end() || found->second.generation != 0)
      continue;
    if (wrong.contains(run.workspace)) {
      leave_zone(*found->second.zone);
      on.entries.erase(found);
      continue;
    }
    found->second.last = run.moves_to;
    arm(on, run.workspace, found->second);
  }
}

void schedule_board::put_back(const due_runs& runs) {
  auto& on = tracks_[runs.cadence_index];
  for (const auto& run : runs.runs) {
    const auto found = on.entries.find(run.workspace);
    if (found != on.entries.end() && found->second.generation == 0)
      arm(on, run.workspace, found->second);
  }
}

std::optional<instant> schedule_board::next_turn() {
  std::optional<instant> out;
  for (auto& on : tracks_) {
    drop_outdated(on);
    if (!on.wake_ups.empty() && (!out || on.wake_ups.top().at < *out))
      out = on.wake_ups.top().at;
  }
  return out;
}

std::size_t schedule_board::entries() const noexcept {
  std::size_t out = 0;
  for (const auto& on : tracks_)
    out += on.entries.size();
  return out;
}

std::vector<std::string> schedule_board::take_unknown_zones() {
  return std::exchange(unknown_, {});
}

} // namespace carillon
