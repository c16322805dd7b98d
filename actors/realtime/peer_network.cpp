#include "actors/realtime/peer_network.hpp"

#include <chrono>
#include <memory>
#include <set>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>

namespace carillon {

namespace {

constexpr std::chrono::milliseconds connect_patience{500};
constexpr std::chrono::seconds handshake_patience{2};

struct peer_network_state {
  static inline const char* name = "carillon.peer_network";
  std::uint16_t listens_at = 0;
};

using self_pointer = peer_network_actor::stateful_pointer<peer_network_state>;

caf::error not_reached(const std::string& host, std::uint16_t port, const std::string& why) {
  return caf::make_error(caf::sec::cannot_connect_to_node, host + ':' + std::to_string(port) + ": " + why);
}

/// One attempt at one address. -1 and errno when it fails.
int connect_to(const addrinfo& at) {
  const int socket = ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0)
    return -1;
  int problem = 0;
  if (::connect(socket, at.ai_addr, at.ai_addrlen) != 0) {
    problem = errno;
    if (problem == EINPROGRESS) {
      pollfd waits{socket, POLLOUT, 0};
      socklen_t size = sizeof(problem);
      if (::poll(&waits, 1, static_cast<int>(connect_patience.count())) != 1)
        problem = ETIMEDOUT;
      else if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        problem = errno;
    }
  }
  if (problem == 0)
    return socket;
  ::close(socket);
  errno = problem;
  return -1;
}

/// A connected socket. The middleman's own way would wait for minutes for an
/// answer that a cut cable never brings, and everybody else behind it.
caf::expected<int> open_connection(const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found); failed != 0)
    return not_reached(host, port, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all{found, &::freeaddrinfo};
  int problem = ENOENT;
  for (const auto* at = all.get(); at; at = at->ai_next) {
    if (const int socket = connect_to(*at); socket >= 0)
      return socket;
    problem = errno;
  }
  return not_reached(host, port, std::generic_category().message(problem));
}

caf::result<std::uint16_t> listen(self_pointer self, const std::string& address, std::uint16_t port,
                                  const cluster_peer& whom) {
  auto& network = self->home_system().middleman();
  // The port of an actor that has died stays open.
  if (auto& old = self->state.listens_at; old != 0) {
    network.close(old);
    old = 0;
  }
  auto at = network.publish(caf::actor_cast<caf::actor>(whom), port, address.c_str(), true);
  if (!at)
    return std::move(at.error());
  self->state.listens_at = *at;
  return *at;
}

caf::result<cluster_peer> dial(self_pointer self, const std::string& host, std::uint16_t port) {
  auto socket = open_connection(host, port);
  if (!socket)
    return std::move(socket.error());
  auto& network = self->home_system().middleman();
  auto line = network.backend().new_scribe(*socket);
  auto promise = self->make_response_promise<cluster_peer>();
  self->request(network.named_broker<caf::io::basp_broker>(caf::atom("BASP")), handshake_patience,
                caf::connect_atom_v, std::move(line), port)
    .then(
      [promise, host, port, self](caf::node_id&, caf::strong_actor_ptr& peer, std::set<std::string>&) mutable {
        if (!peer)
          promise.deliver(not_reached(host, port, "nobody is reached through this port"));
        else if (peer->node() == self->home_system().node())
          promise.deliver(not_reached(host, port, "the other node has the same CAF node id as this one"));
        else
          promise.deliver(caf::actor_cast<cluster_peer>(peer));
      },
      [promise](caf::error& error) mutable { promise.deliver(std::move(error)); });
  return promise;
}

peer_network_actor::behavior_type peer_network(self_pointer self) {
  return {
    [self](atom::listen, const std::string& address, std::uint16_t port, const cluster_peer& whom) {
      return listen(self, address, port, whom);
    },
    [self](atom::dial, const std::string& host, std::uint16_t port) { return dial(self, host, port); },
  };
}

} // namespace

void load_peer_network(caf::actor_system_config& config) {
  config.load<caf::io::middleman>();
  config.set("middleman.heartbeat-interval", caf::timespan{std::chrono::milliseconds{500}});
  config.set("middleman.connection-timeout", caf::timespan{std::chrono::seconds{2}});
}

peer_network_actor spawn_peer_network(caf::actor_system& system) {
  return system.spawn<caf::detached>(peer_network);
}

} // namespace carillon
