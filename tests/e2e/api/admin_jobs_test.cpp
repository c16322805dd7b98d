// The operator API of the job engine and who may use it (contract §2.1, §3.6).

#include <algorithm>
#include <map>

#include <gmock/gmock.h>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string engine = "/api/v1/admin/jobs";
const std::string admins = "/api/v1/admin/auth";

class AdminJobsTest : public api_suite {
protected:
  AdminJobsTest() : root{add_super_admin("SUPER_ADMIN")}, looker{add_super_admin("VIEWER")} {
  }

  /// A job that no program here runs, so that it stays as it is. `greet` is
  /// this test's own kind.
  std::string add_job(const std::string& more = {}) {
    return db().exec("SELECT carillon.enqueue(" + test::sql_literal(greet) + ", " + test::sql_literal(tenant) + ", " + test::sql_literal(workspace)
                     + more + ")");
  }

  std::string add_dead(const std::string& error) {
    const auto id = add_job();
    db().exec("UPDATE carillon.jobs SET errors = jsonb_build_array(jsonb_build_object('at', "
              "'2026-01-02T03:04:05.006+00:00', 'attempt', 1, 'error', " + test::sql_literal(error) + ")) WHERE id = " + test::sql_literal(id));
    data_of(root.web.post(engine + "/" + id + "/discard"));
    return id;
  }

  json list(const std::string& query = {}) {
    return data_of(root.web.get(engine + "?kind=" + greet + query));
  }

  std::string state_of(const std::string& id) {
    return data_of(root.web.get(engine + "/" + id)).value("state", "");
  }

  int audits(const person& by) {
    return count("audit_logs WHERE admin_id = " + test::sql_literal(by.id));
  }

  std::string greet = "greet_" + to_string(workspace).substr(24);
  person root;
  person looker; ///< The role VIEWER.
};

// -- who ----------------------------------------------------------------------------

