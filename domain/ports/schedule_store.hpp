// What runs regularly for each workspace, and how far it is
// (docs/schedule.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// One workspace's part in a cadence.
struct schedule_entry {
  workspace_id workspace;
  std::string kind;
  std::string zone;        ///< As the settings name it, known or not.
  instant last_run_at{};   ///< Runs up to here are dealt with.
  std::optional<instant> next_run_at; ///< The workspace's turn.
};

struct schedule_changes {
  /// New ones, and those that start anew in another zone.
  std::vector<schedule_entry> entries;
  /// Deleted or suspended: scheduled no more.
  std::vector<workspace_id> gone;
  bool complete = true; ///< Else there are more.
  instant now{};        ///< The database's clock.
};

struct schedule_page {
  std::vector<schedule_entry> entries;
  /// Where the next page begins; nothing after the last one.
  std::optional<workspace_id> next;
  instant now{};
};

/// A run that is due, as its owner sees it.
struct planned_run {
  workspace_id workspace;
  instant last_run_at{}; ///< Where the entry must still be.
  instant moves_to{};
  std::optional<instant> next_run_at;
  bool starts = true; ///< Else the missed-run policy passes over it.
};

struct started_runs {
  std::int64_t enqueued = 0;
  /// Not enqueued because the one before is still live.
  std::int64_t overlapping = 0;
  /// Not where the owner took them to be, or not active any more; nothing
  /// was done for these.
  std::vector<workspace_id> stale;
};

struct schedule_summary {
  std::string kind;
  std::int64_t workspaces = 0;
  std::int64_t zones = 0;
  std::optional<instant> last_run_at;
  std::optional<instant> next_run_at;
};

struct workspace_schedule {
  std::string zone;
  bool active = true; ///< Neither are itself and its tenant deleted nor suspended.
  std::vector<schedule_entry> entries;
  instant now{};
};

struct runs_by_hand {
  std::int64_t enqueued = 0;
  std::int64_t overlapping = 0;
};

/// Calls that take a node are fenced: errc::cancelled once its life was ended.
class schedule_store {
public:
  virtual ~schedule_store() = default;

  /// Makes the rows that are missing for active workspaces of `shards`, moves
  /// those whose workspace has another zone now, at most `limit` of both,
  /// and deletes those of workspaces that are not active.
  virtual result<schedule_changes> reconcile(const node_identity& me, const shard_list& shards,
                                             const std::vector<std::string>& kinds, int limit)
    = 0;

  /// Rows of `shards` by workspace, those after `after`; about `limit` of
  /// them, a workspace's rows always together.
  virtual result<schedule_page> load(const node_identity& me, const shard_list& shards,
                                     const std::vector<std::string>& kinds,
                                     const std::optional<workspace_id>& after, int limit)
    = 0;

  /// Enqueues the jobs of these runs and moves their entries, in one
  /// transaction: a crash neither loses nor doubles one. errc::invalid_argument
  /// for a kind that this build cannot run.
  virtual result<started_runs> start_runs(const node_identity& me, const std::string& kind,
                                          const std::vector<planned_run>& runs)
    = 0;

  // -- for operators ----------------------------------------------------------

  /// By kind.
  virtual result<std::vector<schedule_summary>> summaries(const scope& who) = 0;

  /// The next turns of all workspaces, one for each entry, earliest first.
  virtual result<std::vector<schedule_entry>> upcoming(const scope& who, int limit) = 0;

  /// errc::not_found without such a workspace.
  virtual result<workspace_schedule> find_workspace(const scope& who, workspace_id workspace) = 0;

  /// Enqueues a run now, beside the schedule, for one workspace or all active
  /// ones after `after`, at most `limit`; sets `after` to the last one, to
  /// nothing when there are no more. errc::not_found for a workspace that is
  /// not there or not active.
  virtual result<runs_by_hand> run_now(const scope& who, const std::string& kind,
                                       const std::optional<workspace_id>& workspace,
                                       std::optional<workspace_id>& after, int limit)
    = 0;
};

} // namespace carillon
