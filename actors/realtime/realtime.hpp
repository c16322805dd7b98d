#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/realtime.hpp"

namespace carillon {

/// What the hub passes on to the other nodes; called in its own context with
/// every batch and grant that this node gave. Null: there are no others.
struct realtime_relay {
  std::function<void(const live_batch&)> events;
  std::function<void(const live_grant&)> grants;
};

/// The hub. Holds no socket but through its peer; when it ends, however it
/// ends, every peer is told to connect again.
///
/// Every `live_recheck_every`, and at once for users whose rights a committed
/// transaction of this node changed, one query asks who may still listen; the
/// others' peers are ended with `reconnect`: allowed anew, a client keeps the
/// channels that it may have. A subscription whose grant has not come by the
/// second such time is ended in the same way.
realtime_actor spawn_realtime(caf::actor_system& system, engine_context_ptr context, realtime_relay relay = {});

} // namespace carillon
