// The job queue in PostgreSQL (architecture page, "Jobs").
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "domain/hint.hpp"
#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// How a run ended, as its run function says it.
struct job_report {
  enum class kind : std::uint8_t {
    succeeded, ///< The feed concludes it.
    concluded, ///< Its effect's own transaction did, or moved its run_at.
    retry,     ///< A failed try: again after the kind's delay.
    postponed, ///< Not tried: again after `delay`, no attempt used.
    discarded, ///< A permanent failure: dead letter.
  };
  job_id id;
  kind how = kind::succeeded;
  std::string error;
  std::optional<std::chrono::milliseconds> delay;
  /// The revision that the run was given: a job enqueued again meanwhile is
  /// not concluded but runs once more.
  int revision = 0;
  /// job::place of the run's job.
  std::uint64_t place = 0;
};

constexpr std::string_view to_string(job_report::kind how) noexcept {
  switch (how) {
    case job_report::kind::succeeded:
      return "succeeded";
    case job_report::kind::concluded:
      return "concluded";
    case job_report::kind::retry:
      return "retry";
    case job_report::kind::postponed:
      return "postponed";
    case job_report::kind::discarded:
      return "discarded";
  }
  return "unknown";
}

/// A batch as its manifest row says it; a suspect is alone in its own.
struct job_batch {
  std::int64_t number = 0;
  std::vector<job> jobs;
};

/// Where a read begins: behind what was read before. An accelerator only.
struct due_cursor {
  instant run_at{}; ///< The epoch: from the beginning.
  job_id id;
  bool at_end = false; ///< Nothing more was due there.
};
using due_cursors = std::array<due_cursor, priority_levels>;

/// What of a workspace that has more due than its share is read.
struct parked_read {
  workspace_id workspace;
  int limit = 0;
  due_cursors from{};
};

struct due_query {
  shard_list shards;
  /// Kinds that may run now, of those that this program knows.
  std::vector<std::string> kinds;
  due_cursors from{};
  int limit = 500;
  /// Left out of the common read, and read by themselves, as far as their own
  /// limit goes.
  std::vector<parked_read> parked;
  /// At most so many suspects; the others are left for a later read.
  int suspects = 32;
  /// In this node's hands already: passed over.
  const std::unordered_set<job_id>* in_hand = nullptr;
  std::int64_t first_batch = 1;
};

/// What hints named: read by itself and at once.
struct hinted_query {
  std::vector<workspace_id> workspaces;
  shard_list shards;
  std::vector<std::string> kinds;
  instant after{}; ///< From here on; the epoch: from the beginning.
  int limit = 32;  ///< Of each priority of each workspace.
  /// In this node's hands already: passed over.
  std::vector<job_id> in_hand;
  std::int64_t batch = 1;
};

struct hinted_jobs {
  /// Without jobs: none was written.
  job_batch batch;
  /// A workspace may have more than its limit.
  bool more = false;
};

struct due_jobs {
  std::vector<job_batch> batches;
  /// Where the next read may begin.
  due_cursors next{};
  /// The common read ended before its limit: nothing more is due.
  bool complete = false;
  /// More suspects are due than `suspects` allowed.
  bool suspects_left = false;
  /// Parked workspaces whose read ended before its limit.
  std::vector<workspace_id> exhausted;
  /// Where the next read of the others may begin.
  std::vector<std::pair<workspace_id, due_cursors>> parked_next;
  /// When complete: until the next job that is not yet due, if there is one.
  std::optional<std::chrono::milliseconds> next_in;
};

/// What operators set per kind, queue or workspace.
struct job_control {
  enum class about : std::uint8_t { kind, queue, workspace };
  about scope = about::kind;
  std::string name;
  bool paused = false;
  std::optional<int> weight;
  std::optional<int> max_running;
  std::optional<rate_budget> rate;
};

std::string_view to_string(job_control::about scope) noexcept;
std::optional<job_control::about> parse_control_scope(std::string_view text) noexcept;

/// Why an owner holds jobs of a kind back.
struct job_block {
  std::string kind;
  std::string rate_key;
  std::string reason; ///< rate, circuit or cap.
  std::optional<std::chrono::milliseconds> lasts;
};

struct concluded_jobs {
  /// Became dead letters.
  std::vector<job_id> discarded;
  hints after_commit;
};

struct job_filter {
  std::optional<job_state> state;
  std::string kind;
  std::string queue;
  std::optional<workspace_id> workspace;
  std::string error; ///< A part of any of its errors.
  std::optional<instant> created_before;
  std::optional<instant> created_after;
  int limit = 50;
  /// Only what comes after this id, newest first.
  std::optional<job_id> after;
};

struct job_count {
  std::string state; ///< available, retrying, scheduled, discarded, ...
  std::string kind;
  std::string queue;
  std::int64_t count = 0;
  /// Age of the oldest that is due; zero when none is.
  std::chrono::milliseconds oldest_due{0};
};

struct workspace_job_count {
  tenant_id tenant;
  workspace_id workspace;
  std::int64_t live = 0;
  std::int64_t due = 0;
};

/// What an operator does with jobs.
enum class job_action : std::uint8_t { retry, cancel, discard };

/// Who did an operator's action, for the audit row.
struct operator_identity {
  std::optional<uuid> admin; ///< A super-admin; null: the command line.
  std::string address;
  std::string request_id;
};

