#include "storage/job_repository.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "domain/node_message.hpp"
#include "storage/binary_array.hpp"
#include "storage/failure_notice.hpp"
#include "storage/fence.hpp"
#include "storage/job_writer.hpp"
#include "storage/ownership_repository.hpp"

namespace carillon::storage {

namespace {

#define CARILLON_INSERT_ONE                                                                          \
  "INSERT INTO carillon.jobs AS j (id, kind, queue, tenant_id, workspace_id, priority, payload,"     \
  "                                max_attempts, run_at, unique_key, correlation_id, rate_key,"      \
  "                                retention) "                                                      \
  "VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, coalesce($9::timestamptz, now()), $10, $11, $12,"  \
  "        $13) "                                                                                    \
  "ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO UPDATE "                                 \
  "SET revision = j.revision + 1, updated_at = now(),"                                               \
  "    payload = CASE WHEN $14 = 'replace' THEN EXCLUDED.payload ELSE j.payload END,"                \
  "    run_at = CASE WHEN $14 = 'replace' THEN EXCLUDED.run_at ELSE j.run_at END,"                   \
  "    priority = CASE WHEN $14 = 'replace' THEN EXCLUDED.priority ELSE j.priority END,"             \
  "    attempt = CASE WHEN $14 = 'replace' THEN 0 ELSE j.attempt END "                               \
  "WHERE $14 <> 'reject' AND j.tenant_id = EXCLUDED.tenant_id"

constexpr auto insert_one = CARILLON_INSERT_ONE;

// With its manifest, unless the life was ended or the row was there before
// (its revision has grown), which may be in hand. Then nothing was taken.
constexpr auto insert_and_take_one
  = "WITH held AS (SELECT incarnation " CARILLON_FENCE_OF("$15", "$16") "),"
    "  written AS (" CARILLON_INSERT_ONE " RETURNING j.id, j.revision, j.run_at, j.ctid),"
    "  listed AS (INSERT INTO carillon.job_manifests (incarnation, batch, job_ids)"
    "             SELECT h.incarnation, $17, ARRAY[w.id] FROM held h, written w WHERE w.revision = 0"
    "             RETURNING batch) "
    "SELECT EXISTS (SELECT FROM listed), w.run_at, w.ctid FROM written w";

constexpr auto insert_many = R"sql(
  INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts,
                             run_at, unique_key, correlation_id, rate_key, retention)
  SELECT id, kind, queue, tenant_id, workspace_id, priority, payload::jsonb, max_attempts,
         coalesce(run_at, now()), nullif(unique_key, ''), nullif(correlation_id, ''), nullif(rate_key, ''),
         retention
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::smallint[], $7::text[],
              $8::int[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[])
    AS n (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, run_at, unique_key,
          correlation_id, rate_key, retention)
  ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING
)sql";

// What a program that fans out enqueues: one kind, due now, no keys. Arrays
// hold only what differs, and no row can meet a conflict.
constexpr auto insert_many_alike = R"sql(
  INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts,
                             correlation_id, retention, in_bulk)
  SELECT id, $5, $6, tenant_id, workspace_id, $7::smallint, payload, $8::int, nullif($9, ''), $10, $11::boolean
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::jsonb[]) AS n (id, tenant_id, workspace_id, payload)
)sql";

// One NOTIFY an owner, whatever the batch's size.
constexpr auto notify_owners = R"sql(
  SELECT pg_notify('carillon_' || left(i.node, 54), $2)
  FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
  WHERE s.shard = ANY($1::smallint[]) AND i.ended_at IS NULL AND i.incarnation <> $3
  GROUP BY i.node
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

// $2 is the state in which the jobs end.
#define CARILLON_INTO_HISTORY                                                                     \
  "INSERT INTO carillon.job_history"                                                              \
  "  (id, kind, queue, tenant_id, workspace_id, priority, payload, state, attempt, max_attempts," \
  "   crashes, run_at, unique_key, rate_key, retention, errors, correlation_id, created_at,"      \
  "   concluded_at) "                                                                             \
  "SELECT id, kind, queue, tenant_id, workspace_id, priority, payload, $2::text, attempt,"        \
  "  max_attempts, crashes, run_at, unique_key, rate_key,"                                        \
  "  CASE WHEN $2::text = 'succeeded' THEN retention ELSE 'long' END, errors, correlation_id,"    \
  "  created_at, clock_timestamp() FROM "

#define CARILLON_MOVE_TO_HISTORY(condition)                                              \
  "WITH gone AS (DELETE FROM carillon.jobs WHERE " condition                             \
  " RETURNING id, kind, queue, tenant_id, workspace_id, priority, payload, attempt,"     \
  "  max_attempts, crashes, run_at, unique_key, rate_key, retention, errors,"            \
  "  correlation_id, created_at) " CARILLON_INTO_HISTORY "gone"

constexpr auto conclude_jobs = CARILLON_MOVE_TO_HISTORY("id = ANY($1::uuid[])");

// Only the revision that ran; the others run once more. One statement a
// revision and no join: for a long list the planner would join by reading the
// whole table.
constexpr auto conclude_runs = CARILLON_MOVE_TO_HISTORY("id = ANY($1::uuid[]) AND revision = $3");

