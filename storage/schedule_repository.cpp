#include "storage/schedule_repository.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "domain/job.hpp"
#include "domain/node_message.hpp"
#include "domain/workspace_schedule.hpp"
#include "storage/fence.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

// Of a workspace w and its tenant t.
#define CARILLON_ZONE                                                                              \
  "left(coalesce(nullif(w.settings ->> 'timezone', ''), nullif(t.settings ->> 'timezone', '')," \
  "              'UTC'), 64)"
#define CARILLON_ACTIVE                                                              \
  "w.status = 'active' AND w.deleted_at IS NULL"                                     \
  " AND t.status NOT IN ('suspended', 'terminated') AND t.deleted_at IS NULL"

constexpr auto select_different
  = "SELECT w.id AS workspace_id, w.tenant_id, k.kind, " CARILLON_ZONE " AS time_zone"
    " FROM carillon.workspaces w JOIN carillon.tenants t ON t.id = w.tenant_id"
    " CROSS JOIN unnest($2::text[]) AS k (kind)"
    " LEFT JOIN carillon.schedule_entries e ON e.workspace_id = w.id AND e.kind = k.kind"
    " WHERE w.shard = ANY($1::smallint[]) AND " CARILLON_ACTIVE
    " AND e.time_zone IS DISTINCT FROM " CARILLON_ZONE " LIMIT $3";

// The owner before may still be writing the same rows.
constexpr auto write_entries = R"sql(
  INSERT INTO carillon.schedule_entries AS e
    (workspace_id, kind, tenant_id, time_zone, last_run_at, next_run_at)
  SELECT workspace_id, kind, tenant_id, time_zone, $6::timestamptz, next_run_at
  FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[])
    AS n (workspace_id, kind, tenant_id, time_zone, next_run_at)
  ON CONFLICT (workspace_id, kind) DO UPDATE
  SET time_zone = EXCLUDED.time_zone, last_run_at = EXCLUDED.last_run_at, next_run_at = EXCLUDED.next_run_at
  WHERE e.time_zone <> EXCLUDED.time_zone
)sql";

constexpr auto delete_inactive
  = "DELETE FROM carillon.schedule_entries e WHERE e.shard = ANY($1::smallint[]) AND NOT EXISTS ("
    " SELECT FROM carillon.workspaces w JOIN carillon.tenants t ON t.id = w.tenant_id"
    " WHERE w.id = e.workspace_id AND " CARILLON_ACTIVE ") RETURNING e.workspace_id";

constexpr auto select_page = R"sql(
  SELECT workspace_id, kind, time_zone, last_run_at, next_run_at FROM carillon.schedule_entries
  WHERE ($3::uuid IS NULL OR workspace_id > $3::uuid)
    AND shard = ANY($1::smallint[]) AND kind = ANY($2::text[])
  ORDER BY workspace_id, kind LIMIT $4
)sql";

// The row is only moved from where the owner saw it, so that a run that was
// started meanwhile, by whomever, does not start again.
constexpr auto start_due
  = "WITH due AS ("
    "  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[],"
    "                       $5::boolean[])"
    "    AS d (workspace_id, last_run_at, moves_to, next_run_at, starts)),"
    " moved AS ("
    "  UPDATE carillon.schedule_entries e SET last_run_at = d.moves_to, next_run_at = d.next_run_at"
    "  FROM due d, carillon.workspaces w, carillon.tenants t"
    "  WHERE e.workspace_id = d.workspace_id AND e.kind = $6::text AND e.last_run_at = d.last_run_at"
    "    AND w.id = e.workspace_id AND t.id = w.tenant_id AND " CARILLON_ACTIVE
    "  RETURNING e.workspace_id, e.tenant_id, d.starts),"
    " enqueued AS ("
    "  INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, priority, payload,"
    "                             max_attempts, unique_key, retention)"
    "  SELECT carillon.uuid_v7(), $6::text, $7::text, tenant_id, workspace_id, $8::smallint,"
    "         '{\"v\": 1}'::jsonb, $9::int, $6::text || '-' || workspace_id, $10::text"
    "  FROM moved WHERE starts"
    "  ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING"
    "  RETURNING workspace_id)"
    " SELECT m.workspace_id, m.starts, q.workspace_id IS NOT NULL AS enqueued"
    " FROM moved m LEFT JOIN enqueued q USING (workspace_id)";

