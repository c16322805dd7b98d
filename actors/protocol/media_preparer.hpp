// media_preparer: uploads the files of posts that are due soon, so that the
// due second holds one call.
#pragma once

#include "actors/protocol/workspace.hpp"

namespace carillon {

using media_preparer_actor = protocol<
  // These shards are ours from now on.
  accepts<atom::gained, node_identity, shard_list>,
  // No longer ours.
  accepts<atom::drain, shard_list>,
  // The lease is over.
  accepts<atom::lost>,
  // A post is due in so many milliseconds.
  accepts<atom::hint, std::int64_t>,
  // The every-minute sweep: looks for all there is, and forgets what is not
  // needed any more.
  accepts<atom::sweep>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: time to look, unless a newer timer was set.
  accepts<atom::tick, std::uint64_t>,
  // INTERNAL: goes on with what an outside call answered.
  accepts<atom::run, std::shared_ptr<std::function<void()>>>>;

} // namespace carillon
