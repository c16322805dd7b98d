// job_feed: the one reader of due jobs and writer of manifests.
#pragma once

#include <memory>

#include "actors/caf.hpp"
#include "actors/protocol/atoms.hpp"
#include "actors/protocol/report.hpp"
#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/job_store.hpp"

namespace carillon {

/// A job in this node's hands, with the life it was taken under.
struct running_job {
  node_identity owner;
  job work;
};
using running_job_ptr = std::shared_ptr<const running_job>;

using job_feed_actor = protocol<
  // Once, before any other: the region that runs what is taken.
  accepts<atom::configure, caf::strong_actor_ptr>,
  // These shards are ours from now on; adopts what a dead node left.
  accepts<atom::gained, node_identity, shard_list>,
  // Take nothing more of these shards; tells ownership when nothing of them
  // is in flight.
  accepts<atom::drain, shard_list>,
  // The lease is over: forget everything, conclude nothing.
  accepts<atom::lost>,
  // How a run ended.
  accepts<atom::conclude, job_report>,
  // Something became due, or will in so many milliseconds.
  accepts<atom::hint, std::int64_t>,
  // Take nothing new; answers when all in flight is concluded.
  answers<atom::stop>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: time to read, unless a newer timer was set.
  accepts<atom::tick, std::uint64_t>,
  // INTERNAL: time to write conclusions.
  accepts<atom::sweep>>;

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::running_job_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::node_identity)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::job_report)
