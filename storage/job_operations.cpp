#include "domain/node_message.hpp"
#include "storage/job_repository.hpp"
#include "storage/job_writer.hpp"
#include "storage/operator_audit.hpp"

#include <nlohmann/json.hpp>

namespace carillon::storage {

namespace {

using nlohmann::json;

#define CARILLON_JOB_COLUMNS                                                                          \
  "id, kind, queue, tenant_id, workspace_id, payload, attempt, max_attempts, crashes, priority,"     \
  " run_at, unique_key, rate_key, correlation_id, errors, created_at"

// $1 tenant, $2 id, $3 state, $4 kind, $5 queue, $6 workspace, $7 error, $8 before, $9 after,
// $10 behind this id.
#define CARILLON_JOB_FILTER                                                                           \
  " ($1::uuid IS NULL OR tenant_id = $1::uuid) AND ($2::uuid IS NULL OR id = $2::uuid)"             \
  " AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR kind = $4)"                        \
  " AND ($5::text IS NULL OR queue = $5) AND ($6::uuid IS NULL OR workspace_id = $6::uuid)"          \
  " AND ($7::text IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(errors) AS e"                  \
  "      WHERE e ->> 'error' ILIKE '%' || $7 || '%'))"                                                \
  " AND ($8::timestamptz IS NULL OR created_at < $8::timestamptz)"                                    \
  " AND ($9::timestamptz IS NULL OR created_at >= $9::timestamptz)"                                   \
  " AND ($10::uuid IS NULL OR id < $10::uuid) "

constexpr auto select_all
  = "SELECT * FROM ("
    " (SELECT " CARILLON_JOB_COLUMNS ", state, suspicion, revision, NULL::timestamptz AS concluded_at"
    "  FROM carillon.jobs WHERE" CARILLON_JOB_FILTER "ORDER BY id DESC LIMIT $11)"
    " UNION ALL"
    " (SELECT " CARILLON_JOB_COLUMNS ", state, 0, 0, concluded_at"
    "  FROM carillon.job_history WHERE" CARILLON_JOB_FILTER "ORDER BY id DESC LIMIT $11)) AS job"
    " ORDER BY id DESC, concluded_at DESC NULLS FIRST LIMIT $11";

constexpr auto count_all
  = "SELECT (SELECT count(*) FROM carillon.jobs WHERE" CARILLON_JOB_FILTER ")"
    " + (SELECT count(*) FROM carillon.job_history WHERE" CARILLON_JOB_FILTER ") AS n, $11::int";

// In the hands of a living node, and due: its run is left to end by itself.
#define CARILLON_IN_HAND                                                                              \
  "(run_at <= now() AND EXISTS (SELECT FROM carillon.job_manifests m"                                \
  " JOIN carillon.node_incarnations i USING (incarnation)"                                           \
  " WHERE i.ended_at IS NULL AND m.job_ids @> ARRAY[jobs.id]))"

#define CARILLON_LIVE_CANDIDATES "SELECT id FROM carillon.jobs WHERE" CARILLON_JOB_FILTER

#define CARILLON_RETRY_CANDIDATES                                                                     \
  CARILLON_LIVE_CANDIDATES                                                                            \
  "AND (state = 'retrying' OR ($3::text IS NOT NULL AND run_at > now())) AND NOT " CARILLON_IN_HAND   \
  " UNION ALL SELECT id FROM carillon.job_history WHERE" CARILLON_JOB_FILTER                          \
  "AND (state = 'discarded' OR ($3::text IS NOT NULL AND state = 'cancelled'))"                      \
  " AND NOT EXISTS (SELECT FROM carillon.jobs j WHERE j.unique_key = job_history.unique_key)"

constexpr auto select_retryable
  = "SELECT id FROM (" CARILLON_RETRY_CANDIDATES ") AS candidate ORDER BY id DESC LIMIT $11";
constexpr auto select_live = CARILLON_LIVE_CANDIDATES "ORDER BY id DESC LIMIT $11";
constexpr auto count_retryable
  = "SELECT count(*) AS n, $11::int FROM (" CARILLON_RETRY_CANDIDATES ") AS candidate";
constexpr auto count_live
  = "SELECT count(*) AS n, $11::int FROM (" CARILLON_LIVE_CANDIDATES ") AS candidate";

constexpr auto count_by_state = R"sql(
  SELECT CASE WHEN run_at > now() AND state = 'available' THEN 'scheduled' ELSE state END AS state, kind, queue,
         count(*), coalesce(greatest(0, extract(epoch FROM now() - min(run_at)) * 1000), 0)::bigint
  FROM carillon.jobs WHERE $1::uuid IS NULL OR tenant_id = $1::uuid GROUP BY 1, 2, 3
  UNION ALL
  SELECT state, kind, queue, count(*), 0
  FROM carillon.job_history WHERE $1::uuid IS NULL OR tenant_id = $1::uuid GROUP BY 1, 2, 3
  ORDER BY 1, 2
)sql";

constexpr auto count_owned_by_state = R"sql(
  SELECT CASE WHEN run_at > now() AND state = 'available' THEN 'scheduled' ELSE state END AS state, kind, queue,
         count(*), coalesce(greatest(0, extract(epoch FROM now() - min(run_at)) * 1000), 0)::bigint
  FROM carillon.jobs
  WHERE shard = ANY(ARRAY(SELECT s.shard FROM carillon.shard_leases s
                          JOIN carillon.node_incarnations i USING (incarnation)
                          WHERE i.node = $1 AND i.ended_at IS NULL))
  GROUP BY 1, 2, 3
)sql";