// Rows where they lay when they were read: no index is asked, and the table is
// met page by page. A place may be another job's by now, so the id decides; in
// a CASE, so that the planner neither goes by the index after all nor estimates
// each of the ids.
constexpr auto copy_runs_in_place
  = CARILLON_INTO_HISTORY "carillon.jobs WHERE ctid = ANY($4::tid[])"
    " AND CASE WHEN id = ANY($1::uuid[]) THEN true END AND revision = $3";

// On the snapshot on which each place was seen to hold its job.
constexpr auto delete_in_place = "DELETE FROM carillon.jobs WHERE ctid = ANY($1::tid[])";

// PostgreSQL looks a value up in a long list by its hash where it knows the list
// when it plans.
constexpr std::size_t long_list = 9;
constexpr auto force_own_plan = "force_custom_plan";
constexpr auto force_kept_plan = "force_generic_plan";
constexpr auto plan_as_usual = "auto";
constexpr auto plan_each_time = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)";

constexpr auto conclude_one = CARILLON_MOVE_TO_HISTORY("id = $1 AND revision = $3 AND attempt = $4");

// Due now, not when it was: reads go on from what they read last.
constexpr auto rerun_jobs = R"sql(
  UPDATE carillon.jobs SET state = 'available', attempt = 0, run_at = clock_timestamp(), updated_at = now()
  WHERE id = ANY($1::uuid[])
)sql";

constexpr auto rerun_one = R"sql(
  UPDATE carillon.jobs SET state = 'available', attempt = 0, run_at = clock_timestamp(), updated_at = now()
  WHERE id = $1 AND revision > $2
)sql";

// A job as it is taken (read_taken). Ids that go together cost PostgreSQL half of
// what they cost one by one.
#define CARILLON_TAKEN                                                                              \
  "uuid_send(id) || uuid_send(tenant_id) || uuid_send(workspace_id), kind, payload, attempt,"        \
  " max_attempts, crashes, suspicion, priority, revision, run_at, unique_key, rate_key,"             \
  " correlation_id, ctid"

// The shards come as a string of bits: a plan that is kept would go through an
// array element by element, for each row.
// Unknown kinds stay where they are, for a node that knows them. `now()` is
// the start of the transaction: never later than the clock, and an index
// bound. Each level is read from its own cursor, one after the other; to sort
// what comes in order anyway is a seventh of the read (read_common looks whether
// it did).
constexpr auto select_due = R"sql(
  SELECT j.* FROM unnest($1::smallint[], $2::timestamptz[], $3::uuid[]) AS c (priority, run_at, id)
  CROSS JOIN LATERAL (
    SELECT )sql" CARILLON_TAKEN R"sql(
    FROM carillon.jobs j
    WHERE j.priority = c.priority AND (j.run_at, j.id) > (c.run_at, c.id) AND j.run_at <= now()
      AND get_bit($4::varbit, j.shard) = 1 AND j.kind = ANY($5::text[]) AND NOT j.workspace_id = ANY($6::uuid[])
    ORDER BY j.run_at, j.id LIMIT $7) AS j
  LIMIT $7
)sql";

// A flood lies together in the order in which jobs are due, so its cursors do
// without an index by workspace, which bulk enqueues would have to fill.
constexpr auto select_parked = R"sql(
  SELECT j.* FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::uuid[], $5::int[])
    AS c (workspace_id, priority, run_at, id, room)
  CROSS JOIN LATERAL (
    SELECT )sql" CARILLON_TAKEN R"sql(
    FROM carillon.jobs j
    WHERE j.priority = c.priority AND (j.run_at, j.id) > (c.run_at, c.id) AND j.run_at <= now()
      AND j.workspace_id = c.workspace_id AND get_bit($6::varbit, j.shard) = 1 AND j.kind = ANY($7::text[])
    ORDER BY j.run_at, j.id LIMIT c.room) AS j
)sql";

// No row: fenced out. The first one is without a job.
constexpr auto take_hinted_jobs
  = "SELECT * FROM carillon.take_hinted_jobs($1, $2, $3, $4::uuid[], $5::varbit, $6::text[], $7::timestamptz,"
    " $8, $9::uuid[])";

// The statistics of a queue that is empty most of the time say that every index
// is as good as another; asked to sort rather than to read in order, the planner
// went through all of the workspaces' index, with all that is dead in it. So
// sorting is out of the question while these reads are planned.
// The read changes nothing but its manifests, so its commit does not wait for
// the disk (see wait_for_disk). A manifest lost because the database crashed
// within the same second leaves its jobs due as they were; should the node die
// then too, they are taken without suspicion.
constexpr auto begin_reading
  = "SELECT now(), set_config('enable_sort', 'off', true), set_config('plan_cache_mode', $3, true),"
    "  set_config('synchronous_commit', 'off', true) " CARILLON_FENCE;

// As the session has it: for the manifest of a suspect.
constexpr auto wait_for_disk = "SET LOCAL synchronous_commit TO DEFAULT";

