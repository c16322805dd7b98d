#include "storage/social_account_repository.hpp"

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

#define CARILLON_ACCOUNT_COLUMNS                                               \
  "id, workspace_id, platform, platform_account_id, account_name, "            \
  "account_username, profile_image_url, status, token_expires_at, "            \
  "connected_at, last_refreshed_at"

constexpr auto parents_sql = R"(
SELECT 1
FROM carillon.workspaces w
JOIN carillon.users u ON u.tenant_id = w.tenant_id
WHERE w.tenant_id = $1::uuid AND w.id = $2::uuid AND w.deleted_at IS NULL
  AND u.id = $3::uuid AND u.deleted_at IS NULL
)";

constexpr auto find_same_sql = R"(
SELECT id FROM carillon.social_accounts
WHERE tenant_id = $1::uuid AND workspace_id = $2::uuid AND platform = $3
  AND platform_account_id = $4
FOR UPDATE
)";

// The id is chosen before, because the tokens are bound to it. Somebody who
// connects the same account at the same time wins or waits.
constexpr auto claim_sql = R"(
INSERT INTO carillon.social_accounts
  (id, tenant_id, workspace_id, platform, platform_account_id, account_name,
   access_token_encrypted, connected_by_user_id)
VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, '', '', $6::uuid)
ON CONFLICT (workspace_id, platform, platform_account_id) DO NOTHING
)";

constexpr auto connect_sql
  = "UPDATE carillon.social_accounts SET account_name = $3, "
    "account_username = $4, profile_image_url = $5, status = 'connected', "
    "access_token_encrypted = $6, refresh_token_encrypted = $7, "
    "token_expires_at = $8::timestamptz, connected_by_user_id = $9::uuid, "
    "connected_at = now(), disconnected_at = NULL, metadata = $10::jsonb, "
    "updated_at = now() "
    "WHERE tenant_id = $1::uuid AND id = $2::uuid "
    "RETURNING " CARILLON_ACCOUNT_COLUMNS;

#define CARILLON_ACCOUNT_FILTER                                                \
  " FROM carillon.social_accounts "                                            \
  "WHERE tenant_id = $1::uuid AND workspace_id = $2::uuid "                    \
  "AND ($3::text IS NULL OR status = $3::text) "                               \
  "AND ($4::text IS NULL OR platform = $4::text) "                             \
  "AND ($5::boolean IS FALSE OR status = 'connected')"

constexpr auto count_accounts_sql = "SELECT count(*)" CARILLON_ACCOUNT_FILTER;

constexpr auto list_accounts_sql
  = "SELECT " CARILLON_ACCOUNT_COLUMNS CARILLON_ACCOUNT_FILTER
    " ORDER BY connected_at DESC, id DESC LIMIT $6 OFFSET $7";

constexpr auto load_accounts_sql
  = "SELECT " CARILLON_ACCOUNT_COLUMNS " FROM carillon.social_accounts "
    "WHERE tenant_id = $1::uuid AND workspace_id = $2::uuid "
    "AND id = $3::uuid";

constexpr auto credentials_sql = R"(
SELECT a.platform, a.platform_account_id, a.status, a.token_expires_at,
       a.access_token_encrypted, a.metadata ->> 'instance_url' AS instance_url,
       NOT EXISTS (
         SELECT 1 FROM carillon.social_platform_integrations i
         WHERE (i.provider = a.platform OR i.platforms ? a.platform)
           AND (NOT i.is_enabled OR i.status = 'disabled')) AS enabled
FROM carillon.social_accounts a
WHERE a.id = $2::uuid AND ($1::uuid IS NULL OR a.tenant_id = $1::uuid)
)";

constexpr auto mark_status_sql = R"(
UPDATE carillon.social_accounts
SET status = $3::text, updated_at = now(),
    disconnected_at = CASE WHEN $3::text = 'disconnected' THEN now()
                           ELSE disconnected_at END
WHERE id = $2::uuid AND ($1::uuid IS NULL OR tenant_id = $1::uuid)
  AND CASE $3::text
        WHEN 'token_expired' THEN status = 'connected'
        WHEN 'revoked' THEN status IN ('connected', 'token_expired')
        ELSE status <> $3::text
      END
)";

constexpr auto exists_sql = R"(
SELECT 1 FROM carillon.social_accounts
WHERE id = $2::uuid AND ($1::uuid IS NULL OR tenant_id = $1::uuid)
)";

