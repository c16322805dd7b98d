// Contract §2.6 and the list of §3.4.

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto workspaces_route = "/api/v1/workspaces";

class WorkspacesTest : public api_suite {
protected:
  json names(const person& by, const std::string& query = "", where at = where::current()) {
    return column(data_of(by.web.get(workspaces_route + query), 200, at), "name");
  }
  /// `newer` minutes after the workspace of the test.
  workspace_id add(const std::string& name, const std::string& status = "active", int newer = 1) {
    const auto id = add_workspace(db(), tenant, name);
    db().exec("UPDATE carillon.workspaces SET status = " + sql_literal(status) + ", created_at = '2026-01-01 00:00+00'::timestamptz "
              "+ interval '" + std::to_string(newer) + " minutes' WHERE id = " + sql_literal(id));
    return id;
  }
  void settle_main() {
    db().exec("UPDATE carillon.workspaces SET name = 'Main', slug = 'main', created_at = '2026-01-01 00:00+00' WHERE id = "
              + sql_literal(workspace));
  }
};

TEST_F(WorkspacesTest, EveryUserOfTheTenantSeesEveryWorkspaceNewestFirst) {
  settle_main();
  add("Second", "active", 1);
  add("Third", "suspended", 2);
  add("Gone", "deleted", 3);
  db().exec("UPDATE carillon.workspaces SET deleted_at = now() WHERE id = " + sql_literal(add("Removed", "active", 4)));
  for (const auto* who : {&outsider, &viewer, &owner})
    EXPECT_EQ(names(*who), json::array({"Third", "Second", "Main"})) << who->name;
  EXPECT_EQ(names(stranger).size(), 1u);
  EXPECT_EQ(names(owner, "?status=suspended"), json::array({"Third"}));
  EXPECT_EQ(names(owner, "?status=active"), json::array({"Second", "Main"}));
  EXPECT_EQ(names(owner, "?status=deleted"), json::array()) << "never shown";
  for (const auto* ignored : {"?status=", "?status=nonsense", "?search=", "?sort_by=slug%3BDROP%20TABLE%20x"})
    EXPECT_EQ(names(owner, ignored), json::array({"Third", "Second", "Main"})) << ignored;
}

TEST_F(WorkspacesTest, SearchLooksIntoNameAndDescription) {
  settle_main();
  const auto second = add("Second");
  db().exec("UPDATE carillon.workspaces SET description = '50 % off' WHERE id = " + sql_literal(second));
  EXPECT_EQ(names(owner, "?search=main"), json::array({"Main"}));
  EXPECT_EQ(names(owner, "?search=50%20%25"), json::array({"Second"}));
  EXPECT_EQ(names(owner, "?search=%25"), json::array({"Second"}));
  EXPECT_EQ(names(owner, "?search=_"), json::array());
  EXPECT_EQ(names(owner, "?search=%27%3B--"), json::array());
}

TEST_F(WorkspacesTest, TheListPages) {
  settle_main();
  for (int i = 0; i < 4; ++i)
    add("More " + std::to_string(i), "active", i + 1);
  const auto page = owner.web.get("/api/v1/workspaces?per_page=2&page=3");
  EXPECT_EQ(column(data_of(page), "name"), json::array({"Main"}));
  EXPECT_EQ(page.json()["meta"], (json{{"current_page", 3}, {"last_page", 3}, {"per_page", 2},
                                       {"total", 5}, {"from", 5}, {"to", 5}}));
  EXPECT_EQ(owner.web.get(workspaces_route).json()["meta"]["per_page"], 15);
  EXPECT_EQ(owner.web.get("/api/v1/workspaces?per_page=100").json()["meta"]["per_page"], 100) << "the client's call";
}

TEST_F(WorkspacesTest, AWorkspaceTellsItsMembersTheirRole) {
  settle_main();
  db().exec("UPDATE carillon.workspaces SET description = 'All of it', settings = "
            "'{\"icon\": \"star\", \"color\": \"#ff0000\", \"timezone\": \"Asia/Kolkata\"}' WHERE id = " + sql_literal(workspace));
  const json settings{{"icon", "star"}, {"color", "#ff0000"}, {"timezone", "Asia/Kolkata"}};
  json expected{{"id", to_string(workspace)}, {"tenant_id", to_string(tenant)}, {"name", "Main"}, {"slug", "main"},
                {"description", "All of it"}, {"status", "active"}, {"icon", "star"}, {"color", "#ff0000"},
                {"settings", settings}, {"member_count", 4}, {"current_user_role", "viewer"},
                {"created_at", "2026-01-01T00:00:00+00:00"}};
  EXPECT_EQ(data_of(viewer.web.get(base)), expected);
  EXPECT_EQ(data_of(viewer.web.get(workspaces_route)), json::array({expected}));
  expected["current_user_role"] = "admin";
  EXPECT_EQ(data_of(admin.web.get(base)), expected);
  expected["current_user_role"] = nullptr;
  EXPECT_EQ(data_of(owner.web.get(base)), expected) << "a tenant owner enters without a membership";
  EXPECT_EQ(data_of(outsider.web.get(workspaces_route)), json::array({expected}));
}

