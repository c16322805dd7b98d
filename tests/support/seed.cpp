#include "tests/support/seed.hpp"

#include "storage/social_account_repository.hpp"

namespace carillon::test {

namespace {

template <class Id>
std::string sql(const Id& id) {
  return "'" + to_string(id) + "'";
}

} // namespace

const storage::token_cipher& test_cipher() {
  static const storage::token_cipher cipher{std::string(32, 'k')};
  return cipher;
}

std::string sql_literal(const std::string& text) {
  std::string out = "'";
  for (char c : text)
    out += c == '\'' ? std::string{"''"} : std::string{c};
  return out + "'";
}

tenant_id add_tenant(test_database& db, const std::string& slug, const std::string& status) {
  const auto id = tenant_id::make();
  db.exec("INSERT INTO carillon.tenants (id, name, slug, status) VALUES (" + sql(id) + ", " + sql_literal(slug)
          + ", " + sql_literal(slug) + ", " + sql_literal(status) + ")");
  return id;
}

user_id add_user(test_database& db, tenant_id tenant, const std::string& name, tenant_role role,
                 const std::string& status) {
  const auto id = user_id::make();
  db.exec("INSERT INTO carillon.users (id, tenant_id, email, name, status, role_in_tenant) VALUES ("
          + sql(id) + ", " + sql(tenant) + ", " + sql_literal(name + "@" + to_string(tenant) + ".example") + ", "
          + sql_literal(name) + ", " + sql_literal(status) + ", " + sql_literal(std::string{to_string(role)}) + ")");
  return id;
}

workspace_id add_workspace(test_database& db, tenant_id tenant, const std::string& slug) {
  const auto id = workspace_id::make();
  db.exec("INSERT INTO carillon.workspaces (id, tenant_id, name, slug) VALUES (" + sql(id) + ", "
          + sql(tenant) + ", " + sql_literal(slug) + ", " + sql_literal(slug) + ")");
  return id;
}

void add_member(test_database& db, tenant_id tenant, workspace_id workspace, user_id user,
                workspace_role role) {
  db.exec("INSERT INTO carillon.workspace_memberships (id, tenant_id, workspace_id, user_id, role) VALUES ("
          + sql(make_uuid_v7()) + ", " + sql(tenant) + ", " + sql(workspace) + ", " + sql(user) + ", "
          + sql_literal(std::string{to_string(role)}) + ")");
}

seed::seed(test_database& db)
  : tenant{tenant_id::make()}, author{user_id::make()}, db_(db) {
  db.exec("INSERT INTO carillon.tenants (id, name, slug, status) VALUES (" + sql(tenant) + ", 'Acme', "
          + sql_literal("acme-" + to_string(tenant)) + ", 'active')");
  db.exec("INSERT INTO carillon.users (id, tenant_id, email, name, status, role_in_tenant) VALUES ("
          + sql(author) + ", " + sql(tenant) + ", 'ada@acme.example', 'Ada', 'active', 'owner')");
  workspace = add_workspace();
}

workspace_id seed::add_workspace() {
  const auto id = workspace_id::make();
  db_.exec("INSERT INTO carillon.workspaces (id, tenant_id, name, slug) VALUES (" + sql(id) + ", "
           + sql(tenant) + ", 'Main', " + sql_literal(to_string(id)) + ")");
  db_.exec("INSERT INTO carillon.workspace_memberships (id, tenant_id, workspace_id, user_id, role) VALUES ("
           + sql(make_uuid_v7()) + ", " + sql(tenant) + ", " + sql(id) + ", " + sql(author) + ", 'owner')");
  return id;
}

social_account_id seed::add_account(workspace_id owner, const std::string& platform,
                                    const std::string& instance_url) {
  const auto id = social_account_id::make();
  const auto token = test_cipher().encrypt("sandbox-acme", storage::bound_to(id, "access_token"));
  db_.exec("INSERT INTO carillon.social_accounts (id, tenant_id, workspace_id, platform, platform_account_id, "
           "account_name, access_token_encrypted, connected_by_user_id, metadata) VALUES ("
           + sql(id) + ", " + sql(tenant) + ", " + sql(owner) + ", " + sql_literal(platform) + ", "
           + sql_literal(to_string(id)) + ", 'Acme', " + sql_literal(*token) + ", " + sql(author)
           + ", jsonb_build_object('instance_url', " + sql_literal(instance_url) + "))");
  return id;
}

post_id seed::add_scheduled_post(workspace_id owner, const std::string& text, const std::string& due) {
  const auto id = post_id::make();
  db_.exec("INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, "
           "scheduled_at) VALUES (" + sql(id) + ", " + sql(tenant) + ", " + sql(owner) + ", " + sql(author) + ", "
           + sql_literal(text) + ", 'scheduled', " + due + ")");
  return id;
}

target_id seed::add_target(post_id post, social_account_id account) {
  const auto id = target_id::make();
  db_.exec("INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code) "
           "SELECT " + sql(id) + ", tenant_id, " + sql(post) + ", id, platform FROM carillon.social_accounts "
           "WHERE id = " + sql(account));
  return id;
}

} // namespace carillon::test
