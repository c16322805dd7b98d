// The commands of contract §3.2 that reach beyond one post's next status:
// bulk, duplicate, retry, and what was tried.

#include <map>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

class PostCommandsTest : public api_suite {
protected:
  std::string posts = base + "/posts";
  social_account_id account = add_account(workspace);

  std::string add(const person& author, const std::string& status) {
    return api_suite::add_post(author, status, account);
  }
  std::string status_now(const std::string& id) {
    return db().exec("SELECT status FROM carillon.posts WHERE id = " + sql_literal(id));
  }
  static std::map<std::string, std::string> errors_by_post(const json& data) {
    std::map<std::string, std::string> out;
    for (const auto& one : data.value("errors", json::array()))
      out.emplace(one.value("post_id", ""), one.value("error", ""));
    return out;
  }
  /// An attempt row as the publisher leaves it.
  std::string add_attempt(const std::string& post, const std::string& state, const std::string& code,
                          const std::string& message, int number) {
    const bool settled = state != "open" && state != "unknown";
    return db().exec(
      "INSERT INTO carillon.publish_attempts (id, tenant_id, workspace_id, post_id, target_id, social_account_id, number, "
      "idempotency_key, text_hash, state, node, incarnation, started_at, deadline_at, concluded_at, error_code, error_message, "
      "latency_ms) SELECT gen_random_uuid(), p.tenant_id, p.workspace_id, p.id, t.id, t.social_account_id, "
      + std::to_string(number) + ", 'key', p.id::text, " + sql_literal(state) + ", 'node', 1, '2026-02-07 10:00+00'::timestamptz + "
      + std::to_string(number) + " * interval '1 minute', now(), " + (settled ? "'2026-02-07 11:00+00'" : "NULL") + ", "
      + sql_literal(code) + ", " + sql_literal(message) + ", 1234 FROM carillon.posts p JOIN carillon.post_targets t ON t.post_id = p.id "
      "WHERE p.id = " + sql_literal(post) + " RETURNING id");
  }
};

// -- bulk ------------------------------------------------------------------------

TEST_F(PostCommandsTest, BulkDeleteDoesWhatItMayAndNamesTheRest) {
  const auto mine = add(editor, "draft");
  const auto also_mine = add(editor, "failed");
  const auto others = add(colleague, "draft");
  const auto published = add(editor, "published");
  const auto unknown = to_string(post_id::make());
  const auto data = data_of(editor.web.post(
    posts + "/bulk-delete", {{"post_ids", json::array({mine, others, published, unknown, also_mine, mine})}}));
  EXPECT_EQ(data.value("deleted", 0), 2) << "one that is named twice counts once";
  const auto errors = errors_by_post(data);
  EXPECT_EQ(errors.size(), 3u);
  for (const auto& id : {others, published, unknown})
    EXPECT_FALSE(errors.at(id).empty()) << id;
  EXPECT_TRUE(is_problem(viewer.web.get(posts + "/" + mine), 404));
  EXPECT_EQ(status_now(others), "draft");
  EXPECT_EQ(data_of(admin.web.post(posts + "/bulk-delete", {{"post_ids", json::array({others})}})),
            (json{{"deleted", 1}, {"errors", json::array()}}));
}

TEST_F(PostCommandsTest, BulkSubmitKeepsTheRulesOfSubmitting) {
  const auto good = add(editor, "draft");
  const auto approved = add(editor, "approved");
  const auto nowhere = api_suite::add_post(editor, "draft");
  const auto data = data_of(
    editor.web.post(posts + "/bulk-submit", {{"post_ids", json::array({approved, good, nowhere})}}));
  EXPECT_EQ(data.value("submitted", 0), 1);
  EXPECT_EQ(errors_by_post(data).size(), 2u);
  EXPECT_EQ(status_now(good), "submitted");
  EXPECT_EQ(data_of(admin.web.get("/api/v1/notifications?type=post_submitted")).size(), 1u);
  const auto refused = data_of(viewer.web.post(posts + "/bulk-submit", {{"post_ids", json::array({nowhere})}}));
  EXPECT_EQ(refused.value("submitted", 1), 0) << "a viewer gains nothing by asking for many";
}

