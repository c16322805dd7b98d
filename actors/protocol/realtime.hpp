// realtime: channel -> who listens on this node. Sockets and streams live in
// http; the hub knows them as peers and never waits for one.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "actors/caf.hpp"
#include "actors/protocol/atoms.hpp"
#include "actors/protocol/report.hpp"
#include "domain/live_event.hpp"
#include "domain/ports/live_events.hpp"

namespace carillon {

using live_event_ptr = std::shared_ptr<const live_event>;

/// Why the hub lets go of a peer.
enum class live_end : std::uint8_t {
  reconnect,  ///< Come again and be allowed anew.
  over_quota, ///< The user has too many connections.
};

/// A socket or a stream. Called on actor threads: must not block.
class live_peer {
public:
  virtual ~live_peer() = default;

  /// False when it takes no more, being cut off for its slowness or closed:
  /// the hub forgets it.
  virtual bool deliver(const live_event_ptr& event) noexcept = 0;

  /// The last call.
  virtual void end(live_end why) noexcept = 0;
};
using live_peer_ptr = std::shared_ptr<live_peer>;

struct live_subscription {
  std::string socket; ///< `123.456`
  std::string channel;
  live_peer_ptr peer;
};

using realtime_actor = protocol<
  // From now on `peer` gets what is said on the channel. Its grant is here
  // already, or comes from the node that gave it.
  accepts<atom::subscribe, live_subscription>,
  // socket, channel.
  accepts<atom::leave, std::string, std::string>,
  // The socket is closed.
  accepts<atom::gone, std::string>,
  // A user was allowed to listen, wherever the socket is.
  accepts<atom::grant, live_grant>,
  // Committed on this node.
  accepts<atom::live, live_batch>,
  // Another program committed this notification; its id came by NOTIFY.
  accepts<atom::hint, std::string>,
  // From the cluster: committed, or allowed, on another node. Told to nobody else.
  accepts<atom::peer, live_batch>,
  accepts<atom::peer, live_grant>,
  // Something that another node committed will never come: everybody here is
  // told to connect again.
  accepts<atom::resync>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: who may still listen?
  accepts<atom::tick>,
  // INTERNAL: the next ones to be told to connect again.
  accepts<atom::resync, atom::tick>>;

/// The way to the hub of the day, from any thread, and what operators see of
/// the sockets that have not subscribed yet. Outlives everybody.
class realtime_link final : public live_events {
public:
  /// Null while the hub is down: what is told then is lost, and its clients
  /// were told to connect again.
  void connect(realtime_actor hub) {
    std::lock_guard lock{mutex_};
    hub_ = std::move(hub);
  }

  realtime_actor hub() const {
    std::lock_guard lock{mutex_};
    return hub_;
  }

  template <class... Message>
  void tell(Message&&... message) const {
    if (const auto to = hub())
      caf::anon_send(to, std::forward<Message>(message)...);
  }

  void publish(live_batch batch) noexcept override {
    try {
      tell(atom::live_v, std::move(batch));
    } catch (...) {
      // Out of memory: the clients see the rows when they fetch next.
    }
  }

  std::atomic<std::size_t> sockets{0};
  std::atomic<std::size_t> streams{0};
  std::atomic<std::uint64_t> cut_off{0}; ///< For not reading.

private:
  mutable std::mutex mutex_;
  realtime_actor hub_;
};
using realtime_link_ptr = std::shared_ptr<realtime_link>;

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::live_subscription)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::live_grant)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::live_batch)
