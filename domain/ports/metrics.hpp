// What a node measures of itself, as a port; app/ provides the registry that
// `GET /metrics` renders. Labels never carry a workspace, user or job id:
// those are read through SQL and the operator API.
#pragma once

#include <chrono>
#include <string_view>

#include "domain/network.hpp"
#include "domain/instant.hpp"

namespace carillon {

/// Every call is safe from any thread, quick, and never throws.
class metrics {
public:
  virtual ~metrics() = default;

  /// A run begins of a job that was due at `due`.
  virtual void job_started(std::string_view kind, instant due) noexcept = 0;

  /// A run has ended; `outcome` is a stable word ("succeeded", "retry", ...).
  virtual void job_ended(std::string_view kind, std::string_view outcome,
                         std::chrono::nanoseconds took) noexcept
    = 0;

  /// A network has accepted, just now, what was due at `due`.
  virtual void post_accepted(network where, instant due) noexcept = 0;

  /// `actor` is a kind of actor ("publisher", "workspace", ...).
  virtual void actor_restarted(std::string_view actor) noexcept = 0;

  /// The circuit of a server of a social network has opened, or closed again.
  virtual void host_circuit(bool opened) noexcept = 0;
};

/// Keeps nothing.
class no_metrics final : public metrics {
public:
  void job_started(std::string_view, instant) noexcept override {
  }
  void job_ended(std::string_view, std::string_view, std::chrono::nanoseconds) noexcept override {
  }
  void post_accepted(network, instant) noexcept override {
  }
  void actor_restarted(std::string_view) noexcept override {
  }
  void host_circuit(bool) noexcept override {
  }
};

} // namespace carillon
