#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/job_feed.hpp"

namespace carillon {

/// Holds no durable state: what is in flight is found again through its
/// manifests.
job_feed_actor spawn_job_feed(caf::actor_system& system, engine_context_ptr context);

} // namespace carillon
