// A tenant with what publishing needs, written by plain SQL.
#pragma once

#include <string>

#include "domain/enums.hpp"
#include "domain/ids.hpp"
#include "storage/token_cipher.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::test {

/// The key of every test.
const storage::token_cipher& test_cipher();

/// As an SQL literal.
std::string sql_literal(const std::string& text);
template <class Tag>
std::string sql_literal(const strong_id<Tag>& id) {
  return sql_literal(to_string(id));
}

// -- single rows ----------------------------------------------------------------

tenant_id add_tenant(test_database& db, const std::string& slug, const std::string& status = "active");

/// `<name>@<tenant id>.example`.
user_id add_user(test_database& db, tenant_id tenant, const std::string& name,
                 tenant_role role = tenant_role::member, const std::string& status = "active");

workspace_id add_workspace(test_database& db, tenant_id tenant, const std::string& slug);

void add_member(test_database& db, tenant_id tenant, workspace_id workspace, user_id user,
                workspace_role role);

class seed {
public:
  /// Tenant, author and one workspace.
  explicit seed(test_database& db);

  workspace_id add_workspace();
  social_account_id add_account(workspace_id workspace, const std::string& platform = "mastodon",
                                const std::string& instance_url = "http://127.0.0.1:1");
  /// `due` is SQL relative to the database's clock, as in "now() - interval '1 second'".
  post_id add_scheduled_post(workspace_id workspace, const std::string& text, const std::string& due);
  target_id add_target(post_id post, social_account_id account);

  tenant_id tenant;
  user_id author;
  workspace_id workspace;

private:
  test_database& db_;
};

} // namespace carillon::test