TEST_F(AdminJobsTest, AnAdminLogsInAndHasOneTokenOnly) {
  const auto login = [&](const std::string& email, const std::string& secret) {
    return node().web().post(admins + "/login", {{"email", email}, {"password", secret}});
  };
  const auto data = data_of(login(root.email, password));
  EXPECT_EQ(data.value("expires_in", 0), 86'400);
  EXPECT_EQ(data["admin"], (json{{"id", to_string(root.id)}, {"name", "Root"}, {"email", root.email}, {"role", "SUPER_ADMIN"}}));
  EXPECT_EQ(root.web.get(admins + "/me").status, 401) << "the earlier token";
  const web_client web{node().web().base_url(), data.value("token", "")};
  EXPECT_TRUE(is_api_time(data_of(web.get(admins + "/me"))["last_login_at"]));
  EXPECT_EQ(count("personal_access_tokens WHERE tokenable_id = " + test::sql_literal(root.id)), 1);
  data_of(web.post(admins + "/logout"));
  EXPECT_EQ(web.get(admins + "/me").status, 401);

  EXPECT_TRUE(refuses(login(root.email, "User@12345"), "email"));
  EXPECT_EQ(login(root.email, "x").body, login("nobody@carillon.example", "x").body);
  EXPECT_TRUE(refuses(login(owner.email, password), "email")) << "a tenant's user is no admin";
  EXPECT_TRUE(refuses(node().web().post(admins + "/login"), {"email", "password"}));
  EXPECT_TRUE(refuses(login(add_super_admin("ADMIN", "SUSPENDED").email, password), "email"));
  EXPECT_TRUE(refuses(node().web().post("/api/v1/auth/login", {{"email", root.email}, {"password", password}}), "email"));
}

TEST_F(AdminJobsTest, OnlySuperAdminsEnterAndAViewerOnlyLooks) {
  const auto id = add_job();
  const std::vector<std::string> reads{"", "/stats", "/controls", "/" + id};
  std::vector<std::string> writes;
  for (const auto* action : {"/retry", "/cancel", "/discard"}) {
    writes.push_back(action);
    writes.push_back("/" + id + action);
  }
  const auto broken = root.token.substr(0, root.token.size() - 1);
  const auto expired = add_super_admin("SUPER_ADMIN");
  db().exec("UPDATE carillon.personal_access_tokens SET expires_at = now() WHERE tokenable_id = " + test::sql_literal(expired.id));
  const auto suspended = add_super_admin("SUPER_ADMIN", "SUSPENDED");
  const web_client forged{node().web().base_url(), broken};
  const web_client nobody = node().web();
  const std::vector<std::pair<const web_client*, int>> refused{
    {&nobody, 401}, {&forged, 401}, {&expired.web, 401}, {&suspended.web, 403}, {&owner.web, 403}, {&viewer.web, 403}};
  for (const auto& [web, status] : refused) {
    for (const auto& path : reads)
      EXPECT_TRUE(is_problem(web->get(engine + path), status)) << path;
    for (const auto& path : writes)
      EXPECT_TRUE(is_problem(web->post(engine + path), status)) << path;
    EXPECT_TRUE(is_problem(web->put(engine + "/controls", json::object()), status));
    EXPECT_TRUE(is_problem(web->get(admins + "/me"), status));
  }
  for (const auto& path : reads)
    EXPECT_EQ(looker.web.get(engine + path).status, 200) << path;
  for (const auto& path : writes)
    EXPECT_TRUE(is_problem(looker.web.post(engine + path, {{"all", true}}), 403)) << path;
  EXPECT_TRUE(is_problem(looker.web.put(engine + "/controls", {{"scope", "kind"}, {"name", greet}}), 403));
  EXPECT_EQ(state_of(id), "available");
  EXPECT_EQ(audits(looker), 0);
  EXPECT_EQ(root.web.get("/api/v1/user").status, 401) << "an admin's token is no user's";
  for (const auto* role : {"ADMIN", "SUPPORT"})
    data_of(add_super_admin(role).web.post(engine + "/" + id + "/retry"));
}

// -- looking ------------------------------------------------------------------------

TEST_F(AdminJobsTest, AListHasFiltersAndCursorPages) {
  const auto dead = add_dead("100% broken");
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i)
    ids.insert(ids.begin(), add_job());
  ids.push_back(dead);
  EXPECT_EQ(column(list(), "id"), json(ids));
  for (const auto& [query, expected] : std::map<std::string, std::size_t>{
         {"&state=discarded", 1}, {"&state=available", 4}, {"&state=", 5}, {"&queue=default", 5}, {"&queue=other", 0},
         {"&workspace_id=" + to_string(workspace), 5}, {"&workspace_id=" + to_string(elsewhere), 0},
         {"&tenant_id=" + to_string(tenant), 5}, {"&tenant_id=" + to_string(tenant_id::make()), 0},
         {"&error=100%25%20BROKEN", 1}, {"&error=100_", 0}, {"&created_after=2020-01-01T00:00:00Z", 5},
         {"&created_before=2020-01-01T00:00:00Z", 0}})
    EXPECT_EQ(list(query).size(), expected) << query;

  std::vector<std::string> paged;
  for (std::string cursor; paged.size() < 10;) {
    const auto page = root.web.get(engine + "?kind=" + greet + "&limit=2&cursor=" + cursor).json();
    for (const auto& item : page["data"])
      paged.push_back(item.value("id", ""));
    EXPECT_EQ(page["meta"]["limit"], 2);
    if (page["meta"]["next_cursor"].is_null())
      break;
    cursor = page["meta"]["next_cursor"];
  }
  EXPECT_EQ(paged, ids);

  for (const auto* field : {"state", "workspace_id", "tenant_id", "created_after", "created_before", "limit", "cursor"})
    EXPECT_TRUE(refuses(root.web.get(engine + "?" + field + "=nonsense"), field)) << field;
  for (const auto* limit : {"0", "101", "-1", "1e3", "99999999999999999999"})
    EXPECT_TRUE(refuses(root.web.get(engine + "?limit=" + limit), "limit")) << limit;
  EXPECT_TRUE(refuses(root.web.get(engine + "?kind=" + std::string(101, 'k')), "kind"));
}

TEST_F(AdminJobsTest, OneJobShowsItsErrorsAndWhyItDoesNotRun) {
  const auto waiting = data_of(root.web.get(engine + "/" + add_job(", '{\"name\": \"Ada\"}'")));
  EXPECT_EQ(waiting["payload"], (json{{"v", 1}, {"name", "Ada"}}));
  EXPECT_TRUE(waiting["concluded_at"].is_null());
  ASSERT_TRUE(waiting["explanation"].is_array());
  EXPECT_THAT(waiting["explanation"][0].get<std::string>(), HasSubstr("knows the kind " + greet));
  const auto dead = data_of(root.web.get(engine + "/" + add_dead("broken")));
  EXPECT_EQ(dead["state"], "discarded");
  ASSERT_EQ(dead["errors"].size(), 2u);
  EXPECT_EQ(dead["errors"][0]["error"], "broken");
  EXPECT_EQ(dead["last_error"], "discarded by an operator");
  EXPECT_THAT(dead["explanation"][0].get<std::string>(), StartsWith("It is over: discarded"));
  for (const auto* nobody : {"nonsense", "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00"}) {
    EXPECT_TRUE(is_problem(root.web.get(engine + "/" + nobody), 404));
    for (const auto* action : {"/retry", "/cancel", "/discard"})
      EXPECT_TRUE(is_problem(root.web.post(engine + "/" + nobody + action), 404));
  }
}

