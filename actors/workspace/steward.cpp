#include "actors/workspace/steward.hpp"

#include <stop_token>
#include <unordered_map>

#include "actors/timer.hpp"
#include "domain/run_deadline.hpp"

namespace carillon {

namespace {

/// How often it is looked whether jobs that run here have been given up or are
/// out of time.
constexpr std::chrono::milliseconds watch_every{2'000};

struct run_under_way {
  job_id job;
  std::stop_source stop;
  caf::actor_clock::time_point end{};
};

struct steward_state {
  static inline const char* name = "carillon.steward";

  engine_context_ptr context;
  workspace_actor supervisor;
  /// By the feed's run.
  std::unordered_map<std::int64_t, run_under_way> active;
  bool watching = false;
  bool asking = false;
  std::uint64_t runs_total = 0;

  steward_state() = default;
  /// Nobody waits for what still runs: the feed has been told, or is gone.
  ~steward_state() {
    for (const auto& [run, under_way] : active)
      under_way.stop.request_stop();
  }
  steward_state(const steward_state&) = delete;
  steward_state& operator=(const steward_state&) = delete;
};

using self_pointer = job_runner_actor::stateful_pointer<steward_state>;

run_report report_outcome(const running_job& job, job_outcome outcome) {
  return report_of(job, outcome.how, std::move(outcome.error), outcome.delay);
}

void later(self_pointer self, std::chrono::milliseconds delay, std::function<void()> step) {
  self->delayed_send(self, delay, atom::run_v, std::make_shared<std::function<void()>>(std::move(step)));
}

/// Not on the connections that the runs themselves may hold.
void ask_which_ended(self_pointer self) {
  auto& state = self->state;
  if (std::exchange(state.asking, true))
    return;
  std::vector<job_id> jobs;
  for (const auto& [run, under_way] : state.active)
    jobs.push_back(under_way.job);
  ask_database<std::vector<job_id>>(
    self, state.context->databases.interactive, "find-ended-jobs", state.context->settings.database_timeout,
    [jobs = std::move(jobs)](store& db) { return db.jobs().find_ended(jobs); },
    [self](result<std::vector<job_id>> ended) {
      auto& state = self->state;
      state.asking = false;
      for (const auto& job : ended.value_or({}))
        for (const auto& [run, under_way] : state.active)
          if (under_way.job == job)
            under_way.stop.request_stop();
    });
}

/// One message, however many run: CAF's clock keeps each until its time.
void watch(self_pointer self) {
  auto& state = self->state;
  if (state.active.empty() || std::exchange(state.watching, true))
    return;
  auto next = clock_now(self) + watch_every;
  for (const auto& [run, under_way] : state.active)
    if (!under_way.stop.stop_requested())
      next = std::min(next, under_way.end);
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(next - clock_now(self));
  later(self, std::max(delay, std::chrono::milliseconds{1}), [self] {
    auto& state = self->state;
    state.watching = false;
    if (state.active.empty())
      return;
    const auto now = clock_now(self);
    for (const auto& [run, under_way] : state.active)
      if (under_way.end <= now)
        under_way.stop.request_stop();
    ask_which_ended(self);
    watch(self);
  });
}

job_outcome call(const job_handler& handler, store& db, const running_job& job, const std::stop_token& stop) {
  if (const auto* run = std::get_if<database_handler>(&handler))
    return (*run)(db, job.owner, job.work());
  return std::get<stoppable_handler>(handler)(db, job.owner, job.work(), stop);
}

void run_on_database(self_pointer self, const running_job_ptr& job, const job_handler& handler) {
  auto& state = self->state;
  const auto* policy = find_job_policy(job->work().kind);
  const auto now = clock_now(self);
  const auto end = std::min<caf::actor_clock::time_point>(
    job->end, now + (policy ? policy->timeout : std::chrono::seconds{60}));
  const auto left = std::max(std::chrono::floor<std::chrono::milliseconds>(end - now), std::chrono::milliseconds{0});
  const std::stop_source stop;
  state.active[job->run] = {job->work().id, stop, end};
  watch(self);
  ask_database<job_outcome>(
    self, state.context->databases.background, job->work().kind, left,
    [job, &handler, stop, end = std::chrono::steady_clock::now() + left](store& db) -> result<job_outcome> {
      const run_deadline bound{end};
      return guarded([&] { return call(handler, db, *job, stop.get_token()); });
    },
    [self, job](result<job_outcome> outcome) {
      auto& state = self->state;
      state.active.erase(job->run);
      if (!outcome)
        // Never begun, or no longer known: the next try finds out.
        outcome = job_outcome{outcome.error().code == errc::outcome_unknown ? job_report::kind::retry
                                                                            : job_report::kind::postponed,
                              outcome.error().detail, std::chrono::milliseconds{1'000}};
      self->send(state.supervisor, atom::conclude_v, run_reports{{report_outcome(*job, std::move(*outcome))}});
    });
}

job_runner_actor::behavior_type steward(self_pointer self, engine_context_ptr context,
                                        workspace_actor supervisor) {
  self->state.context = std::move(context);
  self->state.supervisor = std::move(supervisor);
  return {
    [self](atom::job, const job_handout& handout) {
      auto& state = self->state;
      run_reports refused;
      for (const auto& job : handout.jobs) {
        ++state.runs_total;
        const auto handler = state.context->handlers.find(job->work().kind);
        if (handler != state.context->handlers.end() && !std::holds_alternative<quick_handler>(handler->second))
          run_on_database(self, job, handler->second);
        else
          refused.all.push_back(report_of(*job, job_report::kind::retry, "this program has no handler for the kind"));
      }
      if (!refused.all.empty())
        self->send(state.supervisor, atom::conclude_v, std::move(refused));
    },
    [self](atom::report) {
      const auto& state = self->state;
      return actor_report{"steward",
                          "running",
                          {{"active", std::to_string(state.active.size())},
                           {"runs_total", std::to_string(state.runs_total)}},
                          {}};
    },
    [](atom::run, const std::shared_ptr<std::function<void()>>& step) { (*step)(); },
  };
}

} // namespace

job_runner_actor spawn_steward(caf::actor_system& system, engine_context_ptr context,
                               workspace_actor supervisor) {
  return system.spawn(steward, std::move(context), std::move(supervisor));
}

} // namespace carillon
