// The sandbox network behind an http::server: one thread of its own on which
// everything happens, with timers for what is to happen late.
#pragma once

#include "domain/clock.hpp"
#include "http/sandbox/limits.hpp"
#include "http/server.hpp"

#include <filesystem>
#include <memory>

namespace carillon::http::sandbox {

struct service_options {
  std::filesystem::path data; ///< Empty: memory only.
  capacity most{};
};

class service {
public:
  /// Reads `data`; throws std::system_error when that cannot be had.
  service(service_options options, const clock_port& clock, logger& log);
  /// Calls that still wait for their time are given up unanswered.
  ~service();

  /// For a server that is stopped before the service goes.
  server::dispatch dispatcher();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// What the network needs of its server.
server_options make_server_options();

} // namespace carillon::http::sandbox
