#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actors/engine_context.hpp"
#include "actors/protocol/cluster.hpp"

namespace carillon {

/// `host:port`, `[v6]:port`; nothing for any other text.
struct peer_address {
  std::string host;
  std::uint16_t port = 0;
};
std::optional<peer_address> parse_peer_address(std::string_view text);

/// Finds the other nodes in `node_leases`, keeps a line to each and passes on
/// what the hubs tell, in order, each thing once. Of two nodes the younger
/// calls; a line that is lost is made again within moments of its coming back.
/// What is told meanwhile waits, up to a bound; beyond it, and when a node
/// dies without a good-bye, the hub here is told to resync.
///
/// A node of another cluster name, protocol version or secret is refused, with
/// a line in the log on both sides.
cluster_actor spawn_cluster(caf::actor_system& system, engine_context_ptr context, peer_network_actor network);

} // namespace carillon
