// What operators are shown on the internal listener. Not part of the public
// contract: loopback callers, or a bearer of `internal.operator_token`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/protocol/node.hpp"
#include "config/load.hpp"
#include "domain/ports/job_store.hpp"
#include "http/route.hpp"

namespace carillon::http {

struct internal_services {
  caf::actor_system& system;
  node_actor node;
  /// Value, origin and help of every key, secrets masked; any thread.
  std::function<std::vector<config::described_value>()> describe_config;
  std::string operator_token; ///< Empty: loopback only.
  std::string node_name;
  /// Prometheus text of the node's reports and of what waits in its shards.
  std::function<std::string(const actor_report&, const std::vector<job_count>&)> render_metrics;
};

/// GET /metrics, GET /internal/config, GET /internal/actors,
/// POST /internal/workspaces/{workspace}/release, which ends a quarantine, and
/// POST /internal/notifications.
std::vector<route> internal_routes(internal_services services);

} // namespace carillon::http