constexpr auto count_by_workspace = R"sql(
  SELECT tenant_id, workspace_id, count(*), count(*) FILTER (WHERE run_at <= now())
  FROM carillon.jobs WHERE $1::uuid IS NULL OR tenant_id = $1::uuid
  GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT $2
)sql";

constexpr auto run_live_now
  = "UPDATE carillon.jobs"
    " SET state = 'available', run_at = now(), attempt = 0, crashes = 0, suspicion = 0, updated_at = now()"
    " WHERE id = ANY($1::uuid[]) AND NOT " CARILLON_IN_HAND;

constexpr auto note_discard = R"sql(
  UPDATE carillon.jobs
  SET errors = errors || jsonb_build_array(jsonb_build_object(
        'at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"'),
        'attempt', attempt, 'error', 'discarded by an operator'))
  WHERE id = ANY($1::uuid[])
)sql";

// One that another live job's unique key replaces stays dead. The history
// keeps dead letters under a class of their own: the kind's comes back.
constexpr auto revive = R"sql(
  WITH dead AS (
    SELECT h.* FROM carillon.job_history h
    WHERE h.id = ANY($1::uuid[]) AND h.state IN ('discarded', 'cancelled')
      AND NOT EXISTS (SELECT FROM carillon.jobs j WHERE j.unique_key = h.unique_key)),
  alive AS (
    INSERT INTO carillon.jobs
      (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, unique_key, rate_key, retention,
       errors, correlation_id, created_at)
    SELECT DISTINCT ON (coalesce(unique_key, id::text)) id, kind, queue, tenant_id, workspace_id, priority, payload,
           max_attempts, unique_key, rate_key,
           coalesce((SELECT k.retention FROM carillon.job_kinds k WHERE k.kind = dead.kind), 'standard'),
           errors, correlation_id, created_at FROM dead
    ORDER BY coalesce(unique_key, id::text), concluded_at DESC
    ON CONFLICT DO NOTHING RETURNING id)
  DELETE FROM carillon.job_history h USING alive a
  WHERE h.id = a.id AND h.state IN ('discarded', 'cancelled')
)sql";

constexpr auto upsert_control = R"sql(
  INSERT INTO carillon.job_controls (scope, name, is_paused, weight, max_running, rate_per_second, rate_burst)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (scope, name) DO UPDATE
  SET is_paused = EXCLUDED.is_paused, weight = EXCLUDED.weight, max_running = EXCLUDED.max_running,
      rate_per_second = EXCLUDED.rate_per_second, rate_burst = EXCLUDED.rate_burst, updated_at = now()
)sql";

constexpr auto notify_nodes = R"sql(
  SELECT pg_notify('carillon_' || left(node, 54), $1) FROM carillon.node_incarnations
  WHERE ended_at IS NULL GROUP BY node
)sql";