// NULL when nothing waits: greatest() passes over a NULL.
constexpr auto select_next_due = R"sql(
  SELECT CASE WHEN min(j.run_at) IS NOT NULL THEN
           greatest(0, ceil(extract(epoch FROM min(j.run_at) - clock_timestamp()) * 1000))::bigint END
  FROM generate_series(0, 9) AS c (priority)
  CROSS JOIN LATERAL (
    SELECT run_at FROM carillon.jobs j
    WHERE j.priority = c.priority AND j.run_at > now()
      AND get_bit($1::varbit, j.shard) = 1 AND j.kind = ANY($2::text[])
    ORDER BY j.run_at, j.id LIMIT 1) AS j
)sql";

constexpr auto insert_manifest
  = "INSERT INTO carillon.job_manifests (incarnation, batch, job_ids) VALUES ($1, $2, $3::uuid[])";

constexpr auto insert_suspects_manifests = R"sql(
  INSERT INTO carillon.job_manifests (incarnation, batch, job_ids)
  SELECT $1, $2 + n - 1, ARRAY[id] FROM unnest($3::uuid[]) WITH ORDINALITY AS s (id, n)
)sql";

// With the fence, the manifests that end and the way to plan what follows.
constexpr auto begin_conclusion
  = "WITH held AS (SELECT incarnation " CARILLON_FENCE "),"
    "  ended AS (DELETE FROM carillon.job_manifests m USING held"
    "            WHERE m.incarnation = held.incarnation AND m.batch = ANY($3::bigint[])) "
    "SELECT set_config('plan_cache_mode', $4, true) FROM held";

constexpr auto postpone = R"sql(
  UPDATE carillon.jobs SET run_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto retry_later = R"sql(
  UPDATE carillon.jobs
  SET state = 'retrying', attempt = attempt + 1,
      run_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto count_last_attempt
  = "UPDATE carillon.jobs SET attempt = attempt + 1 WHERE id = $1";

// Jobs of these shards in manifests of ended incarnations. Only one that had
// its node for itself is charged; a suspect that was alone in its manifest
// beside others is watched more closely the next time. Alone by chance, as many
// are that hints named, is no reason.
constexpr auto adopt_orphans = R"sql(
  WITH found AS (
    SELECT m.incarnation, unnest(m.job_ids) AS id, cardinality(m.job_ids) AS beside
    FROM carillon.job_manifests m JOIN carillon.node_incarnations i USING (incarnation)
    WHERE i.ended_at IS NOT NULL),
  crowd AS (SELECT incarnation, count(DISTINCT id) AS jobs FROM found GROUP BY incarnation),
  orphan AS (
    SELECT f.id, max((c.jobs = 1)::int) AS charged, min(f.beside) AS beside
    FROM found f JOIN crowd c USING (incarnation) GROUP BY f.id)
  UPDATE carillon.jobs j
  SET suspicion = greatest(j.suspicion,
                           CASE WHEN orphan.beside = 1 AND (j.suspicion > 0 OR orphan.charged = 1) THEN 2 ELSE 1 END),
      crashes = crashes + orphan.charged, updated_at = now()
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
  SELECT )sql" CARILLON_TAKEN R"sql(
  FROM carillon.jobs WHERE shard = ANY($1::smallint[]) AND crashes >= $2 AND crashes > 0
)sql";

constexpr auto lock_live_job = R"sql(
  SELECT )sql" CARILLON_TAKEN R"sql(
  FROM carillon.jobs WHERE id = $1 FOR UPDATE
)sql";

constexpr auto select_ended = R"sql(
  SELECT r.id FROM unnest($1::uuid[]) AS r (id)
  WHERE NOT EXISTS (SELECT FROM carillon.jobs j WHERE j.id = r.id)
)sql";

constexpr auto select_controls
  = "SELECT scope, name, is_paused, weight, max_running, rate_per_second, rate_burst FROM carillon.job_controls";

constexpr auto insert_block = R"sql(
  INSERT INTO carillon.job_blocks (incarnation, kind, rate_key, reason, until)
  VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond')
  ON CONFLICT DO NOTHING
)sql";

constexpr auto upsert_kind = R"sql(
  INSERT INTO carillon.job_kinds (kind, queue, priority, max_attempts, retention, on_conflict)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (kind) DO UPDATE
  SET queue = EXCLUDED.queue, priority = EXCLUDED.priority, max_attempts = EXCLUDED.max_attempts,
      retention = EXCLUDED.retention, on_conflict = EXCLUDED.on_conflict, updated_at = now()
)sql";

/// A ctid, "(block,offset)"; zero when it is none.
std::uint64_t parse_place(std::string_view text) {
  std::uint32_t block = 0;
  std::uint16_t offset = 0;
  const auto* const end = text.data() + text.size();
  if (!text.starts_with('('))
    return 0;
  const auto [comma, wrong] = std::from_chars(text.data() + 1, end, block);
  if (wrong != std::errc{} || comma == end || std::from_chars(comma + 1, end, offset).ec != std::errc{})
    return 0;
  return (std::uint64_t{block} << 16) | offset;
}

