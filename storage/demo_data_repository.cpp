#include "storage/demo_data_repository.hpp"

#include <nlohmann/json.hpp>

#include "domain/network.hpp"
#include "storage/job_writer.hpp"

namespace carillon::storage {

namespace {

using json = nlohmann::json;

constexpr auto find_tenant_sql = R"sql(
  SELECT t.id,
         (SELECT count(*) FROM carillon.posts p WHERE p.tenant_id = t.id),
         (SELECT count(*) FROM carillon.notifications n WHERE n.tenant_id = t.id)
  FROM carillon.tenants t WHERE t.slug = $1
)sql";

constexpr auto list_users_sql
  = "SELECT id FROM carillon.users WHERE tenant_id = $1 ORDER BY created_at, id";

constexpr auto list_workspaces_sql
  = "SELECT id FROM carillon.workspaces WHERE tenant_id = $1 ORDER BY created_at, id";

constexpr auto insert_tenant_sql = R"sql(
  INSERT INTO carillon.tenants
    (id, name, slug, type, status, owner_user_id, settings, onboarding_completed_at,
     created_at, updated_at)
  VALUES ($1, $2, $3, 'b2b_smb', 'active', $4, $5::jsonb, $6, $6, $6)
)sql";

constexpr auto insert_profile_sql = R"sql(
  INSERT INTO carillon.tenant_profiles
    (id, tenant_id, website, industry, company_size, verification_status, created_at)
  VALUES ($1, $2, $3, 'Bicycles', '11-50', 'verified', $4)
)sql";

constexpr auto insert_user_sql = R"sql(
  INSERT INTO carillon.users
    (id, tenant_id, email, password, name, timezone, status, role_in_tenant, email_verified_at,
     created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $8, $8)
)sql";

constexpr auto insert_workspace_sql = R"sql(
  INSERT INTO carillon.workspaces
    (id, tenant_id, name, slug, description, settings, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $7)
)sql";

constexpr auto insert_membership_sql = R"sql(
  INSERT INTO carillon.workspace_memberships
    (id, tenant_id, workspace_id, user_id, role, joined_at)
  VALUES ($1, $2, $3, $4, $5, $6)
)sql";

constexpr auto insert_post_sql = R"sql(
  INSERT INTO carillon.posts
    (id, tenant_id, workspace_id, created_by_user_id, content_text, hashtags, link_url, status,
     scheduled_at, scheduled_timezone, published_at, submitted_at, rejection_reason, created_at,
     updated_at)
  VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12, $13, $14,
          coalesce($11::timestamptz, $12::timestamptz, $14::timestamptz))
)sql";

constexpr auto insert_target_sql = R"sql(
  INSERT INTO carillon.post_targets
    (id, tenant_id, post_id, social_account_id, platform_code, status, external_post_id,
     published_at, error_code, error_message, retry_count, next_action_at, publishing_since,
     created_at)
  SELECT $1, $2, $3, a.id, a.platform, $5, $6, $7, $8, $9, $10, $11, $12, $13
  FROM carillon.social_accounts a WHERE a.id = $4 AND a.tenant_id = $2
)sql";

// Node `demo` never lived: nothing else will ever claim these attempts.
constexpr auto insert_attempt_sql = R"sql(
  INSERT INTO carillon.publish_attempts
    (id, tenant_id, workspace_id, post_id, target_id, social_account_id, number, idempotency_key,
     text_hash, state, node, incarnation, started_at, deadline_at, concluded_at,
     external_post_id, error_code, error_message, latency_ms)
  VALUES ($1, $2, $3, $4, $5, $6, 1, $13, encode(sha256(convert_to($7, 'UTF8')), 'hex'),
          $8, 'demo', 0, $9, $9::timestamptz + interval '30 seconds',
          $9::timestamptz + interval '212 milliseconds', $10, $11, $12, 212)
)sql";

constexpr auto insert_decision_sql = R"sql(
  INSERT INTO carillon.approval_decisions
    (id, tenant_id, post_id, decided_by_user_id, decision, comment, decided_at, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
)sql";