constexpr auto select_explanation = R"sql(
  SELECT j.run_at > now() AS later, j.run_at, j.state, j.attempt, j.max_attempts, j.suspicion,
         n.node AS owner, l.expires_at > clock_timestamp() AS owner_lives,
         EXISTS (SELECT FROM carillon.job_manifests m WHERE m.incarnation = n.incarnation
                 AND m.job_ids @> ARRAY[j.id]) AND j.run_at <= now() AS in_hand,
         k.kind IS NOT NULL AS known,
         (SELECT string_agg(c.scope || ' ' || c.name, ', ') FROM carillon.job_controls c
          WHERE c.is_paused AND (c.scope, c.name) IN
            (('kind', j.kind), ('queue', j.queue), ('workspace', j.workspace_id::text))) AS paused,
         (SELECT min(c.max_running) FROM carillon.job_controls c
          WHERE (c.scope, c.name) IN (('kind', j.kind), ('workspace', j.workspace_id::text))) AS cap
  FROM carillon.jobs j
  LEFT JOIN carillon.shard_leases s ON s.shard = j.shard
  LEFT JOIN carillon.node_incarnations n ON n.incarnation = s.incarnation AND n.ended_at IS NULL
  LEFT JOIN carillon.node_leases l ON l.incarnation = n.incarnation
  LEFT JOIN carillon.job_kinds k ON k.kind = j.kind
  WHERE j.id = $1
)sql";

constexpr auto select_blocks = R"sql(
  SELECT b.reason, b.until FROM carillon.job_blocks b
  JOIN carillon.shard_leases s ON s.incarnation = b.incarnation
  WHERE s.shard = carillon.shard_of($1::uuid) AND b.kind = $2 AND b.rate_key IN ('', $3)
    AND (b.until IS NULL OR b.until > clock_timestamp())
)sql";

job read_job(const pqxx::row& row) {
  job out;
  out.id = read_id<job_id>(row["id"]);
  out.kind = row["kind"].as<std::string>();
  out.queue = row["queue"].as<std::string>();
  out.tenant = read_id<tenant_id>(row["tenant_id"]);
  out.workspace = read_id<workspace_id>(row["workspace_id"]);
  out.payload = row["payload"].as<std::string>();
  out.state = parse_job_state(row["state"].c_str()).value_or(job_state::available);
  out.attempt = row["attempt"].as<int>();
  out.max_attempts = row["max_attempts"].as<int>();
  out.crashes = row["crashes"].as<int>();
  out.suspicion = row["suspicion"].as<int>();
  out.revision = row["revision"].as<int>();
  out.priority = row["priority"].as<int>();
  out.run_at = read_instant(row["run_at"]);
  out.unique_key = text_or_empty(row["unique_key"]);
  out.rate_key = text_or_empty(row["rate_key"]);
  out.correlation_id = text_or_empty(row["correlation_id"]);
  out.errors = row["errors"].as<std::string>();
  out.created_at = read_instant(row["created_at"]);
  out.concluded_at = read_nullable_instant(row["concluded_at"]);
  return out;
}

template <class Id>
std::optional<std::string> id_param(const std::optional<Id>& id) {
  if (!id)
    return std::nullopt;
  return to_string(*id);
}

/// % and _ of people's text mean themselves.
std::optional<std::string> like_param(const std::string& text) {
  if (text.empty())
    return std::nullopt;
  std::string out;
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\')
      out += '\\';
    out += c;
  }
  return out;
}

pqxx::result run_filtered(pqxx::transaction_base& tx, const char* sql, const scope& who,
                          const std::optional<job_id>& id, const job_filter& filter) {
  std::optional<std::string> state;
  if (filter.state)
    state = std::string{to_string(*filter.state)};
  return tx.exec_params(sql, id_param(who.tenant()), id_param(id), state, null_if_empty(filter.kind),
                        null_if_empty(filter.queue), id_param(filter.workspace), like_param(filter.error),
                        param(filter.created_before), param(filter.created_after), id_param(filter.after),
                        filter.limit);
}

