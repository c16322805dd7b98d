// A job store for tests that need one or two of its calls: every other throws,
// which fails the test that reaches for it.
#pragma once

#include <stdexcept>

#include "domain/ports/job_store.hpp"

namespace carillon::test {

class jobs_without_queue : public job_store {
public:
  result<due_jobs> take_due(const node_identity&, const due_query&) override { absent(); }
  result<hinted_jobs> take_hinted(const node_identity&, const hinted_query&) override { absent(); }
  result<concluded_jobs> conclude(const node_identity&, const std::vector<job_report>&,
                                  const std::vector<std::int64_t>&) override {
    absent();
  }
  result<std::vector<job>> adopt(const node_identity&, const shard_list&, int) override { absent(); }
  result<std::vector<job_id>> find_ended(const std::vector<job_id>&) override { absent(); }
  result<std::vector<job_control>> load_controls() override { absent(); }
  result<done> record_blocks(const node_identity&, const std::vector<job_block>&) override { absent(); }
  result<int> maintain_history(std::chrono::hours, std::chrono::hours, std::chrono::hours) override { absent(); }
  result<done> announce_kinds() override { absent(); }
  result<job_id> enqueue(const new_job&, hints&) override { absent(); }
  result<std::int64_t> enqueue_many(const std::vector<new_job>&, const std::optional<node_identity>&) override {
    absent();
  }
  result<std::vector<job>> list(const scope&, const job_filter&) override { absent(); }
  result<job> find(const scope&, job_id) override { absent(); }
  result<std::vector<job_count>> count(const scope&) override { absent(); }
  result<std::vector<job_count>> count_owned(const std::string&) override { absent(); }
  result<std::vector<workspace_job_count>> count_workspaces(const scope&, int) override { absent(); }
  result<std::int64_t> count_matching(const scope&, const job_filter&) override { absent(); }
  result<std::int64_t> count_affected(const scope&, const job_filter&, job_action) override { absent(); }
  result<job> retry(const scope&, const operator_identity&, job_id) override { absent(); }
  result<job> cancel(const scope&, const operator_identity&, job_id) override { absent(); }
  result<job> discard(const scope&, const operator_identity&, job_id) override { absent(); }
  result<std::int64_t> retry_all(const scope&, const operator_identity&, const job_filter&, int) override { absent(); }
  result<std::int64_t> cancel_all(const scope&, const operator_identity&, const job_filter&, int) override { absent(); }
  result<std::int64_t> discard_all(const scope&, const operator_identity&, const job_filter&, int) override { absent(); }
  result<done> set_control(const operator_identity&, const job_control&) override { absent(); }
  result<std::vector<std::string>> explain(const scope&, job_id) override { absent(); }

private:
  [[noreturn]] static void absent() {
    throw std::logic_error{"this test's job store does not do that"};
  }
};

} // namespace carillon::test
