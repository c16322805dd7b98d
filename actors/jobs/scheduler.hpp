#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/scheduler.hpp"

namespace carillon {

/// For the cadences of workspaces that are active in this build.
scheduler_actor spawn_scheduler(caf::actor_system& system, engine_context_ptr context, job_feed_actor feed);

} // namespace carillon