std::vector<job> select_jobs(pqxx::transaction_base& tx, const scope& who,
                             const std::optional<job_id>& id, const job_filter& filter) {
  std::vector<job> out;
  for (const auto& row : run_filtered(tx, select_all, who, id, filter))
    out.push_back(read_job(row));
  return out;
}

failure no_such_job(job_id id) {
  return {errc::not_found, "there is no job " + to_string(id), {}, {}};
}

result<job> find_in(pqxx::transaction_base& tx, const scope& who, job_id id) {
  auto found = select_jobs(tx, who, id, {});
  if (found.empty())
    return no_such_job(id);
  return std::move(found.front());
}

void wake_nodes(pqxx::transaction_base& tx, const char* type) {
  tx.exec_params(notify_nodes, encode({1, type, {}}));
}

using action = job_action;

constexpr const char* past_tense(action what) {
  return what == action::retry ? "retried" : what == action::cancel ? "cancelled" : "discarded";
}

/// How many were changed.
std::int64_t apply(pqxx::transaction_base& tx, action what, const std::vector<job_id>& ids) {
  const auto list = uuid_array(ids);
  if (what == action::retry) {
    // Those that live only; the others are brought back.
    const auto live = tx.exec_params(run_live_now, list).affected_rows();
    const auto revived = tx.exec_params(revive, list).affected_rows();
    return static_cast<std::int64_t>(live + revived);
  }
  const auto before = tx.exec_params("SELECT count(*) FROM carillon.jobs WHERE id = ANY($1::uuid[])", list);
  if (what == action::discard)
    tx.exec_params(note_discard, list);
  move_to_history(tx, ids, what == action::cancel ? job_state::cancelled : job_state::discarded);
  return before[0][0].as<std::int64_t>();
}

result<job> act_on_one(connection& db, const char* name, const scope& who, const operator_identity& by,
                       job_id id, action what) {
  return db.transact(name, [&](pqxx::work& tx) -> result<job> {
    const auto found = find_in(tx, who, id);
    if (!found)
      return found.error();
    if (what != action::retry && found->concluded_at)
      return failure{errc::conflict,
                     "job " + to_string(id) + " is already " + std::string{to_string(found->state)}, {}, {}};
    if (what == action::retry && found->state == job_state::succeeded)
      return failure{errc::conflict,
                     "job " + to_string(id) + " has succeeded; there is nothing to retry", {}, {}};
    if (apply(tx, what, {id}) == 0)
      return failure{errc::conflict,
                     !found->concluded_at ? "a node has job " + to_string(id) + " in hand; it runs, or is about to"
                                          : "a live job holds the unique key " + found->unique_key,
                     {}, {}};
    audit_operator(tx, by, found->tenant, id.value, std::string{"Job "} + past_tense(what),
          {{"job", found->kind}, {"job_id", to_string(id)}, {"workspace_id", to_string(found->workspace)}});
    if (what == action::retry)
      wake_nodes(tx, "sweep");
    return find_in(tx, who, id);
  });
}

json filter_json(const job_filter& filter) {
  json out = json::object();
  if (filter.state)
    out["state"] = std::string{to_string(*filter.state)};
  if (!filter.kind.empty())
    out["kind"] = filter.kind;
  if (!filter.queue.empty())
    out["queue"] = filter.queue;
  if (filter.workspace)
    out["workspace_id"] = to_string(*filter.workspace);
  if (!filter.error.empty())
    out["error"] = filter.error;
  if (filter.created_before)
    out["created_before"] = format_api_time(*filter.created_before);
  if (filter.created_after)
    out["created_after"] = format_api_time(*filter.created_after);
  return out;
}

result<std::int64_t> act_on_all(connection& db, const char* name, const scope& who,
                                const operator_identity& by, job_filter filter, int limit, action what) {
  return db.transact(name, [&](pqxx::work& tx) -> result<std::int64_t> {
    filter.limit = limit;
    std::vector<job_id> ids;
    const auto* candidates = what == action::retry ? select_retryable : select_live;
    for (const auto& row : run_filtered(tx, candidates, who, std::nullopt, filter))
      ids.push_back(read_id<job_id>(row[0]));
    const auto changed = ids.empty() ? 0 : apply(tx, what, ids);
    audit_operator(tx, by, who.tenant(), std::nullopt, std::string{"Jobs "} + past_tense(what),
          {{"filter", filter_json(filter)}, {"count", changed}});
    if (what == action::retry && changed > 0)
      wake_nodes(tx, "sweep");
    return changed;
  });
}

} // namespace

