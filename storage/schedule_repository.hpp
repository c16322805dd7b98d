// schedule_store on PostgreSQL.
#pragma once

#include "domain/ports/schedule_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Lives on its connection's thread.
class schedule_repository final : public schedule_store {
public:
  explicit schedule_repository(connection& db) : db_(db) {
  }

  result<schedule_changes> reconcile(const node_identity& me, const shard_list& shards,
                                     const std::vector<std::string>& kinds, int limit) override;
  result<schedule_page> load(const node_identity& me, const shard_list& shards,
                             const std::vector<std::string>& kinds,
                             const std::optional<workspace_id>& after, int limit) override;
  result<started_runs> start_runs(const node_identity& me, const std::string& kind,
                                  const std::vector<planned_run>& runs) override;

  result<std::vector<schedule_summary>> summaries(const scope& who) override;
  result<std::vector<schedule_entry>> upcoming(const scope& who, int limit) override;
  result<workspace_schedule> find_workspace(const scope& who, workspace_id workspace) override;
  result<runs_by_hand> run_now(const scope& who, const std::string& kind,
                               const std::optional<workspace_id>& workspace,
                               std::optional<workspace_id>& after, int limit) override;

private:
  connection& db_;
};

} // namespace carillon::storage
