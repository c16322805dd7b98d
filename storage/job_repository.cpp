#include "storage/job_repository.hpp"

#include <algorithm>
#include <stdexcept>

#include "storage/fence.hpp"
#include "storage/job_writer.hpp"
#include "storage/ownership_repository.hpp"

namespace carillon::storage {

namespace {

constexpr auto insert_one = R"sql(
  INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, priority, payload,
                             max_attempts, run_at, unique_key, correlation_id)
  VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, coalesce($9::timestamptz, now()), $10, $11)
  ON CONFLICT (unique_key) DO NOTHING
)sql";

// The error comes in as text, so it is a JSON string whatever it holds.
constexpr auto append_error = R"sql(
  UPDATE carillon.jobs
  SET errors = errors || jsonb_build_array(jsonb_build_object(
        'at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"'),
        'attempt', attempt + 1, 'error', left($2, 2000))),
      updated_at = now()
  WHERE id = $1
)sql";

constexpr auto conclude_jobs = R"sql(
  WITH gone AS (DELETE FROM carillon.jobs WHERE id = ANY($1::uuid[]) RETURNING *)
  INSERT INTO carillon.job_history
    (id, kind, queue, tenant_id, workspace_id, priority, payload, state, attempt, max_attempts,
     crashes, run_at, unique_key, errors, correlation_id, created_at, concluded_at)
  SELECT id, kind, queue, tenant_id, workspace_id, priority, payload, $2, attempt, max_attempts,
         crashes, run_at, unique_key, errors, correlation_id, created_at, clock_timestamp()
  FROM gone
)sql";

// Unknown kinds stay where they are, for a node that knows them. In-flight
// jobs are left out by id: no cursor, so that a row which becomes visible
// late, or lies in the past, is read as soon as it is there.
constexpr auto select_due = R"sql(
  SELECT id, kind, queue, tenant_id, workspace_id, payload, state, attempt, max_attempts, crashes,
         suspect, priority, run_at, unique_key, correlation_id, errors, created_at
  FROM carillon.jobs
  WHERE run_at <= clock_timestamp() AND shard = ANY($1::smallint[]) AND kind = ANY($2::text[])
    AND NOT id = ANY($3::uuid[])
  ORDER BY priority, run_at, id LIMIT $4
)sql";

constexpr auto select_next_due = R"sql(
  SELECT greatest(0, ceil(extract(epoch FROM run_at - clock_timestamp()) * 1000))::bigint
  FROM carillon.jobs
  WHERE run_at > clock_timestamp() AND shard = ANY($1::smallint[]) AND kind = ANY($2::text[])
  ORDER BY run_at LIMIT 1
)sql";

constexpr auto insert_manifest = R"sql(
  INSERT INTO carillon.job_manifests (incarnation, batch, job_ids) VALUES ($1, $2, $3::uuid[])
)sql";

constexpr auto delete_manifests = R"sql(
  DELETE FROM carillon.job_manifests WHERE incarnation = $1 AND batch = ANY($2::bigint[])
)sql";

constexpr auto postpone = R"sql(
  UPDATE carillon.jobs SET run_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto select_attempts
  = "SELECT kind, attempt, max_attempts FROM carillon.jobs WHERE id = $1 FOR UPDATE";

constexpr auto retry_later = R"sql(
  UPDATE carillon.jobs
  SET state = 'retrying', attempt = attempt + 1,
      run_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto count_last_attempt
  = "UPDATE carillon.jobs SET attempt = attempt + 1 WHERE id = $1";

// Jobs of these shards in manifests of ended incarnations. One that was
// alone is charged; all become suspects.
constexpr auto adopt_orphans = R"sql(
  WITH orphan AS (
    SELECT id, max(alone) AS crashed FROM (
      SELECT unnest(m.job_ids) AS id, (cardinality(m.job_ids) = 1)::int AS alone
      FROM carillon.job_manifests m JOIN carillon.node_incarnations i USING (incarnation)
      WHERE i.ended_at IS NOT NULL) AS found
    GROUP BY id)
  UPDATE carillon.jobs j
  SET suspect = true, crashes = crashes + orphan.crashed, updated_at = now()
  FROM orphan WHERE j.id = orphan.id AND j.shard = ANY($1::smallint[])
  RETURNING j.id
)sql";