TEST_F(WorkspacesTest, TheGateOfAWorkspace) {
  EXPECT_TRUE(is_problem(node().web().get(base), 401));
  EXPECT_TRUE(is_problem(outsider.web.get(base), 403));
  EXPECT_TRUE(is_problem(stranger.web.get(base), 404));
  EXPECT_TRUE(is_problem(owner.web.get("/api/v1/workspaces/" + to_string(elsewhere)), 404));
  for (const auto& unknown : {to_string(workspace_id::make()), std::string{"nonsense"}, std::string{"1"},
                              std::string{"%27"}, to_string(workspace) + "0"})
    EXPECT_TRUE(is_problem(owner.web.get("/api/v1/workspaces/" + unknown), 404)) << unknown;
  db().exec("UPDATE carillon.workspaces SET status = 'deleted' WHERE id = " + sql_literal(workspace));
  EXPECT_TRUE(is_problem(admin.web.get(base), 404));
  EXPECT_TRUE(is_problem(admin.web.get(base + "/posts"), 404));
}

TEST_F(WorkspacesTest, TheCurrentTenantIsTheCallers) {
  db().exec("UPDATE carillon.tenants SET name = 'Acme', slug = 'acme-" + to_string(tenant) + "', type = 'b2b_smb', settings = "
            "'{\"timezone\": \"Asia/Kolkata\", \"branding\": {\"logo_url\": \"https://acme.example/l.png\"}}', "
            "created_at = '2026-01-01 00:00+00' WHERE id = " + sql_literal(tenant));
  db().exec("INSERT INTO carillon.tenant_profiles (id, tenant_id, website) VALUES (" + sql_literal(to_string(make_uuid_v7())) + ", "
            + sql_literal(tenant) + ", 'https://acme.example')");
  const json expected{
    {"id", to_string(tenant)}, {"name", "Acme"}, {"slug", "acme-" + to_string(tenant)}, {"type", "b2b_smb"},
    {"status", "active"}, {"logo_url", "https://acme.example/l.png"}, {"website", "https://acme.example"},
    {"timezone", "Asia/Kolkata"},
    {"settings", {{"timezone", "Asia/Kolkata"}, {"branding", {{"logo_url", "https://acme.example/l.png"}}}}},
    {"created_at", "2026-01-01T00:00:00+00:00"}};
  EXPECT_EQ(data_of(viewer.web.get("/api/v1/tenants/current")), expected);
  auto other = data_of(stranger.web.get("/api/v1/tenants/current"));
  EXPECT_NE(other.value("id", ""), to_string(tenant));
  for (const auto* unset : {"logo_url", "website", "timezone"})
    EXPECT_EQ(other.value(unset, json{1}), nullptr) << unset;
  EXPECT_TRUE(is_problem(node().web().get("/api/v1/tenants/current"), 401));
}

// -- social accounts ---------------------------------------------------------------

TEST_F(WorkspacesTest, AccountsShowOneOfTheOlderCodesAndTheTrueNetwork) {
  for (const auto& [code, shown] : std::initializer_list<std::pair<std::string, std::string>>{
         {"mastodon", "twitter"}, {"bluesky", "twitter"}, {"linkedin", "linkedin"}, {"facebook", "facebook"},
         {"instagram", "instagram"}, {"twitter", "twitter"}, {"whatsapp", "whatsapp"}}) {
    add_account(workspace, code);
    const auto seen = data_of(viewer.web.get(base + "/social-accounts?platform=" + code));
    ASSERT_EQ(seen.size(), 1u) << code << ": requests take the true codes";
    EXPECT_EQ(seen[0]["platform"], shown) << code;
    EXPECT_EQ(seen[0]["network"], code);
  }
}

TEST_F(WorkspacesTest, AnAccountTellsItsHealthAndNeverItsTokens) {
  const auto id = add_account(workspace);
  db().exec("UPDATE carillon.social_accounts SET connected_at = '2026-01-01 00:00+00', token_expires_at = "
            "'2026-06-01 00:00+00', last_refreshed_at = '2026-02-01 00:00+00', account_username = 'acme', profile_image_url "
            "= 'https://acme.example/p.png' WHERE id = " + sql_literal(id));
  const auto list = viewer.web.get(base + "/social-accounts");
  const auto accounts = data_of(list);
  ASSERT_EQ(accounts.size(), 1u);
  EXPECT_EQ(accounts[0], (json{{"id", to_string(id)}, {"workspace_id", to_string(workspace)}, {"platform", "twitter"},
                               {"network", "mastodon"}, {"platform_account_id", to_string(id)},
                               {"account_name", "Acme on mastodon"}, {"account_username", "acme"},
                               {"profile_image_url", "https://acme.example/p.png"}, {"status", "connected"},
                               {"is_healthy", true}, {"can_publish", true}, {"requires_reconnect", false},
                               {"token_expires_at", "2026-06-01T00:00:00+00:00"},
                               {"connected_at", "2026-01-01T00:00:00+00:00"},
                               {"last_refreshed_at", "2026-02-01T00:00:00+00:00"}}));
  EXPECT_EQ(list.body.find("token_encrypted"), std::string::npos);
}