TEST_F(PostCommandsTest, BulkScheduleReadsANaiveTimeInEachPostsZone) {
  const auto berlin = add(editor, "approved");
  db().exec("UPDATE carillon.posts SET scheduled_timezone = 'Europe/Berlin' WHERE id = " + sql_literal(berlin));
  const auto utc = add(editor, "approved");
  const auto draft = add(editor, "draft");
  const json body{{"post_ids", json::array({berlin, utc, draft})}, {"scheduled_at", "2035-06-01T09:00:00"}};
  const auto data = data_of(admin.web.post(posts + "/bulk-schedule", body));
  EXPECT_EQ(data.value("scheduled", 0), 2);
  EXPECT_EQ(errors_by_post(data).size(), 1u);
  EXPECT_EQ(data_of(admin.web.get(posts + "/" + berlin))["post"]["scheduled_at"], "2035-06-01T07:00:00+00:00");
  EXPECT_EQ(data_of(admin.web.get(posts + "/" + utc))["post"]["scheduled_at"], "2035-06-01T09:00:00+00:00");
  const auto by_editor = data_of(editor.web.post(posts + "/bulk-schedule", body));
  EXPECT_EQ(by_editor.value("scheduled", 1), 0);
  EXPECT_EQ(errors_by_post(by_editor).size(), 3u);
}

TEST_F(PostCommandsTest, ABulkCommandThatCannotDoOneOfThemSaysWhatItDid) {
  const auto first = add(editor, "draft");
  const auto troubled = add(editor, "draft");
  const auto last = add(editor, "draft");
  db().exec("CREATE FUNCTION carillon.fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'planted' USING ERRCODE = 'serialization_failure'; END $$");
  db().exec("CREATE TRIGGER fail_once BEFORE UPDATE ON carillon.posts FOR EACH ROW WHEN (NEW.id = " + sql_literal(troubled)
            + ") EXECUTE FUNCTION carillon.fail_once()");
  const auto submit = [&](json ids) {
    return editor.web.post(posts + "/bulk-submit", {{"post_ids", std::move(ids)}});
  };
  const auto mixed = submit(json::array({first, troubled, last}));
  const auto alone = submit(json::array({troubled}));
  db().exec("DROP TRIGGER fail_once ON carillon.posts");
  db().exec("DROP FUNCTION carillon.fail_once()");
  const auto data = data_of(mixed);
  EXPECT_EQ(data.value("submitted", 0), 2);
  const auto errors = errors_by_post(data);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors.at(troubled).find("planted"), std::string::npos);
  EXPECT_EQ(status_now(first), "submitted");
  EXPECT_EQ(status_now(last), "submitted");
  EXPECT_TRUE(is_problem(alone, 503)) << "where nothing was done it is the whole request's";
  EXPECT_EQ(status_now(troubled), "draft");
}

TEST_F(PostCommandsTest, BulkBodiesHaveTheirLimits) {
  const auto before = fingerprint();
  auto fifty_one = json::array();
  for (int i = 0; i < 51; ++i)
    fifty_one.push_back(to_string(post_id::make()));
  for (const auto* route : {"/bulk-delete", "/bulk-submit", "/bulk-schedule"}) {
    const auto ask = [&](json ids) {
      return admin.web.post(posts + route, {{"post_ids", std::move(ids)}, {"scheduled_at", "2035-06-01T09:00:00Z"}});
    };
    for (const auto& ids : {json(nullptr), json::array(), json("text"), json::object(), fifty_one})
      EXPECT_TRUE(refuses(ask(ids), "post_ids")) << route << ids.dump().substr(0, 60);
    EXPECT_TRUE(refuses(ask(json::array({to_string(post_id::make()), "nonsense", 7})), {"post_ids.1", "post_ids.2"})) << route;
    EXPECT_TRUE(is_problem(outsider.web.post(posts + route, {{"post_ids", 1}}), 403)) << "before the body";
  }
  EXPECT_TRUE(refuses(admin.web.post(posts + "/bulk-schedule", {{"post_ids", json::array({to_string(post_id::make())})}}),
                      "scheduled_at"));
  EXPECT_EQ(fingerprint(), before);
}

// -- duplicate -------------------------------------------------------------------

