// region: workspace id -> supervisor; starts, passivates and quarantines
// workspaces of the shards that this node owns.
#pragma once

#include "actors/protocol/job_feed.hpp"
#include "domain/hint.hpp"

namespace carillon {

using region_actor = protocol<
  // These shards are ours from now on.
  accepts<atom::gained, node_identity, shard_list>,
  // No longer ours: stops the workspaces of these shards.
  accepts<atom::lost, shard_list>,
  // Run each in its workspace, which is started when it is not there.
  accepts<atom::job, job_handout>,
  // From a committed transaction on this node: acts on it when the workspace
  // is ours, else tells its owner with one NOTIFY.
  accepts<atom::hint, hint>,
  // From another node's NOTIFY: acts on it when the workspace is ours.
  accepts<atom::hint, std::string>,
  // Two-phase: an idle workspace asks, naming how many jobs it ever got; it
  // is stopped unless more were sent.
  accepts<atom::passivate, std::string, std::uint64_t>,
  // An operator ends a quarantine; false when there is none.
  answers<atom::release, std::string>::with<bool>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: a quarantine has cooled down.
  accepts<atom::tick, std::string>>;

} // namespace carillon