constexpr auto select_summaries = R"sql(
  SELECT kind, count(*) AS workspaces, count(DISTINCT time_zone) AS zones,
         max(last_run_at) AS last_run_at, min(next_run_at) AS next_run_at
  FROM carillon.schedule_entries WHERE $1::uuid IS NULL OR tenant_id = $1::uuid
  GROUP BY kind ORDER BY kind
)sql";

constexpr auto select_upcoming = R"sql(
  SELECT workspace_id, kind, time_zone, last_run_at, next_run_at FROM carillon.schedule_entries
  WHERE ($1::uuid IS NULL OR tenant_id = $1::uuid) AND next_run_at IS NOT NULL
  ORDER BY next_run_at, workspace_id, kind LIMIT $2
)sql";

constexpr auto select_workspace
  = "SELECT " CARILLON_ZONE " AS time_zone, " CARILLON_ACTIVE " AS active, now() AS now"
    " FROM carillon.workspaces w JOIN carillon.tenants t ON t.id = w.tenant_id"
    " WHERE w.id = $2 AND ($1::uuid IS NULL OR w.tenant_id = $1::uuid)";

constexpr auto select_entries_of = R"sql(
  SELECT workspace_id, kind, time_zone, last_run_at, next_run_at FROM carillon.schedule_entries
  WHERE workspace_id = $1 ORDER BY kind
)sql";

constexpr auto enqueue_now
  = "WITH chosen AS ("
    "  SELECT w.id, w.tenant_id, w.shard FROM carillon.workspaces w"
    "  JOIN carillon.tenants t ON t.id = w.tenant_id"
    "  WHERE ($1::uuid IS NULL OR w.tenant_id = $1::uuid) AND ($2::uuid IS NULL OR w.id = $2::uuid)"
    "    AND ($3::uuid IS NULL OR w.id > $3::uuid) AND " CARILLON_ACTIVE
    "  ORDER BY w.id LIMIT $4),"
    " enqueued AS ("
    "  INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, priority, payload,"
    "                             max_attempts, unique_key, retention)"
    "  SELECT carillon.uuid_v7(), $5::text, $6::text, tenant_id, id, $7::smallint, '{\"v\": 1}'::jsonb,"
    "         $8::int, $5::text || '-' || id, $9::text"
    "  FROM chosen"
    "  ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING"
    "  RETURNING workspace_id)"
    " SELECT c.id, c.shard, q.workspace_id IS NOT NULL AS enqueued"
    " FROM chosen c LEFT JOIN enqueued q ON q.workspace_id = c.id ORDER BY c.id";

constexpr auto notify_owners = R"sql(
  SELECT pg_notify('carillon_' || left(i.node, 54), $2)
  FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
  WHERE s.shard = ANY($1::smallint[]) AND i.ended_at IS NULL
  GROUP BY i.node
)sql";

/// An array literal; `text` gives an element, nothing for NULL.
template <class Range, class Text>
std::string array_of(const Range& range, Text text) {
  std::string out = "{";
  for (const auto& item : range) {
    if (out.size() > 1)
      out += ',';
    const std::optional<std::string> element = text(item);
    if (!element) {
      out += "NULL";
      continue;
    }
    out += '"';
    for (const char c : *element) {
      if (c == '"' || c == '\\')
        out += '\\';
      out += c;
    }
    out += '"';
  }
  return out += '}';
}

schedule_entry entry_from(const pqxx::row& row) {
  schedule_entry out;
  out.workspace = read_id<workspace_id>(row["workspace_id"]);
  out.kind = row["kind"].as<std::string>();
  out.zone = row["time_zone"].as<std::string>();
  out.last_run_at = read_instant(row["last_run_at"]);
  out.next_run_at = read_nullable_instant(row["next_run_at"]);
  return out;
}

instant transaction_time(pqxx::work& tx) {
  return read_instant(tx.exec("SELECT now()")[0][0]);
}