// What was adopted leaves the dead manifest; an empty one goes.
constexpr auto take_out_of_manifests = R"sql(
  UPDATE carillon.job_manifests m
  SET job_ids = coalesce((SELECT array_agg(id) FROM unnest(m.job_ids) AS id
                 WHERE NOT id = ANY($1::uuid[])
                   AND EXISTS (SELECT 1 FROM carillon.jobs j WHERE j.id = id)), '{}')
  FROM carillon.node_incarnations i
  WHERE i.incarnation = m.incarnation AND i.ended_at IS NOT NULL
)sql";

constexpr auto delete_empty_manifests = R"sql(
  DELETE FROM carillon.job_manifests m USING carillon.node_incarnations i
  WHERE i.incarnation = m.incarnation AND i.ended_at IS NOT NULL AND m.job_ids = '{}'
)sql";

constexpr auto select_crashed = R"sql(
  SELECT id, kind, queue, tenant_id, workspace_id, payload, state, attempt, max_attempts, crashes,
         suspect, priority, run_at, unique_key, correlation_id, errors, created_at
  FROM carillon.jobs WHERE shard = ANY($1::smallint[]) AND crashes >= $2
)sql";

constexpr auto select_all = R"sql(
  SELECT * FROM (
    SELECT id, kind, queue, tenant_id, workspace_id, payload, state, attempt, max_attempts, crashes,
           suspect, priority, run_at, unique_key, correlation_id, errors, created_at,
           NULL::timestamptz AS concluded_at
    FROM carillon.jobs
    UNION ALL
    SELECT id, kind, queue, tenant_id, workspace_id, payload, state, attempt, max_attempts, crashes,
           false, priority, run_at, unique_key, correlation_id, errors, created_at, concluded_at
    FROM carillon.job_history) AS job
  WHERE ($1::uuid IS NULL OR tenant_id = $1::uuid)
    AND ($2::uuid IS NULL OR id = $2::uuid)
    AND ($3::text IS NULL OR state = $3)
    AND ($4::text IS NULL OR kind = $4)
    AND ($5::uuid IS NULL OR workspace_id = $5::uuid)
  ORDER BY created_at DESC, concluded_at DESC NULLS FIRST, id DESC LIMIT $6
)sql";

constexpr auto run_live_now = R"sql(
  UPDATE carillon.jobs
  SET state = 'available', run_at = now(), attempt = 0, crashes = 0, updated_at = now()
  WHERE id = $1
)sql";

constexpr auto revive = R"sql(
  WITH dead AS (DELETE FROM carillon.job_history
                WHERE id = $1 AND state IN ('discarded', 'cancelled') RETURNING *)
  INSERT INTO carillon.jobs
    (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, unique_key, errors,
     correlation_id, created_at)
  SELECT id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, unique_key,
         errors, correlation_id, created_at FROM dead LIMIT 1
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
  out.suspect = row["suspect"].as<bool>();
  out.priority = row["priority"].as<int>();
  out.run_at = read_instant(row["run_at"]);
  out.unique_key = text_or_empty(row["unique_key"]);
  out.correlation_id = text_or_empty(row["correlation_id"]);
  out.errors = row["errors"].as<std::string>();
  out.created_at = read_instant(row["created_at"]);
  return out;
}

std::string known_kinds() {
  std::string out = "{";
  for (const auto& policy : job_policies()) {
    if (out.size() > 1)
      out += ',';
    out += policy.kind;
  }
  return out += '}';
}

std::string batch_array(const std::vector<std::int64_t>& batches) {
  std::string out = "{";
  for (const auto batch : batches) {
    if (out.size() > 1)
      out += ',';
    out += std::to_string(batch);
  }
  return out += '}';
}

std::optional<std::string> tenant_of(const scope& who) {
  if (who.tenant())
    return to_string(*who.tenant());
  return std::nullopt;
}