social_account account_from_row(const pqxx::row& row) {
  social_account a;
  a.id = read_id<social_account_id>(row["id"]);
  a.workspace = read_id<workspace_id>(row["workspace_id"]);
  a.platform_code = text_or_empty(row["platform"]);
  a.platform = parse<network>(a.platform_code);
  a.platform_account_id = text_or_empty(row["platform_account_id"]);
  a.account_name = text_or_empty(row["account_name"]);
  a.account_username = nullable<std::string>(row["account_username"]);
  a.profile_image_url = nullable<std::string>(row["profile_image_url"]);
  a.status = parse<social_account_status>(text_or_empty(row["status"]))
               .value_or(social_account_status::disconnected);
  a.token_expires_at = read_nullable_instant(row["token_expires_at"]);
  a.connected_at = read_instant(row["connected_at"]);
  a.last_refreshed_at = read_nullable_instant(row["last_refreshed_at"]);
  return a;
}

failure no_such_account() {
  return {errc::not_found, "no such social account", {}, {}};
}

/// What the columns can hold; `needed` ones may not be empty.
std::optional<failure> check(const new_social_account& a) {
  failure bad{errc::invalid_argument, "the account cannot be stored", {}, {}};
  auto limit = [&](const char* field, const std::string& value,
                   std::size_t most, bool needed) {
    if (needed && value.empty())
      bad.fields.push_back({field, "is required"});
    else if (character_count(value) > most)
      bad.fields.push_back(
        {field, "may not have more than " + std::to_string(most)
                  + " characters"});
  };
  limit("platform_account_id", a.platform_account_id, 100, true);
  limit("account_name", a.account_name, 255, true);
  limit("account_username", a.account_username, 100, false);
  limit("profile_image_url", a.profile_image_url, 500, false);
  limit("access_token", a.access_token, 16'384, true);
  limit("refresh_token", a.refresh_token, 16'384, false);
  if (bad.fields.empty())
    return std::nullopt;
  return bad;
}

result<std::optional<std::string>> metadata_of(const new_social_account& a) {
  auto metadata = nlohmann::json::object();
  if (!a.metadata.empty())
    metadata = nlohmann::json::parse(a.metadata, nullptr, false);
  if (!metadata.is_object())
    return invalid("metadata", "must be an object");
  if (!a.instance_url.empty())
    metadata["instance_url"] = a.instance_url;
  if (metadata.empty())
    return std::optional<std::string>{};
  return std::optional<std::string>{metadata.dump()};
}

/// The row of this platform account, new or old, locked.
social_account_id claim(pqxx::transaction_base& tx, const std::string& tenant,
                        const new_social_account& a) {
  const std::string platform{to_string(a.platform)};
  for (;;) {
    const auto found
      = tx.exec_params(find_same_sql, tenant, to_string(a.workspace), platform,
                       a.platform_account_id);
    if (!found.empty())
      return read_id<social_account_id>(found[0][0]);
    const auto id = social_account_id::make();
    if (tx.exec_params(claim_sql, to_string(id), tenant,
                       to_string(a.workspace), platform, a.platform_account_id,
                       to_string(a.connected_by))
          .affected_rows()
        > 0)
      return id;
  }
}

} // namespace

std::string bound_to(social_account_id id, std::string_view column) {
  return to_string(id) + '/' + std::string{column};
}

result<publishing_account>
load_publishing_account(pqxx::transaction_base& tx, const token_cipher& cipher,
                        const scope& s, social_account_id id) {
  const auto rows
    = tx.exec_params(credentials_sql, tenant_param(s), to_string(id));
  if (rows.empty())
    return no_such_account();
  const auto row = rows[0];
  const auto platform = parse<network>(text_or_empty(row["platform"]));
  if (!platform)
    return failure{errc::permanent,
                   "account " + to_string(id) + ": unknown network", {}, {}};
  auto token = cipher.decrypt(text_or_empty(row["access_token_encrypted"]),
                              bound_to(id, "access_token"));
  if (!token)
    return failure{token.error().code,
                   "account " + to_string(id) + ": " + token.error().detail,
                   {}, {}};
  publishing_account out;
  out.credentials.platform = *platform;
  out.credentials.instance_url = text_or_empty(row["instance_url"]);
  out.credentials.platform_account_id
    = text_or_empty(row["platform_account_id"]);
  out.credentials.access_token = std::move(*token);
  out.status = parse<social_account_status>(text_or_empty(row["status"]))
                 .value_or(social_account_status::disconnected);
  out.token_expires_at = read_nullable_instant(row["token_expires_at"]);
  out.integration_enabled = row["enabled"].as<bool>();
  return out;
}

result<done> mark_account_status(pqxx::transaction_base& tx, const scope& s,
                                 social_account_id id,
                                 social_account_status status) {
  if (status == social_account_status::connected)
    return invalid("status", "only connecting makes an account connected");
  const auto tenant = tenant_param(s);
  if (tx.exec_params(mark_status_sql, tenant, to_string(id),
                     std::string{to_string(status)})
        .affected_rows()
      > 0)
    return done{};
  if (tx.exec_params(exists_sql, tenant, to_string(id)).empty())
    return no_such_account();
  return done{};
}

result<social_account>
social_account_repository::connect(const scope& s,
                                   const new_social_account& account) {
  if (auto bad = check(account))
    return std::move(*bad);
  auto metadata = metadata_of(account);
  if (!metadata)
    return std::move(metadata).error();
  if (!s.tenant())
    return no_such_account();
  return db_.transact(
    "connect-social-account", [&](pqxx::work& tx) -> result<social_account> {
      const auto tenant = to_string(*s.tenant());
      if (tx.exec_params(parents_sql, tenant, to_string(account.workspace),
                         to_string(account.connected_by))
            .empty())
        return failure{
          errc::not_found, "no such workspace or user in this tenant", {}, {}};
      const auto id = claim(tx, tenant, account);
      auto access
        = cipher_.encrypt(account.access_token, bound_to(id, "access_token"));
      if (!access)
        return std::move(access).error();
      std::optional<std::string> refresh;
      if (!account.refresh_token.empty()) {
        auto text = cipher_.encrypt(account.refresh_token,
                                    bound_to(id, "refresh_token"));
        if (!text)
          return std::move(text).error();
        refresh = std::move(*text);
      }
      const auto rows = tx.exec_params(
        connect_sql, tenant, to_string(id), account.account_name,
        null_if_empty(account.account_username),
        null_if_empty(account.profile_image_url), *access, refresh,
        param(account.token_expires_at), to_string(account.connected_by),
        *metadata);
      return account_from_row(rows[0]);
    });
}

result<social_account_page>
social_account_repository::list(const scope& s, workspace_id workspace,
                                const social_account_filter& filter) {
  return db_.transact(
    "list-social-accounts", [&](pqxx::work& tx) -> result<social_account_page> {
      const auto tenant = tenant_param(s);
      const auto id = to_string(workspace);
      std::optional<std::string> status;
      if (filter.status)
        status = std::string{to_string(*filter.status)};
      std::optional<std::string> platform;
      if (filter.platform)
        platform = std::string{to_string(*filter.platform)};
      const std::string connected_only
        = filter.connected_only ? "true" : "false";
      social_account_page page;
      page.total = tx
                     .exec_params(count_accounts_sql, tenant, id, status, platform,
                                  connected_only)[0][0]
                     .as<std::int64_t>();
      const auto offset
        = static_cast<std::int64_t>(filter.page - 1) * filter.per_page;
      if (offset < page.total)
        for (const auto& row :
             tx.exec_params(list_accounts_sql, tenant, id, status, platform,
                            connected_only, filter.per_page, offset))
          page.items.push_back(account_from_row(row));
      return page;
    });
}

result<social_account>
social_account_repository::load(const scope& s, workspace_id workspace,
                                social_account_id id) {
  return db_.transact(
    "load-social-account", [&](pqxx::work& tx) -> result<social_account> {
      const auto rows = tx.exec_params(load_accounts_sql, tenant_param(s),
                                       to_string(workspace), to_string(id));
      if (rows.empty())
        return no_such_account();
      return account_from_row(rows[0]);
    });
}

result<publishing_account>
social_account_repository::load_credentials(const scope& s,
                                            social_account_id id) {
  return db_.transact("load-credentials", [&](pqxx::work& tx) {
    return load_publishing_account(tx, cipher_, s, id);
  });
}

result<done>
social_account_repository::mark_status(const scope& s, social_account_id id,
                                       social_account_status status) {
  return db_.transact("mark-account-status", [&](pqxx::work& tx) {
    return mark_account_status(tx, s, id, status);
  });
}

} // namespace carillon::storage