class job_store {
public:
  virtual ~job_store() = default;

  // -- the engine: fenced, across tenants --------------------------------------

  /// Reads due jobs and writes their manifests.
  virtual result<due_jobs> take_due(const node_identity& me, const due_query& query) = 0;

  /// Reads what is due of these workspaces and writes its manifest, in one
  /// round trip. Not what was enqueued in bulk, and no suspects: they are left
  /// to take_due.
  virtual result<hinted_jobs> take_hinted(const node_identity& me, const hinted_query& query) = 0;

  /// Writes how jobs ended and removes the manifests of `finished` batches.
  /// A retry beyond max_attempts becomes a dead letter. Tells the admins of
  /// a dead letter's tenant, once per cause and hour.
  virtual result<concluded_jobs> conclude(const node_identity& me,
                                          const std::vector<job_report>& reports,
                                          const std::vector<std::int64_t>& finished)
    = 0;

  /// Looks through the manifests of ended incarnations for jobs of `shards`:
  /// they become suspects; one that was alone on its node is charged with a
  /// crash. Returns those that have now crashed `max_crashes` times: they are
  /// to be discarded.
  virtual result<std::vector<job>> adopt(const node_identity& me, const shard_list& shards,
                                         int max_crashes)
    = 0;

  /// Of these jobs, those that are over: whoever runs one may stop.
  virtual result<std::vector<job_id>> find_ended(const std::vector<job_id>& jobs) {
    static_cast<void>(jobs);
    return std::vector<job_id>{};
  }

  virtual result<std::vector<job_control>> load_controls() = 0;

  /// Replaces what this node said before.
  virtual result<done> record_blocks(const node_identity& me, const std::vector<job_block>& blocks) = 0;

  /// Makes partitions of the history ahead and drops old ones.
  virtual result<int> maintain_history(std::chrono::hours keep_short, std::chrono::hours keep_standard,
                                       std::chrono::hours keep_long)
    = 0;

  /// Makes the kinds of this program known to carillon.enqueue.
  virtual result<done> announce_kinds() = 0;

  // -- enqueue outside a bigger transaction --------------------------------------

  /// conflict: a live job holds the unique key and the kind rejects. Whoever
  /// owns its workspace is to be told `after_commit`, which gets nothing more
  /// where this node has taken the job with its transaction.
  virtual result<job_id> enqueue(const new_job& job, hints& after_commit) = 0;
  result<job_id> enqueue(const new_job& job) {
    hints not_told;
    return enqueue(job, not_told);
  }

  /// All or nothing, in one statement; those whose unique key is taken are
  /// left out. How many were written. Notifies each owner but `me` once.
  virtual result<std::int64_t> enqueue_many(const std::vector<new_job>& jobs,
                                            const std::optional<node_identity>& me)
    = 0;

  // -- operators ----------------------------------------------------------------

  /// Live and concluded, newest first.
  virtual result<std::vector<job>> list(const scope& who, const job_filter& filter) = 0;
  virtual result<job> find(const scope& who, job_id id) = 0;

  /// Live jobs, and what the kept history holds, by state, kind and queue.
  virtual result<std::vector<job_count>> count(const scope& who) = 0;
  /// What waits in the shards that `node` owns; finished jobs are left out.
  virtual result<std::vector<job_count>> count_owned(const std::string& node) = 0;
  /// The workspaces with the most live jobs.
  virtual result<std::vector<workspace_job_count>> count_workspaces(const scope& who, int limit) = 0;
  /// Live and concluded.
  virtual result<std::int64_t> count_matching(const scope& who, const job_filter& filter) = 0;
  /// How many the action on all that match would change now.
  virtual result<std::int64_t> count_affected(const scope& who, const job_filter& filter, job_action what) = 0;

  /// A dead letter, a cancelled or a waiting job runs (again) now, with all
  /// its attempts. conflict: it succeeded, a node has it in hand, or a live
  /// job holds its unique key.
  virtual result<job> retry(const scope& who, const operator_identity& by, job_id id) = 0;
  /// A live job is given up. What already runs is not interrupted. conflict:
  /// already concluded.
  virtual result<job> cancel(const scope& who, const operator_identity& by, job_id id) = 0;
  /// A live job becomes a dead letter, without a notice. conflict: already
  /// concluded.
  virtual result<job> discard(const scope& who, const operator_identity& by, job_id id) = 0;

  /// The same for all that match, at most `limit` in one transaction, newest
  /// first; how many were changed. One audit row, also when there were none.
  /// A retry of all meets dead letters and jobs that wait for another try;
  /// scheduled and cancelled ones only where the filter names their state.
  /// Those that could not be retried one by one are passed over.
  virtual result<std::int64_t> retry_all(const scope& who, const operator_identity& by,
                                         const job_filter& filter, int limit)
    = 0;
  virtual result<std::int64_t> cancel_all(const scope& who, const operator_identity& by,
                                          const job_filter& filter, int limit)
    = 0;
  virtual result<std::int64_t> discard_all(const scope& who, const operator_identity& by,
                                           const job_filter& filter, int limit)
    = 0;

  /// Sets a control; owners are notified. Audited.
  virtual result<done> set_control(const operator_identity& by, const job_control& control) = 0;

  /// Why a job does not run, in sentences, the first one decisive.
  virtual result<std::vector<std::string>> explain(const scope& who, job_id id) = 0;
};

} // namespace carillon
