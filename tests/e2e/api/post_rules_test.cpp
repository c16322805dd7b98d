// Who may do what with posts (contract §2.5, every route of §3.2 and every
// role), and what happens when two commands meet (the status machine of §3.2).

#include <algorithm>
#include <functional>
#include <future>
#include <latch>
#include <map>
#include <set>

#include "domain/clock.hpp"
#include "http/password_hasher.hpp"
#include "http/public_routes.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

class PostRulesTest : public api_suite {
protected:
  std::string posts = base + "/posts";
  social_account_id account = add_account(workspace);

  std::string add(const person& author, const std::string& status) {
    return api_suite::add_post(author, status, account);
  }
  std::string status_of_post(const std::string& id) {
    return db().exec("SELECT status FROM carillon.posts WHERE id = " + sql_literal(id));
  }

  /// A post with a target and a picture, as SQL: a matrix needs hundreds.
  struct sql_post {
    std::string post = to_string(post_id::make());
    std::string target = to_string(target_id::make());
    std::string media = to_string(make_uuid_v7());
  };
  std::string insert_of(const sql_post& ids, const person& author, const std::string& status) const {
    const auto is_published = status == "published";
    return "INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, scheduled_at) VALUES ("
           + sql_literal(ids.post) + ", " + sql_literal(tenant) + ", " + sql_literal(workspace) + ", " + sql_literal(author.id)
           + ", 'A post', " + sql_literal(status) + ", '2035-01-01'); "
           "INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code, status, external_post_id) VALUES ("
           + sql_literal(ids.target) + ", " + sql_literal(tenant) + ", " + sql_literal(ids.post) + ", " + sql_literal(account) + ", 'mastodon', "
           + (is_published ? "'published', " + sql_literal(ids.post) : std::string{status == "failed" ? "'failed', NULL" : "'pending', NULL"}) + "); "
           "INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, storage_path) VALUES (" + sql_literal(ids.media) + ", "
           + sql_literal(tenant) + ", " + sql_literal(ids.post) + ", 'image', 'a.png', 'a.png'); ";
  }
};

// -- roles -----------------------------------------------------------------------

/// A row of the matrix: a route, and the right of §2.5 that it needs.
struct guarded_route {
  std::string method;
  std::string pattern; ///< Behind /workspaces/{workspace}.
  std::string status;  ///< Of the post; empty: the route has none.
  std::string right;
  std::string body = "{}"; ///< `{account}`, `{post}` and `{media}` are filled in.
  int success = 200;
};

const std::vector<guarded_route>& guarded_routes() {
  static const std::string later = R"({"scheduled_at": "2035-06-01T09:00:00Z"})";
  static const std::vector<guarded_route> all{
    {"GET", "/posts", "", "view"},
    {"POST", "/posts", "", "create", R"({"content_text": "x"})", 201},
    {"GET", "/posts/{post}", "draft", "view"},
    {"PUT", "/posts/{post}", "draft", "change", R"({"content_text": "x"})"},
    {"DELETE", "/posts/{post}", "draft", "withdraw"},
    {"POST", "/posts/{post}/submit", "draft", "change"},
    {"POST", "/posts/{post}/schedule", "approved", "manage", later},
    {"PUT", "/posts/{post}/schedule", "scheduled", "manage", later},
    {"POST", "/posts/{post}/publish", "approved", "manage"},
    {"POST", "/posts/{post}/retry", "failed", "manage"},
    {"POST", "/posts/{post}/cancel", "draft", "withdraw"},
    {"POST", "/posts/{post}/duplicate", "published", "create", "{}", 201},
    {"POST", "/posts/bulk-delete", "draft", "view", R"({"post_ids": ["{post}"]})"},
    {"POST", "/posts/bulk-submit", "draft", "view", R"({"post_ids": ["{post}"]})"},
    {"POST", "/posts/bulk-schedule", "draft", "view", R"({"post_ids": ["{post}"], "scheduled_at": "2035-06-01T09:00:00Z"})"},
    {"GET", "/posts/{post}/targets", "draft", "view"},
    {"PUT", "/posts/{post}/targets", "draft", "change", R"({"social_account_ids": ["{account}"]})"},
    {"DELETE", "/posts/{post}/targets/{target}", "draft", "withdraw"},
    {"GET", "/posts/{post}/attempts", "failed", "view"},
    {"GET", "/posts/{post}/media", "draft", "view"},
    {"POST", "/posts/{post}/media", "draft", "change", R"({"media_type": "image", "file_path": "a.png"})", 201},
    {"PUT", "/posts/{post}/media/order", "draft", "change", R"({"media_order": ["{media}"]})"},
    {"DELETE", "/posts/{post}/media/{media}", "draft", "withdraw"},
    {"GET", "/approvals", "", "manage"},
    {"POST", "/posts/{post}/approve", "submitted", "manage"},
    {"POST", "/posts/{post}/reject", "submitted", "manage", R"({"reason": "Not yet"})"},
    {"GET", "/posts/{post}/approval-history", "draft", "view"},
  };
  return all;
}

