#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/ownership.hpp"
#include "actors/protocol/publish_sweep.hpp"
#include "actors/protocol/region.hpp"
#include "actors/protocol/scheduler.hpp"

namespace carillon {

/// Begins a new incarnation at once and keeps the lease clock of the context
/// true. A node alone owns all shards; n nodes own 256/n each.
ownership_actor spawn_ownership(caf::actor_system& system, engine_context_ptr context,
                                job_feed_actor feed, region_actor region,
                                publish_sweep_actor sweep, scheduler_actor scheduler);

} // namespace carillon
