// Files that are at their network before their post is due: the part of
// publish_repository that keeps what the networks answered.
#include <algorithm>

#include "domain/ports/object_store.hpp"
#include "storage/fence.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/publish_repository.hpp"
#include "storage/social_account_repository.hpp"

namespace carillon::storage {

namespace {

// A row a file. `now()`, so that the index is used; the posts with files first,
// as there may be thousands without due at once; LIMIT and OFFSET keep the rows
// looked up one by one, where the planner would read whole tables. What was
// prepared counts for the post as it was then, and has to hold until it is due;
// a failure counts until it may be tried again.
constexpr auto select_to_prepare = R"sql(
  WITH due AS MATERIALIZED (
    SELECT p.id, p.tenant_id, p.workspace_id, p.revision, p.scheduled_at
    FROM carillon.posts p
    CROSS JOIN LATERAL (SELECT FROM carillon.post_media m WHERE m.post_id = p.id LIMIT 1) AS with_files
    WHERE p.status = 'scheduled' AND p.deleted_at IS NULL AND p.shard = ANY($1::smallint[])
      AND p.scheduled_at > now() + interval '1 second' AND p.scheduled_at <= now() + $4 * interval '1 millisecond'),
  missing AS (
    SELECT t.id AS target_id, t.social_account_id AS account_id, t.platform_code,
           p.tenant_id, p.workspace_id, p.revision, p.scheduled_at,
           s.platform_account_id, s.metadata ->> 'instance_url' AS instance_url, s.access_token_encrypted,
           s.calls_limit, s.calls_left, s.calls_window_ends, s.uploads_limit, s.uploads_left, s.uploads_window_ends,
           m.id AS media_id, m.sort_order, m.storage_path, m.mime_type, m.alt_text
    FROM due p
    CROSS JOIN LATERAL (SELECT * FROM carillon.post_targets o
                        WHERE o.post_id = p.id AND (o.status IN ('pending', 'failed')) IS TRUE OFFSET 0) AS t
    JOIN unnest($2::text[], $3::bigint[]) AS n (code, ahead) ON n.code = t.platform_code
    CROSS JOIN LATERAL (SELECT * FROM carillon.social_accounts o WHERE o.id = t.social_account_id OFFSET 0) AS s
    CROSS JOIN LATERAL (SELECT * FROM carillon.post_media o WHERE o.post_id = p.id OFFSET 0) AS m
    WHERE p.scheduled_at <= now() + n.ahead * interval '1 millisecond'
      AND s.status = 'connected' AND (s.token_expires_at <= now()) IS NOT TRUE
      AND (greatest(s.calls_wait_until, s.uploads_wait_until) > now()) IS NOT TRUE AND s.id <> ALL($5::uuid[])
      AND NOT EXISTS (SELECT FROM carillon.social_platform_integrations i
                      WHERE i.platforms ? t.platform_code AND (i.is_enabled IS FALSE OR i.status = 'disabled'))
      AND NOT EXISTS (SELECT FROM carillon.prepared_media r
                      WHERE r.target_id = t.id AND r.media_id = m.id AND r.revision = p.revision
                        AND r.holds_until > CASE WHEN r.reference IS NULL THEN now() ELSE p.scheduled_at END)),
  first_of_account AS (
    SELECT DISTINCT ON (account_id) target_id, scheduled_at FROM missing ORDER BY account_id, scheduled_at, target_id)
  SELECT target_id, account_id, platform_code, tenant_id, workspace_id, revision, platform_account_id, instance_url,
         access_token_encrypted, media_id, storage_path, coalesce(mime_type, 'application/octet-stream') AS mime_type,
         coalesce(alt_text, '') AS alt_text, calls_limit, calls_left, uploads_limit, uploads_left,
         ceil(extract(epoch FROM calls_window_ends - clock_timestamp()) * 1000)::bigint AS calls_ends_in,
         ceil(extract(epoch FROM uploads_window_ends - clock_timestamp()) * 1000)::bigint AS uploads_ends_in,
         ceil(extract(epoch FROM scheduled_at - clock_timestamp()) * 1000)::bigint AS due_in
  FROM missing
  WHERE target_id IN (SELECT target_id FROM first_of_account ORDER BY scheduled_at, target_id LIMIT $6)
  ORDER BY scheduled_at, target_id, sort_order, media_id
)sql";

constexpr auto keep_prepared_files = R"sql(
  INSERT INTO carillon.prepared_media (target_id, media_id, tenant_id, workspace_id, revision, reference, holds_until)
  SELECT t.id, m.id, p.tenant_id, p.workspace_id, p.revision, nullif(f.reference, ''),
         clock_timestamp() + f.holds * interval '1 millisecond'
  FROM unnest($5::uuid[], $6::text[], $7::bigint[]) AS f (id, reference, holds)
  JOIN carillon.post_targets t ON t.id = $1
  JOIN carillon.posts p ON p.id = t.post_id AND p.tenant_id = $2 AND p.workspace_id = $3 AND p.revision = $4
  JOIN carillon.post_media m ON m.id = f.id AND m.post_id = p.id
  ON CONFLICT (target_id, media_id) DO UPDATE
  SET revision = excluded.revision, reference = excluded.reference, prepared_at = now(),
      holds_until = excluded.holds_until
)sql";

// Before its files' rows: whoever deletes or changes the post locks it first.
constexpr auto lock_post_of_target = R"sql(
  SELECT 1 FROM carillon.posts p JOIN carillon.post_targets t ON t.post_id = p.id
  WHERE t.id = $1 AND p.tenant_id = $2 AND p.workspace_id = $3 AND p.revision = $4 FOR SHARE OF p
)sql";

