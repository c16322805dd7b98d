#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/publish_desk.hpp"
#include "actors/protocol/publish_sweep.hpp"
#include "actors/protocol/region.hpp"

namespace carillon {

region_actor spawn_region(caf::actor_system& system, engine_context_ptr context,
                          job_feed_actor feed, publish_sweep_actor sweep, publish_desk_actor desk);

/// A hint in its envelope (domain/node_message.hpp), and back; nothing when it is
/// not one that this build knows.
std::string encode_hint(const hint& h);
std::optional<hint> decode_hint(std::string_view payload);

} // namespace carillon
