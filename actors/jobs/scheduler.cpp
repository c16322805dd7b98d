#include "actors/jobs/scheduler.hpp"

#include <algorithm>
#include <bitset>
#include <utility>

#include "actors/jobs/schedule_board.hpp"
#include "actors/timer.hpp"
#include "domain/ports/schedule_store.hpp"

namespace carillon {

namespace {

using std::chrono::milliseconds;
using time_point = caf::actor_clock::time_point;

/// Workspaces and zones are looked at so often.
constexpr milliseconds sweep_every{60'000};
/// Between two looks at who is due: gathers what is due one after the other,
/// and with `runs_limit` keeps what an outage left from coming all at once.
constexpr milliseconds tick_every{1'000};
constexpr milliseconds retry_after{500};
/// Runs of one cadence in a transaction.
constexpr std::size_t runs_limit = 500;
constexpr int reconcile_limit = 5'000;
constexpr int page_limit = 10'000;

using shard_set = std::bitset<shard_count>;

std::vector<const cadence*> active_cadences() {
  std::vector<const cadence*> out;
  for (const auto& entry : cadences())
    if (entry.scope == cadence_scope::workspace && is_active(entry))
      out.push_back(&entry);
  return out;
}

struct scheduler_state {
  static inline const char* name = "carillon.scheduler";

  engine_context_ptr context;
  job_feed_actor feed;
  std::optional<node_identity> me;
  shard_set owned;

  std::vector<std::string> kinds;
  schedule_board board{active_cadences()};

  /// One question to the database at a time.
  bool busy = false;
  bool look_at_workspaces = false;
  shard_set to_load;
  shard_set loading;
  std::optional<workspace_id> loaded_up_to;
  /// Nothing more is asked before this time.
  time_point pause_until{};
  time_point next_tick{};
  /// What the database's clock showed when; nodes' own clocks are not asked.
  instant database_time{};
  time_point database_time_at{};

  wake_up_timer timer;
  std::uint64_t enqueued_total = 0;
  std::uint64_t overlapping_total = 0;
  std::uint64_t missed_total = 0;
};

using self_pointer = scheduler_actor::stateful_pointer<scheduler_state>;

shard_list list_of(const shard_set& shards) {
  shard_list out;
  for (int i = 0; i < shard_count; ++i)
    if (shards[static_cast<std::size_t>(i)])
      out.push_back(static_cast<shard_id>(i));
  return out;
}

bool owns(const scheduler_state& state, const workspace_id& workspace) {
  return state.owned[shard_of(workspace)];
}

void set_clock(self_pointer self, instant now) {
  self->state.database_time = now;
  self->state.database_time_at = clock_now(self);
}

instant database_now(self_pointer self) {
  const auto& state = self->state;
  return state.database_time
         + std::chrono::duration_cast<std::chrono::microseconds>(clock_now(self) - state.database_time_at);
}

void go_on(self_pointer self);

void pause(self_pointer self, const char* event, const failure& why) {
  auto& state = self->state;
  state.pause_until = clock_now(self) + retry_after;
  // Fenced out: ownership says so in a moment.
  if (why.code != errc::cancelled)
    state.context->log->warn(event, {{"error", why.detail}});
}

/// Asks, and calls `then` unless the answer belongs to an earlier life.
template <class T, class Body, class Then>
void ask(self_pointer self, const char* name, milliseconds timeout, Body body, Then then) {
  auto& state = self->state;
  state.busy = true;
  ask_database<T>(self, state.context->databases.background, name, timeout, std::move(body),
                  [self, life = state.me->incarnation, then = std::move(then)](result<T> answer) {
                    auto& state = self->state;
                    state.busy = false;
                    if (state.me && state.me->incarnation == life)
                      then(std::move(answer));
                    go_on(self);
                  });
}

// -- workspaces and zones -----------------------------------------------------------

void tell_unknown_zones(scheduler_state& state) {
  for (const auto& zone : state.board.take_unknown_zones())
    state.context->log->warn("schedule-zone-unknown", {{"zone", zone}, {"read_as", "UTC"}});
}

void put_owned(scheduler_state& state, const std::vector<schedule_entry>& entries) {
  for (const auto& entry : entries)
    if (owns(state, entry.workspace))
      state.board.put(entry);
  tell_unknown_zones(state);
}

void reconcile(self_pointer self) {
  auto& state = self->state;
  state.look_at_workspaces = false;
  ask<schedule_changes>(
    self, "reconcile-schedule", state.context->settings.database_timeout,
    [me = *state.me, shards = list_of(state.owned), kinds = state.kinds](store& db) {
      return db.schedules().reconcile(me, shards, kinds, reconcile_limit);
    },
    [self](result<schedule_changes> changes) {
      auto& state = self->state;
      if (!changes) {
        state.look_at_workspaces = true;
        pause(self, "reconcile-schedule-failed", changes.error());
        return;
      }
      set_clock(self, changes->now);
      put_owned(state, changes->entries);
      for (const auto& workspace : changes->gone)
        state.board.erase(workspace);
      if (!changes->complete)
        state.look_at_workspaces = true;
    });
}

void load(self_pointer self) {
  auto& state = self->state;
  if (state.loading.none()) {
    state.loading = std::exchange(state.to_load, {});
    state.loaded_up_to.reset();
  }
  ask<schedule_page>(
    self, "load-schedule", state.context->settings.database_timeout,
    [me = *state.me, shards = list_of(state.loading), kinds = state.kinds, after = state.loaded_up_to](store& db) {
      return db.schedules().load(me, shards, kinds, after, page_limit);
    },
    [self](result<schedule_page> page) {
      auto& state = self->state;
      if (!page) {
        pause(self, "load-schedule-failed", page.error());
        return;
      }
      put_owned(state, page->entries);
      state.loaded_up_to = page->next;
      if (!page->next)
        state.loading.reset();
    });
}

// -- runs ---------------------------------------------------------------------------

void account(self_pointer self, const due_runs& due, const started_runs& started) {
  auto& state = self->state;
  state.board.moved(due, started.stale);
  state.enqueued_total += static_cast<std::uint64_t>(started.enqueued);
  state.overlapping_total += static_cast<std::uint64_t>(started.overlapping);
  state.missed_total += due.missed;
  if (started.overlapping > 0 || due.missed > 0)
    state.context->log->warn("scheduled-runs-not-on-time", {{"kind", due.kind},
                                                            {"missed", std::to_string(due.missed)},
                                                            {"overlapping", std::to_string(started.overlapping)}});
  if (!started.stale.empty()) {
    for (const auto& workspace : started.stale)
      if (owns(state, workspace))
        state.to_load.set(shard_of(workspace));
    state.look_at_workspaces = true;
    state.pause_until = clock_now(self) + retry_after;
  }
}

void start_due(self_pointer self) {
  auto& state = self->state;
  auto due = std::make_shared<const std::vector<due_runs>>(state.board.take_due(database_now(self), runs_limit));
  if (due->empty()) {
    const auto next = state.board.next_turn();
    auto wait = sweep_every;
    if (next)
      wait = std::clamp(std::chrono::ceil<milliseconds>(*next - database_now(self)), milliseconds{1}, sweep_every);
    state.timer.arm(self, wait);
    return;
  }
  state.next_tick = clock_now(self) + tick_every;
  using outcomes = std::vector<result<started_runs>>;
  ask<outcomes>(
    self, "start-scheduled-runs", state.context->settings.database_timeout * static_cast<int>(due->size()),
    [me = *state.me, due](store& db) -> result<outcomes> {
      outcomes out;
      for (const auto& one : *due)
        out.push_back(db.schedules().start_runs(me, one.kind, one.runs));
      return out;
    },
    [self, due](result<outcomes> all) {
      auto& state = self->state;
      bool enqueued = false;
      for (std::size_t i = 0; i < due->size(); ++i) {
        const auto& one = (*due)[i];
        const auto* why = !all ? &all.error() : (*all)[i] ? nullptr : &(*all)[i].error();
        if (why) {
          // When they were started after all, their rows are not where these
          // say: they are read again.
          state.board.put_back(one);
          pause(self, "start-scheduled-runs-failed", *why);
          continue;
        }
        account(self, one, *(*all)[i]);
        enqueued = enqueued || (*all)[i]->enqueued > 0;
      }
      if (enqueued)
        self->send(state.feed, atom::hint_v, std::int64_t{0});
    });
}

/// The next thing to do, one at a time.
void go_on(self_pointer self) {
  auto& state = self->state;
  if (state.busy || !state.me || state.owned.none() || state.kinds.empty())
    return;
  const auto now = clock_now(self);
  if (now < state.pause_until) {
    state.timer.arm(self, std::chrono::ceil<milliseconds>(state.pause_until - now));
  } else if (state.look_at_workspaces) {
    reconcile(self);
  } else if (state.loading.any() || state.to_load.any()) {
    load(self);
  } else if (now < state.next_tick) {
    state.timer.arm(self, std::chrono::ceil<milliseconds>(state.next_tick - now));
  } else {
    start_due(self);
  }
}

scheduler_actor::behavior_type scheduler(self_pointer self, engine_context_ptr context, job_feed_actor feed) {
  self->state.context = std::move(context);
  self->state.feed = std::move(feed);
  for (const auto* entry : active_cadences())
    self->state.kinds.emplace_back(entry->kind);
  self->delayed_send(self, sweep_every, atom::sweep_v);
  return {
    [self](atom::gained, const node_identity& me, const shard_list& shards) {
      auto& state = self->state;
      state.me = me;
      for (const auto shard : shards) {
        state.owned.set(shard);
        state.to_load.set(shard);
      }
      state.look_at_workspaces = true;
      go_on(self);
    },
    [self](atom::drain, const shard_list& shards) {
      auto& state = self->state;
      for (const auto shard : shards) {
        state.owned.reset(shard);
        state.to_load.reset(shard);
        state.loading.reset(shard);
      }
      state.board.erase_if([&state](const workspace_id& workspace) { return !owns(state, workspace); });
    },
    [self](atom::lost) {
      auto& state = self->state;
      state.me.reset();
      state.owned.reset();
      state.to_load.reset();
      state.loading.reset();
      state.board.clear();
    },
    [self](atom::hint) {
      self->state.look_at_workspaces = true;
      go_on(self);
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"scheduler",
                          "running",
                          {{"shards", std::to_string(state.owned.count())},
                           {"entries", std::to_string(state.board.entries())},
                           {"zones", std::to_string(state.board.zones())},
                           {"enqueued_total", std::to_string(state.enqueued_total)},
                           {"overlapping_total", std::to_string(state.overlapping_total)},
                           {"missed_total", std::to_string(state.missed_total)}},
                          {}};
    },
    [self](atom::tick, std::uint64_t generation) {
      if (self->state.timer.fires(generation))
        go_on(self);
    },
    [self](atom::sweep) {
      self->state.look_at_workspaces = true;
      go_on(self);
      self->delayed_send(self, sweep_every, atom::sweep_v);
    },
  };
}

} // namespace

scheduler_actor spawn_scheduler(caf::actor_system& system, engine_context_ptr context, job_feed_actor feed) {
  return system.spawn(scheduler, std::move(context), std::move(feed));
}

} // namespace carillon