std::vector<job> select_jobs(pqxx::transaction_base& tx, const scope& who,
                             std::optional<job_id> id, const job_filter& filter) {
  std::optional<std::string> id_text;
  if (id)
    id_text = to_string(*id);
  std::optional<std::string> state;
  if (filter.state)
    state = std::string{to_string(*filter.state)};
  std::optional<std::string> workspace;
  if (filter.workspace)
    workspace = to_string(*filter.workspace);
  std::vector<job> out;
  for (const auto& row : tx.exec_params(select_all, tenant_of(who), id_text, state,
                                        null_if_empty(filter.kind), workspace, filter.limit)) {
    out.push_back(read_job(row));
    out.back().concluded_at = read_nullable_instant(row["concluded_at"]);
  }
  return out;
}

/// Decides a failed try: true when it was the last one.
bool settle_retry(pqxx::transaction_base& tx, const job_report& report) {
  const auto rows = tx.exec_params(select_attempts, to_string(report.id));
  if (rows.empty())
    return false;
  append_job_error(tx, report.id, report.error);
  const auto attempt = rows[0][1].as<int>();
  if (attempt + 1 >= rows[0][2].as<int>()) {
    tx.exec_params(count_last_attempt, to_string(report.id));
    return true;
  }
  std::chrono::milliseconds delay{60'000};
  if (report.delay) {
    delay = *report.delay;
  } else if (const auto* policy = find_job_policy(rows[0][0].as<std::string>());
             policy && !policy->delays.empty()) {
    const auto last = policy->delays.size() - 1;
    delay = policy->delays[std::min(static_cast<std::size_t>(attempt), last)];
  }
  tx.exec_params(retry_later, to_string(report.id), delay.count());
  return false;
}

} // namespace

bool insert_job(pqxx::transaction_base& tx, const new_job& job) {
  const auto* policy = find_job_policy(job.kind);
  if (!policy)
    throw std::invalid_argument{"unknown job kind " + job.kind};
  return tx
           .exec_params(insert_one, to_string(job.id), job.kind, std::string{policy->queue},
                        to_string(job.tenant), to_string(job.workspace), policy->priority,
                        job.payload, policy->max_attempts, param(job.run_at),
                        null_if_empty(job.unique_key), null_if_empty(job.correlation_id))
           .affected_rows()
         == 1;
}

new_job publish_job_for(post_id post, tenant_id tenant, workspace_id workspace,
                        std::string correlation_id) {
  new_job out;
  out.kind = kinds::publish_post;
  out.tenant = tenant;
  out.workspace = workspace;
  out.payload = R"({"v":1,"post_id":")" + to_string(post) + R"(","workspace_id":")"
                + to_string(workspace) + R"("})";
  out.unique_key = "publish-post-" + to_string(post);
  out.correlation_id = std::move(correlation_id);
  return out;
}

void move_to_history(pqxx::transaction_base& tx, const std::vector<job_id>& ids,
                     job_state state) {
  if (!ids.empty())
    tx.exec_params(conclude_jobs, uuid_array(ids), std::string{to_string(state)});
}

void append_job_error(pqxx::transaction_base& tx, job_id id, const std::string& error) {
  tx.exec_params(append_error, to_string(id), error);
}

result<due_jobs> job_repository::take_due(const node_identity& me, const shard_list& shards,
                                          const std::vector<job_id>& in_flight, int limit,
                                          std::int64_t first_batch) {
  return db_.transact("take-due-jobs", [&](pqxx::work& tx) -> result<due_jobs> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    due_jobs out;
    const auto owned = shard_array(shards);
    const auto kinds = known_kinds();
    job_batch common;
    if (limit > 0)
      for (const auto& row : tx.exec_params(select_due, owned, kinds, uuid_array(in_flight), limit)) {
        auto found = read_job(row);
        if (found.suspect) {
          out.batches.emplace_back();
          out.batches.back().jobs.push_back(std::move(found));
        } else {
          common.jobs.push_back(std::move(found));
        }
      }
    if (!common.jobs.empty())
      out.batches.push_back(std::move(common));
    for (auto& batch : out.batches) {
      batch.number = first_batch++;
      std::vector<job_id> ids;
      for (const auto& j : batch.jobs)
        ids.push_back(j.id);
      tx.exec_params(insert_manifest, me.incarnation, batch.number, uuid_array(ids));
    }
    const auto next = tx.exec_params(select_next_due, owned, kinds);
    if (!next.empty())
      out.next_in = std::chrono::milliseconds{next[0][0].as<std::int64_t>()};
    return out;
  });
}

