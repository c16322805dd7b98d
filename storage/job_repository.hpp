#pragma once

#include "domain/ports/job_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// The engine's half is in job_repository.cpp, the operators' half in
/// job_operations.cpp.
class job_repository final : public job_store {
public:
  explicit job_repository(connection& db) : db_(db) {
  }

  result<due_jobs> take_due(const node_identity& me, const due_query& query) override;
  result<hinted_jobs> take_hinted(const node_identity& me, const hinted_query& query) override;
  result<concluded_jobs> conclude(const node_identity& me, const std::vector<job_report>& reports,
                                  const std::vector<std::int64_t>& finished) override;
  result<std::vector<job>> adopt(const node_identity& me, const shard_list& shards,
                                 int max_crashes) override;
  result<std::vector<job_id>> find_ended(const std::vector<job_id>& jobs) override;
  result<std::vector<job_control>> load_controls() override;
  result<done> record_blocks(const node_identity& me, const std::vector<job_block>& blocks) override;
  result<int> maintain_history(std::chrono::hours keep_short, std::chrono::hours keep_standard,
                               std::chrono::hours keep_long) override;
  result<done> announce_kinds() override;

  using job_store::enqueue;
  result<job_id> enqueue(const new_job& job, hints& after_commit) override;
  result<std::int64_t> enqueue_many(const std::vector<new_job>& jobs,
                                    const std::optional<node_identity>& me) override;

  result<std::vector<job>> list(const scope& who, const job_filter& filter) override;
  result<job> find(const scope& who, job_id id) override;
  result<std::vector<job_count>> count(const scope& who) override;
  result<std::vector<job_count>> count_owned(const std::string& node) override;
  result<std::vector<workspace_job_count>> count_workspaces(const scope& who, int limit) override;
  result<std::int64_t> count_matching(const scope& who, const job_filter& filter) override;
  result<std::int64_t> count_affected(const scope& who, const job_filter& filter, job_action what) override;
  result<job> retry(const scope& who, const operator_identity& by, job_id id) override;
  result<job> cancel(const scope& who, const operator_identity& by, job_id id) override;
  result<job> discard(const scope& who, const operator_identity& by, job_id id) override;
  result<std::int64_t> retry_all(const scope& who, const operator_identity& by,
                                 const job_filter& filter, int limit) override;
  result<std::int64_t> cancel_all(const scope& who, const operator_identity& by,
                                  const job_filter& filter, int limit) override;
  result<std::int64_t> discard_all(const scope& who, const operator_identity& by,
                                   const job_filter& filter, int limit) override;
  result<done> set_control(const operator_identity& by, const job_control& control) override;
  result<std::vector<std::string>> explain(const scope& who, job_id id) override;

private:
  connection& db_;
};

} // namespace carillon::storage
