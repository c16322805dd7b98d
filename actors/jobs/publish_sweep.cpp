#include "actors/jobs/publish_sweep.hpp"

#include <set>

#include "actors/jobs/lateness_alarm.hpp"
#include "actors/timer.hpp"

namespace carillon {

namespace {

/// How many posts one transaction starts.
constexpr int batch_limit = 500;

struct publish_sweep_state {
  static inline const char* name = "carillon.publish_sweep";

  engine_context_ptr context;
  job_feed_actor feed;
  media_preparer_actor preparer;
  std::optional<node_identity> me;
  std::set<shard_id> owned;
  bool busy = false;
  bool again = false;
  wake_up_timer timer;
  std::uint64_t started_total = 0;
};

using self_pointer = publish_sweep_actor::stateful_pointer<publish_sweep_state>;

shard_list shards_of(const publish_sweep_state& state) {
  return {state.owned.begin(), state.owned.end()};
}

void start_due(self_pointer self) {
  auto& state = self->state;
  if (!state.me || state.owned.empty())
    return;
  if (state.busy) {
    state.again = true;
    return;
  }
  state.busy = true;
  state.again = false;
  ask_database<started_posts>(
    self, state.context->databases.background, "start-due-posts", state.context->settings.database_timeout,
    [me = *state.me, shards = shards_of(state)](store& db) {
      return db.publishing().start_due(me, shards, batch_limit);
    },
    [self](result<started_posts> outcome) {
      auto& state = self->state;
      state.busy = false;
      if (!outcome) {
        if (outcome.error().code != errc::cancelled) {
          state.context->log->warn("start-due-failed", {{"error", outcome.error().detail}});
          state.timer.arm(self, std::chrono::milliseconds{500});
        }
        return;
      }
      if (outcome->started > 0) {
        state.started_total += static_cast<std::uint64_t>(outcome->started);
        state.context->log->info("posts-started", {{"count", std::to_string(outcome->started)}});
        self->send(state.feed, atom::hint_v, std::int64_t{0});
      }
      if (outcome->started == batch_limit || state.again)
        start_due(self);
      else if (outcome->next_in)
        state.timer.arm(self, std::max(*outcome->next_in, std::chrono::milliseconds{1}));
    },
    db_lane::urgent);
}

void repair(self_pointer self) {
  auto& state = self->state;
  if (!state.me || state.owned.empty())
    return;
  ask_database<int>(
    self, state.context->databases.background, "repair-posts", state.context->settings.database_timeout,
    [me = *state.me, shards = shards_of(state)](store& db) { return db.publishing().repair(me, shards); },
    [self](result<int> repaired) {
      if (repaired && *repaired > 0) {
        self->state.context->log->warn("posts-repaired", {{"count", std::to_string(*repaired)}});
        self->send(self->state.feed, atom::hint_v, std::int64_t{0});
      }
    });
}

publish_sweep_actor::behavior_type publish_sweep(self_pointer self, engine_context_ptr context,
                                                 job_feed_actor feed, media_preparer_actor preparer) {
  self->state.context = std::move(context);
  self->state.feed = std::move(feed);
  self->state.preparer = std::move(preparer);
  self->delayed_send(self, self->state.context->settings.publish_sweep_every, atom::sweep_v);
  return {
    [self](atom::gained, const node_identity& me, const shard_list& shards) {
      self->state.me = me;
      self->state.owned.insert(shards.begin(), shards.end());
      repair(self);
      start_due(self);
      self->send(self->state.preparer, atom::gained_v, me, shards);
    },
    [self](atom::drain, const shard_list& shards) {
      for (const auto shard : shards)
        self->state.owned.erase(shard);
      self->send(self->state.preparer, atom::drain_v, shards);
    },
    [self](atom::lost) {
      self->state.me.reset();
      self->state.owned.clear();
      self->send(self->state.preparer, atom::lost_v);
    },
    [self](atom::hint, std::int64_t in_milliseconds) {
      self->state.timer.arm(self, std::chrono::milliseconds{std::max<std::int64_t>(in_milliseconds, 0)});
      self->send(self->state.preparer, atom::hint_v, in_milliseconds);
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"publish_sweep",
                          "running",
                          {{"shards", std::to_string(state.owned.size())},
                           {"started_total", std::to_string(state.started_total)}},
                          {}};
    },
    [self](atom::tick, std::uint64_t generation) {
      if (self->state.timer.fires(generation))
        start_due(self);
    },
    [self](atom::sweep) {
      repair(self);
      start_due(self);
      look_at_lateness(self->state.context);
      self->send(self->state.preparer, atom::sweep_v);
      self->delayed_send(self, self->state.context->settings.publish_sweep_every, atom::sweep_v);
    },
  };
}

} // namespace

publish_sweep_actor spawn_publish_sweep(caf::actor_system& system, engine_context_ptr context,
                                        job_feed_actor feed, media_preparer_actor preparer) {
  return system.spawn(publish_sweep, std::move(context), std::move(feed), std::move(preparer));
}

} // namespace carillon
