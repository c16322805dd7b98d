#include "storage/auth_repository.hpp"

#include "storage/live_notes.hpp"
#include "storage/query_param.hpp"

#include <stdexcept>

namespace carillon::storage {

namespace {

// token_from_row reads them by their number.
#define CARILLON_TOKEN_COLUMNS                                                 \
  "t.id, t.token, "                                                            \
  "coalesce(t.expires_at <= now(), false) AS expired, "                        \
  "coalesce(t.last_used_at > now() - interval '1 minute', false) "             \
  "AS used_lately, u.id AS user_id, u.tenant_id, u.name, u.email, "            \
  "u.role_in_tenant "
#define CARILLON_TOKEN_TABLES                                                  \
  "FROM carillon.personal_access_tokens t "                                    \
  "JOIN carillon.users u ON u.id = t.tokenable_id AND u.deleted_at IS NULL "

constexpr auto select_token
  = "SELECT " CARILLON_TOKEN_COLUMNS CARILLON_TOKEN_TABLES
    "WHERE t.id = $1 AND t.tokenable_type = 'user' "
    "AND ($2::uuid IS NULL OR u.tenant_id = $2::uuid)";

constexpr auto select_token_by_hash
  = "SELECT " CARILLON_TOKEN_COLUMNS CARILLON_TOKEN_TABLES
    "WHERE t.token = $1 AND t.tokenable_type = 'user' "
    "AND ($2::uuid IS NULL OR u.tenant_id = $2::uuid)";

// The inner limit keeps each look-up by itself: no plan may read all users. The
// other limits nothing: a planner who does not know it expects one row, while
// of an array he expects ten, and would plan anew each time for fewer.
constexpr auto select_holders
  = "SELECT h.* FROM (SELECT DISTINCT unnest($1::bigint[]) AS id LIMIT cardinality($1::bigint[])) AS a "
    "CROSS JOIN LATERAL ("
    "SELECT " CARILLON_TOKEN_COLUMNS ", s.status AS tenant_status " CARILLON_TOKEN_TABLES
    "LEFT JOIN carillon.tenants s ON s.id = u.tenant_id AND s.deleted_at IS NULL "
    "WHERE t.id = a.id AND t.tokenable_type = 'user' "
    "AND ($2::uuid IS NULL OR u.tenant_id = $2::uuid) LIMIT 1) AS h";

#undef CARILLON_TOKEN_COLUMNS
#undef CARILLON_TOKEN_TABLES

constexpr auto update_token_use
  = "UPDATE carillon.personal_access_tokens t "
    "SET last_used_at = now(), updated_at = now() "
    "WHERE t.id = $1 AND ($2::uuid IS NULL OR EXISTS ("
    "SELECT FROM carillon.users u WHERE u.id = t.tokenable_id AND t.tokenable_type = 'user' "
    "AND u.tenant_id = $2::uuid)) "
    "AND (t.last_used_at IS NULL "
    "OR t.last_used_at <= now() - interval '1 minute')";

// Rows that someone else is about to set are not waited for.
constexpr auto update_tokens_use
  = "UPDATE carillon.personal_access_tokens t "
    "SET last_used_at = now(), updated_at = now() "
    "WHERE t.id IN (SELECT o.id FROM carillon.personal_access_tokens o "
    "WHERE o.id = ANY($1::bigint[]) AND ($2::uuid IS NULL OR EXISTS ("
    "SELECT FROM carillon.users u WHERE u.id = o.tokenable_id AND o.tokenable_type = 'user' "
    "AND u.tenant_id = $2::uuid)) "
    "AND (o.last_used_at IS NULL OR o.last_used_at <= now() - interval '1 minute') "
    "FOR NO KEY UPDATE SKIP LOCKED)";

#define CARILLON_ACCOUNT_COLUMNS                                               \
  "id, tenant_id, name, email, avatar_url, timezone, status, "                 \
  "role_in_tenant, email_verified_at, created_at "

constexpr auto select_credentials
  = "SELECT " CARILLON_ACCOUNT_COLUMNS
    ", password, mfa_enabled FROM carillon.users "
    "WHERE lower(email) = lower($1) AND deleted_at IS NULL "
    "AND ($2::uuid IS NULL OR tenant_id = $2::uuid) "
    "ORDER BY created_at, id LIMIT 1";

constexpr auto select_account
  = "SELECT " CARILLON_ACCOUNT_COLUMNS
    "FROM carillon.users WHERE id = $1::uuid AND deleted_at IS NULL "
    "AND tenant_id = $2::uuid";

#undef CARILLON_ACCOUNT_COLUMNS

// The lock makes issues for one user take turns, so that the count holds.
constexpr auto lock_user
  = "SELECT status FROM carillon.users WHERE id = $1::uuid "
    "AND deleted_at IS NULL AND tenant_id = $2::uuid FOR NO KEY UPDATE";

constexpr auto update_last_login
  = "UPDATE carillon.users SET last_login_at = now() WHERE id = $1::uuid "
    "AND tenant_id = $2::uuid";

constexpr auto delete_surplus_tokens
  = "DELETE FROM carillon.personal_access_tokens WHERE id IN ("
    "SELECT id FROM carillon.personal_access_tokens "
    "WHERE tokenable_type = 'user' AND tokenable_id = $1::uuid "
    "ORDER BY coalesce(expires_at <= now(), false), created_at DESC, id DESC "
    "OFFSET 9) OR (tokenable_type = 'user' AND tokenable_id = $1::uuid "
    "AND expires_at <= now())";

constexpr auto delete_all_tokens
  = "DELETE FROM carillon.personal_access_tokens "
    "WHERE tokenable_type = 'user' AND tokenable_id = $1::uuid";

constexpr auto insert_token
  = "INSERT INTO carillon.personal_access_tokens "
    "(tokenable_type, tokenable_id, tenant_id, name, token, abilities, "
    "expires_at) SELECT 'user', id, tenant_id, $2, $3, '[\"*\"]', "
    "now() + make_interval(secs => $4) FROM carillon.users "
    "WHERE id = $1::uuid RETURNING id";

constexpr auto delete_token
  = "DELETE FROM carillon.personal_access_tokens t USING carillon.users u "
    "WHERE t.id = $1 AND t.tokenable_type = 'user' "
    "AND t.tokenable_id = $2::uuid AND u.id = t.tokenable_id "
    "AND u.tenant_id = $3::uuid";

// `$2`, the tenant, must be NULL: admins belong to none.
#define CARILLON_ADMIN_COLUMNS                                                                     \
  "a.id AS admin_id, a.name, a.email, a.role, a.status, a.last_login_at "

#define CARILLON_ADMIN_TOKEN                                                                       \
  "SELECT t.id, t.token, coalesce(t.expires_at <= now(), false) AS expired, "                     \
  "coalesce(t.last_used_at > now() - interval '1 minute', false) AS used_lately, "                \
  CARILLON_ADMIN_COLUMNS                                                                           \
  "FROM carillon.personal_access_tokens t "                                                       \
  "JOIN carillon.super_admin_users a ON a.id = t.tokenable_id "                                   \
  "WHERE t.tokenable_type = 'super_admin' AND $2::uuid IS NULL AND "

constexpr auto select_admin_token = CARILLON_ADMIN_TOKEN "t.id = $1";
constexpr auto select_admin_token_by_hash = CARILLON_ADMIN_TOKEN "t.token = $1";

constexpr auto select_admin_credentials
  = "SELECT " CARILLON_ADMIN_COLUMNS ", a.password, a.mfa_enabled "
    "FROM carillon.super_admin_users a WHERE lower(a.email) = lower($1) AND $2::uuid IS NULL "
    "ORDER BY a.created_at, a.id LIMIT 1";

#undef CARILLON_ADMIN_TOKEN
#undef CARILLON_ADMIN_COLUMNS

// The row's lock makes logins of one admin take turns.
constexpr auto update_admin_login
  = "UPDATE carillon.super_admin_users SET last_login_at = now(), updated_at = now() "
    "WHERE id = $1::uuid AND $2::uuid IS NULL AND status = 'ACTIVE'";

constexpr auto delete_admin_tokens
  = "DELETE FROM carillon.personal_access_tokens "
    "WHERE tokenable_type = 'super_admin' AND tokenable_id = $1::uuid";

constexpr auto insert_admin_token
  = "INSERT INTO carillon.personal_access_tokens "
    "(tokenable_type, tokenable_id, name, token, abilities, expires_at) "
    "VALUES ('super_admin', $1::uuid, $2, $3, '[\"*\"]', now() + make_interval(secs => $4)) RETURNING id";

constexpr auto delete_admin_token
  = "DELETE FROM carillon.personal_access_tokens WHERE id = $1 AND tokenable_type = 'super_admin' "
    "AND tokenable_id = $2::uuid AND $3::uuid IS NULL";

template <class Enum>
Enum read_enum(const pqxx::field& f) {
  if (auto value = parse<Enum>({f.c_str(), f.size()}))
    return *value;
  throw std::runtime_error{"unknown value in column " + std::string{f.name()}};
}

account account_from_row(const pqxx::row& row) {
  account out;
  out.id = read_id<user_id>(row["id"]);
  out.tenant = read_id<tenant_id>(row["tenant_id"]);
  out.name = text_or_empty(row["name"]);
  out.email = text_or_empty(row["email"]);
  out.avatar_url = nullable<std::string>(row["avatar_url"]);
  out.timezone = nullable<std::string>(row["timezone"]);
  out.status = read_enum<user_status>(row["status"]);
  out.role = read_enum<tenant_role>(row["role_in_tenant"]);
  out.email_verified_at = read_nullable_instant(row["email_verified_at"]);
  out.created_at = read_instant(row["created_at"]);
  return out;
}

stored_token token_from_row(const pqxx::row& row) {
  stored_token out;
  out.id = row[0].as<std::int64_t>();
  out.secret_hash = text_or_empty(row[1]);
  out.expired = row[2].as<bool>();
  out.used_lately = row[3].as<bool>();
  out.user = read_id<user_id>(row[4]);
  out.tenant = read_id<tenant_id>(row[5]);
  out.user_name = text_or_empty(row[6]);
  out.user_email = text_or_empty(row[7]);
  out.role = read_enum<tenant_role>(row[8]);
  return out;
}

std::optional<stored_token> token_from_rows(const pqxx::result& rows) {
  if (rows.empty())
    return std::nullopt;
  return token_from_row(rows[0]);
}

std::string bigint_array(const std::vector<std::int64_t>& numbers) {
  std::string out = "{";
  for (const auto number : numbers) {
    if (out.size() > 1)
      out += ',';
    out += std::to_string(number);
  }
  return out += '}';
}

admin_account admin_from_row(const pqxx::row& row) {
  admin_account out;
  out.id = read_id<super_admin_id>(row["admin_id"]);
  out.name = text_or_empty(row["name"]);
  out.email = text_or_empty(row["email"]);
  out.role = read_enum<super_admin_role>(row["role"]);
  out.status = read_enum<super_admin_status>(row["status"]);
  out.last_login_at = read_nullable_instant(row["last_login_at"]);
  return out;
}

std::optional<stored_admin_token> admin_token_from_rows(const pqxx::result& rows) {
  if (rows.empty())
    return std::nullopt;
  const auto row = rows[0];
  stored_admin_token out;
  out.id = row["id"].as<std::int64_t>();
  out.secret_hash = text_or_empty(row["token"]);
  out.expired = row["expired"].as<bool>();
  out.used_lately = row["used_lately"].as<bool>();
  out.who = admin_from_row(row);
  return out;
}

failure token_owner_missing() {
  return {errc::not_found, "user does not exist", {}, {}};
}

result<std::int64_t> insert_for(pqxx::work& tx, user_id user,
                                const new_token& token) {
  return exec_planned(tx, insert_token, to_string(user), token.name, token.secret_hash,
                 token.lifetime.count())[0][0]
    .as<std::int64_t>();
}

} // namespace

result<std::optional<stored_token>>
auth_repository::find_token(const scope& s, std::int64_t id) {
  return db_.read(
    "find_token", [&](pqxx::transaction_base& tx) -> result<std::optional<stored_token>> {
      return token_from_rows(exec_planned(tx, select_token, id, tenant_param(s)));
    });
}

result<std::optional<stored_token>>
auth_repository::find_token_by_hash(const scope& s,
                                    const std::string& secret_hash) {
  return db_.read(
    "find_token_by_hash",
    [&](pqxx::transaction_base& tx) -> result<std::optional<stored_token>> {
      return token_from_rows(
        exec_planned(tx, select_token_by_hash, secret_hash, tenant_param(s)));
    });
}

result<std::vector<token_holder>> auth_repository::find_holders(const scope& s,
                                                               const std::vector<std::int64_t>& ids) {
  return db_.read("find_holders", [&](pqxx::transaction_base& tx) -> result<std::vector<token_holder>> {
    const auto rows = exec_planned(tx, select_holders, bigint_array(ids), tenant_param(s));
    std::vector<token_holder> out;
    out.reserve(rows.size());
    for (const auto& row : rows) {
      auto& one = out.emplace_back();
      one.token = token_from_row(row);
      // A status of a newer node opens no door.
      if (!row[9].is_null())
        one.tenant = parse<tenant_status>(text_or_empty(row[9])).value_or(tenant_status::suspended);
    }
    return out;
  });
}

result<done> auth_repository::touch_tokens(const scope& s, const std::vector<std::int64_t>& ids) {
  return db_.transact("touch_tokens", [&](pqxx::work& tx) -> result<done> {
    // Who asked waits for this, and a crash may forget it.
    tx.exec("SET LOCAL synchronous_commit = off");
    exec_planned(tx, update_tokens_use, bigint_array(ids), tenant_param(s));
    return done{};
  });
}

result<done> auth_repository::touch_token(const scope& s, std::int64_t id) {
  return db_.transact("touch_token", [&](pqxx::work& tx) -> result<done> {
    exec_planned(tx, update_token_use, id, tenant_param(s));
    return done{};
  });
}

result<std::optional<credentials>>
auth_repository::find_credentials(const scope& s, const std::string& email) {
  return db_.transact(
    "find_credentials",
    [&](pqxx::work& tx) -> result<std::optional<credentials>> {
      const auto rows
        = exec_planned(tx, select_credentials, email, tenant_param(s));
      if (rows.empty())
        return std::optional<credentials>{};
      return std::optional<credentials>{credentials{
        account_from_row(rows[0]), text_or_empty(rows[0]["password"]),
        rows[0]["mfa_enabled"].as<bool>()}};
    });
}

result<account> auth_repository::load_account(const scope& s, user_id user) {
  return db_.transact("load_account", [&](pqxx::work& tx) -> result<account> {
    const auto rows
      = exec_planned(tx, select_account, to_string(user), tenant_param(s));
    if (rows.empty())
      return token_owner_missing();
    return account_from_row(rows[0]);
  });
}

result<std::int64_t> auth_repository::add_token(const scope& s, user_id user,
                                                const new_token& token,
                                                bool login) {
  return db_.transact("add_token", [&](pqxx::work& tx) -> result<std::int64_t> {
    const auto rows
      = exec_planned(tx, lock_user, to_string(user), tenant_param(s));
    if (rows.empty())
      return token_owner_missing();
    if (read_enum<user_status>(rows[0][0]) != user_status::active)
      return failure{errc::conflict,
                     "user is not active",
                     {{"email", "This account is not active."}},
                     {}};
    if (login)
      exec_planned(tx, update_last_login, to_string(user), tenant_param(s));
    exec_planned(tx, delete_surplus_tokens, to_string(user));
    note_rights_change(user);
    return insert_for(tx, user, token);
  });
}

result<std::int64_t> auth_repository::replace_tokens(const scope& s,
                                                     user_id user,
                                                     const new_token& token) {
  return db_.transact(
    "replace_tokens", [&](pqxx::work& tx) -> result<std::int64_t> {
      if (exec_planned(tx, lock_user, to_string(user), tenant_param(s)).empty())
        return token_owner_missing();
      exec_planned(tx, delete_all_tokens, to_string(user));
      note_rights_change(user);
      return insert_for(tx, user, token);
    });
}

result<done> auth_repository::revoke_token(const scope& s, user_id user,
                                           std::int64_t id) {
  return db_.transact("revoke_token", [&](pqxx::work& tx) -> result<done> {
    exec_planned(tx, delete_token, id, to_string(user), tenant_param(s));
    note_rights_change(user);
    return done{};
  });
}

result<std::optional<stored_admin_token>> auth_repository::find_admin_token(const scope& s, std::int64_t id) {
  return db_.transact("find_admin_token", [&](pqxx::work& tx) -> result<std::optional<stored_admin_token>> {
    return admin_token_from_rows(exec_planned(tx, select_admin_token, id, tenant_param(s)));
  });
}

result<std::optional<stored_admin_token>>
auth_repository::find_admin_token_by_hash(const scope& s, const std::string& secret_hash) {
  return db_.transact("find_admin_token_by_hash",
                      [&](pqxx::work& tx) -> result<std::optional<stored_admin_token>> {
    return admin_token_from_rows(exec_planned(tx, select_admin_token_by_hash, secret_hash, tenant_param(s)));
  });
}

result<std::optional<admin_credentials>> auth_repository::find_admin_credentials(const scope& s,
                                                                                 const std::string& email) {
  return db_.transact("find_admin_credentials",
                      [&](pqxx::work& tx) -> result<std::optional<admin_credentials>> {
    const auto rows = exec_planned(tx, select_admin_credentials, email, tenant_param(s));
    if (rows.empty())
      return std::optional<admin_credentials>{};
    return std::optional<admin_credentials>{admin_credentials{
      admin_from_row(rows[0]), text_or_empty(rows[0]["password"]), rows[0]["mfa_enabled"].as<bool>()}};
  });
}

result<std::int64_t> auth_repository::replace_admin_tokens(const scope& s, super_admin_id admin,
                                                           const new_token& token) {
  return db_.transact("replace_admin_tokens", [&](pqxx::work& tx) -> result<std::int64_t> {
    const auto id = to_string(admin);
    if (exec_planned(tx, update_admin_login, id, tenant_param(s)).affected_rows() == 0)
      return failure{errc::not_found, "there is no such active super-admin", {}, {}};
    exec_planned(tx, delete_admin_tokens, id);
    return exec_planned(tx, insert_admin_token, id, token.name, token.secret_hash, token.lifetime.count())[0][0]
      .as<std::int64_t>();
  });
}

result<done> auth_repository::revoke_admin_token(const scope& s, super_admin_id admin, std::int64_t id) {
  return db_.transact("revoke_admin_token", [&](pqxx::work& tx) -> result<done> {
    exec_planned(tx, delete_admin_token, id, to_string(admin), tenant_param(s));
    return done{};
  });
}

} // namespace carillon::storage
