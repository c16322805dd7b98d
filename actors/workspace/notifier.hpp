#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/workspace.hpp"

namespace carillon {

/// Runs send_notification_email jobs (contract §4.2): load, decide by
/// preference, render, send, record together with the job's conclusion.
job_runner_actor spawn_notifier(caf::actor_system& system, engine_context_ptr context,
                                workspace_actor supervisor);

} // namespace carillon
