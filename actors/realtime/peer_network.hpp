#pragma once

#include "actors/protocol/cluster.hpp"

namespace carillon {

/// Must be called on the configuration of a system that runs a peer_network.
/// A peer that says nothing for two seconds counts as lost.
void load_peer_network(caf::actor_system_config& config);

/// Has a thread of its own, until the last handle is gone.
peer_network_actor spawn_peer_network(caf::actor_system& system);

} // namespace carillon
