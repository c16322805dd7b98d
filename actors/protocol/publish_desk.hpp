// publish_desk: what publishers of all workspaces decide and learn at one time
// shares its transactions (group commit).
#pragma once

#include <chrono>
#include <memory>

#include "actors/protocol/job_feed.hpp"
#include "domain/ports/publish_store.hpp"

namespace carillon {

/// A post that wants its plan (publish_store::plan).
struct plan_order {
  running_job_ptr job;
  std::chrono::milliseconds call_timeout{}; ///< For the calls that come of it.
  std::chrono::steady_clock::time_point expires; ///< Not begun after this.
  result<publish_plan> answer{failure{errc::transient, "not planned", {}, {}}};
};
using plan_order_ptr = std::shared_ptr<plan_order>;

/// What a network said, which wants to be written (publish_store::record).
struct record_order {
  running_job_ptr job;
  attempt_id attempt;
  std::shared_ptr<const result<public_post>> said;
  std::chrono::milliseconds latency{};
  std::chrono::steady_clock::time_point expires;
  /// Whether its post is settled.
  result<bool> answer{failure{errc::transient, "not recorded", {}, {}}};
};
using record_order_ptr = std::shared_ptr<record_order>;

/// Fills in the order's `answer` and replies, once, whatever becomes of the
/// database; the feed hears of jobs that were made. Orders that fail together are
/// tried in halves, so that the one to blame fails alone; not those whose fate is
/// unknown (errc::outcome_unknown) or whose node is fenced out (errc::cancelled).
using publish_desk_actor = protocol<
  answers<atom::run, plan_order_ptr>::with<atom::done>,
  answers<atom::run, record_order_ptr>::with<atom::done>,
  answers<atom::report>::with<actor_report>,
  // INTERNAL: what has come so far is worked on together.
  accepts<atom::flush>>;

} // namespace carillon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::plan_order_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::record_order_ptr)
