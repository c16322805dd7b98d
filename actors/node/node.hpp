#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/node.hpp"

namespace carillon {

/// The root of the tree. Hold the handle. Ownership, region, job feed,
/// publish sweep and scheduler live and die together: when one crashes all are
/// started anew under a new incarnation, with backoff; more than
/// `restart_intensity` times within `restart_window` and the node ends with
/// sec::runtime_error. The hub of live events is restarted by itself, with
/// the same patience: its sockets outlive the engine's crashes; so is the
/// cluster, where there is one.
node_actor spawn_node(caf::actor_system& system, engine_context_ptr context,
                      std::chrono::milliseconds shutdown_grace);

} // namespace carillon
