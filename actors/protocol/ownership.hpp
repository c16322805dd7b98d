// ownership: takes, renews and gives back shard leases.
#pragma once

#include "actors/protocol/job_feed.hpp"

namespace carillon {

using ownership_actor = protocol<
  // From the job feed: nothing of these shards is in flight any more.
  accepts<atom::drained, shard_list>,
  // Gives everything back and ends the incarnation.
  answers<atom::stop>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: renew, end the dead, take and give back.
  accepts<atom::tick>>;

} // namespace carillon
