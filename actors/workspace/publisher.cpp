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
/// A network's answer is offered so often to a database that has trouble.
constexpr int most_writes = 120;
/// The desk answers in any case; should it not, the post is not lost.
constexpr std::chrono::minutes desk_patience{2};
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
  std::shared_ptr<const result<public_post>> said;
  std::chrono::milliseconds latency{};
  int tries = 0;
};

struct publisher_state {
  static inline const char* name = "carillon.publisher";

  engine_context_ptr context;
  workspace_actor supervisor;
  job_feed_actor feed;
  publish_desk_actor desk;
  int active = 0;
  std::deque<running_job_ptr> waiting;
  std::uint64_t calls_total = 0;
};

using self_pointer = job_runner_actor::stateful_pointer<publisher_state>;

void plan(self_pointer self, const run_ptr& r);
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
  // Not at once: whoever starts one may see it end here.
  if (!self->state.waiting.empty())
    resume(self, [self] { start_next(self); });
}

void one_done(self_pointer self, const run_ptr& r, bool settled) {
  if (--r->pending > 0)
    return;
  if (settled)
    finish(self, r, job_report::kind::concluded);
  else
    plan(self, r);
}

bool passes_by_itself(const failure& why) {
  return why.code == errc::transient || why.code == errc::outcome_unknown || why.code == errc::throttled;
}

/// Asks the desk; `then` gets the answer in this actor.
template <class Order, class Then>
void ask_desk(self_pointer self, std::shared_ptr<Order> order, Then then) {
  using answer = decltype(order->answer);
  auto shared_then = std::make_shared<Then>(std::move(then));
  self->request(self->state.desk, desk_patience, atom::run_v, order)
    .then([order, shared_then](atom::done) { (*shared_then)(std::move(order->answer)); },
          [self, shared_then](caf::error& error) {
            (*shared_then)(
              answer{failure{errc::outcome_unknown, "publish desk: " + self->home_system().render(error), {}, {}}});
          });
}

/// Writes what was learned; tries again while it can, since a network's
/// answer must not be lost to a moment's trouble with the database.
void record(self_pointer self, heard what) {
  auto order = std::make_shared<record_order>();
  order->job = what.of->job;
  order->attempt = what.attempt;
  order->said = what.said;
  order->latency = what.latency;
  order->expires = lease_clock::steady::now() + self->state.context->settings.database_timeout;
  ask_desk(self, std::move(order), [self, what = std::move(what)](result<bool> settled) mutable {
    if (settled) {
      one_done(self, what.of, *settled);
    } else if (passes_by_itself(settled.error()) && what.tries < most_writes) {
      ++what.tries;
      resume_later(self, retry_write_after, [self, what] { record(self, what); });
    } else {
      self->state.context->log->error("outcome-not-recorded", {{"job", to_string(what.of->job->work().id)},
                                                               {"attempt", to_string(what.attempt)},
                                                               {"error", settled.error().detail}});
      one_done(self, what.of, false);
    }
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
                  std::make_shared<const result<public_post>>(
                    failure{errc::cancelled, "the lease left no time for the call", {}, std::chrono::milliseconds{1'000}})});
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
      heard what{r, attempt, std::make_shared<const result<public_post>>(std::move(outcome)), latency};
      resume(handle, [self, what = std::move(what), told = gateway->take_learned_rates(account)] {
        if (!told.is_none())
          remember_rates(self, what.of, what.attempt, told);
        record(self, what);
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
      if (progress && !progress->after_commit.empty())
        self->send(self->state.feed, atom::hint_v, std::int64_t{0});
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

/// What becomes of a run whose plan could not be made.
void plan_failed(self_pointer self, const run_ptr& r, const failure& why) {
  if (why.code == errc::cancelled) // Fenced out: the new owner runs it.
    finish(self, r, job_report::kind::concluded);
  else if (passes_by_itself(why))
    finish(self, r, job_report::kind::postponed, why.detail, std::chrono::milliseconds{1'000});
  else
    finish(self, r, job_report::kind::retry, why.detail);
}

void plan(self_pointer self, const run_ptr& r) {
  auto& state = self->state;
  // No outside call may outlive the lease under which it was decided.
  const auto timeout = std::min(state.context->settings.publish_timeout,
                                state.context->lease.remaining() - shortest_call);
  if (timeout < shortest_call) {
    finish(self, r, job_report::kind::postponed, {}, std::chrono::milliseconds{1'000});
    return;
  }
  const auto now = lease_clock::steady::now();
  const auto deadline = now + timeout;
  auto order = std::make_shared<plan_order>();
  order->job = r->job;
  order->call_timeout = timeout;
  // Nothing is decided that there is no time left to do.
  order->expires = std::min(now + state.context->settings.database_timeout, deadline - shortest_call);
  ask_desk(self, std::move(order), [self, r, deadline](result<publish_plan> planned) {
    if (planned)
      carry_out(self, r, std::move(*planned), deadline);
    else
      plan_failed(self, r, planned.error());
  });
}

void start_next(self_pointer self) {
  auto& state = self->state;
  while (!state.waiting.empty() && state.active < state.context->hot.publishing_per_workspace.load()) {
    const auto r = std::make_shared<run>(run{std::move(state.waiting.front()), 0});
    state.waiting.pop_front();
    ++state.active;
    plan(self, r);
  }
}

job_runner_actor::behavior_type publisher(self_pointer self, engine_context_ptr context,
                                          workspace_actor supervisor, job_feed_actor feed,
                                          publish_desk_actor desk) {
  self->state.context = std::move(context);
  self->state.supervisor = std::move(supervisor);
  self->state.feed = std::move(feed);
  self->state.desk = std::move(desk);
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
                                 workspace_actor supervisor, job_feed_actor feed, publish_desk_actor desk) {
  return system.spawn(publisher, std::move(context), std::move(supervisor), std::move(feed), std::move(desk));
}

} // namespace carillon
