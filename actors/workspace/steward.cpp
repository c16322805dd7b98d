#include "actors/workspace/steward.hpp"

namespace carillon {

namespace {

struct steward_state {
  static inline const char* name = "carillon.steward";

  engine_context_ptr context;
  workspace_actor supervisor;
  std::size_t active = 0;
  std::uint64_t runs_total = 0;
};

using self_pointer = job_runner_actor::stateful_pointer<steward_state>;

run_report report_outcome(const running_job& job, job_outcome outcome) {
  return report_of(job, outcome.how, std::move(outcome.error), outcome.delay);
}

void run_on_database(self_pointer self, const running_job_ptr& job, const database_handler& handler) {
  auto& state = self->state;
  ++state.active;
  const auto* policy = find_job_policy(job->work().kind);
  const std::chrono::milliseconds timeout = policy ? policy->timeout : std::chrono::seconds{60};
  ask_database<job_outcome>(
    self, state.context->databases.background, job->work().kind, timeout,
    [job, &handler](store& db) -> result<job_outcome> {
      return guarded([&] { return handler(db, job->owner, job->work()); });
    },
    [self, job](result<job_outcome> outcome) {
      auto& state = self->state;
      --state.active;
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
        const auto* run = handler == state.context->handlers.end() ? nullptr : std::get_if<database_handler>(&handler->second);
        if (run)
          run_on_database(self, job, *run);
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
                          {{"active", std::to_string(state.active)},
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
