#include "actors/workspace/publisher.hpp"

#include <algorithm>
#include <deque>

#include "domain/crash_point.hpp"

namespace carillon {

namespace {

/// No call is begun with less time than this.
constexpr std::chrono::milliseconds shortest_call{500};
constexpr std::chrono::milliseconds longest_read{10'000};
constexpr std::chrono::milliseconds retry_write_after{500};
/// Posts that one transaction plans, and outcomes that one writes.
constexpr std::size_t most_at_once = 32;
/// The reads go back a little further than the attempt: clocks differ.
constexpr std::chrono::seconds read_margin{120};

struct run {
  running_job_ptr job;
  std::size_t pending = 0;
};
using run_ptr = std::shared_ptr<run>;

/// What a network said, until it is written.
struct heard {
  run_ptr of;
  attempt_id attempt;
  result<public_post> said;
  std::chrono::milliseconds latency{};
  int tries = 0;
};
using heard_list = std::vector<heard>;

struct publisher_state {
  static inline const char* name = "carillon.publisher";

  engine_context_ptr context;
  workspace_actor supervisor;
  job_feed_actor feed;
  int active = 0;
  std::deque<running_job_ptr> waiting;
  /// Transactions under way. One of each kind at a time: what comes meanwhile
  /// shares the next one, so they are the larger the longer the database takes.
  int plans = 0;
  int writes = 0;
  heard_list unwritten;
  std::uint64_t calls_total = 0;
};

using self_pointer = job_runner_actor::stateful_pointer<publisher_state>;

void plan(self_pointer self, std::vector<run_ptr> runs);
void start_next(self_pointer self);

/// Lets `step` run in this actor; for callbacks of other threads.
void resume(const job_runner_actor& self, std::function<void()> step) {
  caf::anon_send(self, atom::run_v, std::make_shared<std::function<void()>>(std::move(step)));
}

void resume_later(self_pointer self, std::chrono::milliseconds delay, std::function<void()> step) {
  self->delayed_send(self, delay, atom::run_v,
                     std::make_shared<std::function<void()>>(std::move(step)));
}

void finish(self_pointer self, const run_ptr& r, job_report::kind how, std::string error = {},
            std::optional<std::chrono::milliseconds> delay = {}) {
  self->send(self->state.supervisor, atom::conclude_v,
             run_reports{{report_of(*r->job, how, std::move(error), delay)}});
  --self->state.active;
  start_next(self);
}

void pass_on(self_pointer self, const hints& committed) {
  if (!committed.empty())
    self->send(self->state.feed, atom::hint_v, std::int64_t{0});
}

void one_done(self_pointer self, const run_ptr& r, bool settled) {
  if (--r->pending > 0)
    return;
  if (settled)
    finish(self, r, job_report::kind::concluded);
  else
    plan(self, {r});
}

void write_heard(self_pointer self, heard_list batch);

void write_next(self_pointer self) {
  auto& state = self->state;
  if (state.writes > 0 || state.unwritten.empty())
    return;
  const auto incarnation_of = [](const heard& one) { return one.of->job->owner.incarnation; };
  const auto begin = state.unwritten.begin();
  const auto end = std::find_if(
    begin, begin + static_cast<std::ptrdiff_t>(std::min(most_at_once, state.unwritten.size())),
    [&, first = incarnation_of(*begin)](const heard& one) { return incarnation_of(one) != first; });
  heard_list batch{std::make_move_iterator(begin), std::make_move_iterator(end)};
  state.unwritten.erase(begin, end);
  write_heard(self, std::move(batch));
}

/// Writes what was learned; tries again while it can, since a network's
/// answer must not be lost to a moment's trouble with the database.
void record(self_pointer self, heard what) {
  self->state.unwritten.push_back(std::move(what));
  write_next(self);
}

/// Those that could not be written together are written one by one: one of
/// them may be to blame.
void not_written(self_pointer self, const heard_list& batch, const failure& why) {
  const bool passes = why.code == errc::transient || why.code == errc::outcome_unknown || why.code == errc::throttled;
  const bool alone = batch.size() == 1;
  for (const auto& one : batch) {
    if (!alone && (!passes || one.tries > 0)) {
      write_heard(self, {one});
    } else if (passes && one.tries < 120) {
      // A copy: what was asked too long ago may still be at work on the batch.
      auto again = std::make_shared<heard>(one);
      ++again->tries;
      resume_later(self, retry_write_after, [self, again] { record(self, std::move(*again)); });
    } else {
      self->state.context->log->error("outcome-not-recorded", {{"job", to_string(one.of->job->work().id)},
                                                               {"attempt", to_string(one.attempt)},
                                                               {"error", why.detail}});
      one_done(self, one.of, false);
    }
  }
}

void write_heard(self_pointer self, heard_list batch) {
  auto& state = self->state;
  ++state.writes;
  const auto shared = std::make_shared<const heard_list>(std::move(batch));
  ask_database<recorded_outcomes>(
    self, state.context->databases.background, "record-outcomes", state.context->settings.database_timeout,
    [shared, &rules = state.context->settings.publishing](store& db) {
      std::vector<call_outcome> outcomes;
      for (const auto& one : *shared)
        outcomes.push_back({&one.of->job->work(), one.attempt, &one.said, one.latency});
      return db.publishing().record(shared->front().of->job->owner, outcomes, rules);
    },
    [self, shared](result<recorded_outcomes> recorded) {
      --self->state.writes;
      if (recorded) {
        pass_on(self, recorded->after_commit);
        for (std::size_t i = 0; i < shared->size(); ++i)
          one_done(self, (*shared)[i].of, recorded->settled[i]);
      } else {
        not_written(self, *shared, recorded.error());
      }
      write_next(self);
    });
}

/// For whoever plans next, here or on another node. Lost to a moment's trouble
/// with the database it costs a call that the network refuses.
void remember_rates(self_pointer self, const run_ptr& r, attempt_id attempt, const account_rates& told) {
  auto& state = self->state;
  ask_database<done>(
    self, state.context->databases.background, "remember-rates", state.context->settings.database_timeout,
    [job = r->job, attempt, told, heard = lease_clock::steady::now()](store& db) {
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(lease_clock::steady::now() - heard);
      return db.publishing().remember_rates(job->work(), attempt, told.after(age));
    },
    [log = state.context->log, attempt](const result<done>& kept) {
      if (!kept)
        log->warn("account-rates-not-kept", {{"attempt", to_string(attempt)}, {"error", kept.error().detail}});
    });
}

void call(self_pointer self, const run_ptr& r, planned_call planned,
          lease_clock::steady::time_point deadline) {
  auto& state = self->state;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
    deadline - lease_clock::steady::now());
  if (left < shortest_call) {
    // The licence ran out before it was used: certainly not sent.
    record(self, {r, planned.attempt,
                  failure{errc::cancelled, "the lease left no time for the call", {}, std::chrono::milliseconds{1'000}}});
    return;
  }
  ++state.calls_total;
  planned.post.timeout = left;
  const auto begun = lease_clock::steady::now();
  const auto platform = planned.post.account.platform;
  const auto& gateway = state.context->gateways.at(platform);
  const auto account = planned.post.account;
  gateway->publish(
    std::move(planned.post),
    [handle = job_runner_actor{self}, self, r, attempt = planned.attempt, begun, platform, due = planned.due, gateway,
     account, measured = state.context->measured](result<public_post> outcome) {
      if (outcome) {
        crash_point(crash_points::after_accept);
        if (due)
          measured->post_accepted(platform, *due);
      }
      const auto latency = std::chrono::duration_cast<std::chrono::milliseconds>(
        lease_clock::steady::now() - begun);
      auto what = std::make_shared<heard>(heard{r, attempt, std::move(outcome), latency});
      resume(handle, [self, what, told = gateway->take_learned_rates(account)] {
        if (!told.is_none())
          remember_rates(self, what->of, what->attempt, told);
        record(self, std::move(*what));
      });
    });
}

void record_check(self_pointer self, const run_ptr& r, attempt_id attempt,
                  std::shared_ptr<const result<std::vector<public_post>>> seen,
                  lease_clock::steady::time_point begun) {
  auto& state = self->state;
  ask_database<publish_progress>(
    self, state.context->databases.background, "record-read-back", state.context->settings.database_timeout,
    [job = r->job, attempt, seen, begun, &rules = state.context->settings.publishing](store& db) {
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(
        lease_clock::steady::now() - begun);
      return db.publishing().record_check(job->owner, job->work(), attempt, *seen, age, rules);
    },
    [self, r](result<publish_progress> progress) {
      if (progress)
        pass_on(self, progress->after_commit);
      one_done(self, r, progress && progress->settled);
    });
}

void check(self_pointer self, const run_ptr& r, planned_check planned) {
  auto& state = self->state;
  const auto timeout = std::min({longest_read, state.context->settings.publish_timeout,
                                 std::max(state.context->lease.remaining(), shortest_call)});
  const auto begun = lease_clock::steady::now();
  const auto gateway = state.context->gateways.find(planned.post.account.platform);
  if (gateway == state.context->gateways.end()) {
    record_check(self, r, planned.attempt,
                 std::make_shared<result<std::vector<public_post>>>(failure{errc::permanent, "no gateway", {}, {}}), begun);
    return;
  }
  gateway->second->find_published(
    std::move(planned.post), planned.started_at - read_margin, timeout,
    [handle = job_runner_actor{self}, self, r, attempt = planned.attempt,
     begun](result<std::vector<public_post>> seen) {
      resume(handle, [self, r, attempt, begun,
                      shared = std::make_shared<const result<std::vector<public_post>>>(std::move(seen))] {
        record_check(self, r, attempt, shared, begun);
      });
    });
}

void carry_out(self_pointer self, const run_ptr& r, publish_plan planned,
               lease_clock::steady::time_point deadline) {
  pass_on(self, planned.after_commit);
  if (planned.settled) {
    finish(self, r, job_report::kind::concluded);
    return;
  }
  if (planned.calls.empty() && planned.checks.empty()) {
    const auto wait = planned.resumes_in.value_or(std::chrono::milliseconds{1'000});
    finish(self, r, job_report::kind::concluded, {}, std::max(wait, std::chrono::milliseconds{1}));
    return;
  }
  r->pending = planned.calls.size() + planned.checks.size();
  for (auto& next : planned.calls)
    call(self, r, std::move(next), deadline);
  for (auto& next : planned.checks)
    check(self, r, std::move(next));
}

/// What becomes of runs whose plan could not be made.
void plan_failed(self_pointer self, const std::vector<run_ptr>& runs, const failure& why) {
  const bool passes = why.code == errc::transient || why.code == errc::throttled || why.code == errc::outcome_unknown;
  if (runs.size() > 1 && why.code != errc::cancelled) {
    // One of them may be to blame: the others shall not suffer for it.
    for (const auto& r : runs)
      plan(self, {r});
    return;
  }
  for (const auto& r : runs)
    if (why.code == errc::cancelled) // Fenced out: the new owner runs it.
      finish(self, r, job_report::kind::concluded);
    else if (passes)
      finish(self, r, job_report::kind::postponed, why.detail, std::chrono::milliseconds{1'000});
    else
      finish(self, r, job_report::kind::retry, why.detail);
}

void plan(self_pointer self, std::vector<run_ptr> runs) {
  auto& state = self->state;
  // No outside call may outlive the lease under which it was decided.
  const auto timeout = std::min(state.context->settings.publish_timeout,
                                state.context->lease.remaining() - shortest_call);
  if (timeout < shortest_call) {
    run_reports put_off;
    for (const auto& r : runs)
      put_off.all.push_back(report_of(*r->job, job_report::kind::postponed, {}, std::chrono::milliseconds{1'000}));
    self->send(state.supervisor, atom::conclude_v, std::move(put_off));
    state.active -= static_cast<int>(runs.size());
    resume(self, [self] { start_next(self); });
    return;
  }
  ++state.plans;
  const auto deadline = lease_clock::steady::now() + timeout;
  std::vector<running_job_ptr> jobs;
  for (const auto& r : runs)
    jobs.push_back(r->job);
  ask_database<std::vector<publish_plan>>(
    self, state.context->databases.background, "plan-publishing", state.context->settings.database_timeout,
    [jobs = std::move(jobs), timeout, &rules = state.context->settings.publishing](store& db) {
      std::vector<const job*> works;
      for (const auto& one : jobs)
        works.push_back(&one->work());
      return db.publishing().plan(jobs.front()->owner, works, rules, timeout);
    },
    [self, runs = std::move(runs), deadline](result<std::vector<publish_plan>> planned) {
      --self->state.plans;
      if (!planned)
        plan_failed(self, runs, planned.error());
      else
        for (std::size_t i = 0; i < runs.size(); ++i)
          carry_out(self, runs[i], std::move((*planned)[i]), deadline);
      start_next(self);
    },
    db_lane::urgent);
}

void start_next(self_pointer self) {
  auto& state = self->state;
  if (state.plans > 0)
    return;
  std::vector<run_ptr> runs;
  while (!state.waiting.empty() && state.active < state.context->hot.publishing_per_workspace.load()
         && runs.size() < most_at_once
         && (runs.empty() || state.waiting.front()->owner.incarnation == runs.front()->job->owner.incarnation)) {
    runs.push_back(std::make_shared<run>(run{std::move(state.waiting.front()), 0}));
    state.waiting.pop_front();
    ++state.active;
  }
  if (!runs.empty())
    plan(self, std::move(runs));
}

job_runner_actor::behavior_type publisher(self_pointer self, engine_context_ptr context,
                                          workspace_actor supervisor, job_feed_actor feed) {
  self->state.context = std::move(context);
  self->state.supervisor = std::move(supervisor);
  self->state.feed = std::move(feed);
  return {
    [self](atom::job, const job_handout& handout) {
      auto& waiting = self->state.waiting;
      waiting.insert(waiting.end(), handout.jobs.begin(), handout.jobs.end());
      start_next(self);
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"publisher",
                          "running",
                          {{"active", std::to_string(state.active)},
                           {"waiting", std::to_string(state.waiting.size())},
                           {"calls_total", std::to_string(state.calls_total)}},
                          {}};
    },
    [](atom::run, const std::shared_ptr<std::function<void()>>& step) { (*step)(); },
  };
}

} // namespace

job_runner_actor spawn_publisher(caf::actor_system& system, engine_context_ptr context,
                                 workspace_actor supervisor, job_feed_actor feed) {
  return system.spawn(publisher, std::move(context), std::move(supervisor), std::move(feed));
}

} // namespace carillon
