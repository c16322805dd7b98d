// From a request to its answer: limiter, route table, gates, handler, each
// request as one ephemeral actor that asks the database once; those of shared
// routes as many as wait together (http/shared_reads.hpp).
#pragma once

#include "actors/protocol/database.hpp"
#include "http/rate_limiter.hpp"
#include "http/route.hpp"
#include "http/server.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace carillon::http {

/// Tunables of the edge; those of the handlers are in api_settings.
struct api_options {
  /// From dispatch to the end of the database task.
  std::chrono::milliseconds deadline{10'000};
  /// The limiter `auth`, per client address (contract §1.6).
  rate_limit auth_limit{};
  /// How many connections the pool has, and how many requests may wait for
  /// one: what bounds the shared reads. As given to the constructor.
  int connections = 4;
  std::size_t queue_limit = 1'000;
};

/// Safe from any thread. The order at the end: the server (its io threads
/// spawn, and CAF's system waits for such threads to be gone), the api (it
/// holds the pool), the actor system, then what the api was given by
/// reference, as a request may outlive the api.
class api {
public:
  /// Gets the hints of a request that succeeded, on an actor thread; must
  /// not block.
  using hint_sink = std::function<void(const hint&)>;

  /// Throws std::invalid_argument for a bad route table.
  api(caf::actor_system& system, database_actor pool, std::vector<route> routes,
      const clock_port& clock, logger& log, api_settings settings,
      api_options options, hint_sink hints);
  ~api();

  /// What a server is constructed with.
  server::dispatch dispatcher() const;

  /// What a server is constructed with when bodies are to be taken while they
  /// arrive (route::stream).
  server::stream_finder streams() const;

  /// For requests that come from now on.
  void configure(api_settings settings, api_options options);

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace carillon::http
