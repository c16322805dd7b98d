#pragma once

#include "domain/ports/job_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class job_repository final : public job_store {
public:
  explicit job_repository(connection& db) : db_(db) {
  }

  result<due_jobs> take_due(const node_identity& me, const shard_list& shards,
                            const std::vector<job_id>& in_flight, int limit,
                            std::int64_t first_batch) override;
  result<std::vector<job_id>> conclude(const node_identity& me,
                                       const std::vector<job_report>& reports,
                                       const std::vector<std::int64_t>& finished) override;
  result<std::vector<job>> adopt(const node_identity& me, const shard_list& shards,
                                 int max_crashes) override;
  result<job_id> enqueue(const new_job& job) override;
  result<std::vector<job>> list(const scope& who, const job_filter& filter) override;
  result<job> find(const scope& who, job_id id) override;
  result<job> retry(const scope& who, job_id id) override;
  result<job> cancel(const scope& who, job_id id) override;

private:
  connection& db_;
};

} // namespace carillon::storage
