// Incarnations, leases and shards (architecture page, "Ownership, exactly").
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/ownership.hpp"
#include "domain/result.hpp"

namespace carillon {

/// What a renewal saw, in one transaction.
struct lease_view {
  shard_list mine;
  shard_list free;
  int live_nodes = 1;
  /// This node's place among the live ones, by incarnation: decides who owns
  /// the odd shards when 256 does not divide.
  int rank = 0;
};

class ownership_store {
public:
  virtual ~ownership_store() = default;

  /// A new life of `node` with a lease.
  virtual result<node_identity> start_incarnation(const std::string& node,
                                                  std::chrono::milliseconds lease)
    = 0;

  /// Renews the lease. conflict: this incarnation was ended by another node;
  /// everything held under it is lost.
  virtual result<lease_view> renew(const node_identity& me,
                                   std::chrono::milliseconds lease)
    = 0;

  /// Ends every incarnation whose lease is over, waiting for its running
  /// fenced transactions, and frees its shards. Returns how many.
  virtual result<int> end_expired() = 0;

  /// Takes up to `limit` free shards. Fenced.
  virtual result<shard_list> take_free(const node_identity& me, int limit) = 0;

  /// Frees drained shards. Fenced.
  virtual result<done> give_back(const node_identity& me, const shard_list& shards) = 0;

  /// Clean end: frees all shards and ends the incarnation.
  virtual result<done> end_own(const node_identity& me) = 0;

  /// Writes beside the lease of `node` where it listens for the others, and
  /// tells where every live node does, this one included once it has a lease.
  virtual result<std::vector<node_endpoint>> exchange_endpoints(const std::string& node,
                                                                const std::string& endpoint)
    = 0;

  /// The live owner's node name, for NOTIFY; nothing when the shard is free.
  virtual result<std::optional<std::string>> owner_of(shard_id shard) = 0;

  /// Sends `payload` to the LISTEN channel of `node`.
  virtual result<done> notify(const std::string& node, const std::string& payload) = 0;
};

} // namespace carillon
