#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/workspace.hpp"

namespace carillon {

/// Runs send_notification_push and send_notification_sms jobs: load, decide,
/// send, record together with the job's conclusion (docs/push-and-sms.md).
job_runner_actor spawn_messenger(caf::actor_system& system, engine_context_ptr context,
                                 workspace_actor supervisor);

} // namespace carillon
