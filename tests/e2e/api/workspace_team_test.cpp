// Contract §2.6: making workspaces, their members and the dashboard.

#include <algorithm>
#include <future>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

class WorkspaceTeamTest : public api_suite {
protected:
  std::string members = base + "/members";

  web_answer add_to_team(const person& by, const person& who, const std::string& role = "viewer") {
    return by.web.post(members, {{"user_id", to_string(who.id)}, {"role", role}});
  }
  web_answer set_role_of(const person& by, const person& who, const std::string& role) {
    return by.web.put(members + "/" + to_string(who.id), {{"role", role}});
  }
  web_answer remove_from_team(const person& by, const person& who) {
    return by.web.send("DELETE", members + "/" + to_string(who.id), "");
  }
  int told(const person& who, const std::string& type) {
    return count("notifications WHERE user_id = " + sql_literal(who.id) + " AND type = " + sql_literal(type));
  }
};

// -- making one --------------------------------------------------------------------

TEST_F(WorkspaceTeamTest, TheCreatorOwnsANewWorkspaceWithItsDefaults) {
  db().exec("UPDATE carillon.tenants SET settings = '{\"timezone\": \"Europe/Berlin\"}' WHERE id = " + sql_literal(tenant));
  const auto made = data_of(owner.web.post("/api/v1/workspaces", {{"name", "Über Müller & Co"}, {"description", "All"},
                                                                  {"icon", "star"}, {"color", "#ff0000"}}), 201);
  EXPECT_EQ(made["name"], "Über Müller & Co");
  EXPECT_EQ(made["slug"], "ber-m-ller-co");
  EXPECT_EQ(made["description"], "All");
  EXPECT_EQ(made["status"], "active");
  EXPECT_EQ(made["icon"], "star");
  EXPECT_EQ(made["color"], "#ff0000");
  EXPECT_EQ(made["settings"]["timezone"], "Europe/Berlin");
  EXPECT_EQ(made["settings"]["approval_workflow"], (json{{"enabled", true}, {"required_for_roles", json::array({"editor"})}}));
  EXPECT_EQ(made["current_user_role"], "owner");
  EXPECT_EQ(made["member_count"], 1);
  const auto again = data_of(owner.web.post("/api/v1/workspaces", {{"name", "über müller & co"}}), 201);
  EXPECT_EQ(again["slug"], "ber-m-ller-co-2") << "a slug is the tenant's once";
  const auto plain = data_of(stranger.web.post("/api/v1/workspaces", {{"name", "日本"}}), 201);
  EXPECT_EQ(plain["slug"], "workspace");
  EXPECT_EQ(plain["settings"]["timezone"], "Asia/Kolkata");
  EXPECT_TRUE(plain["icon"].is_null());
}