TEST_F(AdminJobsTest, TheStatsCountByStateKindQueueAndWorkspace) {
  for (int i = 0; i < 3; ++i)
    add_job();
  add_job(", run_at => now() + interval '1 day'");
  add_dead("broken");
  const auto stats = data_of(root.web.get(engine + "/stats"));
  EXPECT_EQ(stats["by_kind"][greet], 5);
  EXPECT_GE(stats["by_state"]["scheduled"], 1);
  EXPECT_GE(stats["by_queue"]["default"], 5);
  std::map<std::string, int> ours;
  for (const auto& row : stats["counts"])
    if (row["kind"] == greet)
      ours[row["state"]] = row["count"];
  EXPECT_EQ(ours, (std::map<std::string, int>{{"available", 3}, {"scheduled", 1}, {"discarded", 1}}));
  bool seen = false;
  for (const auto& row : stats["workspaces"])
    if (row["workspace_id"] == to_string(workspace)) {
      seen = true;
      EXPECT_EQ(row["tenant_id"], to_string(tenant));
      EXPECT_EQ(row["live"], 4);
      EXPECT_EQ(row["due"], 3);
    }
  EXPECT_TRUE(seen);
}

// -- acting -------------------------------------------------------------------------

TEST_F(AdminJobsTest, EachActionOnAJobIsAuditedWithAdminAddressAndRequest) {
  const auto id = add_job();
  EXPECT_EQ(data_of(root.web.post(engine + "/" + id + "/cancel"))["state"], "cancelled");
  EXPECT_EQ(data_of(root.web.post(engine + "/" + id + "/retry"))["state"], "available");
  EXPECT_EQ(data_of(root.web.post(engine + "/" + id + "/discard"))["state"], "discarded");
  EXPECT_TRUE(refuses(root.web.post(engine + "/" + id + "/discard"), "job"));
  EXPECT_TRUE(refuses(root.web.post(engine + "/" + id + "/cancel"), "job"));
  EXPECT_EQ(audits(root), 3);
  EXPECT_EQ(count("audit_logs WHERE admin_id = " + test::sql_literal(root.id) + " AND auditable_id = " + test::sql_literal(id)
                  + " AND ip_address = '127.0.0.1' AND request_id <> '' AND tenant_id = " + test::sql_literal(tenant)), 3);
}

TEST_F(AdminJobsTest, AnActionOnAllThatMatchesIsPreviewedAndLimited) {
  for (int i = 0; i < 5; ++i)
    add_job();
  const auto act = [&](const std::string& action, json body) {
    body["kind"] = greet;
    return data_of(root.web.post(engine + "/" + action, body));
  };
  EXPECT_EQ(act("cancel", {{"preview", true}}), (json{{"count", 5}, {"preview", true}, {"more", false}}));
  EXPECT_EQ(list("&state=available").size(), 5u);
  EXPECT_EQ(audits(root), 0) << "looking leaves no row";
  EXPECT_EQ(act("cancel", {{"limit", 2}}), (json{{"count", 2}, {"preview", false}, {"more", true}}));
  EXPECT_EQ(act("discard", {{"tenant_id", to_string(tenant)}}), (json{{"count", 3}, {"preview", false}, {"more", false}}));
  EXPECT_EQ(act("retry", {{"preview", true}})["count"], 3);
  EXPECT_EQ(act("retry", {{"error", "by an operator"}})["count"], 3);
  EXPECT_EQ(act("retry", {{"state", "cancelled"}})["count"], 2);
  EXPECT_EQ(act("discard", {{"tenant_id", to_string(tenant_id::make())}})["count"], 0);
  EXPECT_EQ(list("&state=available").size(), 5u);
  EXPECT_EQ(audits(root), 5) << "one for each request, whatever it met";
}