/// Of several ids in one bytea ("\\x" and 32 digits each), the one at `index`.
uuid read_digits(std::string_view bytes, std::size_t index) {
  constexpr std::size_t digits = 2 * sizeof(uuid::bytes);
  constexpr std::size_t prefix = 2;
  if (bytes.size() >= prefix + (index + 1) * digits)
    if (const auto id = parse_uuid_digits(bytes.substr(prefix + index * digits, digits)))
      return *id;
  throw std::runtime_error{"not the ids of a job"};
}

/// Rows that the reads above share, by position: these are read by the
/// hundred thousand, and each `row[n]` would copy the row.
job read_taken(const pqxx::row& row) {
  auto field = row.begin();
  const auto text = [&] { return std::string_view{field.c_str(), field.size()}; };
  const auto number = [&] {
    ++field;
    int out = 0;
    std::from_chars(field.c_str(), field.c_str() + field.size(), out);
    return out;
  };
  const auto next_text = [&](std::string& out) {
    ++field;
    out.assign(field.c_str(), field.size());
  };
  job out;
  out.id = {read_digits(text(), 0)};
  out.tenant = {read_digits(text(), 1)};
  out.workspace = {read_digits(text(), 2)};
  next_text(out.kind);
  next_text(out.payload);
  out.attempt = number();
  out.max_attempts = number();
  out.crashes = number();
  out.suspicion = number();
  out.priority = number();
  out.revision = number();
  out.run_at = read_instant(*++field);
  next_text(out.unique_key);
  next_text(out.rate_key);
  next_text(out.correlation_id);
  ++field;
  out.place = parse_place(text());
  return out;
}

template <class Range, class Render>
std::string array_of(const Range& range, Render render) {
  std::string out = "{";
  for (const auto& item : range) {
    if (out.size() > 1)
      out += ',';
    render(out, item);
  }
  return out += '}';
}

std::string number_array(const std::vector<std::int64_t>& numbers) {
  return array_of(numbers, [](std::string& out, std::int64_t n) { out += std::to_string(n); });
}

bool are_alike(const std::vector<new_job>& jobs) {
  const auto& first = jobs.front();
  return std::all_of(jobs.begin(), jobs.end(), [&](const new_job& j) {
    return !j.run_at && j.unique_key.empty() && j.rate_key.empty() && j.kind == first.kind
           && j.priority == first.priority && j.correlation_id == first.correlation_id;
  });
}

double uniform() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>{0.0, 1.0}(random);
}

/// So many alike are read in the order in which they are due, and not by their
/// workspace.
constexpr std::size_t bulk_size = 100;

const job_id last_id{uuid{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                           0xff, 0xff, 0xff}}};

/// For `$1::varbit`, whose bits get_bit counts from the left.
std::string shard_bits(const shard_list& shards) {
  std::string out(shard_count, '0');
  for (const auto shard : shards)
    out[shard] = '1';
  return out;
}

void append_cursor_time(std::string& out, const due_cursor& cursor) {
  if (cursor.run_at == instant{}) {
    out += "-infinity";
  } else {
    out += '"';
    out += format_precise_time(cursor.run_at);
    out += '"';
  }
}

/// Behind `last`, where a read was cut off: levels before its own are read to
/// their end.
void move_behind(due_cursors& cursors, const job& last, instant now) {
  const auto level = static_cast<std::size_t>(last.priority);
  for (std::size_t i = 0; i < level; ++i)
    cursors[i] = {now, last_id, true};
  cursors[level] = {last.run_at, last.id};
}

/// The common read and where the next one begins.
void read_common(pqxx::work& tx, const due_query& query, const std::string& shards,
                 const std::string& kinds, instant now, std::vector<job>& found, due_jobs& out) {
  std::vector<std::int64_t> levels;
  std::vector<job_id> ids;
  std::string times = "{";
  for (int level = 0; level < priority_levels; ++level) {
    const auto& cursor = query.from[static_cast<std::size_t>(level)];
    levels.push_back(level);
    ids.push_back(cursor.id);
    if (level > 0)
      times += ',';
    append_cursor_time(times, cursor);
  }
  times += '}';
  std::vector<workspace_id> parked;
  for (const auto& p : query.parked)
    parked.push_back(p.workspace);
  const auto rows = exec_planned(tx, select_due, number_array(levels), times, uuid_array(ids), shards, kinds,
                                   uuid_array(parked), query.limit);
  out.next = query.from;
  out.complete = static_cast<int>(rows.size()) < query.limit;
  const auto others = static_cast<std::ptrdiff_t>(found.size());
  found.reserve(found.size() + rows.size());
  for (const auto& row : rows)
    found.push_back(read_taken(row));
  const auto is_before = [](const job& a, const job& b) {
    return std::tie(a.priority, a.run_at, a.id) < std::tie(b.priority, b.run_at, b.id);
  };
  // Out of order, the last one would not say how far the read came: then the
  // next one begins where this one did.
  if (out.complete)
    out.next.fill({now, last_id, true});
  else if (std::is_sorted(found.begin() + others, found.end(), is_before))
    move_behind(out.next, found.back(), now);
}

