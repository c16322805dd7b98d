// The job queue in PostgreSQL (architecture page, "Jobs").
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
};

/// A batch as its manifest row says it; a suspect is alone in its own.
struct job_batch {
  std::int64_t number = 0;
  std::vector<job> jobs;
};

struct due_jobs {
  std::vector<job_batch> batches;
  /// Until the next job that is not yet due; nothing when there is none.
  std::optional<std::chrono::milliseconds> next_in;
};

struct job_filter {
  std::optional<job_state> state;
  std::string kind;
  std::optional<workspace_id> workspace;
  int limit = 50;
};

class job_store {
public:
  virtual ~job_store() = default;

  // -- the engine: fenced, across tenants --------------------------------------

  /// Reads due jobs of `shards` that are not `in_flight`, of kinds this build
  /// knows, and writes their manifests from batch number `first_batch` on.
  virtual result<due_jobs> take_due(const node_identity& me, const shard_list& shards,
                                    const std::vector<job_id>& in_flight, int limit,
                                    std::int64_t first_batch)
    = 0;

  /// Writes how jobs ended and removes the manifests of `finished` batches.
  /// A retry beyond max_attempts becomes a dead letter; those come back.
  virtual result<std::vector<job_id>> conclude(const node_identity& me,
                                               const std::vector<job_report>& reports,
                                               const std::vector<std::int64_t>& finished)
    = 0;

  /// Looks through the manifests of ended incarnations for jobs of `shards`:
  /// they become suspects, one that was alone is charged with a crash.
  /// Returns those that have now crashed `max_crashes` times: they are to be
  /// discarded.
  virtual result<std::vector<job>> adopt(const node_identity& me, const shard_list& shards,
                                         int max_crashes)
    = 0;

  // -- operators ----------------------------------------------------------------

  /// Enqueue from outside a bigger transaction. conflict: the unique key is
  /// taken.
  virtual result<job_id> enqueue(const new_job& job) = 0;

  /// Live and concluded, newest first.
  virtual result<std::vector<job>> list(const scope& who, const job_filter& filter) = 0;
  virtual result<job> find(const scope& who, job_id id) = 0;

  /// A dead letter, a cancelled or a waiting job runs (again) now, with all
  /// its attempts. conflict: it succeeded.
  virtual result<job> retry(const scope& who, job_id id) = 0;

  /// A live job is given up. What already runs is not interrupted. conflict:
  /// already concluded.
  virtual result<job> cancel(const scope& who, job_id id) = 0;
};

} // namespace carillon
