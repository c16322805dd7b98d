// A connection that leaves HTTP behind, and who takes it. Private to the
// server and http/live: it brings Asio with it.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <boost/asio/ip/tcp.hpp>

namespace carillon::http {

/// What an answer that comes late may still touch: outlives the server.
/// Holding `mutex` with `open` true, the io context is alive.
struct reply_gate {
  std::mutex mutex;
  bool open = true;
  std::atomic<std::size_t> in_flight{0};
};

/// Lives on its socket's strand; the server keeps it until it has closed.
class long_connection : public std::enable_shared_from_this<long_connection> {
public:
  virtual ~long_connection() = default;

  /// On the strand, once.
  virtual void launch() = 0;

  /// From any thread: says goodbye and closes.
  virtual void wind_down() = 0;

  /// From any thread: closes at once.
  virtual void abort() = 0;
};

struct handover {
  boost::asio::ip::tcp::socket socket;
  /// The answer's header, for whoever goes on in HTTP's form.
  std::string head;
  std::shared_ptr<reply_gate> gate;
  /// To be called on the strand once, when the connection has closed.
  std::function<void()> closed;
};

/// In reply::next_owner. Destroyed unused when the client has gone first.
class takeover {
public:
  virtual ~takeover() = default;

  /// On the socket's strand; must not throw for what a client did.
  virtual std::shared_ptr<long_connection> take(handover connection) = 0;
};

} // namespace carillon::http