void read_parked(pqxx::work& tx, const due_query& query, const std::string& shards,
                 const std::string& kinds, instant now, std::vector<job>& found, due_jobs& out) {
  std::vector<workspace_id> workspaces;
  std::vector<std::int64_t> levels;
  std::string times = "{";
  std::vector<job_id> ids;
  std::vector<std::int64_t> limits;
  for (const auto& p : query.parked)
    for (int level = 0; p.limit > 0 && level < priority_levels; ++level) {
      const auto& cursor = p.from[static_cast<std::size_t>(level)];
      if (!workspaces.empty())
        times += ',';
      append_cursor_time(times, cursor);
      workspaces.push_back(p.workspace);
      levels.push_back(level);
      ids.push_back(cursor.id);
      limits.push_back(p.limit);
    }
  if (workspaces.empty())
    return;
  times += '}';
  std::unordered_map<workspace_id, std::vector<job>> by_workspace;
  for (const auto& row : exec_planned(tx, select_parked, uuid_array(workspaces), number_array(levels), times,
                                      uuid_array(ids), number_array(limits), shards, kinds)) {
    auto one = read_taken(row);
    by_workspace[one.workspace].push_back(std::move(one));
  }
  for (const auto& p : query.parked) {
    if (p.limit == 0)
      continue;
    auto& rows = by_workspace[p.workspace];
    const auto most = static_cast<std::size_t>(p.limit);
    if (rows.size() < most) {
      out.exhausted.push_back(p.workspace);
    } else {
      // Each level gave up to the limit.
      std::stable_sort(rows.begin(), rows.end(), [](const job& a, const job& b) { return a.priority < b.priority; });
      rows.resize(most);
      auto next = p.from;
      move_behind(next, rows.back(), now);
      out.parked_next.emplace_back(p.workspace, next);
    }
    std::move(rows.begin(), rows.end(), std::back_inserter(found));
  }
}

/// Those of one revision, which nobody has touched since they were read: else
/// it answers transient, for conclude_succeeded to find out. To copy and then
/// to delete is a sixth cheaper than to pass on what a DELETE returns, and on
/// one snapshot both meet the same rows.
result<done> conclude_untouched(pqxx::transaction_base& tx, int revision, const std::vector<const job_report*>& runs,
                                bool planned_each_time) {
  binary_array places{element_type::tid, runs.size()};
  for (const auto* run : runs)
    places.add_place(static_cast<std::uint32_t>(run->place >> 16), static_cast<std::uint16_t>(run->place & 0xffff));
  if (runs.size() >= long_list && !planned_each_time)
    exec_planned(tx, plan_each_time);
  const auto copied = static_cast<std::size_t>(
    exec_planned(tx, copy_runs_in_place, binary_ids(runs, [](const job_report* run) { return run->id; }),
                 std::string{to_string(job_state::succeeded)}, revision, places.param())
      .affected_rows());
  if (copied != runs.size())
    return failure{errc::transient, "jobs were changed while they ran", {}, {}};
  exec_planned(tx, delete_in_place, places.param());
  return done{};
}

/// Those of one revision. Whoever was enqueued again runs once more.
void conclude_succeeded(pqxx::transaction_base& tx, int revision, const std::vector<const job_report*>& runs) {
  const auto ids = binary_ids(runs, [](const job_report* run) { return run->id; });
  const auto gone = static_cast<std::size_t>(
    exec_planned(tx, conclude_runs, ids, std::string{to_string(job_state::succeeded)}, revision).affected_rows());
  if (gone < runs.size())
    exec_planned(tx, rerun_jobs, ids);
}

/// Counts a failed try; true when it was the last one.
bool settle_retry(pqxx::transaction_base& tx, const job_report& report, const job& work) {
  append_job_error(tx, report.id, report.error);
  if (work.attempt + 1 >= work.max_attempts) {
    exec_planned(tx, count_last_attempt, to_string(report.id));
    return true;
  }
  static constexpr job_policy unknown_kind{};
  const auto* policy = find_job_policy(work.kind);
  const auto delay = report.delay.value_or(
    retry_delay(policy ? *policy : unknown_kind, work.attempt + 1, uniform()));
  exec_planned(tx, retry_later, to_string(report.id), delay.count());
  return false;
}

const job_policy& policy_of(const new_job& job) {
  const auto* policy = find_job_policy(job.kind);
  if (!policy)
    throw std::invalid_argument{"unknown job kind " + job.kind};
  return *policy;
}

/// insert_one, or one that has the same parameters and `more`.
template <class... More>
pqxx::result exec_insert(pqxx::transaction_base& tx, const char* statement, const new_job& job, const More&... more) {
  const auto& policy = policy_of(job);
  return exec_planned(tx, statement, to_string(job.id), job.kind, std::string{policy.queue}, to_string(job.tenant),
                      to_string(job.workspace), job.priority.value_or(policy.priority), job.payload,
                      policy.max_attempts, param(job.run_at), null_if_empty(job.unique_key),
                      null_if_empty(job.correlation_id), null_if_empty(job.rate_key),
                      std::string{to_string(policy.keep)}, std::string{to_string(policy.on_conflict)}, more...);
}

