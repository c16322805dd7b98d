#include "actors/jobs/job_feed.hpp"

#include <bitset>
#include <map>
#include <unordered_map>

#include "actors/protocol/ownership.hpp"
#include "actors/protocol/region.hpp"
#include "actors/timer.hpp"
#include "domain/ports/delivery_store.hpp"

namespace carillon {

namespace {

struct in_flight_job {
  running_job_ptr job;
  std::int64_t batch = 0;
  caf::actor_clock::time_point give_up_at{};
  /// Reported; waits for the transaction that writes it.
  bool reported = false;
};

struct job_feed_state {
  static inline const char* name = "carillon.job_feed";

  engine_context_ptr context;
  region_actor region;
  std::optional<node_identity> me;
  std::bitset<shard_count> owned;

  std::unordered_map<job_id, in_flight_job> in_flight;
  std::map<std::int64_t, std::size_t> open_batches;
  std::int64_t next_batch = 1;

  std::vector<job_report> reports;
  std::vector<std::int64_t> finished;
  bool linger_pending = false;
  bool concluding = false;

  bool reading = false;
  bool read_again = false;
  wake_up_timer timer;

  std::bitset<shard_count> draining;
  ownership_actor drained_to;
  std::optional<caf::typed_response_promise<atom::done>> stopping;

