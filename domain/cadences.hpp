// What runs regularly (spec §9, contract §4.4), as data.
#pragma once

#include "domain/cron.hpp"
#include "domain/job.hpp"
#include "domain/schedule.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace carillon {

enum class cadence_scope : std::uint8_t {
  owner,     ///< Once on each node, for all shards that it owns, in UTC.
  workspace, ///< A job for each workspace, in the workspace's zone.
};

struct cadence {
  std::string_view name;
  std::string_view kind; ///< Of the jobs that it enqueues.
  cadence_scope scope;
  cron_expression cron;
  missed_policy missed;
  std::chrono::minutes grace;
  /// Workspaces take their turns within this time after the run's.
  std::chrono::minutes spread;
};

/// All of them, by name; made at the first call.
std::span<const cadence> cadences();

/// Null for an unknown name.
const cadence* find_cadence(std::string_view name);

/// Whether a build that can run `policies` has the work behind it. An owner's
/// sweep is part of every node and needs no kind.
bool is_active(const cadence& entry,
               std::span<const job_policy> policies = job_policies()) noexcept;

} // namespace carillon