TEST_F(PostCommandsTest, ADuplicateIsADraftOfTheCallersWithAllButTheFate) {
  const auto made = data_of(editor.web.post(posts, {{"content_text", "Text"}, {"content_variations", {{"twitter", "Short"}}},
                                                    {"post_type", "thread"}, {"hashtags", json::array({"a"})},
                                                    {"mentions", json::array({"b"})}, {"link_url", "https://acme.example"},
                                                    {"first_comment", "First"}, {"scheduled_at", "2035-06-01T09:00:00Z"},
                                                    {"social_account_ids", json::array({to_string(account)})}}),
                            201);
  const auto id = made.value("id", "");
  data_of(editor.web.post(posts + "/" + id + "/media",
                          {{"media_type", "image"}, {"file_path", "a/b.png"}, {"alt_text", "A bee"}}), 201);
  db().exec("UPDATE carillon.posts SET status = 'published', published_at = now(), rejection_reason = 'x' WHERE id = " + sql_literal(id));
  db().exec("UPDATE carillon.post_targets SET status = 'published', external_post_id = '1', content_override = 'own' WHERE post_id = "
            + sql_literal(id));
  const auto copy = data_of(colleague.web.post(posts + "/" + id + "/duplicate"), 201);
  EXPECT_NE(copy.value("id", ""), id);
  EXPECT_EQ(copy.value("author_id", ""), to_string(colleague.id));
  EXPECT_EQ(copy.value("status", ""), "draft");
  for (const auto* same : {"content_text", "content_variations", "post_type", "hashtags", "mentions", "link_url", "first_comment"})
    EXPECT_EQ(copy.value(same, json{}), made.value(same, json{1})) << same;
  for (const auto* gone : {"scheduled_at", "published_at", "rejection_reason"})
    EXPECT_EQ(copy.value(gone, json{1}), nullptr) << gone;
  ASSERT_EQ(copy["targets"].size(), 1u);
  EXPECT_EQ(copy["targets"][0]["status"], "pending");
  EXPECT_EQ(copy["targets"][0]["social_account_id"], to_string(account));
  EXPECT_EQ(copy["targets"][0]["platform_post_id"], nullptr);
  ASSERT_EQ(copy["media"].size(), 1u);
  EXPECT_EQ(copy["media"][0]["file_path"], "a/b.png");
  EXPECT_EQ(copy["media"][0]["alt_text"], "A bee");
  EXPECT_EQ(db().exec("SELECT metadata ->> 'duplicated_from' FROM carillon.posts WHERE id = " + sql_literal(copy.value("id", ""))), id);
  EXPECT_EQ(data_of(editor.web.get(posts + "/" + id))["post"]["status"], "published") << "the original stays as it was";
}

// -- attempts --------------------------------------------------------------------