result<std::vector<job>> job_repository::list(const scope& who, const job_filter& filter) {
  return db_.transact("list-jobs", [&](pqxx::work& tx) -> result<std::vector<job>> {
    return select_jobs(tx, who, std::nullopt, filter);
  });
}

result<job> job_repository::find(const scope& who, job_id id) {
  return db_.transact("find-job", [&](pqxx::work& tx) { return find_in(tx, who, id); });
}

namespace {

std::vector<job_count> read_counts(const pqxx::result& rows) {
  std::vector<job_count> out;
  for (const auto& row : rows)
    out.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>(),
                   row[3].as<std::int64_t>(), std::chrono::milliseconds{row[4].as<std::int64_t>()}});
  return out;
}

} // namespace

result<std::vector<job_count>> job_repository::count(const scope& who) {
  return db_.transact("count-jobs", [&](pqxx::work& tx) -> result<std::vector<job_count>> {
    return read_counts(tx.exec_params(count_by_state, id_param(who.tenant())));
  });
}

result<std::vector<job_count>> job_repository::count_owned(const std::string& node) {
  return db_.transact("count-owned-jobs", [&](pqxx::work& tx) -> result<std::vector<job_count>> {
    return read_counts(tx.exec_params(count_owned_by_state, node));
  });
}

result<std::vector<workspace_job_count>> job_repository::count_workspaces(const scope& who, int limit) {
  return db_.transact("count-jobs-by-workspace",
                      [&](pqxx::work& tx) -> result<std::vector<workspace_job_count>> {
    std::vector<workspace_job_count> out;
    for (const auto& row : tx.exec_params(count_by_workspace, id_param(who.tenant()), limit))
      out.push_back({read_id<tenant_id>(row[0]), read_id<workspace_id>(row[1]), row[2].as<std::int64_t>(),
                     row[3].as<std::int64_t>()});
    return out;
  });
}

result<std::int64_t> job_repository::count_matching(const scope& who, const job_filter& filter) {
  return db_.transact("count-matching-jobs", [&](pqxx::work& tx) -> result<std::int64_t> {
    return run_filtered(tx, count_all, who, std::nullopt, filter)[0][0].as<std::int64_t>();
  });
}

result<std::int64_t> job_repository::count_affected(const scope& who, const job_filter& filter, job_action what) {
  return db_.transact("count-affected-jobs", [&](pqxx::work& tx) -> result<std::int64_t> {
    const auto* counting = what == action::retry ? count_retryable : count_live;
    return run_filtered(tx, counting, who, std::nullopt, filter)[0][0].as<std::int64_t>();
  });
}

result<job> job_repository::retry(const scope& who, const operator_identity& by, job_id id) {
  return act_on_one(db_, "retry-job", who, by, id, action::retry);
}

result<job> job_repository::cancel(const scope& who, const operator_identity& by, job_id id) {
  return act_on_one(db_, "cancel-job", who, by, id, action::cancel);
}

result<job> job_repository::discard(const scope& who, const operator_identity& by, job_id id) {
  return act_on_one(db_, "discard-job", who, by, id, action::discard);
}

result<std::int64_t> job_repository::retry_all(const scope& who, const operator_identity& by,
                                               const job_filter& filter, int limit) {
  return act_on_all(db_, "retry-jobs", who, by, filter, limit, action::retry);
}

result<std::int64_t> job_repository::cancel_all(const scope& who, const operator_identity& by,
                                                const job_filter& filter, int limit) {
  return act_on_all(db_, "cancel-jobs", who, by, filter, limit, action::cancel);
}

result<std::int64_t> job_repository::discard_all(const scope& who, const operator_identity& by,
                                                 const job_filter& filter, int limit) {
  return act_on_all(db_, "discard-jobs", who, by, filter, limit, action::discard);
}