failure unknown_kind(const std::string& kind) {
  return {errc::invalid_argument, "unknown job kind " + kind, {}, {}};
}

/// When entries that begin at `begin` have their first turn.
void find_first_turns(std::vector<schedule_entry>& entries, instant begin) {
  std::map<std::string, cadence_calendar> calendars;
  std::unordered_map<std::string, time_zone> zones;
  for (auto& entry : entries) {
    entry.last_run_at = begin;
    const auto* cadence = find_cadence(entry.kind);
    if (!cadence)
      continue;
    auto zone = zones.find(entry.zone);
    if (zone == zones.end())
      zone = zones.emplace(entry.zone, zone_or_utc(entry.zone)).first;
    auto& calendar = calendars.try_emplace(entry.kind, *cadence).first->second;
    entry.next_run_at = calendar.next_turn(zone->second, calendar.turn_of(entry.workspace), begin);
  }
}

} // namespace

result<schedule_changes> schedule_repository::reconcile(const node_identity& me, const shard_list& shards,
                                                        const std::vector<std::string>& kinds, int limit) {
  return db_.transact("reconcile-schedule", [&](pqxx::work& tx) -> result<schedule_changes> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    schedule_changes out;
    out.now = transaction_time(tx);
    for (const auto& row : tx.exec_params(delete_inactive, shard_array(shards)))
      out.gone.push_back(read_id<workspace_id>(row[0]));

    std::vector<tenant_id> tenants;
    for (const auto& row : tx.exec_params(select_different, shard_array(shards), text_array(kinds), limit)) {
      schedule_entry entry;
      entry.workspace = read_id<workspace_id>(row["workspace_id"]);
      entry.kind = row["kind"].as<std::string>();
      entry.zone = row["time_zone"].as<std::string>();
      out.entries.push_back(std::move(entry));
      tenants.push_back(read_id<tenant_id>(row["tenant_id"]));
    }
    out.complete = static_cast<int>(out.entries.size()) < limit;
    if (out.entries.empty())
      return out;
    find_first_turns(out.entries, out.now);
    tx.exec_params(write_entries,
                   array_of(out.entries, [](const auto& e) { return to_string(e.workspace); }),
                   array_of(out.entries, [](const auto& e) { return e.kind; }), uuid_array(tenants),
                   array_of(out.entries, [](const auto& e) { return e.zone; }),
                   array_of(out.entries, [](const auto& e) { return param(e.next_run_at); }),
                   param(out.now));
    return out;
  });
}

result<schedule_page> schedule_repository::load(const node_identity& me, const shard_list& shards,
                                                const std::vector<std::string>& kinds,
                                                const std::optional<workspace_id>& after, int limit) {
  return db_.transact("load-schedule", [&](pqxx::work& tx) -> result<schedule_page> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    schedule_page out;
    out.now = transaction_time(tx);
    std::optional<std::string> from;
    if (after)
      from = to_string(*after);
    // One workspace always fits.
    const auto most = std::max(limit, static_cast<int>(kinds.size()) + 1);
    for (const auto& row : tx.exec_params(select_page, shard_array(shards), text_array(kinds), from, most))
      out.entries.push_back(entry_from(row));
    if (static_cast<int>(out.entries.size()) == most) {
      const auto cut = out.entries.back().workspace;
      while (out.entries.back().workspace == cut)
        out.entries.pop_back();
      out.next = out.entries.back().workspace;
    }
    return out;
  });
}

result<started_runs> schedule_repository::start_runs(const node_identity& me, const std::string& kind,
                                                     const std::vector<planned_run>& runs) {
  const auto* policy = find_job_policy(kind);
  if (!policy)
    return unknown_kind(kind);
  return db_.transact("start-scheduled-runs", [&](pqxx::work& tx) -> result<started_runs> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    started_runs out;
    const auto rows = tx.exec_params(
      start_due, array_of(runs, [](const auto& r) { return to_string(r.workspace); }),
      array_of(runs, [](const auto& r) { return param(r.last_run_at); }),
      array_of(runs, [](const auto& r) { return param(r.moves_to); }),
      array_of(runs, [](const auto& r) { return param(r.next_run_at); }),
      array_of(runs, [](const auto& r) { return std::string{r.starts ? "t" : "f"}; }), kind,
      std::string{policy->queue}, policy->priority, policy->max_attempts, std::string{to_string(policy->keep)});
    std::vector<workspace_id> moved;
    for (const auto& row : rows) {
      moved.push_back(read_id<workspace_id>(row[0]));
      if (row[2].as<bool>())
        ++out.enqueued;
      else if (row[1].as<bool>())
        ++out.overlapping;
    }
    std::sort(moved.begin(), moved.end());
    for (const auto& run : runs)
      if (!std::binary_search(moved.begin(), moved.end(), run.workspace))
        out.stale.push_back(run.workspace);
    return out;
  });
}

