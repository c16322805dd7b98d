#include "storage/workspace_repository.hpp"

#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr auto tenant_status_sql = R"(
SELECT status FROM carillon.tenants
WHERE id = $1::uuid AND deleted_at IS NULL
)";

constexpr auto access_sql = R"(
SELECT w.id, m.role
FROM carillon.workspaces w
LEFT JOIN carillon.workspace_memberships m
  ON m.workspace_id = w.id AND m.tenant_id = w.tenant_id
 AND m.user_id = $3::uuid
WHERE w.id = $2::uuid AND w.tenant_id = $1::uuid
  AND w.deleted_at IS NULL AND w.status <> 'deleted'
)";

constexpr auto load_tenant_sql = R"(
SELECT t.id, t.name, t.slug, t.type, t.status, t.settings, t.created_at,
       p.website
FROM carillon.tenants t
LEFT JOIN carillon.tenant_profiles p ON p.tenant_id = t.id
WHERE t.id = $1::uuid AND t.deleted_at IS NULL
)";

#define CARILLON_WORKSPACE_SELECT                                              \
  "SELECT w.id, w.tenant_id, w.name, w.slug, w.description, w.status, "        \
  "w.settings, w.created_at, own.role, "                                       \
  "(SELECT count(*) FROM carillon.workspace_memberships m "                    \
  "WHERE m.workspace_id = w.id AND m.tenant_id = w.tenant_id) "                \
  "AS member_count "                                                           \
  "FROM carillon.workspaces w "                                                \
  "LEFT JOIN carillon.workspace_memberships own "                              \
  "ON own.workspace_id = w.id AND own.tenant_id = w.tenant_id "                \
  "AND own.user_id = $2::uuid "

#define CARILLON_WORKSPACE_VISIBLE                                             \
  "w.tenant_id = $1::uuid AND w.deleted_at IS NULL AND w.status <> 'deleted' "

constexpr auto load_workspace_sql
  = CARILLON_WORKSPACE_SELECT "WHERE " CARILLON_WORKSPACE_VISIBLE
                              "AND w.id = $3::uuid";

constexpr auto list_workspaces_sql
  = CARILLON_WORKSPACE_SELECT "WHERE " CARILLON_WORKSPACE_VISIBLE
    "AND ($3::text IS NULL OR w.status = $3::text) "
    "AND ($4::text IS NULL OR w.name ILIKE $4::text "
    "OR w.description ILIKE $4::text) "
    "ORDER BY w.created_at DESC, w.id DESC LIMIT $5 OFFSET $6";

constexpr auto count_workspaces_sql
  = "SELECT count(*) FROM carillon.workspaces w "
    "WHERE " CARILLON_WORKSPACE_VISIBLE
    "AND ($2::text IS NULL OR w.status = $2::text) "
    "AND ($3::text IS NULL OR w.name ILIKE $3::text "
    "OR w.description ILIKE $3::text)";

std::optional<workspace_role> read_role(const pqxx::field& f) {
  return parse<workspace_role>(text_or_empty(f));
}

workspace workspace_from_row(const pqxx::row& row) {
  workspace w;
  w.id = read_id<workspace_id>(row["id"]);
  w.tenant = read_id<tenant_id>(row["tenant_id"]);
  w.name = text_or_empty(row["name"]);
  w.slug = text_or_empty(row["slug"]);
  w.description = nullable<std::string>(row["description"]);
  w.status = parse<workspace_status>(text_or_empty(row["status"]))
               .value_or(workspace_status::suspended);
  w.settings = text_or_empty(row["settings"]);
  w.member_count = row["member_count"].as<std::int64_t>();
  w.role = read_role(row["role"]);
  w.created_at = read_instant(row["created_at"]);
  return w;
}

failure not_here(const char* what) {
  return {errc::not_found, std::string{"no such "} + what, {}, {}};
}

} // namespace

result<tenant_status>
workspace_repository::find_tenant_status(const scope& s) {
  return db_.read(
    "find-tenant-status", [&](pqxx::transaction_base& tx) -> result<tenant_status> {
      const auto rows = exec_planned(tx, tenant_status_sql, tenant_param(s));
      if (rows.empty())
        return not_here("tenant");
      // A status of a newer node opens no door.
      return parse<tenant_status>(text_or_empty(rows[0][0]))
        .value_or(tenant_status::suspended);
    });
}

result<workspace_gate> workspace_repository::find_access(const scope& s,
                                                         workspace_id id,
                                                         user_id user) {
  return db_.read(
    "find-workspace-access", [&](pqxx::transaction_base& tx) -> result<workspace_gate> {
      const auto rows = exec_planned(tx, access_sql, tenant_param(s),
                                     to_string(id), to_string(user));
      if (rows.empty())
        return not_here("workspace");
      return workspace_gate{id, read_role(rows[0]["role"])};
    });
}

result<tenant> workspace_repository::load_tenant(const scope& s) {
  return db_.transact("load-tenant", [&](pqxx::work& tx) -> result<tenant> {
    const auto rows = tx.exec_params(load_tenant_sql, tenant_param(s));
    if (rows.empty())
      return not_here("tenant");
    const auto row = rows[0];
    tenant t;
    t.id = read_id<tenant_id>(row["id"]);
    t.name = text_or_empty(row["name"]);
    t.slug = text_or_empty(row["slug"]);
    t.type = parse<tenant_type>(text_or_empty(row["type"]))
               .value_or(tenant_type::individual);
    t.status = parse<tenant_status>(text_or_empty(row["status"]))
                 .value_or(tenant_status::suspended);
    t.website = text_or_empty(row["website"]);
    t.settings = text_or_empty(row["settings"]);
    t.created_at = read_instant(row["created_at"]);
    return t;
  });
}

result<workspace> workspace_repository::load_workspace(const scope& s,
                                                       workspace_id id,
                                                       user_id viewer) {
  return db_.transact(
    "load-workspace", [&](pqxx::work& tx) -> result<workspace> {
      const auto rows = tx.exec_params(load_workspace_sql, tenant_param(s),
                                       to_string(viewer), to_string(id));
      if (rows.empty())
        return not_here("workspace");
      return workspace_from_row(rows[0]);
    });
}

result<workspace_page>
workspace_repository::list_workspaces(const scope& s, user_id viewer,
                                      const workspace_filter& filter) {
  return db_.transact(
    "list-workspaces", [&](pqxx::work& tx) -> result<workspace_page> {
      const auto tenant = tenant_param(s);
      std::optional<std::string> status;
      if (filter.status)
        status = std::string{to_string(*filter.status)};
      const auto search = contains_param(filter.search);
      workspace_page page;
      page.total
        = tx.exec_params(count_workspaces_sql, tenant, status, search)[0][0]
            .as<std::int64_t>();
      const auto offset
        = static_cast<std::int64_t>(filter.page - 1) * filter.per_page;
      if (offset < page.total)
        for (const auto& row :
             tx.exec_params(list_workspaces_sql, tenant, to_string(viewer),
                            status, search, filter.per_page, offset))
          page.items.push_back(workspace_from_row(row));
      return page;
    });
}

} // namespace carillon::storage
