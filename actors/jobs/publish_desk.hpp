#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/publish_desk.hpp"

namespace carillon {

publish_desk_actor spawn_publish_desk(caf::actor_system& system, engine_context_ptr context, job_feed_actor feed);

} // namespace carillon