/// What a read would answer of a job that was just enqueued.
job as_taken(const new_job& fresh, instant run_at, std::uint64_t place) {
  const auto& policy = policy_of(fresh);
  job out;
  out.id = fresh.id;
  out.kind = fresh.kind;
  out.tenant = fresh.tenant;
  out.workspace = fresh.workspace;
  out.payload = fresh.payload;
  out.max_attempts = policy.max_attempts;
  out.priority = fresh.priority.value_or(policy.priority);
  out.place = place;
  out.run_at = run_at;
  out.unique_key = fresh.unique_key;
  out.rate_key = fresh.rate_key;
  out.correlation_id = fresh.correlation_id;
  return out;
}

} // namespace

bool insert_job(pqxx::transaction_base& tx, const new_job& job) {
  return exec_insert(tx, insert_one, job).affected_rows() == 1;
}

inserted insert_job_to_run(pqxx::transaction_base& tx, const new_job& job) {
  auto* takes = job.run_at ? nullptr : job_takes::current();
  const auto reserved = takes ? takes->reserve(job.id, job.workspace) : std::nullopt;
  if (!reserved)
    return insert_job(tx, job) ? inserted::to_be_read : inserted::refused;
  const auto rows = exec_insert(tx, insert_and_take_one, job, reserved->owner.node, reserved->owner.incarnation,
                                reserved->batch);
  if (rows.empty())
    return inserted::refused;
  const auto row = rows[0];
  if (!row[0].as<bool>())
    return inserted::to_be_read;
  takes->took(as_taken(job, read_instant(row[1]), parse_place(row[2].c_str())));
  return inserted::taken;
}

namespace {

pqxx::result::size_type insert_alike(pqxx::transaction_base& tx, const std::vector<new_job>& jobs,
                                     const job_policy& policy) {
  binary_array payloads{element_type::jsonb, jobs.size()};
  for (const auto& job : jobs)
    payloads.add_json(job.payload);
  const auto& first = jobs.front();
  return exec_planned(tx, insert_many_alike, binary_ids(jobs, [](const new_job& j) { return j.id; }),
                      binary_ids(jobs, [](const new_job& j) { return j.tenant; }),
                      binary_ids(jobs, [](const new_job& j) { return j.workspace; }), payloads.param(), first.kind,
                      std::string{policy.queue}, first.priority.value_or(policy.priority), policy.max_attempts,
                      first.correlation_id, std::string{to_string(policy.keep)}, jobs.size() >= bulk_size)
    .affected_rows();
}

} // namespace

std::int64_t insert_jobs(pqxx::transaction_base& tx, const std::vector<new_job>& jobs) {
  if (jobs.empty())
    return 0;
  std::vector<const job_policy*> policies;
  for (const auto& job : jobs)
    policies.push_back(&policy_of(job));
  const auto column = [&](auto render) {
    std::string out = "{";
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (i > 0)
        out += ',';
      render(out, jobs[i], *policies[i]);
    }
    return out += '}';
  };
  const auto quoted_column = [&](auto text) {
    return column([&](std::string& out, const new_job& j, const job_policy& p) { append_quoted(out, text(j, p)); });
  };
  const bool alike = are_alike(jobs);
  const auto written
    = alike
        ? insert_alike(tx, jobs, *policies.front())
        : tx.exec_params(
          insert_many, column([](auto& out, auto& j, auto&) { out += to_string(j.id); }),
          quoted_column([](auto& j, auto&) -> std::string_view { return j.kind; }),
          quoted_column([](auto&, auto& p) { return p.queue; }),
          column([](auto& out, auto& j, auto&) { out += to_string(j.tenant); }),
          column([](auto& out, auto& j, auto&) { out += to_string(j.workspace); }),
          column([](auto& out, auto& j, auto& p) { out += std::to_string(j.priority.value_or(p.priority)); }),
          quoted_column([](auto& j, auto&) -> std::string_view { return j.payload; }),
          column([](auto& out, auto&, auto& p) { out += std::to_string(p.max_attempts); }),
          column([](auto& out, auto& j, auto&) {
            if (j.run_at)
              append_quoted(out, format_precise_time(*j.run_at));
            else
              out += "NULL";
          }),
          quoted_column([](auto& j, auto&) -> std::string_view { return j.unique_key; }),
          quoted_column([](auto& j, auto&) -> std::string_view { return j.correlation_id; }),
          quoted_column([](auto& j, auto&) -> std::string_view { return j.rate_key; }),
          quoted_column([](auto&, auto& p) { return to_string(p.keep); }))
        .affected_rows();
  return static_cast<std::int64_t>(written);
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

bool conclude_run(pqxx::transaction_base& tx, const job& run, job_state state) {
  const auto id = to_string(run.id);
  return exec_planned(tx, conclude_one, id, std::string{to_string(state)}, run.revision, run.attempt)
             .affected_rows()
           == 1
         || exec_planned(tx, rerun_one, id, run.revision).affected_rows() == 1;
}

void append_job_error(pqxx::transaction_base& tx, job_id id, const std::string& error) {
  exec_planned(tx, append_error, to_string(id), error);
}

