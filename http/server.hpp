// The HTTP/1.1 server: bytes in, `request` out; `reply` in, bytes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain/ports/log.hpp"
#include "http/body_sink.hpp"
#include "http/route.hpp"

namespace carillon::http {

struct server_options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080; ///< 0: any free one.
  int io_threads = 1;
  std::size_t max_body_bytes = 1024 * 1024;
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_connections = 10'000;
  /// Requests between dispatch and answer; one more is answered 503 with
  /// Retry-After.
  std::size_t max_in_flight = 1'000;
  std::chrono::milliseconds idle_timeout{60'000};
  /// From the first byte of a request to its last.
  std::chrono::milliseconds read_timeout{10'000};
  std::chrono::milliseconds write_timeout{10'000};
  /// For an answer that goes out while it is read, beside write_timeout for
  /// each piece: so long, and as long as all of it takes at the slowest rate.
  std::chrono::milliseconds answer_timeout{60'000};
  std::uint64_t slowest_answer = 32 * 1024; ///< Bytes a second, at least 1.
  /// Behind a request whose path begins so, none of its connection is begun
  /// before its answer has gone: each holds a file. Empty: none is such.
  std::string one_at_a_time;
  /// For a body that is taken while it arrives: from its header to its last
  /// byte. Each piece of it has read_timeout.
  std::chrono::milliseconds stream_timeout{900'000};
  /// How long a client that was refused may go on sending before it reads.
  std::chrono::milliseconds linger_timeout{2'000};
  /// The same when a body was refused on its way: renewed by each piece that
  /// comes, up to the body's limit and within stream_timeout.
  std::chrono::milliseconds refused_body_timeout{30'000};
  /// What absolute links start with; empty: `http://` and the Host header.
  std::string public_url;
  /// Origins that CORS answers allow; `*` for any (contract §1.6), none: no
  /// CORS headers at all (the internal listener).
  std::vector<std::string> cors_origins{"*"};
};

/// Owns its io threads. Keep-alive and pipelining; answers leave in request
/// order. Bad input is answered here with the envelope: 400 malformed
/// request line or header, 408 slow client, 413 body, 431 header, 503 full.
class server {
public:
  /// Answers one request: callable once, from any thread, also after the
  /// client has gone.
  using respond = std::function<void(reply)>;
  /// Called on an io thread; must not block.
  using dispatch = std::function<void(request, respond)>;

  /// How a body is taken while it arrives; `open` gets the request without
  /// its body, and is called at most once.
  struct stream {
    std::uint64_t most_bytes = 0;
    std::function<std::shared_ptr<body_sink>(request, respond)> open;
  };
  /// Asked for each request that has a body, by its header alone. Nothing:
  /// the body is read whole and the request is dispatched.
  using stream_finder = std::function<std::optional<stream>(const request&)>;

  server(server_options options, dispatch handler, logger& log, stream_finder streams = nullptr);
  ~server();

  /// Binds and starts; throws std::system_error when the address is taken.
  void start();

  /// The bound port; valid after start.
  std::uint16_t port() const noexcept;

  /// Stops accepting, lets requests in flight finish within `grace`, then
  /// closes everything and joins the threads. Idempotent.
  void stop(std::chrono::milliseconds grace);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon::http