TEST_F(WorkspaceTeamTest, OnlyTenantAdminsMakeWorkspacesAndNamesHaveLimits) {
  const auto tenant_admin = add_person(tenant, "tenant admin", tenant_role::admin);
  data_of(tenant_admin.web.post("/api/v1/workspaces", {{"name", std::string(100, 'n')}}), 201);
  const auto before = fingerprint();
  for (const auto* who : {&admin, &editor, &viewer, &outsider})
    EXPECT_TRUE(is_problem(who->web.post("/api/v1/workspaces", {{"name", 7}}), 403)) << who->name;
  EXPECT_TRUE(refuses(owner.web.post("/api/v1/workspaces"), "name"));
  EXPECT_TRUE(refuses(owner.web.post("/api/v1/workspaces", {{"name", std::string(101, 'n')}, {"description", std::string(501, 'd')},
                                                            {"icon", std::string(51, 'i')}, {"color", std::string(21, 'c')}}),
                      {"name", "description", "icon", "color"}));
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(WorkspaceTeamTest, ManyAtOnceWithOneNameGetSlugsOfTheirOwn) {
  std::vector<std::future<int>> calls;
  for (int i = 0; i < 6; ++i)
    calls.push_back(std::async(std::launch::async, [&] { return owner.web.post("/api/v1/workspaces", {{"name", "Same"}}).status; }));
  for (auto& call : calls)
    EXPECT_EQ(call.get(), 201);
  EXPECT_EQ(db().exec("SELECT count(DISTINCT slug) FROM carillon.workspaces WHERE name = 'Same' AND tenant_id = " + sql_literal(tenant)), "6");
}

// -- members -----------------------------------------------------------------------

TEST_F(WorkspaceTeamTest, MembersComeLatestFirstAndCanBeFiltered) {
  for (const auto& [who, when] : std::initializer_list<std::pair<const person*, const char*>>{
         {&admin, "2026-01-01"}, {&editor, "2026-01-02"}, {&colleague, "2026-01-03"}, {&viewer, "2026-01-04"}})
    db().exec("UPDATE carillon.workspace_memberships SET joined_at = '" + std::string{when} + "' WHERE user_id = " + sql_literal(who->id));
  const auto names = [&](const std::string& query) { return column(data_of(viewer.web.get(members + query)), "name"); };
  EXPECT_EQ(names(""), json::array({"viewer", "colleague", "editor", "admin"}));
  EXPECT_EQ(names("?role=editor"), json::array({"colleague", "editor"}));
  EXPECT_EQ(names("?search=coll"), json::array({"colleague"}));
  EXPECT_EQ(names("?search=%25"), json::array());
  EXPECT_EQ(names("?role=&search="), json::array({"viewer", "colleague", "editor", "admin"}));
  const auto page = viewer.web.get(members + "?per_page=3&page=2");
  EXPECT_EQ(column(data_of(page), "name"), json::array({"admin"}));
  EXPECT_EQ(page.json()["meta"]["total"], 4);
  const auto shown = data_of(owner.web.get(members + "?search=colleague"))[0];
  EXPECT_EQ(shown["user_id"], to_string(colleague.id));
  EXPECT_EQ(shown["email"], colleague.email);
  EXPECT_EQ(shown["role"], "editor");
  EXPECT_EQ(shown["joined_at"], "2026-01-03T00:00:00+00:00");
  EXPECT_TRUE(is_problem(outsider.web.get(members), 403));
  EXPECT_TRUE(is_problem(stranger.web.get(members), 404));
}

TEST_F(WorkspaceTeamTest, WhoIsAddedChangedOrRemovedIsTold) {
  const auto added = data_of(admin.web.post(members, {{"user_id", to_string(outsider.id)}}), 201);
  EXPECT_EQ(added["role"], "viewer") << "the default";
  EXPECT_EQ(added["user_id"], to_string(outsider.id));
  data_of(outsider.web.get(base + "/posts"));
  const auto notices = data_of(outsider.web.get("/api/v1/notifications?type=member_added"));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0]["data"]["workspace_id"], to_string(workspace));
  EXPECT_FALSE(notices[0]["data"]["workspace_name"].get<std::string>().empty());
  EXPECT_EQ(data_of(set_role_of(admin, outsider, "editor"))["role"], "editor");
  data_of(set_role_of(admin, outsider, "editor"));
  EXPECT_EQ(told(outsider, "role_changed"), 1) << "not for what stays as it is";
  data_of(remove_from_team(admin, outsider));
  EXPECT_EQ(told(outsider, "member_removed"), 1);
  EXPECT_TRUE(is_problem(outsider.web.get(base + "/posts"), 403)) << "at once";
  EXPECT_TRUE(is_problem(remove_from_team(admin, outsider), 404));
  EXPECT_EQ(count("audit_logs WHERE auditable_type = 'workspace' AND action = 'permission_change' AND auditable_id = " + sql_literal(workspace)), 3);
}

TEST_F(WorkspaceTeamTest, MembersAreManagedByAdminsWhoAreMembers) {
  const auto workspace_owner = add_member_person("workspace owner", workspace_role::owner);
  const auto owner_as_viewer = add_member_person("tenant owner as viewer", workspace_role::viewer, tenant_role::owner);
  const auto before = fingerprint();
  // Contract §2.4: a tenant's owner without a membership is not let in here.
  for (const auto* who : std::initializer_list<const person*>{&owner, &editor, &viewer, &outsider}) {
    EXPECT_TRUE(is_problem(who->web.post(members, {{"user_id", 1}}), 403)) << who->name;
    EXPECT_TRUE(is_problem(set_role_of(*who, colleague, "viewer"), 403)) << who->name;
    EXPECT_TRUE(is_problem(remove_from_team(*who, colleague), 403)) << who->name;
  }
  EXPECT_TRUE(is_problem(remove_from_team(stranger, colleague), 404));
  EXPECT_EQ(fingerprint(), before);
  for (const auto* who : std::initializer_list<const person*>{&admin, &workspace_owner, &owner_as_viewer}) {
    data_of(add_to_team(*who, outsider), 201);
    data_of(set_role_of(*who, outsider, "admin"));
    data_of(remove_from_team(*who, outsider));
  }
}

TEST_F(WorkspaceTeamTest, NobodyChangesHimselfAndOwnersAreMadeByOwners) {
  const auto boss = add_member_person("boss", workspace_role::owner);
  EXPECT_TRUE(refuses(set_role_of(admin, admin, "owner"), "user_id") || set_role_of(admin, admin, "owner").status == 403);
  EXPECT_TRUE(refuses(set_role_of(boss, boss, "viewer"), "user_id"));
  EXPECT_TRUE(refuses(remove_from_team(admin, admin), "user_id"));
  EXPECT_TRUE(is_problem(set_role_of(admin, editor, "owner"), 403));
  EXPECT_TRUE(is_problem(add_to_team(admin, outsider, "owner"), 403));
  EXPECT_TRUE(is_problem(set_role_of(admin, boss, "viewer"), 403));
  EXPECT_TRUE(is_problem(remove_from_team(admin, boss), 403));
  EXPECT_EQ(data_of(set_role_of(boss, editor, "owner"))["role"], "owner");
  EXPECT_EQ(data_of(set_role_of(editor, boss, "viewer"))["role"], "viewer") << "another owner is there";
}