TEST_F(AdminJobsTest, AFilterThatIsEmptyOrWrongChangesNothing) {
  const auto id = add_job();
  for (const auto* action : {"/retry", "/cancel", "/discard"}) {
    const auto refused = [&](const json& body, const std::string& field) {
      EXPECT_TRUE(refuses(root.web.post(engine + action, body), field)) << action << body;
    };
    refused(json::object(), "all");
    refused({{"preview", true}}, "all");
    refused({{"all", false}}, "all");
    refused({{"kind", ""}}, "all");
    refused({{"all", "perhaps"}}, "all");
    refused({{"kind", 7}}, "kind");
    refused({{"kinds", "x"}, {"all", true}}, "kinds");
    refused({{"state", "asleep"}}, "state");
    refused({{"workspace_id", "x"}}, "workspace_id");
    refused({{"tenant_id", json::array()}}, "tenant_id");
    refused({{"created_after", "soon"}}, "created_after");
    refused({{"kind", greet}, {"limit", 0}}, "limit");
    refused({{"kind", greet}, {"limit", 10'001}}, "limit");
    refused({{"kind", greet}, {"limit", 1.5}}, "limit");
    EXPECT_TRUE(refuses(root.web.send("POST", engine + action, "["), "body"));
  }
  EXPECT_EQ(state_of(id), "available");
  EXPECT_EQ(audits(root), 0);
  EXPECT_GE(data_of(root.web.post(engine + "/cancel", {{"all", true}, {"preview", true}}))["count"], 1);
}

// -- controls -----------------------------------------------------------------------

TEST_F(AdminJobsTest, AControlPausesAndResumesAndKeepsWhatIsNotNamed) {
  const auto id = add_job();
  const auto put = [&](json body) {
    body.emplace("scope", "kind");
    body.emplace("name", greet);
    return root.web.put(engine + "/controls", body);
  };
  const auto set = data_of(put({{"paused", true}, {"max_running", 3}, {"rate", {{"per_second", 2.5}}}}));
  EXPECT_EQ(set, (json{{"scope", "kind"}, {"name", greet}, {"paused", true}, {"weight", nullptr}, {"max_running", 3},
                       {"rate", {{"per_second", 2.5}, {"burst", 1}}}}));
  EXPECT_EQ(data_of(root.web.get(engine + "/" + id))["explanation"][0], "Paused by an operator: kind " + greet + ".");
  const auto resumed = data_of(put({{"paused", false}, {"rate", nullptr}}));
  EXPECT_EQ(resumed["max_running"], 3);
  EXPECT_TRUE(resumed["rate"].is_null());
  const auto controls = data_of(root.web.get(engine + "/controls"));
  EXPECT_NE(std::find(controls.begin(), controls.end(), resumed), controls.end());
  const auto place = to_string(workspace);
  EXPECT_EQ(data_of(put({{"scope", "workspace"}, {"name", place}, {"weight", 9}}))["weight"], 9);
  EXPECT_EQ(data_of(put({{"scope", "queue"}, {"name", "q"}, {"paused", true}}))["paused"], true);
  EXPECT_EQ(audits(root), 4);

  for (const auto& [field, body] : std::vector<std::pair<std::string, json>>{
         {"scope", {{"scope", "planet"}}}, {"scope", {{"scope", 1}}}, {"name", {{"name", ""}}},
         {"name", {{"name", std::string(101, 'n')}}}, {"name", {{"scope", "workspace"}}},
         {"paused", {{"paused", "maybe"}}}, {"weight", {{"weight", 3}}}, {"max_running", {{"max_running", -1}}},
         {"max_running", {{"max_running", 100'001}}}, {"max_running", {{"max_running", "many"}}},
         {"max_running", {{"scope", "queue"}, {"max_running", 1}}},
         {"weight", {{"scope", "workspace"}, {"name", place}, {"weight", 101}}},
         {"rate", {{"scope", "workspace"}, {"name", place}, {"rate", {{"per_second", 1}}}}}, {"rate", {{"rate", 5}}},
         {"rate.per_second", {{"rate", json::object()}}}, {"rate.per_second", {{"rate", {{"per_second", 0}}}}},
         {"rate.burst", {{"rate", {{"per_second", 1}, {"burst", 0}}}}}, {"speed", {{"speed", 1}}}})
    EXPECT_TRUE(refuses(put(body), field)) << body;
  EXPECT_EQ(audits(root), 4);
}

} // namespace

} // namespace carillon
