#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/publish_desk.hpp"
#include "actors/protocol/region.hpp"
#include "actors/protocol/workspace.hpp"

namespace carillon {

/// one_for_one: a crashed child is restarted with backoff; its jobs count as
/// failed tries. More than `restart_intensity` crashes within
/// `restart_window` end the supervisor with sec::runtime_error, and the
/// region quarantines the workspace.
workspace_actor spawn_workspace(caf::actor_system& system, engine_context_ptr context,
                                workspace_id id, job_feed_actor feed, publish_desk_actor desk, region_actor region);

} // namespace carillon