constexpr auto insert_notification_sql = R"sql(
  INSERT INTO carillon.notifications
    (id, tenant_id, user_id, type, title, message, data, action_url, read_at, sent_at, failed_at,
     failure_reason, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9,
          CASE WHEN $11::text IS NULL THEN $10::timestamptz END,
          CASE WHEN $11::text IS NOT NULL THEN $10::timestamptz END,
          $11, $12, coalesce($9::timestamptz, $12::timestamptz))
)sql";

constexpr auto insert_delivery_sql = R"sql(
  INSERT INTO carillon.notification_deliveries
    (notification_id, channel, tenant_id, state, reason, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $6)
)sql";

template <class Enum>
std::string text_of(Enum value) {
  return std::string{to_string(value)};
}

std::optional<std::string> tags_of(const demo_post& post) {
  if (post.hashtags.empty())
    return std::nullopt;
  return json(post.hashtags).dump();
}

void insert_members(pqxx::work& tx, const demo_company& company) {
  for (const auto& workspace : company.workspaces)
    for (const auto& user : company.users)
      tx.exec_params(insert_membership_sql, to_string(make_uuid_v7()), to_string(company.id),
                     to_string(workspace.id), to_string(user.id), text_of(user.workspace_rights),
                     param(company.created_at));
}

/// The call that the outcome of a target came from; nothing for a target
/// that has not been tried.
void insert_attempt(pqxx::work& tx, const std::string& tenant, const demo_post& post,
                    const demo_target& target) {
  std::string state;
  if (target.status == target_status::published)
    state = "succeeded";
  else if (!target.error_code.empty())
    state = target.next_action_at ? "failed" : "refused";
  else
    return;
  const auto started = target.published_at.value_or(
    post.scheduled_at.value_or(post.submitted_at.value_or(post.created_at)));
  tx.exec_params(insert_attempt_sql, to_string(attempt_id::make()), tenant,
                 to_string(post.workspace), to_string(post.id), to_string(target.id),
                 to_string(target.account), post.text, state, param(started),
                 null_if_empty(target.external_id), null_if_empty(target.error_code),
                 null_if_empty(target.error_message), "demo-" + to_string(target.id));
}

void insert_post(pqxx::work& tx, const tenant_id& tenant, const demo_post& post) {
  const auto owner = to_string(tenant);
  const auto id = to_string(post.id);
  tx.exec_params(insert_post_sql, id, owner, to_string(post.workspace), to_string(post.author),
                 post.text, tags_of(post), null_if_empty(post.link_url), text_of(post.status),
                 param(post.scheduled_at), null_if_empty(post.scheduled_zone),
                 param(post.published_at), param(post.submitted_at),
                 null_if_empty(post.rejection_reason), param(post.created_at));
  std::optional<instant> next;
  for (const auto& target : post.targets) {
    const auto touched = target.status == target_status::pending ? std::optional<instant>{}
                                                                 : post.scheduled_at;
    tx.exec_params(insert_target_sql, to_string(target.id), owner, id, to_string(target.account),
                   text_of(target.status), null_if_empty(target.external_id),
                   param(target.published_at), null_if_empty(target.error_code),
                   null_if_empty(target.error_message), target.retry_count,
                   param(target.next_action_at), param(touched), param(post.created_at));
    insert_attempt(tx, owner, post, target);
    if (target.next_action_at)
      next = target.next_action_at;
  }
  if (post.decision)
    tx.exec_params(insert_decision_sql, to_string(make_uuid_v7()), owner, id,
                   to_string(post.decision->by), text_of(post.decision->decision),
                   null_if_empty(post.decision->comment), param(post.decision->at));
  if (post.status == post_status::publishing) {
    auto job = publish_job_for(post.id, tenant, post.workspace, {});
    job.run_at = next;
    insert_job(tx, job);
  }
}

