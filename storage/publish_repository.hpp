#pragma once

#include "domain/ports/publish_store.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::storage {

class publish_repository final : public publish_store {
public:
  publish_repository(connection& db, const token_cipher& tokens) : db_(db), tokens_(tokens) {
  }

  result<started_posts> start_due(const node_identity& me, const shard_list& shards,
                                  int limit) override;
  result<int> repair(const node_identity& me, const shard_list& shards) override;
  result<std::vector<publish_plan>> plan(const node_identity& me, const std::vector<const job*>& jobs,
                                         const publish_rules& rules,
                                         std::chrono::milliseconds call_timeout) override;
  result<recorded_outcomes> record(const node_identity& me, const std::vector<call_outcome>& outcomes,
                                   const publish_rules& rules) override;
  result<publish_progress> record_check(const node_identity& me, const job& job,
                                        attempt_id attempt,
                                        const result<std::vector<public_post>>& candidates,
                                        std::chrono::milliseconds read_age,
                                        const publish_rules& rules) override;
  result<done> remember_rates(const job& job, attempt_id attempt, const account_rates& told) override;
  result<std::vector<planned_preparation>> plan_preparations(const node_identity& me, const shard_list& shards,
                                                             const std::vector<preparing_network>& networks,
                                                             const std::vector<social_account_id>& busy, int limit,
                                                             bool media_are_objects) override;
  result<done> record_preparation(const planned_preparation& of, const std::vector<prepared_file>& files,
                                  const account_rates& told) override;
  result<int> forget_preparations(const node_identity& me, const shard_list& shards) override;
  result<publish_progress> give_up(const node_identity& me, const job& job,
                                   const std::string& reason) override;

private:
  static std::optional<rate_window> read_rate_window(const pqxx::row& row, const std::string& counted);
  /// `whose` is an account, or an attempt at one.
  static void keep_rates(pqxx::transaction_base& tx, const std::string& whose, tenant_id tenant,
                         workspace_id workspace, const account_rates& told);
  planned_preparation read_preparation(const pqxx::row& row, target_id target) const;

  connection& db_;
  const token_cipher& tokens_;
};

} // namespace carillon::storage