result<due_jobs> job_repository::take_due(const node_identity& me, const due_query& query) {
  return db_.transact("take-due-jobs", [&](pqxx::work& tx) -> result<due_jobs> {
    const auto* const mode = query.parked.size() < long_list ? force_kept_plan : force_own_plan;
    const auto held = exec_planned(tx, begin_reading, me.node, me.incarnation, mode);
    if (held.empty())
      return fenced_out(me);
    due_jobs out;
    const auto now = read_instant(held[0][0]);
    const auto shards = shard_bits(query.shards);
    const auto kinds = text_array(query.kinds);
    std::vector<job> found;
    if (query.limit > 0)
      read_common(tx, query, shards, kinds, now, found, out);
    read_parked(tx, query, shards, kinds, now, found, out);
    if (query.in_hand)
      std::erase_if(found, [&](const job& j) { return query.in_hand->contains(j.id); });

    auto number = query.first_batch;
    std::vector<job_id> suspects;
    const auto is_innocent = [](const job& j) { return j.suspicion == 0; };
    if (!std::all_of(found.begin(), found.end(), is_innocent)) {
      const auto first = std::stable_partition(found.begin(), found.end(), is_innocent);
      for (auto j = first; j != found.end(); ++j) {
        if (static_cast<int>(suspects.size()) == query.suspects) {
          out.suspects_left = true;
          break;
        }
        suspects.push_back(j->id);
        out.batches.push_back({number++, {}});
        out.batches.back().jobs.push_back(std::move(*j));
      }
      found.erase(first, found.end());
    }
    job_batch common;
    common.jobs = std::move(found);
    if (!suspects.empty()) {
      tx.exec(wait_for_disk);
      exec_planned(tx, insert_suspects_manifests, me.incarnation, query.first_batch, uuid_array(suspects));
    }
    if (!common.jobs.empty()) {
      common.number = number;
      exec_planned(tx, insert_manifest, me.incarnation, common.number,
                     binary_ids(common.jobs, [](const job& j) { return j.id; }));
      out.batches.push_back(std::move(common));
    }
    if (out.complete) {
      const auto next = exec_planned(tx, select_next_due, shards, kinds);
      if (!next[0][0].is_null())
        out.next_in = std::chrono::milliseconds{next[0][0].as<std::int64_t>()};
    }
    return out;
  });
}

result<hinted_jobs> job_repository::take_hinted(const node_identity& me, const hinted_query& query) {
  return db_.transact_at_once("take-hinted-jobs", [&](pqxx::transaction_base& tx) -> result<hinted_jobs> {
    const auto after = query.after == instant{} ? std::string{"-infinity"} : format_precise_time(query.after);
    const auto rows = exec_planned(tx, take_hinted_jobs, me.node, me.incarnation, query.batch,
                                   uuid_array(query.workspaces), shard_bits(query.shards), text_array(query.kinds),
                                   after, query.limit, uuid_array(query.in_hand));
    if (rows.empty())
      return fenced_out(me);
    hinted_jobs out;
    out.batch.number = query.batch;
    std::unordered_map<workspace_id, int> counts;
    for (auto row = std::next(rows.begin()); row != rows.end(); ++row) {
      out.batch.jobs.push_back(read_taken(*row));
      out.more = out.more || ++counts[out.batch.jobs.back().workspace] >= query.limit;
    }
    return out;
  });
}

namespace {

/// `untouched`: on a snapshot, of jobs that nobody has touched since they were
/// read.
result<concluded_jobs> write_conclusions(pqxx::transaction_base& tx, const node_identity& me,
                                         const std::vector<job_report>& reports,
                                         const std::vector<std::int64_t>& finished, bool untouched) {
  const bool many_succeeded
    = reports.size() >= long_list && std::all_of(reports.begin(), reports.end(), [](const job_report& r) {
        return r.how == job_report::kind::succeeded;
      });
  if (exec_planned(tx, begin_conclusion, me.node, me.incarnation, number_array(finished),
                   many_succeeded && untouched ? force_own_plan : plan_as_usual)
        .empty())
    return fenced_out(me);
  concluded_jobs out;
  std::map<int, std::vector<const job_report*>> succeeded;
  for (const auto& report : reports) {
    switch (report.how) {
      case job_report::kind::succeeded:
        succeeded[report.revision].push_back(&report);
        break;
      case job_report::kind::concluded:
        break;
      case job_report::kind::postponed:
        exec_planned(tx, postpone, to_string(report.id),
                       report.delay.value_or(std::chrono::milliseconds{0}).count());
        break;
      case job_report::kind::retry:
      case job_report::kind::discarded: {
        const auto rows = exec_planned(tx, lock_live_job, to_string(report.id));
        if (rows.empty())
          break;
        const auto work = read_taken(rows[0]);
        if (report.how == job_report::kind::retry) {
          if (!settle_retry(tx, report, work))
            break;
        } else {
          append_job_error(tx, report.id, report.error);
        }
        move_to_history(tx, {report.id}, job_state::discarded);
        // A kind with an effect on what it worked on tells people itself
        // (actors/jobs/job_feed.cpp, abandon).
        if (!settles_itself(work.kind))
          tell_admins(tx, work, report.error, out.after_commit);
        out.discarded.push_back(report.id);
        break;
      }
    }
  }
  for (const auto& [revision, runs] : succeeded)
    if (!untouched)
      conclude_succeeded(tx, revision, runs);
    else if (auto concluded = conclude_untouched(tx, revision, runs, many_succeeded); !concluded)
      return concluded.error();
  return out;
}

} // namespace