void insert_notification(pqxx::work& tx, const tenant_id& tenant, const demo_notification& n) {
  const auto owner = to_string(tenant);
  const auto id = to_string(n.id);
  tx.exec_params(insert_notification_sql, id, owner, to_string(n.user), text_of(n.type), n.title,
                 n.message, null_if_empty(n.data), null_if_empty(n.action_url), param(n.read_at),
                 param(n.mailed_at), null_if_empty(n.mail_failure), param(n.created_at));
  const auto deliver = [&](const char* channel, const char* state,
                           const std::optional<std::string>& reason, instant at) {
    tx.exec_params(insert_delivery_sql, id, channel, owner, state, reason, param(at));
  };
  deliver("in_app", "sent", std::nullopt, n.created_at);
  if (n.mailed_at)
    deliver("email", n.mail_failure.empty() ? "sent" : "failed", null_if_empty(n.mail_failure),
            *n.mailed_at);
  else
    deliver("email", "skipped", "off by preference", n.created_at);
}

} // namespace

result<std::optional<demo_presence>> demo_data_repository::find(const std::string& tenant_slug) {
  return db_.transact(
    "find-demo-company", [&](pqxx::work& tx) -> result<std::optional<demo_presence>> {
      const auto rows = tx.exec_params(find_tenant_sql, tenant_slug);
      if (rows.empty())
        return std::optional<demo_presence>{};
      demo_presence out;
      out.tenant = read_id<tenant_id>(rows[0][0]);
      out.posts = rows[0][1].as<std::int64_t>();
      out.notifications = rows[0][2].as<std::int64_t>();
      const auto tenant = to_string(out.tenant);
      for (const auto& row : tx.exec_params(list_users_sql, tenant))
        out.users.push_back(read_id<user_id>(row[0]));
      for (const auto& row : tx.exec_params(list_workspaces_sql, tenant))
        out.workspaces.push_back(read_id<workspace_id>(row[0]));
      return std::optional{std::move(out)};
    });
}

result<done> demo_data_repository::insert_company(const demo_company& company) {
  return db_.transact("insert-demo-company", [&](pqxx::work& tx) -> result<done> {
    const auto tenant = to_string(company.id);
    const auto at = param(company.created_at);
    const json settings = {{"timezone", company.time_zone}};
    tx.exec_params(insert_tenant_sql, tenant, company.name, company.slug,
                   to_string(company.users.front().id), settings.dump(), at);
    tx.exec_params(insert_profile_sql, to_string(make_uuid_v7()), tenant, company.website, at);
    // A second between them keeps the order of the lists.
    auto joined = company.created_at;
    for (const auto& user : company.users) {
      tx.exec_params(insert_user_sql, to_string(user.id), tenant, user.email, user.password_hash,
                     user.name, user.time_zone, text_of(user.role), param(joined));
      joined += std::chrono::seconds{1};
    }
    for (const auto& workspace : company.workspaces) {
      const json workspace_settings
        = {{"timezone", workspace.time_zone},
           {"color", workspace.color},
           {"approval_workflow", {{"enabled", true}, {"required_for_roles", {"editor"}}}}};
      tx.exec_params(insert_workspace_sql, to_string(workspace.id), tenant, workspace.name,
                     workspace.slug, workspace.description, workspace_settings.dump(),
                     param(joined));
      joined += std::chrono::seconds{1};
    }
    insert_members(tx, company);
    return done{};
  });
}

result<done>
demo_data_repository::insert_content(const scope& s, const std::vector<demo_post>& posts,
                                     const std::vector<demo_notification>& notifications) {
  if (!s.tenant())
    return failure{errc::not_found, "demo rows need a tenant scope", {}, {}};
  return db_.transact("insert-demo-content", [&](pqxx::work& tx) -> result<done> {
    for (const auto& post : posts)
      insert_post(tx, *s.tenant(), post);
    for (const auto& n : notifications)
      insert_notification(tx, *s.tenant(), n);
    return done{};
  });
}

} // namespace carillon::storage