result<std::vector<schedule_summary>> schedule_repository::summaries(const scope& who) {
  return db_.transact("summarise-schedule", [&](pqxx::work& tx) -> result<std::vector<schedule_summary>> {
    std::vector<schedule_summary> out;
    for (const auto& row : tx.exec_params(select_summaries, tenant_param(who)))
      out.push_back({row["kind"].as<std::string>(), row["workspaces"].as<std::int64_t>(),
                     row["zones"].as<std::int64_t>(), read_nullable_instant(row["last_run_at"]),
                     read_nullable_instant(row["next_run_at"])});
    return out;
  });
}

result<std::vector<schedule_entry>> schedule_repository::upcoming(const scope& who, int limit) {
  return db_.transact("list-upcoming-runs", [&](pqxx::work& tx) -> result<std::vector<schedule_entry>> {
    std::vector<schedule_entry> out;
    for (const auto& row : tx.exec_params(select_upcoming, tenant_param(who), limit))
      out.push_back(entry_from(row));
    return out;
  });
}

result<workspace_schedule> schedule_repository::find_workspace(const scope& who, workspace_id workspace) {
  return db_.transact("find-workspace-schedule", [&](pqxx::work& tx) -> result<workspace_schedule> {
    const auto rows = tx.exec_params(select_workspace, tenant_param(who), to_string(workspace));
    if (rows.empty())
      return failure{errc::not_found, "no workspace " + to_string(workspace), {}, {}};
    workspace_schedule out;
    out.zone = rows[0]["time_zone"].as<std::string>();
    out.active = rows[0]["active"].as<bool>();
    out.now = read_instant(rows[0]["now"]);
    for (const auto& row : tx.exec_params(select_entries_of, to_string(workspace)))
      out.entries.push_back(entry_from(row));
    return out;
  });
}

result<runs_by_hand> schedule_repository::run_now(const scope& who, const std::string& kind,
                                                  const std::optional<workspace_id>& workspace,
                                                  std::optional<workspace_id>& after, int limit) {
  const auto* policy = find_job_policy(kind);
  if (!policy)
    return unknown_kind(kind);
  const auto text_of = [](const std::optional<workspace_id>& id) {
    return id ? std::optional{to_string(*id)} : std::nullopt;
  };
  std::optional<workspace_id> last;
  auto outcome = db_.transact("run-schedule-now", [&](pqxx::work& tx) -> result<runs_by_hand> {
    const auto rows = tx.exec_params(enqueue_now, tenant_param(who), text_of(workspace), text_of(after), limit, kind,
                                     std::string{policy->queue}, policy->priority, policy->max_attempts,
                                     std::string{to_string(policy->keep)});
    if (rows.empty() && workspace)
      return failure{errc::not_found, "no active workspace " + to_string(*workspace), {}, {}};
    runs_by_hand out;
    shard_list shards;
    for (const auto& row : rows) {
      shards.push_back(static_cast<shard_id>(row[1].as<int>()));
      ++(row[2].as<bool>() ? out.enqueued : out.overlapping);
    }
    std::sort(shards.begin(), shards.end());
    shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
    if (out.enqueued > 0)
      tx.exec_params(notify_owners, shard_array(shards), encode({1, "sweep", {}}));
    if (static_cast<int>(rows.size()) == limit)
      last = read_id<workspace_id>(rows[rows.size() - 1][0]);
    return out;
  });
  if (outcome)
    after = last;
  return outcome;
}

} // namespace carillon::storage
