#include "tests/bench/bulk_seed.hpp"

#include <algorithm>

#include "storage/social_account_repository.hpp"
#include "tests/bench/warm_log.hpp"

namespace carillon::bench {

namespace {

constexpr int workspaces_per_tenant = 10;

// The program's ids grow with time, and an index feels the difference.
constexpr auto make_id_function = R"sql(
  CREATE FUNCTION pg_temp.make_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
            || substr(r, 1, 3) || '8' || substr(r, 4, 15))::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS r) AS random
  $$
)sql";

constexpr auto make_places = R"sql(
  CREATE TEMP TABLE place ON COMMIT DROP AS
  SELECT n, n > $1 AS idle, n / $3 AS tenant_number, pg_temp.make_id() AS workspace_id
  FROM generate_series(1, $1::int + $2::int) AS n
)sql";

constexpr auto make_owners = R"sql(
  CREATE TEMP TABLE owner ON COMMIT DROP AS
  SELECT tenant_number, pg_temp.make_id() AS tenant_id, pg_temp.make_id() AS user_id
  FROM place GROUP BY tenant_number
)sql";

constexpr auto insert_tenants = R"sql(
  INSERT INTO carillon.tenants (id, name, slug, status)
  SELECT tenant_id, 'Tenant ' || tenant_number, 'tenant-' || tenant_number, 'active' FROM owner
)sql";

constexpr auto insert_users = R"sql(
  INSERT INTO carillon.users (id, tenant_id, email, name, status, role_in_tenant)
  SELECT user_id, tenant_id, 'owner@tenant-' || tenant_number || '.example', 'Owner', 'active', 'owner'
  FROM owner
)sql";

constexpr auto insert_workspaces = R"sql(
  INSERT INTO carillon.workspaces (id, tenant_id, name, slug)
  SELECT workspace_id, tenant_id, 'Workspace ' || n, 'workspace-' || n FROM place JOIN owner USING (tenant_number)
)sql";

constexpr auto insert_members = R"sql(
  INSERT INTO carillon.workspace_memberships (id, tenant_id, workspace_id, user_id, role)
  SELECT pg_temp.make_id(), tenant_id, workspace_id, user_id, 'owner' FROM place JOIN owner USING (tenant_number)
)sql";

constexpr auto insert_accounts = R"sql(
  INSERT INTO carillon.social_accounts
    (id, tenant_id, workspace_id, platform, platform_account_id, account_name,
     access_token_encrypted, connected_by_user_id, metadata)
  SELECT given.id, tenant_id, workspace_id, 'mastodon', 'bench' || n, 'bench' || n, given.token, user_id,
         jsonb_build_object('instance_url', $3::text)
  FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS given (id, token, i)
  JOIN place ON place.n = $4 + i JOIN owner USING (tenant_number)
)sql";

constexpr auto insert_measured_posts = R"sql(
  INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, scheduled_at)
  SELECT pg_temp.make_id(), tenant_id, workspace_id, user_id, $2 || i, 'scheduled', 'infinity'
  FROM generate_series(1, $1::int) AS i
  JOIN place ON place.n = 1 + (i - 1) % $3 JOIN owner USING (tenant_number)
)sql";

// The posts with files are spread over the others.
constexpr auto insert_media = R"sql(
  INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, file_size, mime_type, storage_path,
                                   sort_order, processing_status)
  SELECT pg_temp.make_id(), tenant_id, id, 'image', i || '.png', $3::bigint, 'image/png', 'uploads/' || i || '.png',
         1, 'completed'
  FROM (SELECT id, tenant_id, substr(content_text, length($2::text) + 1)::int AS i FROM carillon.posts
        WHERE content_text LIKE $2::text || '%') AS p
  WHERE floor(i * $1::float8) > floor((i - 1) * $1::float8)
)sql";

constexpr auto insert_idle_posts = R"sql(
  INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, scheduled_at)
  SELECT pg_temp.make_id(), tenant_id, workspace_id, user_id, 'idle post ' || n, status,
         CASE WHEN status = 'scheduled' THEN now() + interval '1 day' + n * interval '1 second' END
  FROM place JOIN owner USING (tenant_number) CROSS JOIN (VALUES ('draft'), ('scheduled')) AS s (status)
  WHERE idle
)sql";

constexpr auto insert_targets = R"sql(
  INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code)
  SELECT pg_temp.make_id(), p.tenant_id, p.id, s.id, s.platform
  FROM carillon.posts p JOIN carillon.social_accounts s USING (workspace_id)
)sql";

constexpr auto set_due = R"sql(
  UPDATE carillon.posts SET scheduled_at = date_trunc('milliseconds', statement_timestamp() + $1 * interval '1 second')
  WHERE scheduled_at = 'infinity'
)sql";

/// Tokens are bound to their account's id, so that SQL cannot make them.
void write_accounts(pqxx::work& tx, const storage::token_cipher& tokens, const bulk_plan& plan) {
  constexpr int chunk = 5'000;
  const int total = plan.workspaces + plan.idle_workspaces;
  for (int first = 0; first < total; first += chunk) {
    std::string ids = "{";
    std::string texts = "{";
    for (int n = first + 1; n <= std::min(first + chunk, total); ++n) {
      const auto id = social_account_id::make();
      const auto token = tokens.encrypt("sandbox-bench" + std::to_string(n),
                                        storage::bound_to(id, "access_token"));
      if (n > first + 1) {
        ids += ',';
        texts += ',';
      }
      ids += to_string(id);
      texts += '"' + *token + '"';
    }
    tx.exec_params(insert_accounts, ids + '}', texts + '}', plan.instance_url, first);
  }
}

} // namespace

void write_bulk(pqxx::connection& db, const storage::token_cipher& tokens, const bulk_plan& plan) {
  {
    pqxx::work tx{db};
    tx.exec(make_id_function);
    tx.exec_params(make_places, plan.workspaces, plan.idle_workspaces, workspaces_per_tenant);
    tx.exec("CREATE UNIQUE INDEX ON place (n)");
    tx.exec(make_owners);
    tx.exec("ANALYZE place; ANALYZE owner");
    tx.exec(insert_tenants);
    tx.exec(insert_users);
    tx.exec(insert_workspaces);
    tx.exec(insert_members);
    write_accounts(tx, tokens, plan);
    tx.exec_params(insert_measured_posts, plan.posts, std::string{measured_text}, plan.workspaces);
    if (plan.share_with_files > 0)
      tx.exec_params(insert_media, plan.share_with_files, std::string{measured_text}, plan.file_bytes);
    tx.exec(insert_idle_posts);
    tx.exec(insert_targets);
    tx.commit();
  }
  {
    pqxx::nontransaction maintenance{db};
    maintenance.exec("VACUUM ANALYZE");
  }
  constexpr std::int64_t log_of_a_post = 40'000;
  warm_log(db, plan.posts * log_of_a_post);
  pqxx::work tx{db};
  tx.exec_params(set_due, static_cast<std::int64_t>(plan.due_in.count()));
  tx.commit();
}

} // namespace carillon::bench
