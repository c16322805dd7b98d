#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/publish_desk.hpp"
#include "actors/protocol/workspace.hpp"

namespace carillon {

/// Runs publish_post jobs: plan, call the networks, record, until the post
/// is rolled up or nothing can be done before a later instant. The first
/// message of a run and each answer come from the database or a gateway;
/// nothing is kept here that PostgreSQL does not know.
job_runner_actor spawn_publisher(caf::actor_system& system, engine_context_ptr context,
                                 workspace_actor supervisor, job_feed_actor feed, publish_desk_actor desk);

} // namespace carillon