result<std::vector<job_id>> job_repository::conclude(const node_identity& me,
                                                     const std::vector<job_report>& reports,
                                                     const std::vector<std::int64_t>& finished) {
  return db_.transact("conclude-jobs", [&](pqxx::work& tx) -> result<std::vector<job_id>> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    std::vector<job_id> succeeded;
    std::vector<job_id> discarded;
    for (const auto& report : reports) {
      switch (report.how) {
        case job_report::kind::succeeded:
          succeeded.push_back(report.id);
          break;
        case job_report::kind::concluded:
          break;
        case job_report::kind::postponed:
          tx.exec_params(postpone, to_string(report.id),
                         report.delay.value_or(std::chrono::milliseconds{0}).count());
          break;
        case job_report::kind::retry:
          if (settle_retry(tx, report))
            discarded.push_back(report.id);
          break;
        case job_report::kind::discarded:
          append_job_error(tx, report.id, report.error);
          discarded.push_back(report.id);
          break;
      }
    }
    move_to_history(tx, succeeded, job_state::succeeded);
    move_to_history(tx, discarded, job_state::discarded);
    if (!finished.empty())
      tx.exec_params(delete_manifests, me.incarnation, batch_array(finished));
    return discarded;
  });
}

result<std::vector<job>> job_repository::adopt(const node_identity& me, const shard_list& shards,
                                               int max_crashes) {
  return db_.transact("adopt-orphans", [&](pqxx::work& tx) -> result<std::vector<job>> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    std::vector<job_id> adopted;
    for (const auto& row : tx.exec_params(adopt_orphans, shard_array(shards)))
      adopted.push_back(read_id<job_id>(row[0]));
    tx.exec_params(take_out_of_manifests, uuid_array(adopted));
    tx.exec(delete_empty_manifests);
    std::vector<job> crashed;
    for (const auto& row : tx.exec_params(select_crashed, shard_array(shards), max_crashes))
      crashed.push_back(read_job(row));
    return crashed;
  });
}

result<job_id> job_repository::enqueue(const new_job& job) {
  return db_.transact("enqueue-job", [&](pqxx::work& tx) -> result<job_id> {
    if (!insert_job(tx, job))
      return failure{errc::conflict, "a live job holds the unique key " + job.unique_key, {}, {}};
    return job.id;
  });
}

result<std::vector<job>> job_repository::list(const scope& who, const job_filter& filter) {
  return db_.transact("list-jobs", [&](pqxx::work& tx) -> result<std::vector<job>> {
    return select_jobs(tx, who, std::nullopt, filter);
  });
}

result<job> job_repository::find(const scope& who, job_id id) {
  return db_.transact("find-job", [&](pqxx::work& tx) -> result<job> {
    auto found = select_jobs(tx, who, id, {});
    if (found.empty())
      return failure{errc::not_found, "there is no job " + to_string(id), {}, {}};
    return std::move(found.front());
  });
}

result<job> job_repository::retry(const scope& who, job_id id) {
  return db_.transact("retry-job", [&](pqxx::work& tx) -> result<job> {
    const auto found = select_jobs(tx, who, id, {});
    if (found.empty())
      return failure{errc::not_found, "there is no job " + to_string(id), {}, {}};
    if (tx.exec_params(run_live_now, to_string(id)).affected_rows() == 0
        && tx.exec_params(revive, to_string(id)).affected_rows() == 0)
      return failure{errc::conflict, "job " + to_string(id) + " has succeeded; there is nothing to retry", {}, {}};
    return select_jobs(tx, who, id, {}).front();
  });
}

result<job> job_repository::cancel(const scope& who, job_id id) {
  return db_.transact("cancel-job", [&](pqxx::work& tx) -> result<job> {
    const auto found = select_jobs(tx, who, id, {});
    if (found.empty())
      return failure{errc::not_found, "there is no job " + to_string(id), {}, {}};
    if (found.front().concluded_at)
      return failure{errc::conflict,
                     "job " + to_string(id) + " is already "
                       + std::string{to_string(found.front().state)}, {}, {}};
    move_to_history(tx, {id}, job_state::cancelled);
    return select_jobs(tx, who, id, {}).front();
  });
}

} // namespace carillon::storage
