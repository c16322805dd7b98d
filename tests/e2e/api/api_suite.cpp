#include "tests/e2e/api/api_suite.hpp"

#include <memory>
#include <regex>
#include <set>

#include "http/password_hasher.hpp"
#include "storage/social_account_repository.hpp"

namespace carillon::test {

namespace {

struct world {
  test_database db;
  scratch_folder folder;
  std::unique_ptr<carillon_node> node;
};

std::unique_ptr<world>& current() {
  static std::unique_ptr<world> one;
  return one;
}

::testing::AssertionResult is_problem(const json& body, int seen, int expected, const std::string& raw) {
  if (seen != expected)
    return ::testing::AssertionFailure() << "status " << seen << " instead of " << expected << ": " << raw.substr(0, 500);
  static const std::set<std::string> known{"success", "message", "errors"};
  bool good = body.is_object() && body.value("success", json{}) == false && body.value("message", json{}).is_string()
              && !body["message"].get_ref<const std::string&>().empty();
  if (good)
    for (const auto& [key, _] : body.items())
      good = good && known.contains(key);
  good = good && (expected != 422 || (body.contains("errors") && !body["errors"].empty()));
  if (good && body.contains("errors"))
    for (const auto& [_, texts] : body["errors"].items())
      good = good && texts.is_array() && !texts.empty() && texts[0].is_string()
             && !texts[0].get_ref<const std::string&>().empty();
  if (!good)
    return ::testing::AssertionFailure() << "no error envelope: " << raw.substr(0, 500);
  return ::testing::AssertionSuccess();
}

} // namespace

void api_suite::start_node(const carillon_node::environment& settings) {
  auto fresh = std::make_unique<world>();
  fresh->node = std::make_unique<carillon_node>(fresh->db.url(), fresh->folder.path(), settings);
  current() = std::move(fresh);
}

void api_suite::TearDownTestSuite() {
  if (!current())
    return;
  auto& node = current()->node->self();
  EXPECT_TRUE(node.is_running()) << "the node died: " << node.output();
  current()->node.reset();
  current().reset();
}

test_database& api_suite::db() {
  return current()->db;
}

carillon_node& api_suite::node() {
  return *current()->node;
}

api_suite::api_suite()
  : tenant{add_tenant(db(), to_string(make_uuid_v7()))},
    workspace{add_workspace(db(), tenant, to_string(make_uuid_v7()))},
    base{"/api/v1/workspaces/" + to_string(workspace)},
    owner{add_person(tenant, "owner", tenant_role::owner)},
    admin{add_member_person("admin", workspace_role::admin)},
    editor{add_member_person("editor", workspace_role::editor)},
    colleague{add_member_person("colleague", workspace_role::editor)},
    viewer{add_member_person("viewer", workspace_role::viewer)},
    outsider{add_person(tenant, "outsider")},
    stranger{add_person(add_tenant(db(), to_string(make_uuid_v7())), "stranger", tenant_role::owner)} {
  const auto other = tenant_id::parse(
    db().exec("SELECT tenant_id FROM carillon.users WHERE id = " + sql_literal(stranger.id)));
  elsewhere = add_workspace(db(), *other, to_string(make_uuid_v7()));
  add_member(db(), *other, elsewhere, stranger.id, workspace_role::owner);
}

person api_suite::add_person(tenant_id tenant, const std::string& name, tenant_role role,
                             const std::string& status) {
  static const auto hash = http::hash_password(password, 4);
  const auto id = add_user(db(), tenant, name, role, status);
  db().exec("UPDATE carillon.users SET password = " + sql_literal(hash) + " WHERE id = " + sql_literal(id));
  const auto secret = "secret-of-" + to_string(id);
  const auto number = db().exec(
    "INSERT INTO carillon.personal_access_tokens (tokenable_type, tokenable_id, tenant_id, name, token, abilities, "
    "expires_at) VALUES ('user', " + sql_literal(id) + ", " + sql_literal(tenant) + ", 'auth-token', encode(sha256(" + sql_literal(secret)
    + "::bytea), 'hex'), '[\"*\"]', now() + interval '1 day') RETURNING id");
  const auto token = number + "|" + secret;
  return {id, name, name + "@" + to_string(tenant) + ".example", token, web_client{node().web().base_url(), token}};
}

person api_suite::add_member_person(const std::string& name, workspace_role role, tenant_role in_tenant) {
  auto out = add_person(tenant, name, in_tenant);
  add_member(db(), tenant, workspace, out.id, role);
  return out;
}

person api_suite::add_super_admin(const std::string& role, const std::string& status) {
  static const auto hash = http::hash_password(password, 4);
  const auto id = user_id::make();
  const auto email = to_string(id) + "@carillon.example";
  db().exec("INSERT INTO carillon.super_admin_users (id, email, password, name, role, status) VALUES (" + sql_literal(id)
            + ", " + sql_literal(email) + ", " + sql_literal(hash) + ", 'Root', " + sql_literal(role) + ", " + sql_literal(status) + ")");
  const auto secret = "secret-of-" + to_string(id);
  const auto number = db().exec(
    "INSERT INTO carillon.personal_access_tokens (tokenable_type, tokenable_id, name, token, abilities, expires_at) "
    "VALUES ('super_admin', " + sql_literal(id) + ", 'auth-token', encode(sha256(" + sql_literal(secret)
    + "::bytea), 'hex'), '[\"*\"]', now() + interval '1 day') RETURNING id");
  const auto token = number + "|" + secret;
  return {id, "Root", email, token, web_client{node().web().base_url(), token}};
}

std::string api_suite::add_notice(const person& to, const notice& n) {
  return db().exec(
    "INSERT INTO carillon.notifications (id, tenant_id, user_id, type, channel, title, message, data, action_url, "
    "icon, read_at, created_at) SELECT " + sql_literal(notification_id::make()) + ", tenant_id, id, " + sql_literal(n.type) + ", "
    + sql_literal(n.channel) + ", " + sql_literal(n.title) + ", 'Message', " + n.data + ", " + n.action_url + ", " + n.icon
    + ", " + n.read_at + ", " + n.created_at + " FROM carillon.users WHERE id = " + sql_literal(to.id) + " RETURNING id");
}

social_account_id api_suite::add_account(workspace_id owner_workspace, const std::string& platform,
                                         const std::string& status) {
  const auto id = social_account_id::make();
  const auto token = test_cipher().encrypt("token", to_string(id));
  db().exec("INSERT INTO carillon.social_accounts (id, tenant_id, workspace_id, platform, platform_account_id, "
            "account_name, status, access_token_encrypted, connected_by_user_id, metadata) SELECT " + sql_literal(id)
            + ", w.tenant_id, w.id, " + sql_literal(platform) + ", " + sql_literal(id) + ", 'Acme on " + platform + "', "
            + sql_literal(status) + ", " + sql_literal(*token) + ", u.id, '{\"instance_url\": \"http://127.0.0.1:1\"}' "
            + "FROM carillon.workspaces w JOIN carillon.users u ON u.tenant_id = w.tenant_id WHERE w.id = "
            + sql_literal(owner_workspace) + " ORDER BY u.id LIMIT 1");
  return id;
}

void api_suite::connect_account(social_account_id account, const std::string& instance) {
  const auto token = test_cipher().encrypt("sandbox-" + to_string(account), storage::bound_to(account, "access_token"));
  db().exec("UPDATE carillon.social_accounts SET access_token_encrypted = " + sql_literal(*token) + ", metadata = "
            "jsonb_build_object('instance_url', " + sql_literal(instance) + ") WHERE id = " + sql_literal(account));
}

std::string api_suite::add_post(const person& author, const std::string& status,
                                std::optional<social_account_id> account) {
  const auto id = db().exec(
    "INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, scheduled_at) "
    "VALUES (" + sql_literal(post_id::make()) + ", " + sql_literal(tenant) + ", " + sql_literal(workspace) + ", " + sql_literal(author.id)
    + ", 'A post', " + sql_literal(status) + ", " + (status == "scheduled" ? "now() + interval '1 day'" : "NULL")
    + ") RETURNING id");
  if (account)
    db().exec("INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code, status, "
              "publishing_since, external_post_id) VALUES (" + sql_literal(target_id::make()) + ", " + sql_literal(tenant) + ", "
              + sql_literal(id) + ", " + sql_literal(*account) + ", 'mastodon', "
              + (status == "published"    ? "'published', NULL, " + sql_literal(id)
                 : status == "publishing" ? "'publishing', now(), NULL"
                 : status == "failed"     ? "'failed', NULL, NULL"
                                          : "'pending', NULL, NULL")
              + ")");
  return id;
}

int api_suite::count(const std::string& from_where) {
  return std::stoi(db().exec("SELECT count(*) FROM carillon." + from_where));
}

std::string api_suite::fingerprint() {
  const auto ours = " IN (" + sql_literal(tenant) + ", (SELECT tenant_id FROM carillon.users WHERE id = "
                    + sql_literal(stranger.id) + "))";
  // What the engine writes by itself is left out.
  const auto part = [&](const std::string& table, const std::string& column = "tenant_id") {
    return ", (SELECT '" + table + "=' || count(*) || ':' || md5(coalesce(string_agg((to_jsonb(r) - '{sent_at, "
           "failed_at, updated_at, last_used_at, last_login_at, last_active_at}'::text[])::text, '|' ORDER BY r.id), '')) "
           "FROM carillon." + table + " r WHERE " + column + ours + ")";
  };
  std::string sql = "SELECT concat_ws(' '" + part("tenants", "id");
  for (const auto* table : {"users", "workspaces", "workspace_memberships", "social_accounts", "posts", "post_targets",
                            "post_media", "approval_decisions", "notifications", "notification_preferences", "audit_logs"})
    sql += part(table);
  sql += part("personal_access_tokens", "(SELECT tenant_id FROM carillon.users u WHERE u.id = tokenable_id)");
  return db().exec(sql + ", (SELECT 'jobs=' || count(*) FROM carillon.jobs WHERE kind = 'publish_post' AND tenant_id" + ours + "))");
}

::testing::AssertionResult is_problem(const web_answer& answer, int status) {
  return is_problem(answer.json(), answer.status, status, answer.body);
}

::testing::AssertionResult is_problem(const std::optional<raw_answer>& answer, int status) {
  if (!answer)
    return ::testing::AssertionFailure() << "no answer";
  return is_problem(json::parse(answer->body, nullptr, false), answer->status, status, answer->body);
}

::testing::AssertionResult refuses(const web_answer& answer, std::initializer_list<std::string> fields) {
  if (auto envelope = is_problem(answer, 422); !envelope)
    return envelope;
  const auto errors = answer.json()["errors"];
  std::set<std::string> seen;
  for (const auto& [field, _] : errors.items())
    seen.insert(field);
  if (seen != std::set<std::string>(fields))
    return ::testing::AssertionFailure() << "other fields are refused: " << answer.body.substr(0, 500);
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult refuses(const web_answer& answer, const std::string& field) {
  return refuses(answer, std::initializer_list<std::string>{field});
}

json data_of(const web_answer& answer, int status, where at) {
  const auto body = answer.json();
  if (answer.status != status || !body.is_object() || body.value("success", json{}) != true
      || !body.value("message", json{}).is_string() || !body.contains("data")) {
    ADD_FAILURE_AT(at.file_name(), static_cast<int>(at.line()))
      << "status " << answer.status << " instead of " << status << ": " << answer.body.substr(0, 500);
    return nullptr;
  }
  return body["data"];
}

std::string header_of(const web_answer& answer, const std::string& name) {
  const std::regex line{"(?:^|\n)" + name + ": *([^\r\n]*)", std::regex::icase};
  std::smatch found;
  return std::regex_search(answer.headers, found, line) ? found[1].str() : std::string{};
}

::testing::AssertionResult is_api_time(const json& value) {
  static const std::regex form{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00)"};
  if (value.is_string() && std::regex_match(value.get<std::string>(), form))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << value << " is no time";
}

json column(const json& rows, const std::string& member) {
  auto out = json::array();
  for (const auto& row : rows)
    out.push_back(row.value(member, json{}));
  return out;
}

std::uint16_t port_of(const web_client& web) {
  const auto& url = web.base_url();
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

} // namespace carillon::test
