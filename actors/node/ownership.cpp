#include "actors/node/ownership.hpp"

#include "domain/ports/job_store.hpp"
#include "domain/ports/ownership_store.hpp"

namespace carillon {

namespace {

struct ownership_state {
  static inline const char* name = "carillon.ownership";

  engine_context_ptr context;
  job_feed_actor feed;
  region_actor region;
  publish_sweep_actor sweep;
  scheduler_actor scheduler;

  std::optional<node_identity> me;
  std::size_t owned = 0;
  int live_nodes = 0;
  shard_list draining;
  bool busy = false;
  bool stopped = false;
};

using self_pointer = ownership_actor::stateful_pointer<ownership_state>;

void next_tick(self_pointer self, std::chrono::milliseconds delay) {
  if (!self->state.stopped)
    self->delayed_send(self, delay, atom::tick_v);
}

void renew(self_pointer self);

/// Nothing that this life held may be touched any more.
void lose_everything(self_pointer self, const std::string& why) {
  auto& state = self->state;
  state.context->log->error("lease-lost", {{"node", state.me->node},
                                           {"incarnation", std::to_string(state.me->incarnation)},
                                           {"why", why}});
  state.context->lease.expire();
  state.me.reset();
  state.owned = 0;
  state.draining.clear();
  shard_list all;
  for (int i = 0; i < shard_count; ++i)
    all.push_back(static_cast<shard_id>(i));
  self->send(state.feed, atom::lost_v);
  self->send(state.sweep, atom::lost_v);
  self->send(state.scheduler, atom::lost_v);
  self->send(state.region, atom::lost_v, all);
}

void begin(self_pointer self) {
  auto& state = self->state;
  state.busy = true;
  const auto sent_at = lease_clock::steady::now();
  ask_database<node_identity>(
    self, state.context->databases.control, "start-incarnation", state.context->settings.lease,
    [node = state.context->settings.node, lease = state.context->settings.lease](store& db) {
      // Whoever enqueues from SQL gets the policies of what runs here.
      if (const auto told = db.jobs().announce_kinds(); !told)
        return result<node_identity>{told.error()};
      return db.ownership().start_incarnation(node, lease);
    },
    [self, sent_at](result<node_identity> me) {
      auto& state = self->state;
      state.busy = false;
      if (!me) {
        state.context->log->warn("incarnation-not-started", {{"error", me.error().detail}});
        next_tick(self, std::chrono::milliseconds{500});
        return;
      }
      state.me = *me;
      state.context->lease.extend_until(sent_at + state.context->settings.lease);
      state.context->log->info("incarnation-started", {{"node", me->node},
                                                       {"incarnation", std::to_string(me->incarnation)}});
      renew(self);
    });
}

void tell_gained(self_pointer self, const shard_list& shards) {
  auto& state = self->state;
  if (shards.empty())
    return;
  state.context->log->info("shards-taken", {{"count", std::to_string(shards.size())},
                                            {"incarnation", std::to_string(state.me->incarnation)}});
  self->send(state.region, atom::gained_v, *state.me, shards);
  self->send(state.feed, atom::gained_v, *state.me, shards);
  self->send(state.sweep, atom::gained_v, *state.me, shards);
  self->send(state.scheduler, atom::gained_v, *state.me, shards);
}

struct tick_outcome {
  lease_view view;
  shard_list taken;
  int ended = 0;
};

/// One round: renew, end the dead, take what is free up to this node's share.
result<tick_outcome> round(store& db, const node_identity& me, std::chrono::milliseconds lease) {
  auto view = db.ownership().renew(me, lease);
  if (!view)
    return view.error();
  tick_outcome out{std::move(*view), {}, 0};
  // From here on nothing may fail the renewal, which has happened.
  if (auto ended = db.ownership().end_expired())
    out.ended = *ended;
  const auto share = shard_count / out.view.live_nodes
                     + (out.view.rank < shard_count % out.view.live_nodes ? 1 : 0);
  const auto missing = share - static_cast<int>(out.view.mine.size());
  if (missing > 0 && !out.view.free.empty())
    if (auto taken = db.ownership().take_free(me, missing))
      out.taken = std::move(*taken);
  return out;
}

/// A live node's shard is drained and handed over, never taken.
void hand_over_surplus(self_pointer self, const lease_view& view) {
  auto& state = self->state;
  if (!state.draining.empty())
    return;
  const auto share = static_cast<std::size_t>(shard_count / view.live_nodes
                                              + (view.rank < shard_count % view.live_nodes ? 1 : 0));
  if (view.mine.size() <= share)
    return;
  state.draining.assign(view.mine.begin() + static_cast<std::ptrdiff_t>(share), view.mine.end());
  state.context->log->info("shards-draining", {{"count", std::to_string(state.draining.size())}});
  self->send(state.sweep, atom::drain_v, state.draining);
  self->send(state.scheduler, atom::drain_v, state.draining);
  self->send(state.feed, atom::drain_v, state.draining);
}

void renew(self_pointer self) {
  auto& state = self->state;
  state.busy = true;
  const auto sent_at = lease_clock::steady::now();
  ask_database<tick_outcome>(
    self, state.context->databases.control, "renew-lease", state.context->settings.lease,
    [me = *state.me, lease = state.context->settings.lease](store& db) { return round(db, me, lease); },
    [self, sent_at](result<tick_outcome> outcome) {
      auto& state = self->state;
      state.busy = false;
      if (!state.me || state.stopped)
        return;
      if (outcome) {
        state.context->lease.extend_until(sent_at + state.context->settings.lease);
        state.live_nodes = outcome->view.live_nodes;
        state.owned = outcome->view.mine.size() + outcome->taken.size();
        tell_gained(self, outcome->taken);
        hand_over_surplus(self, outcome->view);
        const bool more = outcome->ended > 0;
        next_tick(self, more ? std::chrono::milliseconds{10} : state.context->settings.renew_every);
        return;
      }
      if (outcome.error().code == errc::conflict || state.context->lease.remaining().count() == 0) {
        lose_everything(self, outcome.error().detail);
        next_tick(self, std::chrono::milliseconds{100});
        return;
      }
      state.context->log->warn("lease-not-renewed",
                               {{"error", outcome.error().detail},
                                {"left_ms", std::to_string(state.context->lease.remaining().count())}});
      next_tick(self, std::min(state.context->settings.renew_every, std::chrono::milliseconds{500}));
    });
}

ownership_actor::behavior_type ownership(self_pointer self, engine_context_ptr context,
                                         job_feed_actor feed, region_actor region,
                                         publish_sweep_actor sweep, scheduler_actor scheduler) {
  auto& state = self->state;
  state.context = std::move(context);
  state.feed = std::move(feed);
  state.region = std::move(region);
  state.sweep = std::move(sweep);
  state.scheduler = std::move(scheduler);
  self->send(self, atom::tick_v);
  return {
    [self](atom::drained, const shard_list& shards) {
      auto& state = self->state;
      if (!state.me)
        return;
      self->send(state.region, atom::lost_v, shards);
      ask_database<done>(
        self, state.context->databases.control, "give-back-shards", state.context->settings.lease,
        [me = *state.me, shards](store& db) { return db.ownership().give_back(me, shards); },
        [self, shards](result<done> given) {
          auto& state = self->state;
          state.draining.clear();
          if (given) {
            state.context->log->info("shards-given-back", {{"count", std::to_string(shards.size())}});
            return;
          }
          // Still ours: work on them goes on.
          state.context->log->warn("shards-not-given-back", {{"error", given.error().detail}});
          if (state.me)
            tell_gained(self, shards);
        });
    },
    [self](atom::stop) -> caf::result<atom::done> {
      auto& state = self->state;
      state.stopped = true;
      auto promise = self->make_response_promise<atom::done>();
      if (!state.me) {
        promise.deliver(atom::done_v);
        return promise;
      }
      ask_database<done>(
        self, state.context->databases.control, "end-own-incarnation", std::chrono::seconds{5},
        [me = *state.me](store& db) { return db.ownership().end_own(me); },
        [self, promise](result<done> ended) mutable {
          auto& state = self->state;
          state.context->lease.expire();
          if (ended)
            state.context->log->info("incarnation-ended", {{"incarnation", std::to_string(state.me->incarnation)}});
          else
            state.context->log->warn("incarnation-not-ended", {{"error", ended.error().detail}});
          promise.deliver(atom::done_v);
        });
      return promise;
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"ownership",
                          state.me ? "running" : "restarting",
                          {{"incarnation", state.me ? std::to_string(state.me->incarnation) : "none"},
                           {"shards", std::to_string(state.owned)},
                           {"live_nodes", std::to_string(state.live_nodes)},
                           {"lease_left_ms", std::to_string(state.context->lease.remaining().count())},
                           {"draining", std::to_string(state.draining.size())},
                           {"mailbox", std::to_string(mailbox_depth(self))}},
                          {}};
    },
    [self](atom::tick) {
      auto& state = self->state;
      if (state.busy || state.stopped)
        return;
      if (state.me)
        renew(self);
      else
        begin(self);
    },
  };
}

} // namespace

ownership_actor spawn_ownership(caf::actor_system& system, engine_context_ptr context,
                                job_feed_actor feed, region_actor region,
                                publish_sweep_actor sweep, scheduler_actor scheduler) {
  return system.spawn(ownership, std::move(context), std::move(feed), std::move(region),
                      std::move(sweep), std::move(scheduler));
}

} // namespace carillon
