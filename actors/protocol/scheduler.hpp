// scheduler: enqueues what runs regularly for the workspaces of the shards
// that this node owns (docs/schedule.md).
#pragma once

#include "actors/protocol/job_feed.hpp"

namespace carillon {

using scheduler_actor = protocol<
  // These shards are ours from now on.
  accepts<atom::gained, node_identity, shard_list>,
  // No longer ours.
  accepts<atom::drain, shard_list>,
  // The lease is over.
  accepts<atom::lost>,
  // Workspaces or their zones changed: look before the next sweep.
  accepts<atom::hint>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: time to look who is due, unless a newer timer was set.
  accepts<atom::tick, std::uint64_t>,
  // INTERNAL: the every-minute look at workspaces and zones.
  accepts<atom::sweep>>;

} // namespace carillon
