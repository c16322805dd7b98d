// Contract §3.2 with the order of checks of §1.4; the roles of §2.5 are in
// post_rules_test.cpp.

#include <future>
#include <map>
#include <set>

#include "domain/clock.hpp"
#include "domain/enums.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;
using std::chrono::hours;

class PostsTest : public api_suite {
protected:
  std::string posts = base + "/posts";
  social_account_id account = add_account(workspace);
  system_clock clock;

  std::string in(std::chrono::microseconds from_now) {
    return format_precise_time(clock.now() + from_now);
  }

  json create(const json& body, where at = where::current()) {
    return data_of(editor.web.post(posts, body), 201, at);
  }

  /// With a target unless it has none.
  std::string add_post(const person& author, const std::string& status, bool with_target = true) {
    return api_suite::add_post(author, status, with_target ? std::optional{account} : std::nullopt);
  }

  std::string status_of(const std::string& id) {
    return db().exec("SELECT status FROM carillon.posts WHERE id = " + sql_literal(id));
  }

  /// One of the nine commands on a post, with a body that is good.
  web_answer command(const std::string& name, const std::string& id, const person& by) {
    const auto path = posts + "/" + id;
    if (name == "edit")
      return by.web.put(path, {{"content_text", "Changed"}});
    if (name == "delete")
      return by.web.send("DELETE", path, "");
    if (name == "reschedule")
      return by.web.put(path + "/schedule", {{"scheduled_at", in(hours{48})}});
    if (name == "schedule")
      return by.web.post(path + "/schedule", {{"scheduled_at", in(hours{24})}});
    if (name == "reject")
      return by.web.post(path + "/reject", {{"reason", "Not yet"}});
    return by.web.post(path + "/" + name);
  }

  json ids(const std::string& query, where at = where::current()) {
    return column(data_of(viewer.web.get(posts + query), 200, at), "id");
  }

  json notices_of(const person& to, const std::string& type) {
    return data_of(to.web.get("/api/v1/notifications?type=" + type));
  }
};

const std::set<std::string> post_fields{
  "id", "workspace_id", "author_id", "author_name", "content_text", "content_variations", "status", "post_type",
  "scheduled_at", "scheduled_timezone", "published_at", "hashtags", "mentions", "link_url", "link_preview",
  "first_comment", "rejection_reason", "target_count", "media_count", "created_at", "updated_at"};

std::set<std::string> names_of(const json& object) {
  std::set<std::string> out;
  for (const auto& [name, _] : object.items())
    out.insert(name);
  return out;
}

// -- create, get ----------------------------------------------------------------

TEST_F(PostsTest, CreatingAnswersThePostFlatAndNested) {
  const auto data = create({{"content_text", "Grüße 🎉"}, {"content_variations", {{"twitter", "Short"}}},
                            {"post_type", "thread"}, {"hashtags", json::array({"a", "b"})},
                            {"mentions", json::array({"@x"})}, {"link_url", "https://acme.example/a?b=c#d"},
                            {"first_comment", "First"}, {"social_account_ids", json::array({to_string(account)})}});
  ASSERT_TRUE(data.is_object());
  auto expected = post_fields;
  expected.insert({"post", "targets", "media"});
  EXPECT_EQ(names_of(data), expected);
  EXPECT_EQ(names_of(data["post"]), post_fields);
  for (const auto& field : post_fields)
    EXPECT_EQ(data[field], data["post"][field]) << field;
  EXPECT_EQ(data["workspace_id"], to_string(workspace));
  EXPECT_EQ(data["author_id"], to_string(editor.id));
  EXPECT_EQ(data["author_name"], "editor");
  EXPECT_EQ(data["content_text"], "Grüße 🎉");
  EXPECT_EQ(data["content_variations"], (json{{"twitter", "Short"}}));
  EXPECT_EQ(data["status"], "draft");
  EXPECT_EQ(data["post_type"], "thread");
  EXPECT_EQ(data["hashtags"], json::array({"a", "b"}));
  EXPECT_EQ(data["mentions"], json::array({"@x"}));
  EXPECT_EQ(data["link_url"], "https://acme.example/a?b=c#d");
  EXPECT_EQ(data["first_comment"], "First");
  for (const auto* nothing : {"scheduled_at", "published_at", "link_preview", "rejection_reason"})
    EXPECT_EQ(data[nothing], nullptr) << nothing;
  EXPECT_EQ(data["target_count"], 1);
  EXPECT_EQ(data["media_count"], 0);
  EXPECT_TRUE(is_api_time(data["created_at"]));
  EXPECT_EQ(data["media"], json::array());
  ASSERT_EQ(data["targets"].size(), 1u);
  const auto target = data["targets"][0];
  EXPECT_EQ(target["post_id"], data["id"]);
  EXPECT_EQ(target["social_account_id"], to_string(account));
  EXPECT_EQ(target["platform"], "twitter") << "the older codes only";
  EXPECT_EQ(target["network"], "mastodon");
  EXPECT_EQ(target["account_name"], "Acme on mastodon");
  EXPECT_EQ(target["status"], "pending");
  for (const auto* nothing : {"platform_post_id", "platform_post_url", "published_at", "error_message"})
    EXPECT_EQ(target.value(nothing, json{1}), nullptr) << nothing;
  EXPECT_EQ(count("audit_logs WHERE action = 'create' AND auditable_id = " + sql_literal(data["id"].get<std::string>())), 1);

  const auto detail = data_of(viewer.web.get(posts + "/" + data["id"].get<std::string>()));
  EXPECT_EQ(names_of(detail), (std::set<std::string>{"post", "targets", "media"}));
  EXPECT_EQ(detail["post"], data["post"]);
  EXPECT_EQ(detail["targets"], data["targets"]);
}

