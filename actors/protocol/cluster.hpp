// cluster: this node's line to the hubs of the others.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "actors/protocol/realtime.hpp"

namespace carillon {

/// What a node sees of another's cluster actor. It takes an envelope
/// (domain/node_message.hpp): all that crosses the wire.
using cluster_peer = protocol<accepts<std::string>>;

/// The wire below the cluster; speaks to CAF's middleman and may block.
using peer_network_actor = protocol<
  // Listens at address and port (0: any free one) for those who want to reach
  // the actor; answers with the port. Earlier listening ends.
  answers<atom::listen, std::string, std::uint16_t, cluster_peer>::with<std::uint16_t>,
  // The actor that listens at host and port. Fails within a few seconds.
  answers<atom::dial, std::string, std::uint16_t>::with<cluster_peer>>;

using cluster_actor = protocol<
  // An envelope from the cluster actor of another node.
  accepts<std::string>,
  // From the own hub: to be told to the others.
  accepts<atom::live, live_batch>,
  accepts<atom::grant, live_grant>,
  // The own hub has crashed: the others have missed something.
  accepts<atom::resync>,
  // Tells what is left to tell and says good-bye; a second at most.
  answers<atom::stop>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: listen.
  accepts<atom::listen>,
  // INTERNAL: call, give up, look for others.
  accepts<atom::tick>,
  // INTERNAL: send what has gathered.
  accepts<atom::flush>,
  // INTERNAL: the time for the good-bye is over.
  accepts<atom::stop, atom::tick>>;

/// The way to the cluster actor of the day, from any thread.
class cluster_link {
public:
  void connect(cluster_actor to) {
    std::lock_guard lock{mutex_};
    to_ = std::move(to);
  }
  template <class... Message>
  void tell(Message&&... message) const {
    cluster_actor to;
    {
      std::lock_guard lock{mutex_};
      to = to_;
    }
    if (to)
      caf::anon_send(to, std::forward<Message>(message)...);
  }

private:
  mutable std::mutex mutex_;
  cluster_actor to_;
};

} // namespace carillon