result<concluded_jobs> job_repository::conclude(const node_identity& me,
                                                const std::vector<job_report>& reports,
                                                const std::vector<std::int64_t>& finished) {
  const auto write = [&](bool untouched) {
    return [&, untouched](pqxx::transaction_base& tx) { return write_conclusions(tx, me, reports, finished, untouched); };
  };
  auto concluded = db_.transact_on_snapshot("conclude-jobs", write(true));
  if (!concluded && concluded.error().code == errc::transient)
    concluded = db_.transact("conclude-jobs", write(false));
  return concluded;
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
      crashed.push_back(read_taken(row));
    return crashed;
  });
}

result<std::vector<job_id>> job_repository::find_ended(const std::vector<job_id>& jobs) {
  return db_.read("find-ended-jobs", [&](pqxx::transaction_base& tx) -> result<std::vector<job_id>> {
    std::vector<job_id> out;
    for (const auto& row : exec_planned(tx, select_ended, uuid_array(jobs)))
      out.push_back(read_id<job_id>(row[0]));
    return out;
  });
}

result<std::vector<job_control>> job_repository::load_controls() {
  return db_.transact("load-job-controls", [&](pqxx::work& tx) -> result<std::vector<job_control>> {
    std::vector<job_control> out;
    for (const auto& row : tx.exec(select_controls)) {
      const auto about = parse_control_scope(row[0].c_str());
      if (!about)
        continue;
      job_control control;
      control.scope = *about;
      control.name = row[1].as<std::string>();
      control.paused = row[2].as<bool>();
      control.weight = nullable<int>(row[3]);
      control.max_running = nullable<int>(row[4]);
      if (!row[5].is_null())
        control.rate = rate_budget{row[5].as<double>(), nullable<int>(row[6]).value_or(1)};
      out.push_back(std::move(control));
    }
    return out;
  });
}

result<done> job_repository::record_blocks(const node_identity& me, const std::vector<job_block>& blocks) {
  return db_.transact("record-job-blocks", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    tx.exec_params("DELETE FROM carillon.job_blocks WHERE incarnation = $1", me.incarnation);
    for (const auto& block : blocks) {
      std::optional<std::int64_t> lasts;
      if (block.lasts)
        lasts = block.lasts->count();
      tx.exec_params(insert_block, me.incarnation, block.kind, block.rate_key, block.reason, lasts);
    }
    return done{};
  });
}

result<int> job_repository::maintain_history(std::chrono::hours keep_short, std::chrono::hours keep_standard,
                                             std::chrono::hours keep_long) {
  return db_.transact("maintain-job-history", [&](pqxx::work& tx) -> result<int> {
    const auto text = [](std::chrono::hours h) { return std::to_string(h.count()) + " hours"; };
    return tx
      .exec_params("SELECT carillon.maintain_job_history($1::interval, $2::interval, $3::interval)",
                   text(keep_short), text(keep_standard), text(keep_long))[0][0]
      .as<int>();
  });
}

result<done> job_repository::announce_kinds() {
  return db_.transact("announce-job-kinds", [&](pqxx::work& tx) -> result<done> {
    for (const auto& policy : job_policies())
      tx.exec_params(upsert_kind, std::string{policy.kind}, std::string{policy.queue}, policy.priority,
                     policy.max_attempts, std::string{to_string(policy.keep)},
                     std::string{to_string(policy.on_conflict)});
    return done{};
  });
}

result<job_id> job_repository::enqueue(const new_job& job, hints& after_commit) {
  if (!find_job_policy(job.kind))
    return failure{errc::invalid_argument, "unknown job kind " + job.kind, {}, {}};
  return db_.transact_at_once("enqueue-job", [&](pqxx::transaction_base& tx) -> result<job_id> {
    const auto how = insert_job_to_run(tx, job);
    if (how == inserted::refused)
      return failure{errc::conflict, "a live job holds the unique key " + job.unique_key, {}, {}};
    if (how == inserted::to_be_read)
      after_commit.push_back({hint::subject::job_ready, job.workspace, job.run_at.value_or(instant{})});
    return job.id;
  });
}

result<std::int64_t> job_repository::enqueue_many(const std::vector<new_job>& jobs,
                                                  const std::optional<node_identity>& me) {
  return db_.transact("enqueue-jobs", [&](pqxx::work& tx) -> result<std::int64_t> {
    if (jobs.empty())
      return std::int64_t{0};
    for (const auto& job : jobs)
      if (!find_job_policy(job.kind))
        return failure{errc::invalid_argument, "unknown job kind " + job.kind, {}, {}};
    const auto written = insert_jobs(tx, jobs);
    std::vector<std::int64_t> shards;
    std::array<bool, shard_count> seen{};
    for (const auto& job : jobs)
      if (!std::exchange(seen[shard_of(job.workspace)], true))
        shards.push_back(shard_of(job.workspace));
    exec_planned(tx, notify_owners, number_array(shards), encode({1, "sweep", {}}),
                   me ? me->incarnation : std::int64_t{-1});
    return written;
  });
}

} // namespace carillon::storage
