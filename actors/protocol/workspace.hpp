// workspace: supervisor of one workspace's publisher, notifier and steward.
#pragma once

#include "actors/protocol/job_feed.hpp"

namespace carillon {

/// A child that runs jobs of the kinds it owns.
using job_runner_actor = protocol<
  // Run them; for each exactly one report goes to the supervisor.
  accepts<atom::job, job_handout>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: goes on with what an outside call answered.
  accepts<atom::run, std::shared_ptr<std::function<void()>>>>;

using workspace_actor = protocol<
  // Hands each job to the child that owns its kind.
  accepts<atom::job, job_handout>,
  // From a child: passed on to the job feed.
  accepts<atom::conclude, run_reports>,
  // Ends children and itself; what they had is not reported.
  accepts<atom::stop>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: restarts child `slot` unless a newer restart was planned.
  accepts<atom::restart, int, std::uint64_t>,
  // INTERNAL: idle long enough?
  accepts<atom::tick>>;

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<std::function<void()>>)
