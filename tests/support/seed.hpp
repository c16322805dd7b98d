// Tenants, users and workspaces for a test's own database.
#pragma once

#include <string>

#include "domain/enums.hpp"
#include "domain/ids.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::test {

inline std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

template <class Id>
std::string quoted(const Id& id) {
  return "'" + to_string(id) + "'";
}

inline tenant_id add_tenant(test_database& db, const std::string& name,
                            const std::string& status = "active") {
  const auto id = tenant_id::make();
  db.exec("INSERT INTO carillon.tenants (id, name, slug, status) VALUES ("
          + quoted(id) + ", " + quoted(name) + ", " + quoted(name) + ", "
          + quoted(status) + ")");
  return id;
}

/// The address is `<name>@<tenant's id>.example`.
inline user_id add_user(test_database& db, tenant_id tenant,
                        const std::string& name,
                        tenant_role role = tenant_role::member,
                        const std::string& status = "active") {
  const auto id = user_id::make();
  db.exec(
    "INSERT INTO carillon.users (id, tenant_id, email, name, role_in_tenant, "
    "status) VALUES ("
    + quoted(id) + ", " + quoted(tenant) + ", "
    + quoted(name + "@" + to_string(tenant) + ".example") + ", " + quoted(name)
    + ", " + quoted(std::string{to_string(role)}) + ", " + quoted(status)
    + ")");
  return id;
}

inline workspace_id add_workspace(test_database& db, tenant_id tenant,
                                  const std::string& name) {
  const auto id = workspace_id::make();
  db.exec("INSERT INTO carillon.workspaces (id, tenant_id, name, slug) VALUES ("
          + quoted(id) + ", " + quoted(tenant) + ", " + quoted(name) + ", "
          + quoted(name) + ")");
  return id;
}

inline void add_member(test_database& db, tenant_id tenant,
                       workspace_id workspace, user_id user,
                       workspace_role role) {
  db.exec("INSERT INTO carillon.workspace_memberships (id, tenant_id, "
          "workspace_id, user_id, role) VALUES ("
          + quoted(make_uuid_v7()) + ", " + quoted(tenant) + ", "
          + quoted(workspace) + ", " + quoted(user) + ", "
          + quoted(std::string{to_string(role)}) + ")");
}

} // namespace carillon::test
