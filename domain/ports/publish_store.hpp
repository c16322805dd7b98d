// The main job's transactions (architecture page, "The main job"; contract
// §4.2 PublishScheduledPosts and PublishPost; docs/publishing-guarantee.md).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "domain/hint.hpp"
#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/social_gateway.hpp"
#include "domain/result.hpp"

namespace carillon {

/// The rules of publishing, from the configuration.
struct publish_rules {
  std::chrono::milliseconds visibility_delay{30'000};
  std::chrono::milliseconds reconcile_deadline{std::chrono::minutes{15}};
  std::vector<std::chrono::seconds> retry_delays{
    std::chrono::seconds{60}, std::chrono::seconds{120}, std::chrono::seconds{240}};
  double retry_jitter = 0.1;
  /// Those with a gateway; a target elsewhere fails with UNKNOWN_PLATFORM.
  std::vector<network> networks{network::mastodon};
  /// Media are named by their object's key; else by their own path.
  bool media_are_objects = false;
};

/// Until when posts due may have their files uploaded ahead, on one network.
struct preparing_network {
  network platform = network::mastodon;
  std::chrono::milliseconds ahead{0};
};

/// A target whose files, or some of them, are not at its network yet.
struct planned_preparation {
  struct file {
    uuid id{}; ///< Of the post's medium.
    outgoing_media media;
  };
  tenant_id tenant{};
  workspace_id workspace{};
  social_account_id account_id{};
  target_id target{};
  int revision = 1;
  account_credentials account;
  account_rates known_rates{};
  std::vector<file> files;
  std::chrono::milliseconds due_in{0};
};

/// What came of one file.
struct prepared_file {
  uuid id{};
  /// Empty: nothing; it is not tried again within `holds`.
  std::string reference;
  std::chrono::milliseconds holds{0};
};

struct started_posts {
  int started = 0;
  /// Until the next scheduled post; nothing when there is none.
  std::optional<std::chrono::milliseconds> next_in;
};

/// A licence to call, committed as an open attempt.
struct planned_call {
  attempt_id attempt;
  target_id target;
  outgoing_post post; ///< `timeout` is the caller's to cap.
  /// The instant that was promised; nothing for a retry, or when none was.
  std::optional<instant> due;
};

/// An attempt whose outcome must be asked for.
struct planned_check {
  attempt_id attempt;
  target_id target;
  outgoing_post post; ///< As it was sent.
  instant started_at{};
};

struct publish_plan {
  /// Rolled up, or nothing to do any more: the job is concluded.
  bool settled = false;
  std::vector<planned_call> calls;
  std::vector<planned_check> checks;
  /// When neither settled nor anything to call or check: the job's run_at
  /// was moved so far; nothing is left to do in this run.
  std::optional<std::chrono::milliseconds> resumes_in;
  hints after_commit;
};

/// What a network said to one call.
struct call_outcome {
  const carillon::job* job;
  attempt_id attempt;
  const result<public_post>* said;
  std::chrono::milliseconds latency{};
};

/// After several outcomes.
struct recorded_outcomes {
  /// Of each one's post, in their order: no target is left, it was rolled up.
  std::vector<bool> settled;
  hints after_commit;
};

/// After one outcome.
struct publish_progress {
  bool settled = false; ///< That was the last target: rolled up.
  hints after_commit;
};

class publish_store {
public:
  virtual ~publish_store() = default;

  /// PublishScheduledPosts: moves due posts of `shards` to publishing and
  /// inserts their jobs, oldest first, at most `limit`. Due means due on the
  /// database's clock. Fenced.
  virtual result<started_posts> start_due(const node_identity& me, const shard_list& shards,
                                          int limit)
    = 0;

  /// What the safety net repairs: a post left publishing without a live job
  /// gets one; an author of a due post without targets is told, once.
  virtual result<int> repair(const node_identity& me, const shard_list& shards) = 0;

  /// Decides what to do for the posts of `jobs`, of any workspaces of this
  /// node: fails what cannot be called, opens attempts for what can (deadline
  /// `call_timeout` from now), lists what must be asked for. A plan for each
  /// job, in their order, all in one transaction. Fenced. Transient when a row
  /// stays locked by somebody else for a second; record too.
  virtual result<std::vector<publish_plan>> plan(const node_identity& me, const std::vector<const job*>& jobs,
                                                 const publish_rules& rules, std::chrono::milliseconds call_timeout)
    = 0;

  /// Writes what the network said to calls of any workspaces, all in one
  /// transaction. Learned facts are written also when the fence is lost;
  /// retry and roll-up only under the fence.
  virtual result<recorded_outcomes> record(const node_identity& me, const std::vector<call_outcome>& outcomes,
                                           const publish_rules& rules)
    = 0;

  /// Writes what a read-back saw: `candidates` are public posts of the
  /// account with the attempt's text; `read_age` is how long ago the read
  /// was begun. A failure means the read itself failed.
  virtual result<publish_progress> record_check(const node_identity& me, const job& job,
                                                attempt_id attempt,
                                                const result<std::vector<public_post>>& candidates,
                                                std::chrono::milliseconds read_age,
                                                const publish_rules& rules)
    = 0;

  /// Keeps what a network told of the account of `attempt`, so that nobody who
  /// plans its posts, on this node or the next owner, calls before or begins a
  /// window afresh. What was learned is not fenced.
  virtual result<done> remember_rates(const job& job, attempt_id attempt, const account_rates& told) = 0;

  /// Posts of `shards` that are due soon and have files which are not at
  /// their network: of each account the first target, the earliest due first,
  /// without those of `busy`. Writes nothing. Fenced.
  virtual result<std::vector<planned_preparation>> plan_preparations(const node_identity& me, const shard_list& shards,
                                                                     const std::vector<preparing_network>& networks,
                                                                     const std::vector<social_account_id>& busy,
                                                                     int limit, bool media_are_objects)
    = 0;

  /// Keeps what was uploaded, while the post is as it was then, and what the
  /// network asked of the account. What was learned is not fenced.
  virtual result<done> record_preparation(const planned_preparation& of, const std::vector<prepared_file>& files,
                                          const account_rates& told)
    = 0;

  /// Forgets what no post will use any more: settled, changed, cancelled, too
  /// old. How many. Fenced.
  virtual result<int> forget_preparations(const node_identity& me, const shard_list& shards) = 0;

  /// The permanent-failure hook: what is still publishing fails, the post is
  /// rolled up, the job becomes a dead letter. Fenced.
  virtual result<publish_progress> give_up(const node_identity& me, const job& job,
                                           const std::string& reason)
    = 0;
};

} // namespace carillon
