#pragma once

#include "domain/ports/ownership_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

class ownership_repository final : public ownership_store {
public:
  explicit ownership_repository(connection& db) : db_(db) {
  }

  result<node_identity> start_incarnation(const std::string& node,
                                          std::chrono::milliseconds lease) override;
  result<lease_view> renew(const node_identity& me, std::chrono::milliseconds lease) override;
  result<int> end_expired() override;
  result<shard_list> take_free(const node_identity& me, int limit) override;
  result<done> give_back(const node_identity& me, const shard_list& shards) override;
  result<done> end_own(const node_identity& me) override;
  result<std::vector<node_endpoint>> exchange_endpoints(const std::string& node,
                                                        const std::string& endpoint) override;
  result<std::optional<std::string>> owner_of(shard_id shard) override;
  result<done> notify(const std::string& node, const std::string& payload) override;

private:
  connection& db_;
};

/// `{1,2}` for `$1::smallint[]`.
std::string shard_array(const shard_list& shards);

/// The LISTEN channel of a node: at most 63 bytes, whatever its name.
std::string channel_of(const std::string& node);

} // namespace carillon::storage