TEST_F(PostCommandsTest, AttemptsSayWhatWasTriedWhenWithWhatOutcomeAndWhatComesNext) {
  const auto id = add(editor, "failed");
  const auto failed = add_attempt(id, "failed", "EXCEPTION", "connect to 10.0.0.7 failed", 1);
  const auto refused = add_attempt(id, "refused", "PUBLISH_ERROR", "Text character limit of 500 exceeded", 2);
  const auto all = data_of(viewer.web.get(posts + "/" + id + "/attempts"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["social_account_id"], to_string(account));
  EXPECT_EQ(all[0]["network"], "mastodon");
  EXPECT_EQ(all[0]["status"], "failed");
  EXPECT_EQ(all[0]["next_try_at"], nullptr) << "nothing comes next for what has ended";
  const auto tried = all[0]["attempts"];
  EXPECT_EQ(column(tried, "id"), json::array({failed, refused}));
  EXPECT_EQ(column(tried, "number"), json::array({1, 2}));
  EXPECT_EQ(column(tried, "outcome"), json::array({"failed", "refused"}));
  EXPECT_EQ(column(tried, "error_code"), json::array({"EXCEPTION", "PUBLISH_ERROR"}));
  EXPECT_EQ(tried[0]["started_at"], "2026-02-07T10:01:00+00:00");
  EXPECT_EQ(tried[0]["concluded_at"], "2026-02-07T11:00:00+00:00");
  EXPECT_EQ(tried[0]["latency_ms"], 1234);
  EXPECT_EQ(tried[0].dump().find("10.0.0.7"), std::string::npos) << "the log's words stay in the log";
  EXPECT_EQ(tried[1]["error_message"], "Text character limit of 500 exceeded") << "the network's words are the author's";
}

TEST_F(PostCommandsTest, AttemptsTellAWaitForTheNextTryFromOneForAnAnswer) {
  const auto id = add(editor, "failed");
  // Its job comes first, so that the engine has nothing to mend meanwhile.
  db().exec("INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts, unique_key, run_at) SELECT "
            "gen_random_uuid(), 'publish_post', 'content', tenant_id, workspace_id, '{\"v\": 1}', 3, 'publish-post-' || id, "
            "now() + interval '1 day' FROM carillon.posts WHERE id = " + sql_literal(id));
  db().exec("UPDATE carillon.posts SET status = 'publishing' WHERE id = " + sql_literal(id));
  db().exec("UPDATE carillon.post_targets SET status = 'publishing', publishing_since = now(), retry_count = 1, "
            "next_action_at = '2035-06-01 09:00+00' WHERE post_id = " + sql_literal(id));
  add_attempt(id, "failed", "EXCEPTION", "x", 1);
  auto target = data_of(viewer.web.get(posts + "/" + id + "/attempts"))[0];
  EXPECT_EQ(target["next_try_at"], "2035-06-01T09:00:00+00:00");
  EXPECT_EQ(target["next_check_at"], nullptr);
  EXPECT_EQ(target["retry_count"], 1);
  add_attempt(id, "unknown", "OUTCOME_UNKNOWN", "x", 2);
  target = data_of(viewer.web.get(posts + "/" + id + "/attempts"))[0];
  EXPECT_EQ(target["next_try_at"], nullptr);
  EXPECT_EQ(target["next_check_at"], "2035-06-01T09:00:00+00:00");
  EXPECT_EQ(target["attempts"][1]["outcome"], "unknown");
  EXPECT_EQ(target["attempts"][1]["concluded_at"], nullptr);
}

TEST_F(PostCommandsTest, AttemptsOfARealFailureAreThere) {
  // The account's server does not exist: every try ends as not carried out.
  connect_account(account, "http://127.0.0.1:1");
  const auto id = add(editor, "approved");
  data_of(admin.web.post(posts + "/" + id + "/publish"));
  EXPECT_TRUE(eventually([&] {
    const auto all = data_of(viewer.web.get(posts + "/" + id + "/attempts"));
    return all.size() == 1 && !all[0]["attempts"].empty() && all[0]["attempts"][0]["outcome"] == "failed";
  }));
}

// -- retry -----------------------------------------------------------------------

TEST_F(PostCommandsTest, ARetryTouchesOnlyTargetsThatAreNotLive) {
  const auto id = add(editor, "failed");
  const auto live = add_account(workspace, "mastodon");
  db().exec("INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code, status, external_post_id, "
            "published_at) VALUES (gen_random_uuid(), " + sql_literal(tenant) + ", " + sql_literal(id) + ", " + sql_literal(live)
            + ", 'mastodon', 'published', 'live-1', '2026-02-07 10:00+00')");
  const auto data = data_of(admin.web.post(posts + "/" + id + "/retry"));
  EXPECT_EQ(data.value("status", ""), "publishing");
  for (const auto& target : data["targets"]) {
    const bool is_live = target["social_account_id"] == to_string(live);
    EXPECT_EQ(target["status"], is_live ? "published" : "publishing");
    if (is_live) {
      EXPECT_EQ(target["platform_post_id"], "live-1");
    }
  }
  EXPECT_EQ(std::stoi(db().exec("SELECT (SELECT count(*) FROM carillon.jobs WHERE unique_key = " + sql_literal("publish-post-" + id)
                                + ") + (SELECT count(*) FROM carillon.job_history WHERE kind = 'publish_post' AND "
                                  "payload->>'post_id' = " + sql_literal(id) + ")")), 1);
  EXPECT_EQ(count("publish_attempts a JOIN carillon.post_targets t ON t.id = a.target_id WHERE t.social_account_id = " + sql_literal(live)), 0);
}

TEST_F(PostCommandsTest, ARetryOfAnUnknownOutcomeNeedsTheRiskToBeConfirmed) {
  const auto id = add(editor, "failed");
  db().exec("UPDATE carillon.post_targets SET error_code = 'OUTCOME_UNKNOWN', error_message = 'x' WHERE post_id = " + sql_literal(id));
  const auto before = fingerprint();
  const auto path = posts + "/" + id + "/retry";
  EXPECT_TRUE(refuses(admin.web.post(path), "confirm_duplicate_risk"));
  EXPECT_TRUE(refuses(admin.web.post(path, {{"confirm_duplicate_risk", false}}), "confirm_duplicate_risk"));
  EXPECT_TRUE(refuses(admin.web.post(path, {{"confirm_duplicate_risk", "maybe"}}), "confirm_duplicate_risk"));
  EXPECT_TRUE(is_problem(editor.web.post(path, {{"confirm_duplicate_risk", true}}), 403));
  EXPECT_EQ(fingerprint(), before);
  EXPECT_EQ(data_of(admin.web.post(path, {{"confirm_duplicate_risk", true}})).value("status", ""), "publishing");
}

} // namespace

} // namespace carillon
