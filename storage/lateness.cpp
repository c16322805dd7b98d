#include "storage/operations_repository.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

// Sums are of every row, before the limit.
constexpr auto select_lateness = R"sql(
  SELECT l.tenant_id, l.workspace_id, w.name, l.network, l.posts, l.late, l.waiting, l.retried, l.p50_ms, l.p99_ms,
         l.max_ms, sum(l.posts) OVER ()::bigint AS all_posts, sum(l.late) OVER ()::bigint AS all_late,
         sum(l.waiting) OVER ()::bigint AS all_waiting, sum(l.retried) OVER ()::bigint AS all_retried
  FROM carillon.publish_lateness($1 * interval '1 hour', $2 * interval '1 millisecond') l
  JOIN carillon.workspaces w ON w.id = l.workspace_id
  WHERE ($3::uuid IS NULL OR l.tenant_id = $3::uuid) AND ($4::uuid IS NULL OR l.workspace_id = $4::uuid)
    AND ($5::text IS NULL OR l.network = $5::text)
  ORDER BY l.late DESC, l.p99_ms DESC NULLS LAST, l.posts DESC, l.workspace_id, l.network LIMIT $6
)sql";

constexpr auto look_at_lateness = R"sql(
  UPDATE carillon.operator_alarms SET next_look_at = clock_timestamp() + $1 * interval '1 millisecond'
  WHERE name = 'publish_lateness' AND next_look_at <= clock_timestamp()
  RETURNING coalesce(told_at > clock_timestamp() - interval '1 hour', false)
)sql";

// Longer than any mail may take.
constexpr auto hold_lateness_alarm = R"sql(
  UPDATE carillon.operator_alarms SET next_look_at = clock_timestamp() + interval '11 minutes'
  WHERE name = 'publish_lateness'
)sql";

constexpr auto settle_lateness_alarm = R"sql(
  UPDATE carillon.operator_alarms
  SET next_look_at = clock_timestamp(), told_at = CASE WHEN $1 THEN clock_timestamp() ELSE told_at END
  WHERE name = 'publish_lateness'
)sql";

constexpr int most_told = 5;

std::optional<std::chrono::milliseconds> read_milliseconds(const pqxx::field& f) {
  const auto value = nullable<std::int64_t>(f);
  return value ? std::optional{std::chrono::milliseconds{*value}} : std::nullopt;
}

lateness_report measure_lateness(pqxx::transaction_base& tx, const scope& s, const lateness_filter& filter) {
  lateness_report out;
  std::optional<std::string> workspace;
  if (filter.workspace)
    workspace = to_string(*filter.workspace);
  std::optional<std::string> platform;
  if (filter.platform)
    platform = std::string{to_string(*filter.platform)};
  for (const auto& row : tx.exec_params(select_lateness, static_cast<std::int64_t>(filter.within.count()),
                                        filter.late_after.count(), tenant_param(s), workspace, platform, filter.limit)) {
    out.worst.push_back({read_id<tenant_id>(row[0]), read_id<workspace_id>(row[1]), row[2].as<std::string>(),
                         row[3].as<std::string>(), row[4].as<std::int64_t>(), row[5].as<std::int64_t>(),
                         row[6].as<std::int64_t>(), row[7].as<std::int64_t>(), read_milliseconds(row[8]),
                         read_milliseconds(row[9]), read_milliseconds(row[10])});
    out.posts = row["all_posts"].as<std::int64_t>();
    out.late = row["all_late"].as<std::int64_t>();
    out.waiting = row["all_waiting"].as<std::int64_t>();
    out.retried = row["all_retried"].as<std::int64_t>();
  }
  return out;
}

} // namespace

result<lateness_report> operations_repository::lateness(const scope& s, const lateness_filter& filter) {
  return db_.transact("measure-lateness",
                      [&](pqxx::work& tx) -> result<lateness_report> { return measure_lateness(tx, s, filter); });
}

result<std::optional<lateness_report>> operations_repository::claim_lateness_alarm(const lateness_promise& promise,
                                                                                   std::chrono::milliseconds every) {
  using answer = std::optional<lateness_report>;
  return db_.transact("claim-lateness-alarm", [&](pqxx::work& tx) -> result<answer> {
    const auto looked = tx.exec_params(look_at_lateness, every.count());
    if (looked.empty() || looked[0][0].as<bool>())
      return answer{};
    lateness_filter last_hour;
    last_hour.within = std::chrono::hours{1};
    last_hour.late_after = promise.late_after;
    last_hour.limit = most_told;
    auto report = measure_lateness(tx, scope::maintenance("the alarm of late posts"), last_hour);
    if (report.late == 0 || !burns(promise, static_cast<std::uint64_t>(report.late), static_cast<std::uint64_t>(report.posts)))
      return answer{};
    tx.exec(hold_lateness_alarm);
    return answer{std::move(report)};
  });
}

result<done> operations_repository::record_lateness_told(bool told) {
  return db_.transact("settle-lateness-alarm", [&](pqxx::work& tx) -> result<done> {
    tx.exec_params(settle_lateness_alarm, told);
    return done{};
  });
}

} // namespace carillon::storage
