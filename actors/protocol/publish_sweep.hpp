// publish_sweep: PublishScheduledPosts (spec §8.1). Wakes at the next due
// instant; the every-minute sweep catches what a lost hint missed.
#pragma once

#include "actors/protocol/job_feed.hpp"

namespace carillon {

using publish_sweep_actor = protocol<
  // These shards are ours from now on.
  accepts<atom::gained, node_identity, shard_list>,
  // No longer ours.
  accepts<atom::drain, shard_list>,
  // The lease is over.
  accepts<atom::lost>,
  // A post is due in so many milliseconds.
  accepts<atom::hint, std::int64_t>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: time to look, unless a newer timer was set.
  accepts<atom::tick, std::uint64_t>,
  // INTERNAL: the every-minute sweep.
  accepts<atom::sweep>>;

} // namespace carillon
