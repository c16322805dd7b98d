#include "storage/ownership_repository.hpp"

#include <algorithm>

#include "storage/fence.hpp"

namespace carillon::storage {

namespace {

constexpr auto insert_incarnation
  = "INSERT INTO carillon.node_incarnations (node) VALUES ($1) RETURNING incarnation";

constexpr auto insert_lease = R"sql(
  INSERT INTO carillon.node_leases (incarnation, node, expires_at)
  VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
)sql";

// A lease that is over is not renewed: another node may be taking it.
constexpr auto renew_lease = R"sql(
  UPDATE carillon.node_leases
  SET expires_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = clock_timestamp()
  WHERE incarnation = $1 AND expires_at > clock_timestamp()
)sql";

constexpr auto select_live_nodes = R"sql(
  SELECT incarnation FROM carillon.node_leases WHERE expires_at > clock_timestamp() ORDER BY incarnation
)sql";

constexpr auto select_shards = R"sql(
  SELECT shard, incarnation FROM carillon.shard_leases
  WHERE incarnation = $1 OR incarnation IS NULL ORDER BY shard
)sql";

constexpr auto lock_expired_leases = R"sql(
  SELECT incarnation FROM carillon.node_leases
  WHERE expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
)sql";

// Waits for the fenced transactions that still hold the row; the clock is read
// after them, so that nothing fenced happened later than `ended_at`.
constexpr auto end_incarnation = R"sql(
  WITH held AS MATERIALIZED (
    SELECT incarnation FROM carillon.node_incarnations
    WHERE incarnation = $1 AND ended_at IS NULL FOR UPDATE)
  UPDATE carillon.node_incarnations i SET ended_at = clock_timestamp()
  FROM held WHERE i.incarnation = held.incarnation
)sql";

constexpr auto free_shards_of = R"sql(
  UPDATE carillon.shard_leases SET incarnation = NULL WHERE incarnation = $1
)sql";

constexpr auto delete_lease = "DELETE FROM carillon.node_leases WHERE incarnation = $1";

// A clean end is no crash: nothing it had in its hands becomes suspect.
constexpr auto delete_own_manifests
  = "DELETE FROM carillon.job_manifests WHERE incarnation = $1";

constexpr auto take_free_shards = R"sql(
  UPDATE carillon.shard_leases
  SET incarnation = $1, epoch = epoch + 1, taken_at = clock_timestamp()
  WHERE shard IN (SELECT shard FROM carillon.shard_leases WHERE incarnation IS NULL
                  ORDER BY shard LIMIT $2 FOR UPDATE SKIP LOCKED)
  RETURNING shard
)sql";

constexpr auto give_back_shards = R"sql(
  UPDATE carillon.shard_leases SET incarnation = NULL
  WHERE incarnation = $1 AND shard = ANY($2::smallint[])
)sql";

constexpr auto write_endpoint = R"sql(
  UPDATE carillon.node_leases SET endpoint = $2 WHERE node = $1 AND endpoint IS DISTINCT FROM $2
)sql";

constexpr auto select_endpoints = R"sql(
  SELECT node, endpoint FROM carillon.node_leases
  WHERE endpoint IS NOT NULL AND expires_at > clock_timestamp() ORDER BY incarnation
)sql";

constexpr auto select_owner = R"sql(
  SELECT i.node FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
  WHERE s.shard = $1 AND i.ended_at IS NULL
)sql";

constexpr auto send_notify = "SELECT pg_notify($1, $2)";

} // namespace

std::string shard_array(const shard_list& shards) {
  std::string out = "{";
  for (const auto shard : shards) {
    if (out.size() > 1)
      out += ',';
    out += std::to_string(static_cast<int>(shard));
  }
  return out += '}';
}

std::string channel_of(const std::string& node) {
  return "carillon_" + node.substr(0, 54);
}