void replace_every(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

TEST_F(PostRulesTest, TheMatrixHasEveryRouteOfPosts) {
  silent_logger log;
  const system_clock clock;
  http::password_hasher passwords{{4, 1}, log};
  std::set<std::string> served;
  const std::string workspace_prefix = "/api/v1/workspaces/{workspace}";
  for (const auto& route : http::public_routes(passwords, {}, clock))
    if (route.pattern.starts_with(workspace_prefix + "/posts") || route.pattern.starts_with(workspace_prefix + "/approvals"))
      served.insert(route.method + " " + route.pattern.substr(workspace_prefix.size()));
  std::set<std::string> in_matrix;
  for (const auto& route : guarded_routes())
    in_matrix.insert(route.method + " " + route.pattern);
  EXPECT_EQ(in_matrix, served);
}

TEST_F(PostRulesTest, EveryRoleMayDoWhatTheContractSaysOnEveryRouteAndNothingElse) {
  const auto tenant_admin = add_person(tenant, "tenant admin", tenant_role::admin);
  const auto owner_as_viewer = add_member_person("tenant owner as viewer", workspace_role::viewer, tenant_role::owner);
  const auto workspace_owner = add_member_person("workspace owner", workspace_role::owner);
  const person nobody{{}, "nobody", "", "", node().web()};
  struct caller {
    const person* who;
    bool is_author;
    std::set<std::string> rights;
    int refusal;
  };
  const std::set<std::string> all{"view", "create", "change", "withdraw", "manage"};
  const std::vector<caller> callers{
    {&owner, false, all, 403},
    {&tenant_admin, false, all, 403},
    // Contract §2.4: on create-post the workspace's role wins.
    {&owner_as_viewer, false, {"view", "change", "withdraw", "manage"}, 403},
    {&workspace_owner, false, all, 403},
    {&admin, false, all, 403},
    {&editor, false, {"view", "create"}, 403},
    {&editor, true, {"view", "create", "change", "withdraw"}, 403},
    {&viewer, false, {"view"}, 403},
    {&viewer, true, {"view", "withdraw"}, 403},
    {&outsider, false, {}, 403},
    {&outsider, true, {}, 403},
    {&stranger, false, {}, 404},
    {&nobody, false, {}, 401},
  };
  struct prepared {
    const caller* by;
    const guarded_route* route;
    std::string path;
    std::string body;
  };
  std::vector<prepared> refused;
  std::vector<prepared> allowed;
  std::string rows;
  for (const auto& by : callers)
    for (const auto& route : guarded_routes()) {
      prepared one{&by, &route, base + route.pattern, route.body};
      replace_every(one.body, "{account}", to_string(account));
      if (!route.status.empty()) {
        const sql_post ids;
        rows += insert_of(ids, by.is_author ? *by.who : colleague, route.status);
        for (auto* text : {&one.path, &one.body}) {
          replace_every(*text, "{post}", ids.post);
          replace_every(*text, "{target}", ids.target);
          replace_every(*text, "{media}", ids.media);
        }
      }
      (by.rights.contains(route.right) ? allowed : refused).push_back(std::move(one));
    }
  db().exec(rows);
  const auto what = [](const prepared& one) {
    return one.by->who->name + (one.by->is_author ? " as the author: " : ": ") + one.route->method + " " + one.route->pattern;
  };
  const auto before = fingerprint();
  for (const auto& one : refused)
    EXPECT_TRUE(is_problem(one.by->who->web.send(one.route->method, one.path, one.body), one.by->refusal)) << what(one);
  EXPECT_EQ(fingerprint(), before) << "nothing was written for those who may not";
  for (const auto& one : allowed) {
    const auto answer = one.by->who->web.send(one.route->method, one.path, one.body);
    EXPECT_EQ(answer.status, one.route->success) << what(one) << answer.body;
    // What a bulk route does for each post is what the single one may.
    if (one.route->pattern.starts_with("/posts/bulk-")) {
      const auto data = answer.json()["data"];
      const auto done = data.value("deleted", data.value("submitted", data.value("scheduled", -1)));
      const auto* single = one.route->pattern == "/posts/bulk-delete"   ? "withdraw"
                           : one.route->pattern == "/posts/bulk-submit" ? "change"
                                                                        : "";
      EXPECT_EQ(done, one.by->rights.contains(single) ? 1 : 0) << what(one) << answer.body;
    }
  }
}

// -- two at once -----------------------------------------------------------------

/// The status machine as the contract draws it, "deleted" being the end of a
/// delete; nothing: refused.
std::optional<std::string> status_after(const std::string& status, const std::string& command) {
  static const std::map<std::string, std::map<std::string, std::string>> moves{
    {"submit", {{"draft", "submitted"}}},
    {"edit", {{"draft", "draft"}, {"rejected", "draft"}}},
    {"targets", {{"draft", "draft"}, {"rejected", "rejected"}}},
    {"media", {{"draft", "draft"}, {"rejected", "rejected"}}},
    {"approve", {{"submitted", "approved"}}},
    {"reject", {{"submitted", "rejected"}}},
    {"schedule", {{"approved", "scheduled"}}},
    {"reschedule", {{"scheduled", "scheduled"}}},
    {"publish", {{"approved", "publishing"}, {"scheduled", "publishing"}}},
    {"retry", {{"failed", "publishing"}}},
    {"cancel", {{"draft", "cancelled"}, {"scheduled", "cancelled"}}},
    {"fail", {{"publishing", "failed"}}}, // The engine's.
    {"delete", {{"draft", "deleted"}, {"submitted", "deleted"}, {"approved", "deleted"}, {"rejected", "deleted"},
                {"scheduled", "deleted"}, {"failed", "deleted"}, {"cancelled", "deleted"}}},
  };
  const auto& from = moves.at(command);
  const auto i = from.find(status);
  return i == from.end() ? std::nullopt : std::optional{i->second};
}

/// Whether some order of `done` leads from `status` to `final_status`.
bool explains(const std::string& status, std::multiset<std::string> done, const std::string& final_status) {
  if (done.empty() && status == final_status)
    return true;
  if (status == "publishing" && explains("failed", done, final_status))
    return true;
  const std::set<std::string> choices(done.begin(), done.end());
  return std::any_of(choices.begin(), choices.end(), [&](const auto& command) {
    const auto next = status_after(status, command);
    if (!next)
      return false;
    auto rest = done;
    rest.erase(rest.find(command));
    return explains(*next, std::move(rest), final_status);
  });
}

TEST_F(PostRulesTest, OfCommandsThatMeetOnlyALegalOrderIsDone) {
  // A server that does not exist: what is published waits for its next try.
  connect_account(account, "http://127.0.0.1:1");
  const auto send = [&](const std::string& command, const std::string& id) {
    const auto path = posts + "/" + id;
    if (command == "edit")
      return admin.web.put(path, {{"content_text", "Changed"}});
    if (command == "targets")
      return admin.web.put(path + "/targets", {{"social_account_ids", json::array({to_string(account)})}});
    if (command == "media")
      return admin.web.post(path + "/media", {{"media_type", "image"}, {"file_path", "a.png"}});
    if (command == "delete")
      return admin.web.send("DELETE", path, "");
    if (command == "reschedule")
      return admin.web.put(path + "/schedule", {{"scheduled_at", "2035-06-02T09:00:00Z"}});
    if (command == "schedule")
      return admin.web.post(path + "/schedule", {{"scheduled_at", "2035-06-01T09:00:00Z"}});
    if (command == "reject")
      return admin.web.post(path + "/reject", {{"reason", "Not yet"}});
    return admin.web.post(path + "/" + command);
  };
  const std::set<std::string> answered_403{"edit", "targets", "media", "approve", "reject", "schedule", "reschedule"};
  struct meeting {
    std::string status;
    std::vector<std::string> commands;
    std::size_t most = 1; ///< That can all be done, in some order.
  };
  for (const auto& [from, commands, most] : std::vector<meeting>{
         {"submitted", {"approve", "reject"}},
         {"scheduled", {"publish", "cancel"}},
         {"failed", {"retry", "retry"}},
         {"failed", {"retry", "delete"}, 2},
         {"approved", {"schedule", "publish"}, 2},
         {"scheduled", {"reschedule", "cancel"}, 2},
         {"scheduled", {"reschedule", "publish"}, 2},
         {"scheduled", {"delete", "publish"}},
         {"draft", {"edit", "submit"}, 2},
         {"draft", {"targets", "submit"}, 2},
         {"draft", {"media", "submit"}, 2},
         {"draft", {"cancel", "submit"}},
         {"draft", {"delete", "submit"}, 2},
         {"rejected", {"edit", "delete"}, 2},
         {"submitted", {"approve", "reject", "delete"}, 2}}) {
    for (int round = 0; round < 4; ++round) {
      const auto id = add(editor, from);
      std::latch together{static_cast<std::ptrdiff_t>(commands.size())};
      std::vector<std::future<web_answer>> calls;
      for (const auto& command : commands)
        calls.push_back(std::async(std::launch::async, [&, command] {
          together.arrive_and_wait();
          return send(command, id);
        }));
      std::multiset<std::string> done;
      std::string story = from + ":";
      for (std::size_t i = 0; i < calls.size(); ++i) {
        const auto answer = calls[i].get();
        story += " " + commands[i] + " " + std::to_string(answer.status);
        if (answer.status == 200 || answer.status == 201) {
          done.insert(commands[i]);
          continue;
        }
        // Gone, when a delete was quicker.
        if (answer.status == 404) {
          EXPECT_TRUE(std::find(commands.begin(), commands.end(), "delete") != commands.end()) << story;
        } else {
          EXPECT_TRUE(is_problem(answer, answered_403.contains(commands[i]) ? 403 : 422)) << story;
        }
      }
      const auto deleted = db().exec("SELECT deleted_at IS NOT NULL FROM carillon.posts WHERE id = " + sql_literal(id)) == "t";
      EXPECT_FALSE(done.empty()) << story << ": one of them was possible";
      EXPECT_LE(done.size(), most) << story;
      EXPECT_TRUE(explains(from, done, deleted ? "deleted" : status_of_post(id))) << story << ", then " << status_of_post(id);
      EXPECT_EQ(count("audit_logs WHERE user_id = " + sql_literal(admin.id) + " AND auditable_id = " + sql_literal(id)),
                static_cast<int>(done.size())) << story;
      const std::map<std::string, std::string> told{{"submit", "post_submitted"}, {"approve", "post_approved"},
                                                    {"reject", "post_rejected"}, {"schedule", "post_scheduled"},
                                                    {"reschedule", "post_scheduled"}};
      for (const auto& command : std::set<std::string>(commands.begin(), commands.end()))
        if (const auto type = told.find(command); type != told.end()) {
          EXPECT_EQ(count("notifications WHERE type = " + sql_literal(type->second) + " AND data ->> 'post_id' = " + sql_literal(id)),
                    static_cast<int>(done.count(command))) << story;
        }
    }
  }
}

TEST_F(PostRulesTest, ACancelThatMeetsTheDueInstantWinsWhollyOrNotAtAll) {
  connect_account(account, "http://127.0.0.1:1");
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i) {
    ids.push_back(add(editor, "scheduled"));
    // Texts of their own: equal ones of an account go out one after the other.
    db().exec("UPDATE carillon.posts SET content_text = id::text WHERE id = " + sql_literal(ids.back()));
  }
  const auto due = db().exec("SELECT clock_timestamp() + interval '4 seconds'");
  for (const auto& id : ids)
    data_of(admin.web.put(posts + "/" + id + "/schedule", {{"scheduled_at", format_precise_time(*parse_time(due))}}));
  EXPECT_TRUE(eventually([&] { return db().exec("SELECT clock_timestamp() >= " + sql_literal(due)) == "t"; }));
  std::vector<std::future<int>> calls;
  for (const auto& id : ids)
    calls.push_back(std::async(std::launch::async, [&, id] { return admin.web.post(posts + "/" + id + "/cancel").status; }));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto status = calls[i].get();
    const auto tried = [&] { return count("publish_attempts WHERE post_id = " + sql_literal(ids[i])); };
    if (status == 200) {
      EXPECT_EQ(status_of_post(ids[i]), "cancelled");
      EXPECT_EQ(tried(), 0);
      EXPECT_EQ(count("jobs WHERE unique_key = " + sql_literal("publish-post-" + ids[i])), 0);
    } else {
      EXPECT_EQ(status, 422);
      EXPECT_TRUE(eventually([&] { return tried() > 0; })) << "it was due and is being published";
      EXPECT_NE(status_of_post(ids[i]), "cancelled");
    }
  }
}

} // namespace

} // namespace carillon
