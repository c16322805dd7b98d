#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/media_preparer.hpp"
#include "actors/protocol/publish_sweep.hpp"

namespace carillon {

/// The preparer of media hears of the same shards, hints and sweeps.
publish_sweep_actor spawn_publish_sweep(caf::actor_system& system, engine_context_ptr context,
                                        job_feed_actor feed, media_preparer_actor preparer);

} // namespace carillon