result<node_identity> ownership_repository::start_incarnation(const std::string& node,
                                                              std::chrono::milliseconds lease) {
  return db_.transact("start-incarnation", [&](pqxx::work& tx) -> result<node_identity> {
    node_identity me{node, tx.exec_params(insert_incarnation, node)[0][0].as<std::int64_t>()};
    tx.exec_params(insert_lease, me.incarnation, node, lease.count());
    return me;
  });
}

result<lease_view> ownership_repository::renew(const node_identity& me,
                                               std::chrono::milliseconds lease) {
  return db_.transact("renew-lease", [&](pqxx::work& tx) -> result<lease_view> {
    if (tx.exec_params(renew_lease, me.incarnation, lease.count()).affected_rows() == 0)
      return failure{errc::conflict, "the lease of this incarnation is over", {}, {}};
    lease_view view;
    const auto nodes = tx.exec(select_live_nodes);
    view.live_nodes = static_cast<int>(nodes.size());
    for (const auto& row : nodes) {
      if (row[0].as<std::int64_t>() == me.incarnation)
        break;
      ++view.rank;
    }
    for (const auto& row : tx.exec_params(select_shards, me.incarnation)) {
      const auto shard = static_cast<shard_id>(row[0].as<int>());
      (row[1].is_null() ? view.free : view.mine).push_back(shard);
    }
    return view;
  });
}

result<int> ownership_repository::end_expired() {
  return db_.transact("end-expired-incarnations", [&](pqxx::work& tx) -> result<int> {
    const auto expired = tx.exec(lock_expired_leases);
    for (const auto& row : expired) {
      const auto incarnation = row[0].as<std::int64_t>();
      tx.exec_params(end_incarnation, incarnation);
      tx.exec_params(free_shards_of, incarnation);
      tx.exec_params(delete_lease, incarnation);
    }
    return static_cast<int>(expired.size());
  });
}

result<shard_list> ownership_repository::take_free(const node_identity& me, int limit) {
  return db_.transact("take-free-shards", [&](pqxx::work& tx) -> result<shard_list> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    shard_list taken;
    for (const auto& row : tx.exec_params(take_free_shards, me.incarnation, limit))
      taken.push_back(static_cast<shard_id>(row[0].as<int>()));
    // UPDATE returns them as it finds them.
    std::sort(taken.begin(), taken.end());
    return taken;
  });
}

result<done> ownership_repository::give_back(const node_identity& me, const shard_list& shards) {
  return db_.transact("give-back-shards", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    tx.exec_params(give_back_shards, me.incarnation, shard_array(shards));
    return done{};
  });
}

result<done> ownership_repository::end_own(const node_identity& me) {
  return db_.transact("end-own-incarnation", [&](pqxx::work& tx) -> result<done> {
    tx.exec_params(end_incarnation, me.incarnation);
    tx.exec_params(delete_own_manifests, me.incarnation);
    tx.exec_params(free_shards_of, me.incarnation);
    tx.exec_params(delete_lease, me.incarnation);
    return done{};
  });
}

result<std::vector<node_endpoint>> ownership_repository::exchange_endpoints(const std::string& node,
                                                                            const std::string& endpoint) {
  return db_.transact("exchange-endpoints", [&](pqxx::work& tx) -> result<std::vector<node_endpoint>> {
    tx.exec_params(write_endpoint, node, endpoint);
    std::vector<node_endpoint> out;
    for (const auto& row : tx.exec(select_endpoints))
      out.push_back({row[0].as<std::string>(), row[1].as<std::string>()});
    return out;
  });
}

result<std::optional<std::string>> ownership_repository::owner_of(shard_id shard) {
  return db_.transact("find-owner", [&](pqxx::work& tx) -> result<std::optional<std::string>> {
    const auto rows = tx.exec_params(select_owner, static_cast<int>(shard));
    if (rows.empty())
      return std::optional<std::string>{};
    return std::optional<std::string>{rows[0][0].as<std::string>()};
  });
}

result<done> ownership_repository::notify(const std::string& node, const std::string& payload) {
  return db_.transact("notify-node", [&](pqxx::work& tx) -> result<done> {
    tx.exec_params(send_notify, channel_of(node), payload);
    return done{};
  });
}

} // namespace carillon::storage