// What somebody records now is left to the next time: two that lock rows in
// different orders would wait for each other.
constexpr auto delete_unused_prepared = R"sql(
  WITH unused AS MATERIALIZED (
    SELECT r.target_id, r.media_id FROM carillon.prepared_media r
    WHERE r.shard = ANY($1::smallint[])
      AND (r.holds_until <= now() OR NOT EXISTS (
        SELECT FROM carillon.post_targets t
        JOIN carillon.posts p ON p.id = t.post_id
        JOIN carillon.social_accounts s ON s.id = t.social_account_id
        WHERE t.id = r.target_id AND t.status <> 'published' AND p.revision = r.revision
          AND p.status IN ('scheduled', 'publishing') AND p.deleted_at IS NULL AND s.status = 'connected'))
    FOR UPDATE OF r SKIP LOCKED)
  DELETE FROM carillon.prepared_media r USING unused u
  WHERE r.target_id = u.target_id AND r.media_id = u.media_id
)sql";

/// An account whose token cannot be read stays so for a while.
constexpr std::chrono::minutes unusable_account_pause{10};

std::string bigint_array(const std::vector<std::int64_t>& numbers) {
  std::string out = "{";
  for (const auto n : numbers)
    out += (out.size() > 1 ? "," : "") + std::to_string(n);
  return out + "}";
}

void keep_files(pqxx::transaction_base& tx, const planned_preparation& of, const std::vector<prepared_file>& files) {
  if (files.empty()
      || exec_planned(tx, lock_post_of_target, to_string(of.target), to_string(of.tenant), to_string(of.workspace),
                      of.revision)
           .empty())
    return;
  std::vector<std::string> ids;
  std::vector<std::string> references;
  std::vector<std::int64_t> holds;
  for (const auto& file : files) {
    ids.push_back(to_string(file.id));
    references.push_back(file.reference);
    holds.push_back(file.holds.count());
  }
  exec_planned(tx, keep_prepared_files, to_string(of.target), to_string(of.tenant), to_string(of.workspace), of.revision,
               text_array(ids), text_array(references), bigint_array(holds));
}

} // namespace

planned_preparation publish_repository::read_preparation(const pqxx::row& row, target_id target) const {
  planned_preparation out;
  out.tenant = read_id<tenant_id>(row["tenant_id"]);
  out.workspace = read_id<workspace_id>(row["workspace_id"]);
  out.account_id = read_id<social_account_id>(row["account_id"]);
  out.target = target;
  out.revision = row["revision"].as<int>();
  out.account.platform = parse<network>(row["platform_code"].c_str()).value_or(network::mastodon);
  out.account.instance_url = text_or_empty(row["instance_url"]);
  out.account.platform_account_id = row["platform_account_id"].as<std::string>();
  out.known_rates.calls = read_rate_window(row, "calls");
  out.known_rates.uploads = read_rate_window(row, "uploads");
  out.due_in = std::chrono::milliseconds{row["due_in"].as<std::int64_t>()};
  if (auto token = tokens_.decrypt(row["access_token_encrypted"].as<std::string>(), bound_to(out.account_id, "access_token")))
    out.account.access_token = std::move(*token);
  return out;
}

result<std::vector<planned_preparation>> publish_repository::plan_preparations(
  const node_identity& me, const shard_list& shards, const std::vector<preparing_network>& networks,
  const std::vector<social_account_id>& busy, int limit, bool media_are_objects) {
  using answer = std::vector<planned_preparation>;
  return db_.transact("plan-preparations", [&](pqxx::work& tx) -> result<answer> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    std::vector<std::string> codes;
    std::vector<std::int64_t> ahead;
    for (const auto& one : networks) {
      codes.emplace_back(to_string(one.platform));
      ahead.push_back(one.ahead.count());
    }
    const auto widest = ahead.empty() ? std::int64_t{0} : *std::max_element(ahead.begin(), ahead.end());
    answer out;
    for (const auto& row : exec_planned(tx, select_to_prepare, shard_array(shards), text_array(codes), bigint_array(ahead),
                                        widest, uuid_array(busy), limit)) {
      const auto target = read_id<target_id>(row["target_id"]);
      if (out.empty() || out.back().target != target)
        out.push_back(read_preparation(row, target));
      auto& one = out.back();
      auto path = row["storage_path"].as<std::string>();
      if (media_are_objects)
        path = object_key(one.tenant, one.workspace, path);
      one.files.push_back({*parse_uuid(row["media_id"].c_str()),
                           {std::move(path), row["mime_type"].as<std::string>(), row["alt_text"].as<std::string>()}});
    }
    std::erase_if(out, [&](const planned_preparation& one) {
      if (!one.account.access_token.empty() && !one.account.instance_url.empty())
        return false;
      std::vector<prepared_file> failed;
      for (const auto& file : one.files)
        failed.push_back({file.id, {}, unusable_account_pause});
      keep_files(tx, one, failed);
      return true;
    });
    return out;
  });
}

result<done> publish_repository::record_preparation(const planned_preparation& of, const std::vector<prepared_file>& files,
                                                    const account_rates& told) {
  return db_.transact("record-preparation", [&](pqxx::work& tx) -> result<done> {
    keep_files(tx, of, files);
    keep_rates(tx, to_string(of.account_id), of.tenant, of.workspace, told);
    return done{};
  });
}

result<int> publish_repository::forget_preparations(const node_identity& me, const shard_list& shards) {
  return db_.transact("forget-preparations", [&](pqxx::work& tx) -> result<int> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    return static_cast<int>(exec_planned(tx, delete_unused_prepared, shard_array(shards)).affected_rows());
  });
}

} // namespace carillon::storage