TEST_F(PostsTest, AnEmptyBodyIsAnEmptyDraft) {
  for (const auto& body : {std::string{}, std::string{"{}"}, std::string{" \n"}}) {
    const auto data = data_of(editor.web.send("POST", posts, body), 201);
    EXPECT_EQ(data.value("content_text", json{1}), nullptr);
    EXPECT_EQ(data.value("post_type", ""), "standard");
    EXPECT_EQ(data.value("targets", json{1}), json::array());
  }
}

TEST_F(PostsTest, ADraftKeepsTheTimeItIsMeantFor) {
  const auto data = create({{"content_text", "Later"}, {"scheduled_at", "2035-06-01T09:00:00"},
                            {"scheduled_timezone", "Asia/Kolkata"}});
  EXPECT_EQ(data.value("status", ""), "draft");
  EXPECT_EQ(data.value("scheduled_at", ""), "2035-06-01T03:30:00+00:00");
  EXPECT_EQ(data.value("scheduled_timezone", ""), "Asia/Kolkata");
}

TEST_F(PostsTest, LengthsCountCharactersAndTheLimitsAreExact) {
  const auto repeated = [](const char* text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i)
      out += text;
    return out;
  };
  create({{"content_text", repeated("ü", 10'000)}, {"first_comment", repeated("🎉", 2'000)},
          {"hashtags", json::array({repeated("ß", 100)})}, {"mentions", json::array({repeated("ß", 100)})},
          {"link_url", "https://a.example/" + repeated("x", 2'048 - 18)}});
  const auto refused = editor.web.post(posts, {{"content_text", repeated("ü", 10'001)},
                                               {"first_comment", repeated("🎉", 2'001)},
                                               {"hashtags", json::array({"a", repeated("ß", 101)})},
                                               {"mentions", json::array({repeated("ß", 101)})},
                                               {"link_url", "https://a.example/" + repeated("x", 2'048 - 17)}});
  EXPECT_TRUE(refuses(refused, {"content_text", "first_comment", "hashtags.1", "mentions.0", "link_url"}));
}

TEST_F(PostsTest, ListsAndObjectsHaveTheirLimitsToo) {
  const std::vector<std::string> hundred(100, "a");
  create({{"hashtags", hundred}, {"mentions", hundred}, {"content_variations", {{"x", std::string(99'000, 'v')}}}});
  const std::vector<std::string> more(101, "a");
  EXPECT_TRUE(refuses(editor.web.post(posts, {{"hashtags", more}, {"mentions", more}, {"social_account_ids", more},
                                              {"content_variations", {{"x", std::string(100'000, 'v')}}}}),
                      {"hashtags", "mentions", "social_account_ids", "content_variations"}));
}

TEST_F(PostsTest, EachFieldOfAWrongKindIsRefusedUnderItsName) {
  const auto before = fingerprint();
  const auto elsewhere_account = to_string(add_account(elsewhere));
  const auto after_seed = fingerprint();
  const std::vector<std::pair<json, std::string>> cases{
    {{{"content_text", 7}}, "content_text"},
    {{{"content_text", json::array({"a"})}}, "content_text"},
    {{{"content_text", true}}, "content_text"},
    {{{"content_variations", "text"}}, "content_variations"},
    {{{"content_variations", json::array({1})}}, "content_variations"},
    {{{"post_type", "novel"}}, "post_type"},
    {{{"post_type", 1}}, "post_type"},
    {{{"post_type", "Standard"}}, "post_type"},
    {{{"scheduled_at", "soon"}}, "scheduled_at"},
    {{{"scheduled_at", 1'900'000'000}}, "scheduled_at"},
    {{{"scheduled_at", in(-hours{1})}}, "scheduled_at"},
    {{{"scheduled_at", "2035-02-30T00:00:00Z"}}, "scheduled_at"},
    {{{"scheduled_timezone", "Mars/Olympus"}}, "scheduled_timezone"},
    {{{"scheduled_timezone", "../../etc/passwd"}}, "scheduled_timezone"},
    {{{"scheduled_timezone", 1}}, "scheduled_timezone"},
    {{{"hashtags", "a"}}, "hashtags"},
    {{{"hashtags", {{"0", "a"}}}}, "hashtags"},
    {{{"hashtags", json::array({"a", 1})}}, "hashtags.1"},
    {{{"mentions", json::array({nullptr})}}, "mentions.0"},
    {{{"link_url", "acme.example"}}, "link_url"},
    {{{"link_url", "javascript:alert(1)"}}, "link_url"},
    {{{"link_url", "https://"}}, "link_url"},
    {{{"link_url", "https://a b.example"}}, "link_url"},
    {{{"first_comment", json::object()}}, "first_comment"},
    {{{"social_account_ids", to_string(account)}}, "social_account_ids"},
    {{{"social_account_ids", json::array({"nonsense"})}}, "social_account_ids.0"},
    {{{"social_account_ids", json::array({to_string(account), 5})}}, "social_account_ids.1"},
    {{{"social_account_ids", json::array({to_string(social_account_id::make())})}}, "social_account_ids.0"},
    {{{"social_account_ids", json::array({to_string(account), elsewhere_account})}}, "social_account_ids.1"},
  };
  for (const auto& [body, field] : cases)
    EXPECT_TRUE(refuses(editor.web.post(posts, body), field)) << body;
  EXPECT_EQ(fingerprint(), after_seed) << "nothing was written";
  EXPECT_NE(before, after_seed);
}

TEST_F(PostsTest, AnAccountOfAnotherWorkspaceOfTheTenantIsUnknownHere) {
  const auto sister = add_workspace(db(), tenant, to_string(make_uuid_v7()));
  const auto foreign = to_string(add_account(sister));
  EXPECT_TRUE(refuses(admin.web.post(posts, {{"social_account_ids", json::array({foreign})}}), "social_account_ids.0"));
  EXPECT_EQ(count("posts WHERE tenant_id = " + sql_literal(tenant)), 0) << "the post is not left behind";
}

TEST_F(PostsTest, AnAccountNamedTwiceIsOneTarget) {
  const auto data = create({{"content_text", "x"},
                            {"social_account_ids", json::array({to_string(account), to_string(account)})}});
  EXPECT_EQ(data.value("target_count", 0), 1);
}

TEST_F(PostsTest, PostsOfOtherWorkspacesAndTenantsDoNotExist) {
  const auto sister = add_workspace(db(), tenant, to_string(make_uuid_v7()));
  add_member(db(), tenant, sister, editor.id, workspace_role::admin);
  const auto mine = add_post(editor, "draft");
  const auto before = fingerprint();
  const std::vector<std::string> commands{"edit", "delete", "submit", "approve", "reject", "schedule",
                                          "reschedule", "publish", "cancel"};
  const auto path = "/api/v1/workspaces/" + to_string(sister) + "/posts/" + mine;
  EXPECT_TRUE(is_problem(editor.web.get(path), 404)) << "the right post under the wrong workspace";
  EXPECT_TRUE(is_problem(editor.web.post(path + "/submit"), 404));
  EXPECT_TRUE(is_problem(stranger.web.get(posts + "/" + mine), 404));
  EXPECT_TRUE(is_problem(stranger.web.get(posts), 404));
  EXPECT_TRUE(is_problem(stranger.web.post(posts, {{"content_text", 1}}), 404)) << "before the body";
  EXPECT_TRUE(is_problem(stranger.web.get("/api/v1/workspaces/" + to_string(elsewhere) + "/posts/" + mine), 404));
  for (const auto& name : commands) {
    EXPECT_TRUE(is_problem(command(name, mine, stranger), 404)) << name;
    EXPECT_TRUE(is_problem(command(name, to_string(post_id::make()), admin), 404)) << name;
    EXPECT_TRUE(is_problem(command(name, "nonsense", admin), 404)) << name;
  }
  EXPECT_EQ(fingerprint(), before);
}

// -- the list -------------------------------------------------------------------

TEST_F(PostsTest, TheListFilters) {
  const auto set = [&](const std::string& id, const std::string& assignment) {
    db().exec("UPDATE carillon.posts SET " + assignment + " WHERE id = " + sql_literal(id));
    return id;
  };
  const auto a = set(add_post(editor, "draft"), "created_at = '2026-02-07 10:00+00', content_text = 'Alpha 100%'");
  const auto b = set(add_post(colleague, "approved"), "created_at = '2026-02-08 10:00+00', post_type = 'reel'");
  const auto c = set(add_post(editor, "scheduled"), "created_at = '2026-02-09 10:00+00'");
  set(add_post(editor, "draft"), "deleted_at = now()");
  EXPECT_EQ(ids(""), json::array({c, b, a})) << "newest first, none that is deleted";
  EXPECT_EQ(ids("?status=approved"), json::array({b}));
  EXPECT_EQ(ids("?status=published"), json::array());
  EXPECT_EQ(ids("?author_id=" + to_string(colleague.id)), json::array({b}));
  EXPECT_EQ(ids("?post_type=reel"), json::array({b}));
  EXPECT_EQ(ids("?from_date=2026-02-08"), json::array({c, b}));
  EXPECT_EQ(ids("?to_date=2026-02-08"), json::array({b, a}));
  EXPECT_EQ(ids("?from_date=2026-02-08T10:00:00Z&to_date=2026-02-08T10:00:00Z"), json::array({b}));
  EXPECT_EQ(ids("?search=alpha"), json::array({a}));
  EXPECT_EQ(ids("?search=0%25"), json::array({a}));
  EXPECT_EQ(ids("?search=_"), json::array());
  EXPECT_EQ(ids("?status=draft&author_id=" + to_string(editor.id) + "&search=alpha&post_type=standard"), json::array({a}));
  for (const auto* ignored : {"?status=nonsense", "?status=", "?post_type=novel", "?author_id=", "?from_date=x",
                              "?sort_by=content_text%3BDROP%20TABLE%20carillon.posts", "?sort_by=p.id", "?search="})
    EXPECT_EQ(ids(ignored), json::array({c, b, a})) << ignored;
  EXPECT_EQ(ids("?sort_by=created_at&sort_dir=asc"), json::array({a, b, c}));
  EXPECT_EQ(ids("?sort=status&direction=asc"), json::array({b, a, c}));
}

TEST_F(PostsTest, TheListComesInPagesOfFifteen) {
  for (int i = 0; i < 17; ++i)
    add_post(editor, "draft", false);
  const auto first = viewer.web.get(posts);
  EXPECT_EQ(data_of(first).size(), 15u);
  EXPECT_EQ(names_of(first.json()["data"][0]), post_fields);
  EXPECT_EQ(first.json()["meta"], (json{{"current_page", 1}, {"last_page", 2}, {"per_page", 15},
                                        {"total", 17}, {"from", 1}, {"to", 15}}));
  const auto second = viewer.web.get(posts + "?page=2&status=draft");
  EXPECT_EQ(data_of(second).size(), 2u);
  EXPECT_EQ(second.json()["links"]["next"], nullptr);
}

// -- the state machine ------------------------------------------------------------

TEST_F(PostsTest, EveryCommandInEveryStatusDoesWhatTheStateMachineSays) {
  struct rule {
    std::string name;
    std::map<std::string, std::string> moves; ///< From, to; all others are refused.
    int refusal;
    std::string field; ///< Of a 422.
  };
  const std::vector<rule> rules{
    {"edit", {{"draft", "draft"}, {"rejected", "draft"}}, 403, ""},
    {"submit", {{"draft", "submitted"}}, 422, "post"},
    {"approve", {{"submitted", "approved"}}, 403, ""},
    {"reject", {{"submitted", "rejected"}}, 403, ""},
    {"schedule", {{"approved", "scheduled"}}, 403, ""},
    {"reschedule", {{"scheduled", "scheduled"}}, 403, ""},
    {"publish", {{"approved", "publishing"}, {"scheduled", "publishing"}}, 422, "post"},
    {"cancel", {{"draft", "cancelled"}, {"scheduled", "cancelled"}}, 422, "post"},
  };
  for (auto status : values_of<post_status>())
    for (const auto& rule : rules) {
      const std::string from{to_string(status)};
      const auto id = add_post(editor, from);
      const auto answer = command(rule.name, id, admin);
      const auto what = rule.name + " while " + from;
      if (auto move = rule.moves.find(from); move != rule.moves.end()) {
        const auto data = data_of(answer);
        const bool decides = rule.name == "approve" || rule.name == "reject";
        EXPECT_EQ(decides ? status_of(id) : data.value("status", ""), move->second) << what;
        continue;
      }
      EXPECT_TRUE(rule.refusal == 422 ? refuses(answer, rule.field) : is_problem(answer, 403)) << what;
      EXPECT_EQ(count("audit_logs WHERE auditable_id = " + sql_literal(id) + " AND user_id = " + sql_literal(admin.id)), 0) << what;
      // The engine may settle a post that is being published on its own.
      EXPECT_TRUE(from == "publishing" || status_of(id) == from) << what;
    }
}

TEST_F(PostsTest, SubmittingNeedsSomethingToSayAndSomewhereToSayIt) {
  const auto empty = create({{"social_account_ids", json::array({to_string(account)})}});
  EXPECT_TRUE(refuses(editor.web.post(posts + "/" + empty.value("id", "") + "/submit"), "content"));
  const auto blank = create({{"content_text", " \n\t"}, {"social_account_ids", json::array({to_string(account)})}});
  EXPECT_TRUE(refuses(editor.web.post(posts + "/" + blank.value("id", "") + "/submit"), "content"));
  const auto nowhere = create({{"content_text", "Text"}});
  EXPECT_TRUE(refuses(editor.web.post(posts + "/" + nowhere.value("id", "") + "/submit"), "targets"));
  db().exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, storage_path) VALUES ("
            + sql_literal(to_string(make_uuid_v7())) + ", " + sql_literal(tenant) + ", " + sql_literal(empty.value("id", ""))
            + ", 'image', 'a.png', 'a.png')");
  EXPECT_EQ(data_of(editor.web.post(posts + "/" + empty.value("id", "") + "/submit")).value("status", ""), "submitted")
    << "media need no text";
}

TEST_F(PostsTest, PublishingNeedsATarget) {
  const auto id = add_post(editor, "approved", false);
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/publish"), "targets"));
  EXPECT_EQ(status_of(id), "approved");
}

TEST_F(PostsTest, PublishingMovesEveryTargetAndEnqueuesOneJob) {
  const auto id = add_post(editor, "approved");
  const auto data = data_of(admin.web.post(posts + "/" + id + "/publish"));
  EXPECT_EQ(data.value("status", ""), "publishing");
  EXPECT_EQ(column(data["targets"], "status"), json::array({"publishing"}));
  EXPECT_EQ(std::stoi(db().exec("SELECT (SELECT count(*) FROM carillon.jobs WHERE unique_key = " + sql_literal("publish-post-" + id)
                                + ") + (SELECT count(*) FROM carillon.job_history WHERE kind = 'publish_post' AND "
                                  "payload->>'post_id' = " + sql_literal(id) + ")")), 1);
}

TEST_F(PostsTest, OfManyIdenticalCommandsAtOnceOneIsDone) {
  for (const auto& [name, from] : std::vector<std::pair<std::string, std::string>>{
         {"submit", "draft"}, {"approve", "submitted"}, {"schedule", "approved"}, {"publish", "approved"},
         {"cancel", "draft"}}) {
    const auto id = add_post(editor, from);
    std::vector<std::future<int>> calls;
    for (int i = 0; i < 6; ++i)
      calls.push_back(std::async(std::launch::async, [&] { return command(name, id, admin).status; }));
    std::map<int, int> seen;
    for (auto& call : calls)
      ++seen[call.get()];
    EXPECT_EQ(seen[200], 1) << name;
    EXPECT_EQ(seen[403] + seen[422], 5) << name;
    EXPECT_EQ(count("audit_logs WHERE user_id = " + sql_literal(admin.id) + " AND auditable_id = " + sql_literal(id)), 1) << name;
  }
}

// -- times --------------------------------------------------------------------------

TEST_F(PostsTest, ANaiveTimeIsReadInItsZoneAndStoredInUtc) {
  struct example {
    const char* time;
    const char* zone;
    const char* utc;
  };
  for (const auto& [time, zone, utc] : std::initializer_list<example>{
         {"2035-06-01T09:00:00", "Asia/Kolkata", "2035-06-01T03:30:00+00:00"},
         {"2035-06-01 09:00", "Europe/Berlin", "2035-06-01T07:00:00+00:00"},
         {"2035-12-01T09:00:00", "Europe/Berlin", "2035-12-01T08:00:00+00:00"},
         {"2035-03-25T02:30:00", "Europe/Berlin", "2035-03-25T01:30:00+00:00"}, // In the gap: 03:30 of summer time.
         {"2035-10-28T02:30:00", "Europe/Berlin", "2035-10-28T00:30:00+00:00"}, // In the fold: its first pass.
         {"2035-06-01", "America/New_York", "2035-06-01T04:00:00+00:00"},
         {"2035-06-01T09:00:00.123Z", "Asia/Kolkata", "2035-06-01T09:00:00+00:00"},
         {"2035-06-01T09:00:00-05:00", "Asia/Kolkata", "2035-06-01T14:00:00+00:00"}}) {
    const auto id = add_post(editor, "approved");
    const auto data = data_of(admin.web.post(posts + "/" + id + "/schedule", {{"scheduled_at", time}, {"timezone", zone}}));
    EXPECT_EQ(data.value("scheduled_at", ""), utc) << time << " " << zone;
    EXPECT_EQ(data.value("scheduled_timezone", ""), zone);
  }
}

TEST_F(PostsTest, TheZoneIsKeptWhenAMoveLeavesItOut) {
  const auto id = add_post(editor, "approved");
  data_of(admin.web.post(posts + "/" + id + "/schedule",
                         {{"scheduled_at", "2035-06-01T09:00:00"}, {"timezone", "Asia/Kolkata"}}));
  const auto moved = data_of(admin.web.put(posts + "/" + id + "/schedule", {{"scheduled_at", "2035-06-02T09:00:00"}}));
  EXPECT_EQ(moved.value("scheduled_at", ""), "2035-06-02T03:30:00+00:00");
  EXPECT_EQ(moved.value("scheduled_timezone", ""), "Asia/Kolkata");
  const auto rezoned = data_of(admin.web.put(posts + "/" + id + "/schedule",
                                             {{"scheduled_at", "2035-06-02T09:00:00"}, {"timezone", "Europe/Berlin"}}));
  EXPECT_EQ(rezoned.value("scheduled_at", ""), "2035-06-02T07:00:00+00:00");
  EXPECT_EQ(rezoned.value("scheduled_timezone", ""), "Europe/Berlin");
}

TEST_F(PostsTest, ScheduleRefusesPastMissingAndUnreadableTimes) {
  const auto id = add_post(editor, "approved");
  const auto before = fingerprint();
  const auto schedule = [&](const json& body) { return admin.web.post(posts + "/" + id + "/schedule", body); };
  for (const auto& time : {json(in(-std::chrono::seconds{1})), json("2020-01-01T00:00:00Z"), json("0001-01-01"),
                           json(nullptr), json(""), json("tomorrow"), json(1'900'000'000), json("2035-13-01T00:00:00Z"),
                           json("2035-06-01T24:00:00Z"), json("2035-06-01T09:00:00Europe/Berlin"), json("10000-01-01"),
                           json("2035-06-01T09:00:00+99:99"), json(std::string(100'000, '1'))})
    EXPECT_TRUE(refuses(schedule({{"scheduled_at", time}}), "scheduled_at")) << time.dump().substr(0, 80);
  EXPECT_TRUE(refuses(schedule(json::object()), "scheduled_at"));
  for (const auto& zone : {json("Mars/Olympus"), json(5), json("+05:30"), json("UTC\n"), json("/etc/localtime")})
    EXPECT_TRUE(refuses(schedule({{"scheduled_at", "2035-06-01T09:00:00Z"}, {"timezone", zone}}), "timezone")) << zone;
  EXPECT_EQ(fingerprint(), before);
}

// -- who may ------------------------------------------------------------------------

TEST_F(PostsTest, ChecksComeInTheOrderOfTheContract) {
  const auto draft = add_post(colleague, "draft");
  const auto approved = add_post(colleague, "approved");
  const std::string bad = "{nonsense";
  const auto send = [&](const web_client& by, const std::string& method, const std::string& path) {
    return by.send(method, path, bad);
  };
  const auto nobody = node().web();
  const auto unknown = "/api/v1/workspaces/" + to_string(workspace_id::make()) + "/posts";
  EXPECT_TRUE(is_problem(send(nobody, "POST", unknown), 401)) << "the token first";
  EXPECT_TRUE(is_problem(send(editor.web, "POST", unknown), 404)) << "then the workspace";
  EXPECT_TRUE(is_problem(send(outsider.web, "POST", posts), 403)) << "then the membership";
  EXPECT_TRUE(is_problem(send(viewer.web, "POST", posts), 403)) << "then the right";
  EXPECT_TRUE(refuses(send(editor.web, "POST", posts), "body")) << "then the body";
  EXPECT_TRUE(is_problem(send(editor.web, "POST", posts + "/" + approved + "/schedule"), 403));
  EXPECT_TRUE(is_problem(send(admin.web, "POST", posts + "/" + draft + "/schedule"), 403)) << "the status is a right here";
  EXPECT_TRUE(refuses(send(admin.web, "POST", posts + "/" + approved + "/schedule"), "body"));
  EXPECT_TRUE(is_problem(send(viewer.web, "PUT", posts + "/" + draft), 403));
  EXPECT_TRUE(is_problem(send(admin.web, "PUT", posts + "/" + approved), 403));
  EXPECT_TRUE(refuses(send(admin.web, "PUT", posts + "/" + draft), "body"));
}

// -- editing, approving ---------------------------------------------------------------

TEST_F(PostsTest, EditingIgnoresNullsAndClearsTheRejection) {
  const auto id = add_post(editor, "submitted");
  data_of(admin.web.post(posts + "/" + id + "/reject", {{"reason", "Too long"}, {"comment", "Sorry"}}));
  EXPECT_EQ(data_of(editor.web.get(posts + "/" + id))["post"]["rejection_reason"], "Too long");
  const auto edited = data_of(editor.web.put(posts + "/" + id, {{"content_text", nullptr}, {"first_comment", "Hello"}}));
  EXPECT_EQ(edited.value("status", ""), "draft");
  EXPECT_EQ(edited.value("rejection_reason", json{1}), nullptr);
  EXPECT_EQ(edited.value("content_text", ""), "A post");
  EXPECT_EQ(edited.value("first_comment", ""), "Hello");
}

TEST_F(PostsTest, ADecisionNamesWhoDecidedAndReplacesTheEarlierOne) {
  const auto id = add_post(editor, "submitted");
  const auto rejected = data_of(admin.web.post(posts + "/" + id + "/reject", {{"reason", "Too long"}, {"comment", "Sorry"}}));
  EXPECT_EQ(rejected.value("post_id", ""), id);
  EXPECT_EQ(rejected.value("decided_by_user_id", ""), to_string(admin.id));
  EXPECT_EQ(rejected.value("decided_by_name", ""), "admin");
  EXPECT_EQ(rejected.value("decision", ""), "rejected");
  EXPECT_EQ(rejected.value("reason", ""), "Too long");
  EXPECT_EQ(rejected.value("comment", ""), "Sorry");
  EXPECT_EQ(rejected.value("is_active", false), true);
  EXPECT_TRUE(is_api_time(rejected.value("decided_at", json{})));
  command("edit", id, editor);
  data_of(command("submit", id, editor));
  const auto approved = data_of(owner.web.post(posts + "/" + id + "/approve", {{"comment", "Good"}}));
  EXPECT_EQ(approved.value("decision", ""), "approved");
  EXPECT_EQ(approved.value("comment", ""), "Good");
  const auto history = data_of(viewer.web.get(posts + "/" + id + "/approval-history"));
  EXPECT_EQ(column(history, "decision"), json::array({"approved", "rejected"}));
  EXPECT_EQ(column(history, "is_active"), json::array({true, false}));
}

TEST_F(PostsTest, CommentAndReasonHaveTheirLimits) {
  const auto id = add_post(editor, "submitted");
  const std::string long_text(1'001, 'x');
  const auto before = fingerprint();
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/approve", {{"comment", long_text}}), "comment"));
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/approve", {{"comment", 5}}), "comment"));
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/reject"), "reason"));
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/reject", {{"reason", ""}}), "reason"));
  EXPECT_TRUE(refuses(admin.web.post(posts + "/" + id + "/reject", {{"reason", long_text}, {"comment", long_text}}),
                      {"reason", "comment"}));
  EXPECT_EQ(fingerprint(), before);
  data_of(admin.web.post(posts + "/" + id + "/approve", {{"comment", std::string(1'000, 'x')}}));
}

TEST_F(PostsTest, ApprovalsAreThePageOfSubmittedPostsOldestFirst) {
  std::vector<std::string> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(add_post(editor, "submitted"));
    db().exec("UPDATE carillon.posts SET submitted_at = now() - interval '" + std::to_string(3 - i) + " hours' WHERE id = "
              + test::sql_literal(waiting.back()));
  }
  add_post(editor, "draft");
  add_post(editor, "approved");
  const auto page = admin.web.get(base + "/approvals?per_page=2");
  EXPECT_EQ(column(data_of(page), "id"), json::array({waiting[0], waiting[1]}));
  EXPECT_EQ(page.json()["meta"], (json{{"current_page", 1}, {"last_page", 2}, {"per_page", 2}, {"total", 3}, {"from", 1}, {"to", 2}}));
  EXPECT_EQ(column(data_of(admin.web.get(base + "/approvals?per_page=2&page=2")), "id"), json::array({waiting[2]}));
  for (const auto* not_allowed : std::initializer_list<const person*>{&viewer, &editor, &outsider})
    EXPECT_TRUE(is_problem(not_allowed->web.get(base + "/approvals"), 403)) << not_allowed->name;
}

TEST_F(PostsTest, TargetsAreReplacedAsAWholeAndRemovedOneByOne) {
  const auto second = add_account(workspace, "linkedin");
  const auto id = add_post(editor, "draft");
  const auto path = posts + "/" + id + "/targets";
  const auto replaced = data_of(editor.web.put(path, {{"social_account_ids", json::array({to_string(second)})}}));
  EXPECT_EQ(column(replaced, "social_account_id"), json::array({to_string(second)}));
  EXPECT_EQ(data_of(viewer.web.get(path)), replaced);
  const auto before = fingerprint();
  EXPECT_TRUE(refuses(editor.web.put(path, json::object()), "social_account_ids"));
  EXPECT_TRUE(refuses(editor.web.put(path, {{"social_account_ids", json::array()}}), "social_account_ids"));
  EXPECT_TRUE(refuses(editor.web.put(path, {{"social_account_ids", json::array({to_string(account), to_string(add_account(elsewhere))})}}),
                      "social_account_ids.1"));
  EXPECT_EQ(data_of(viewer.web.get(path)), replaced) << "the old ones stay when a new one is refused";
  EXPECT_TRUE(is_problem(colleague.web.put(path, {{"social_account_ids", json::array({to_string(account)})}}), 403));
  const auto target = path + "/" + replaced[0].value("id", "");
  EXPECT_TRUE(is_problem(editor.web.send("DELETE", posts + "/" + add_post(editor, "draft") + "/targets/" + replaced[0].value("id", ""), ""), 404))
    << "the target of another post";
  EXPECT_TRUE(is_problem(editor.web.send("DELETE", path + "/nonsense", ""), 404));
  EXPECT_EQ(data_of(editor.web.send("DELETE", target, "")), nullptr);
  EXPECT_TRUE(is_problem(editor.web.send("DELETE", target, ""), 404));
  EXPECT_EQ(data_of(viewer.web.get(path)), json::array());
  EXPECT_NE(fingerprint(), before);
  const auto approved = add_post(editor, "approved");
  const auto fixed = posts + "/" + approved + "/targets";
  EXPECT_TRUE(is_problem(admin.web.put(fixed, {{"social_account_ids", json::array({to_string(second)})}}), 403));
  EXPECT_TRUE(refuses(admin.web.send("DELETE", fixed + "/" + data_of(admin.web.get(fixed))[0].value("id", ""), ""), "post"));
}

// -- who hears of it ------------------------------------------------------------------

TEST_F(PostsTest, TheRightPeopleHearOfEachStep) {
  const auto workspace_owner = add_member_person("workspace-owner", workspace_role::owner);
  const auto id = add_post(editor, "draft");
  data_of(command("submit", id, editor));
  for (const person* approver : std::initializer_list<const person*>{&admin, &workspace_owner}) {
    const auto told = notices_of(*approver, "post_submitted");
    ASSERT_EQ(told.size(), 1u) << approver->name;
    EXPECT_EQ(told[0]["data"], (json{{"post_id", id}, {"workspace_id", to_string(workspace)},
                                     {"submitter_id", to_string(editor.id)}, {"submitter_name", "editor"}}));
    EXPECT_TRUE(told[0]["action_url"].get<std::string>().starts_with("/app/w/" + to_string(workspace)));
  }
  for (const auto* not_told : {&owner, &editor, &viewer})
    EXPECT_EQ(notices_of(*not_told, "post_submitted").size(), 0u) << not_told->name;
  data_of(command("approve", id, admin));
  const auto approved = notices_of(editor, "post_approved");
  ASSERT_EQ(approved.size(), 1u);
  EXPECT_EQ(approved[0]["data"]["approver_id"], to_string(admin.id));
  EXPECT_EQ(approved[0]["data"]["approver_name"], "admin");
  data_of(admin.web.post(posts + "/" + id + "/schedule", {{"scheduled_at", "2035-06-01T09:00:00Z"}}));
  const auto scheduled = notices_of(editor, "post_scheduled");
  ASSERT_EQ(scheduled.size(), 1u);
  EXPECT_EQ(scheduled[0]["data"], (json{{"post_id", id}, {"workspace_id", to_string(workspace)},
                                        {"scheduled_at", "2035-06-01T09:00:00+00:00"}}));
  const auto other = add_post(editor, "submitted");
  data_of(command("reject", other, admin));
  const auto rejected = notices_of(editor, "post_rejected");
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected[0]["data"]["reason"], "Not yet");
  EXPECT_NE(rejected[0]["message"].get<std::string>().find("Not yet"), std::string::npos);
}

TEST_F(PostsTest, TheTraceOfARequestIsFoundInItsAnswerAndInTheAuditLog) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const auto made = editor.web.send("POST", posts, "{}", {"traceparent: 00-" + trace + "-00f067aa0ba902b7-01"});
  const auto id = data_of(made, 201).value("id", "");
  EXPECT_EQ(header_of(made, "X-Correlation-Id"), trace);
  EXPECT_EQ(db().exec("SELECT request_id FROM carillon.audit_logs WHERE auditable_id = " + test::sql_literal(id)), trace);
  const auto forged = editor.web.send("POST", posts, "{}", {"traceparent: 00-' OR 1=1-00f067aa0ba902b7-01"});
  const auto own = header_of(forged, "X-Correlation-Id");
  EXPECT_EQ(own.size(), 32u);
  EXPECT_EQ(own.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST_F(PostsTest, ADeletedPostIsGone) {
  const auto id = add_post(editor, "draft");
  EXPECT_EQ(data_of(command("delete", id, editor)), nullptr);
  EXPECT_TRUE(is_problem(editor.web.get(posts + "/" + id), 404));
  EXPECT_TRUE(is_problem(command("delete", id, editor), 404));
  EXPECT_EQ(ids(""), json::array());
  const auto published = add_post(editor, "published");
  EXPECT_TRUE(refuses(command("delete", published, admin), "post"));
}

} // namespace

} // namespace carillon
