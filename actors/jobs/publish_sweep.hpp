#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/publish_sweep.hpp"

namespace carillon {

publish_sweep_actor spawn_publish_sweep(caf::actor_system& system, engine_context_ptr context,
                                        job_feed_actor feed);

} // namespace carillon
