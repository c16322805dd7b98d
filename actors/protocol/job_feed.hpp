// job_feed: the one reader of due jobs and writer of manifests.
#pragma once

#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "actors/caf.hpp"
#include "actors/protocol/atoms.hpp"
#include "actors/protocol/report.hpp"
#include "domain/hint.hpp"
#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/job_store.hpp"

namespace carillon {

/// A job in this node's hands, with the life it was taken under.
struct running_job {
  node_identity owner;
  std::shared_ptr<const job> taken;
  /// Which of the feed's runs this is: a report of an earlier one is void.
  std::int64_t run = 0;
  /// The actors' clock: it is to have ended by then. Unset: its kind's time,
  /// from when its runner gets it.
  caf::actor_clock::time_point end = caf::actor_clock::time_point::max();

  const job& work() const noexcept {
    return *taken;
  }
};
using running_job_ptr = std::shared_ptr<const running_job>;

/// What a run function says, with the run it says it of.
struct run_report {
  job_report report;
  std::int64_t run = 0;
  /// The kind's dependency did not answer: counts for its circuit breaker.
  bool dependency_failed = false;
};

struct run_reports {
  std::vector<run_report> all;
};

/// Where runs that end at once leave their reports, many to a message. Safe
/// from any thread.
class report_tray {
public:
  /// True when the feed is to be told (`accepts<atom::conclude>`): else it has
  /// been, and has not looked yet.
  bool add(std::vector<run_report>&& more) {
    std::lock_guard lock{mutex_};
    const bool was_empty = all_.empty();
    all_.insert(all_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    return was_empty && !all_.empty();
  }
  /// Gives what lies there for `empty`, whose room is used again.
  void take(std::vector<run_report>& empty) {
    std::lock_guard lock{mutex_};
    all_.swap(empty);
  }

private:
  std::mutex mutex_;
  std::vector<run_report> all_;
};

struct job_handout {
  std::vector<running_job_ptr> jobs;
  /// For those that end at once; null: their reports are sent.
  std::shared_ptr<report_tray> tray = {};
};

inline run_report report_of(const running_job& job, job_report::kind how, std::string error = {},
                            std::optional<std::chrono::milliseconds> delay = {}) {
  return {{job.work().id, how, std::move(error), delay, job.work().revision, job.work().place}, job.run, false};
}

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
  // How runs ended.
  accepts<atom::conclude, run_reports>,
  // Reports lie in the tray of the handouts.
  accepts<atom::conclude>,
  // Takes of transactions that enqueued have ended (job_intake.hpp).
  accepts<atom::job>,
  // A job of this workspace may run now.
  accepts<atom::hint, hint>,
  // Something became due, or will in so many milliseconds.
  accepts<atom::hint, std::int64_t>,
  // Hints may have been missed: a full due read.
  accepts<atom::sweep>,
  // Operators changed pauses, caps or rates.
  accepts<atom::controls>,
  // Take nothing new; answers when all in flight is concluded.
  answers<atom::stop>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: time to read, unless a newer timer was set.
  accepts<atom::tick, std::uint64_t>,
  // INTERNAL: time to write conclusions.
  accepts<atom::flush>,
  // INTERNAL: what a rate or a breaker held back may go on.
  accepts<atom::wake, std::uint64_t>>;

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::hint)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::job_handout)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::node_identity)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::run_reports)