TEST_F(WorkspacesTest, AnAccountThatIsNotConnectedCannotPublish) {
  for (const auto& [status, reconnect] : std::initializer_list<std::pair<std::string, bool>>{
         {"token_expired", true}, {"revoked", true}, {"disconnected", false}}) {
    add_account(workspace, "twitter", status);
    const auto seen = data_of(viewer.web.get(base + "/social-accounts?status=" + status));
    ASSERT_EQ(seen.size(), 1u) << status;
    EXPECT_EQ(seen[0]["is_healthy"], false) << status;
    EXPECT_EQ(seen[0]["can_publish"], false) << status;
    EXPECT_EQ(seen[0]["requires_reconnect"], reconnect) << status;
  }
  const auto connected = to_string(add_account(workspace, "twitter"));
  EXPECT_EQ(column(data_of(viewer.web.get(base + "/social-accounts?connected=true")), "id"), json::array({connected}));
  EXPECT_EQ(data_of(viewer.web.get(base + "/social-accounts")).size(), 4u);
  EXPECT_EQ(data_of(viewer.web.get(base + "/social-accounts?status=&platform=&connected=")).size(), 4u);
  EXPECT_EQ(data_of(viewer.web.get(base + "/social-accounts?status=x&platform=y&connected=false")).size(), 4u);
}

TEST_F(WorkspacesTest, AccountsBelongToTheirWorkspaceAndItsMembers) {
  const auto mine = to_string(add_account(workspace));
  const auto theirs = to_string(add_account(elsewhere));
  EXPECT_EQ(column(data_of(viewer.web.get(base + "/social-accounts")), "id"), json::array({mine}));
  EXPECT_EQ(data_of(owner.web.get(base + "/social-accounts")).size(), 1u);
  EXPECT_TRUE(is_problem(outsider.web.get(base + "/social-accounts"), 403));
  EXPECT_TRUE(is_problem(stranger.web.get(base + "/social-accounts"), 404));
  EXPECT_EQ(data_of(viewer.web.get(base + "/social-accounts/" + mine)).value("id", ""), mine);
  EXPECT_TRUE(is_problem(viewer.web.get(base + "/social-accounts/" + theirs), 404));
  EXPECT_TRUE(is_problem(viewer.web.get(base + "/social-accounts/nonsense"), 404));
}

TEST_F(WorkspacesTest, AccountsComeNewestFirstInPagesOfFifteen) {
  std::vector<std::string> ids;
  for (int i = 0; i < 17; ++i) {
    ids.push_back(to_string(add_account(workspace)));
    db().exec("UPDATE carillon.social_accounts SET connected_at = '2026-01-01 00:00+00'::timestamptz + interval '"
              + std::to_string(i) + " minutes' WHERE id = " + test::sql_literal(ids.back()));
  }
  const auto first = viewer.web.get(base + "/social-accounts");
  ASSERT_EQ(data_of(first).size(), 15u);
  EXPECT_EQ(first.json()["data"][0]["id"], ids[16]);
  EXPECT_EQ(first.json()["meta"], (json{{"current_page", 1}, {"last_page", 2}, {"per_page", 15},
                                        {"total", 17}, {"from", 1}, {"to", 15}}));
  EXPECT_EQ(column(data_of(viewer.web.get(base + "/social-accounts?page=2")), "id"), json::array({ids[1], ids[0]}));
}

class TrueCodesTest : public api_suite {
public:
  static void SetUpTestSuite() {
    start_node({{"CARILLON_API__COMPAT_PLATFORM_CODES", "false"}});
  }
};

TEST_F(TrueCodesTest, WithoutCompatibilityThePlatformIsTheTrueCode) {
  const auto account = to_string(add_account(workspace));
  const auto seen = data_of(viewer.web.get(base + "/social-accounts"));
  EXPECT_EQ(column(seen, "platform"), json::array({"mastodon"}));
  EXPECT_EQ(column(seen, "network"), json::array({"mastodon"}));
  const auto made = data_of(editor.web.post(base + "/posts", {{"social_account_ids", json::array({account})}}), 201);
  EXPECT_EQ(column(made["targets"], "platform"), json::array({"mastodon"}));
}

} // namespace

} // namespace carillon
