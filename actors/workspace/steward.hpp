// steward: the workspace's quieter jobs; runs the kinds that have a
// database_handler.
#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/workspace.hpp"

namespace carillon {

job_runner_actor spawn_steward(caf::actor_system& system, engine_context_ptr context,
                               workspace_actor supervisor);

} // namespace carillon