result<done> job_repository::set_control(const operator_identity& by, const job_control& control) {
  return db_.transact("set-job-control", [&](pqxx::work& tx) -> result<done> {
    std::optional<double> per_second;
    std::optional<int> burst;
    if (control.rate) {
      per_second = control.rate->per_second;
      burst = control.rate->burst;
    }
    const std::string about{to_string(control.scope)};
    tx.exec_params(upsert_control, about, control.name, control.paused, control.weight, control.max_running,
                   per_second, burst);
    json values{{"scope", about}, {"name", control.name}, {"paused", control.paused}};
    if (control.weight)
      values["weight"] = *control.weight;
    if (control.max_running)
      values["max_running"] = *control.max_running;
    if (control.rate)
      values["rate"] = {{"per_second", control.rate->per_second}, {"burst", control.rate->burst}};
    audit_operator(tx, by, std::nullopt, std::nullopt, "Job control changed", values);
    wake_nodes(tx, "controls");
    return done{};
  });
}

result<std::vector<std::string>> job_repository::explain(const scope& who, job_id id) {
  return db_.transact("explain-job", [&](pqxx::work& tx) -> result<std::vector<std::string>> {
    const auto found = find_in(tx, who, id);
    if (!found)
      return found.error();
    std::vector<std::string> out;
    if (found->concluded_at) {
      out.push_back("It is over: " + std::string{to_string(found->state)} + " at "
                    + format_api_time(*found->concluded_at) + ".");
      if (!found->unique_key.empty() && found->state != job_state::succeeded) {
        const auto holder = tx.exec_params("SELECT id FROM carillon.jobs WHERE unique_key = $1", found->unique_key);
        if (!holder.empty())
          out.push_back("It cannot be retried: the live job " + holder[0][0].as<std::string>()
                        + " holds its unique key " + found->unique_key + ".");
      }
      return out;
    }
    const auto rows = tx.exec_params(select_explanation, to_string(id));
    if (rows.empty())
      return no_such_job(id);
    const auto row = rows[0];
    if (row["in_hand"].as<bool>()) {
      out.push_back("It is in the hands of node " + row["owner"].as<std::string>()
                    + ": running, or about to. If not, the reasons below hold it back there.");
    }
    if (!row["paused"].is_null())
      out.push_back("Paused by an operator: " + row["paused"].as<std::string>() + ".");
    if (row["later"].as<bool>())
      out.push_back((row["state"].as<std::string>() == "retrying"
                       ? "Waits for its next try (" + std::to_string(found->attempt + 1) + " of "
                           + std::to_string(found->max_attempts) + ") at "
                       : std::string{"Scheduled for "})
                    + format_api_time(found->run_at) + ".");
    if (row["owner"].is_null())
      out.push_back("No node owns its shard: waits for a node to take the lease.");
    else if (row["owner_lives"].is_null() || !row["owner_lives"].as<bool>())
      out.push_back("Its owner " + row["owner"].as<std::string>()
                    + " has stopped renewing: waits for the lease to end and another node to take over.");
    if (!row["known"].as<bool>())
      out.push_back("No program that ran here knows the kind " + found->kind + ": it waits for one that does.");
    for (const auto& block : tx.exec_params(select_blocks, to_string(found->workspace), found->kind, found->rate_key)) {
      const auto reason = block[0].as<std::string>();
      const auto until = block[1].is_null() ? std::string{} : " until " + format_api_time(read_instant(block[1]));
      if (reason == "rate")
        out.push_back("The rate budget of " + found->kind + " is used up" + until + ".");
      else if (reason == "circuit")
        out.push_back("The circuit breaker of what " + found->kind + " depends on is open" + until + ".");
      else
        out.push_back("As many jobs of " + found->kind + " as may run at a time are running.");
    }
    if (!row["cap"].is_null() && row["cap"].as<int>() == 0)
      out.push_back("An operator allows none of these to run (max_running 0).");
    if (row["suspicion"].as<int>() > 0)
      out.push_back("It was in the hands of a node that died, so it runs by itself, after what is running.");
    if (out.empty())
      out.push_back("Nothing holds it back: node " + row["owner"].as<std::string>() + " picks it up within a second.");
    return out;
  });
}

} // namespace carillon::storage