  std::uint64_t taken_total = 0;
};

using self_pointer = job_feed_actor::stateful_pointer<job_feed_state>;

shard_list list_of(const std::bitset<shard_count>& shards) {
  shard_list out;
  for (int i = 0; i < shard_count; ++i)
    if (shards[static_cast<std::size_t>(i)])
      out.push_back(static_cast<shard_id>(i));
  return out;
}

void read_due(self_pointer self);
void write_conclusions(self_pointer self);

/// Room between a kind's own timeout and the moment the feed stops believing
/// that its runner is alive.
constexpr std::chrono::seconds runner_grace{60};

void check_drained(self_pointer self) {
  auto& state = self->state;
  if (state.draining.any() && !state.reading) {
    bool busy = false;
    for (const auto& [id, entry] : state.in_flight)
      busy = busy || state.draining[shard_of(entry.job->work.workspace)];
    if (!busy) {
      self->send(state.drained_to, atom::drained_v, list_of(state.draining));
      state.draining.reset();
    }
  }
  if (state.stopping && state.in_flight.empty() && state.reports.empty()
      && state.finished.empty() && !state.concluding && !state.reading) {
    state.stopping->deliver(atom::done_v);
    state.stopping.reset();
  }
}

void leave_flight(job_feed_state& state, job_id id) {
  const auto i = state.in_flight.find(id);
  if (i == state.in_flight.end())
    return;
  const auto batch = state.open_batches.find(i->second.batch);
  if (batch != state.open_batches.end() && --batch->second == 0) {
    state.finished.push_back(batch->first);
    state.open_batches.erase(batch);
  }
  state.in_flight.erase(i);
}

void schedule_conclusions(self_pointer self) {
  auto& state = self->state;
  if (state.concluding || state.linger_pending)
    return;
  if (state.reports.empty() && state.finished.empty())
    return;
  state.linger_pending = true;
  self->delayed_send(self, state.context->settings.conclude_linger, atom::sweep_v);
}

/// A dead letter's effect on what it was working on, by kind.
result<done> abandon(store& db, const node_identity& me, const job& work,
                     const std::string& reason) {
  if (work.kind == kinds::publish_post) {
    auto given_up = db.publishing().give_up(me, work, reason);
    if (!given_up)
      return given_up.error();
    return done{};
  }
  if (work.kind == kinds::send_notification_email)
    return db.deliveries().conclude_email(me, work, {email_outcome::kind::failed, reason});
  auto discarded = db.jobs().conclude(me, {{work.id, job_report::kind::discarded, reason, {}}}, {});
  if (!discarded)
    return discarded.error();
  return done{};
}

void write_conclusions(self_pointer self) {
  auto& state = self->state;
  if (state.concluding || !state.me || (state.reports.empty() && state.finished.empty()))
    return;
  state.concluding = true;
  // Jobs of these reports stay in flight until the transaction is through,
  // so that no read can hand them out again.
  auto reports = std::make_shared<std::vector<job_report>>(std::move(state.reports));
  state.reports.clear();
  auto finished = std::make_shared<std::vector<std::int64_t>>(std::move(state.finished));
  state.finished.clear();
  std::vector<job> abandonable;
  for (const auto& report : *reports)
    if (report.how == job_report::kind::retry || report.how == job_report::kind::discarded)
      if (const auto i = state.in_flight.find(report.id); i != state.in_flight.end())
        abandonable.push_back(i->second.job->work);

  ask_database<std::vector<job_id>>(
    self, state.context->databases.background, "conclude-jobs", state.context->settings.database_timeout,
    [me = *state.me, reports, finished, abandonable, log = state.context->log](store& db) {
      auto discarded = db.jobs().conclude(me, *reports, *finished);
      if (discarded)
        for (const auto& id : *discarded)
          for (const auto& work : abandonable)
            if (work.id == id) {
              log->error("job-discarded", {{"job", to_string(id)}, {"kind", work.kind},
                                           {"workspace", to_string(work.workspace)},
                                           {"correlation", work.correlation_id}});
              if (auto r = abandon(db, me, work, "every attempt failed"); !r)
                log->error("job-abandon-failed", {{"job", to_string(id)}, {"error", r.error().detail}});
            }
      return discarded;
    },
    [self, reports, finished](result<std::vector<job_id>> discarded) {
      auto& state = self->state;
      state.concluding = false;
      if (!state.me)
        return;
      if (discarded) {
        for (const auto& report : *reports) {
          leave_flight(state, report.id);
          if (report.delay)
            state.timer.arm(self, *report.delay);
        }
        if (state.read_again)
          read_due(self);
      } else if (discarded.error().code != errc::cancelled) {
        state.context->log->warn("conclude-failed", {{"error", discarded.error().detail}});
        state.reports.insert(state.reports.begin(), reports->begin(), reports->end());
        state.finished.insert(state.finished.begin(), finished->begin(), finished->end());
        state.linger_pending = true;
        self->delayed_send(self, std::chrono::milliseconds{500}, atom::sweep_v);
        return;
      }
      schedule_conclusions(self);
      check_drained(self);
    });
}

void accept_report(self_pointer self, const job_report& report) {
  auto& state = self->state;
  const auto i = state.in_flight.find(report.id);
  if (i == state.in_flight.end() || i->second.reported)
    return;
  if (report.how == job_report::kind::concluded) {
    // Its own transaction has committed already.
    leave_flight(state, report.id);
    if (report.delay)
      state.timer.arm(self, *report.delay);
    if (state.read_again)
      read_due(self);
  } else {
    i->second.reported = true;
    if (report.how == job_report::kind::retry)
      state.context->log->warn("job-failed", {{"job", to_string(report.id)},
                                              {"kind", i->second.job->work.kind},
                                              {"error", report.error},
                                              {"correlation", i->second.job->work.correlation_id}});
    state.reports.push_back(report);
  }
  schedule_conclusions(self);
  check_drained(self);
}

void hand_out(self_pointer self, due_jobs& due) {
  auto& state = self->state;
  const auto now = clock_now(self);
  for (auto& batch : due.batches) {
    state.next_batch = std::max(state.next_batch, batch.number + 1);
    state.open_batches[batch.number] = batch.jobs.size();
    for (auto& work : batch.jobs) {
      const auto* policy = find_job_policy(work.kind);
      const auto timeout = policy ? policy->timeout : std::chrono::seconds{60};
      auto running = std::make_shared<const running_job>(running_job{*state.me, std::move(work)});
      state.in_flight[running->work.id] = {running, batch.number, now + timeout + runner_grace, false};
      ++state.taken_total;
      self->send(state.region, atom::job_v, running);
    }
  }
}

void read_due(self_pointer self) {
  auto& state = self->state;
  if (state.reading) {
    state.read_again = true;
    return;
  }
  if (!state.me || state.owned.none() || state.stopping)
    return;
  const auto capacity = state.context->hot.jobs_max_in_flight.load()
                        - static_cast<int>(state.in_flight.size());
  if (capacity <= 0) {
    state.read_again = true;
    return;
  }
  state.reading = true;
  state.read_again = false;
  const auto limit = std::min(capacity, state.context->settings.batch_size);
  std::vector<job_id> busy;
  busy.reserve(state.in_flight.size());
  for (const auto& [id, entry] : state.in_flight)
    busy.push_back(id);
  ask_database<due_jobs>(
    self, state.context->databases.background, "take-due-jobs", state.context->settings.database_timeout,
    [me = *state.me, shards = list_of(state.owned), busy = std::move(busy), limit,
     first = state.next_batch](store& db) { return db.jobs().take_due(me, shards, busy, limit, first); },
    [self, limit, asked_as = state.me->incarnation](result<due_jobs> due) {
      auto& state = self->state;
      state.reading = false;
      if (!state.me || state.me->incarnation != asked_as)
        return;
      std::size_t count = 0;
      if (due) {
        for (const auto& batch : due->batches)
          count += batch.jobs.size();
        hand_out(self, *due);
        if (due->next_in)
          state.timer.arm(self, std::max(*due->next_in, std::chrono::milliseconds{1}));
      } else if (due.error().code == errc::outcome_unknown) {
        // The manifest may be there: its batch number is used up.
        state.next_batch += limit;
      }
      state.timer.arm(self, state.context->settings.job_sweep_every);
      if (state.read_again || count >= static_cast<std::size_t>(limit))
        read_due(self);
      check_drained(self);
    });
}

void take_over(self_pointer self, const node_identity& me, const shard_list& shards) {
  auto& state = self->state;
  ask_database<done>(
    self, state.context->databases.background, "adopt-orphans", state.context->settings.database_timeout,
    [me, shards, max = state.context->settings.max_crashes, log = state.context->log](store& db) -> result<done> {
      auto crashed = db.jobs().adopt(me, shards, max);
      if (!crashed)
        return crashed.error();
      for (const auto& work : *crashed) {
        log->error("job-crashed-its-node", {{"job", to_string(work.id)}, {"kind", work.kind},
                                            {"crashes", std::to_string(work.crashes)}});
        if (auto r = abandon(db, me, work, "the process died " + std::to_string(work.crashes)
                                             + " times while it ran"); !r)
          return r.error();
      }
      return done{};
    },
    [self, me, shards](result<done> adopted) {
      auto& state = self->state;
      if (!state.me || state.me->incarnation != me.incarnation)
        return;
      if (!adopted && adopted.error().code != errc::cancelled) {
        state.context->log->warn("adopt-failed", {{"error", adopted.error().detail}});
        self->delayed_send(self, std::chrono::seconds{1}, atom::gained_v, me, shards);
        return;
      }
      for (const auto shard : shards)
        state.owned.set(shard);
      read_due(self);
    });
}

void give_up_on_silent_runners(self_pointer self) {
  const auto now = clock_now(self);
  std::vector<job_id> silent;
  for (const auto& [id, entry] : self->state.in_flight)
    if (!entry.reported && entry.give_up_at <= now)
      silent.push_back(id);
  for (const auto& id : silent)
    accept_report(self, {id, job_report::kind::retry, "its runner did not answer in time", {}});
}

job_feed_actor::behavior_type job_feed(self_pointer self, engine_context_ptr context) {
  self->state.context = std::move(context);
  return {
    [self](atom::configure, const caf::strong_actor_ptr& region) {
      self->state.region = caf::actor_cast<region_actor>(region);
    },
    [self](atom::gained, const node_identity& me, const shard_list& shards) {
      self->state.me = me;
      take_over(self, me, shards);
    },
    [self](atom::drain, const shard_list& shards) {
      auto& state = self->state;
      state.drained_to = caf::actor_cast<ownership_actor>(self->current_sender());
      for (const auto shard : shards) {
        state.owned.reset(shard);
        state.draining.set(shard);
      }
      check_drained(self);
    },
    [self](atom::lost) {
      auto& state = self->state;
      state.me.reset();
      state.owned.reset();
      state.draining.reset();
      state.in_flight.clear();
      state.open_batches.clear();
      state.reports.clear();
      state.finished.clear();
      check_drained(self);
    },
    [self](atom::conclude, const job_report& report) { accept_report(self, report); },
    [self](atom::hint, std::int64_t in_milliseconds) {
      if (in_milliseconds <= 0)
        read_due(self);
      else
        self->state.timer.arm(self, std::chrono::milliseconds{in_milliseconds});
    },
    [self](atom::stop) -> caf::result<atom::done> {
      auto promise = self->make_response_promise<atom::done>();
      self->state.stopping = promise;
      check_drained(self);
      return promise;
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"job_feed",
                          state.stopping ? "draining" : "running",
                          {{"in_flight", std::to_string(state.in_flight.size())},
                           {"open_batches", std::to_string(state.open_batches.size())},
                           {"shards", std::to_string(state.owned.count())},
                           {"taken_total", std::to_string(state.taken_total)}},
                          {}};
    },
    [self](atom::tick, std::uint64_t generation) {
      if (!self->state.timer.fires(generation))
        return;
      give_up_on_silent_runners(self);
      self->state.timer.arm(self, self->state.context->settings.job_sweep_every);
      read_due(self);
    },
    [self](atom::sweep) {
      self->state.linger_pending = false;
      write_conclusions(self);
    },
  };
}

} // namespace

job_feed_actor spawn_job_feed(caf::actor_system& system, engine_context_ptr context) {
  return system.spawn(job_feed, std::move(context));
}

} // namespace carillon