TEST_F(WorkspaceTeamTest, AWorkspaceKeepsAnOwnerAlsoWhenTwoLeaveAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const auto one = add_member_person("one" + std::to_string(round), workspace_role::owner);
    const auto two = add_member_person("two" + std::to_string(round), workspace_role::owner);
    auto first = std::async(std::launch::async, [&] { return remove_from_team(one, two).status; });
    auto second = std::async(std::launch::async, [&] { return set_role_of(two, one, "viewer").status; });
    const std::pair<int, int> seen = std::minmax({first.get(), second.get()});
    EXPECT_EQ(seen.first, 200);
    // The slower one has lost his right, or would have left none.
    EXPECT_TRUE(seen.second == 403 || seen.second == 422 || seen.second == 404) << seen.second;
    EXPECT_EQ(count("workspace_memberships WHERE role = 'owner' AND workspace_id = " + sql_literal(workspace)), 1);
    db().exec("DELETE FROM carillon.workspace_memberships WHERE role = 'owner' AND workspace_id = " + sql_literal(workspace));
  }
}

TEST_F(WorkspaceTeamTest, BadMembersAreRefused) {
  const auto suspended = add_person(tenant, "suspended", tenant_role::member, "suspended");
  const auto before = fingerprint();
  EXPECT_TRUE(refuses(admin.web.post(members), "user_id"));
  EXPECT_TRUE(refuses(admin.web.post(members, {{"user_id", "nonsense"}, {"role", "king"}}), {"user_id", "role"}));
  EXPECT_TRUE(refuses(add_to_team(admin, stranger), "user_id")) << "of another tenant";
  EXPECT_TRUE(refuses(add_to_team(admin, suspended), "user_id"));
  EXPECT_TRUE(refuses(add_to_team(admin, editor), "user_id")) << "a member already";
  EXPECT_TRUE(refuses(admin.web.put(members + "/" + to_string(editor.id), json::object()), "role"));
  EXPECT_TRUE(is_problem(set_role_of(admin, outsider, "editor"), 404));
  EXPECT_TRUE(is_problem(admin.web.put(members + "/nonsense", {{"role", "editor"}}), 404));
  EXPECT_EQ(fingerprint(), before);
}

// -- the dashboard -----------------------------------------------------------------

TEST_F(WorkspaceTeamTest, TheDashboardCountsWhatIsThere) {
  const auto account = add_account(workspace);
  add_account(workspace, "linkedin", "token_expired");
  add_account(workspace, "twitter", "disconnected");
  add_account(elsewhere);
  for (const auto* status : {"draft", "draft", "submitted", "submitted", "submitted", "scheduled", "published", "failed"})
    add_post(editor, status, std::string{status} == "published" ? std::optional{account} : std::nullopt);
  const auto gone = add_post(editor, "draft");
  db().exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = " + sql_literal(gone));
  db().exec("INSERT INTO carillon.inbox_items (id, tenant_id, workspace_id, social_account_id, item_type, status, platform_item_id, author_name, "
            "content_text, platform_created_at) SELECT gen_random_uuid(), " + sql_literal(tenant) + ", " + sql_literal(workspace) + ", "
            + sql_literal(account) + ", 'comment', CASE WHEN n = 1 THEN 'read' ELSE 'unread' END, n::text, 'a', 'b', now() "
            "FROM generate_series(1, 3) n");
  const auto latest = add_post(editor, "draft");
  std::string long_text;
  for (int i = 0; i < 150; ++i)
    long_text += "ü";
  db().exec("UPDATE carillon.posts SET content_text = " + sql_literal(long_text) + ", created_at = now() + interval '1 minute' WHERE id = "
            + sql_literal(latest));
  auto seen = data_of(viewer.web.get(base + "/dashboard"));
  const auto posts = seen["recent_posts"];
  seen.erase("recent_posts");
  EXPECT_EQ(seen, (json{{"total_posts", 9}, {"posts_published", 1}, {"posts_scheduled", 1}, {"posts_draft", 3},
                        {"pending_approvals", 3}, {"social_accounts_count", 2}, {"inbox_unread_count", 2}, {"member_count", 4}}));
  ASSERT_EQ(posts.size(), 5u);
  EXPECT_EQ(posts[0]["id"], latest);
  EXPECT_EQ(posts[0]["content_excerpt"], long_text.substr(0, 200)) << "100 characters";
  EXPECT_TRUE(is_api_time(posts[0]["created_at"]));
  EXPECT_TRUE(is_problem(outsider.web.get(base + "/dashboard"), 403));
  EXPECT_TRUE(is_problem(stranger.web.get(base + "/dashboard"), 404));
}

} // namespace

} // namespace carillon
