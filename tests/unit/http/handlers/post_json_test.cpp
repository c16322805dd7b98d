#include "http/handlers/posts/post_json.hpp"

#include <fstream>
#include <set>

#include <gtest/gtest.h>

namespace carillon::http::posts {
namespace {

const json& schemas() {
  static const auto all = [] {
    std::ifstream in{std::string{CARILLON_SOURCE_DIR} + "/http/openapi.json"};
    return json::parse(in).at("components").at("schemas");
  }();
  return all;
}

/// Exactly the members that the served OpenAPI page declares.
void expect_members(const json& shown, const std::string& schema) {
  std::set<std::string> declared;
  std::set<std::string> present;
  for (const auto& [name, _] : schemas().at(schema).at("properties").items())
    declared.insert(name);
  for (const auto& [name, _] : shown.items())
    present.insert(name);
  EXPECT_EQ(present, declared) << schema;
}

instant at(const char* text) {
  return *parse_time(text);
}

post_detail full() {
  post_detail d;
  auto& p = d.post;
  p.id = post_id::make();
  p.workspace = workspace_id::make();
  p.author = user_id::make();
  p.author_name = "Ada";
  p.content_text = "Hello";
  p.content_variations = R"({"mastodon": "Hi"})";
  p.status = post_status::scheduled;
  p.type = post_type::reel;
  p.scheduled_at = at("2030-01-15T09:00:00.750Z");
  p.scheduled_timezone = "Europe/Berlin";
  p.hashtags = R"(["a", "b"])";
  p.link_url = "https://acme.example";
  p.target_count = 2;
  p.media_count = 1;
  p.created_at = at("2029-12-31T00:00:00Z");
  p.updated_at = at("2030-01-01T00:00:00Z");
  post_target t;
  t.id = target_id::make();
  t.account = social_account_id::make();
  t.platform_code = "mastodon";
  t.platform = network::mastodon;
  t.account_name = "Acme";
  d.targets.push_back(t);
  t.platform_code = "orkut";
  t.platform.reset();
  d.targets.push_back(t);
  post_media m;
  m.id = make_uuid_v7();
  m.path = "media/1.png";
  m.file_name = "1.png";
  m.size = 12;
  d.media.push_back(m);
  return d;
}

TEST(PostJson, APostHasTheDeclaredMembers) {
  const auto d = full();
  const auto shown = render(d.post);
  expect_members(shown, "Post");
  EXPECT_EQ(shown["id"], to_string(d.post.id));
  EXPECT_EQ(shown["status"], "scheduled");
  EXPECT_EQ(shown["post_type"], "reel");
  EXPECT_EQ(shown["scheduled_at"], "2030-01-15T09:00:00+00:00");
  EXPECT_EQ(shown["content_variations"], json({{"mastodon", "Hi"}}));
  EXPECT_EQ(shown["hashtags"], json({"a", "b"}));
  EXPECT_EQ(shown["target_count"], 2);
}

TEST(PostJson, WhatIsNotThereIsNull) {
  const auto shown = render(post{});
  expect_members(shown, "Post");
  for (const auto* name : {"content_text", "content_variations", "scheduled_at", "scheduled_timezone",
                           "published_at", "hashtags", "mentions", "link_url", "link_preview",
                           "first_comment", "rejection_reason"})
    EXPECT_TRUE(shown[name].is_null()) << name;
}

TEST(PostJson, NewerNetworksWearACodeThatTheClientKnows) {
  const auto d = full();
  const auto shown = render_targets(d, true);
  ASSERT_EQ(shown.size(), 2u);
  expect_members(shown[0], "PostTarget");
  EXPECT_EQ(shown[0]["post_id"], to_string(d.post.id));
  EXPECT_EQ(shown[0]["platform"], "twitter");
  EXPECT_EQ(shown[0]["network"], "mastodon");
  EXPECT_EQ(shown[1]["platform"], "twitter");
  EXPECT_TRUE(shown[1]["network"].is_null());
}

TEST(PostJson, TrueCodesAreShownWithoutCompatibility) {
  const auto shown = render_targets(full(), false);
  EXPECT_EQ(shown[0]["platform"], "mastodon");
  EXPECT_EQ(shown[1]["platform"], "orkut");
}

TEST(PostJson, MediaHasTheDeclaredMembers) {
  const auto d = full();
  const auto shown = render(d.post.id, d.media[0], {});
  expect_members(shown, "PostMedia");
  EXPECT_EQ(shown["file_size"], 12);
  EXPECT_TRUE(shown["file_url"].is_null());
}

TEST(PostJson, WhatWasUploadedHereHasASignedAddressAndOtherFilesHaveTheirOwn) {
  media_addresses files;
  files.links = std::make_shared<const media_links>(std::vector<std::string>{media_link_key("secret")}, std::chrono::hours{1});
  files.tenant = tenant_id::make();
  files.workspace = workspace_id::make();
  files.base_url = "https://api.example";
  files.now = at("2030-01-15T09:00:00Z");
  post_media m;
  m.path = "uploads/019abc.png";
  const auto address = render(post_id::make(), m, files)["file_url"].get<std::string>();
  const auto begin = std::string{"https://api.example"} + std::string{media_link_prefix};
  ASSERT_TRUE(address.starts_with(begin)) << address;
  const auto link = files.links->read(address.substr(begin.size()), files.now);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->file.path, m.path);
  EXPECT_EQ(link->file.workspace, files.workspace);
  for (const auto* path : {"folder/a.png", "uploads/a.html", "uploads/a", "a.png"}) {
    m.path = path;
    EXPECT_TRUE(render(post_id::make(), m, files)["file_url"].is_null()) << path;
  }
  m.path = "uploads/019abc.png";
  m.url = "https://cdn.example/a.png";
  EXPECT_EQ(render(post_id::make(), m, files)["file_url"], *m.url);
}

TEST(PostJson, ADecisionHasTheDeclaredMembers) {
  approval a;
  a.decision = approval_decision::rejected;
  a.reason = "Typo";
  const auto shown = render(a);
  expect_members(shown, "ApprovalDecision");
  EXPECT_EQ(shown["decision"], "rejected");
  EXPECT_EQ(shown["reason"], "Typo");
  EXPECT_TRUE(shown["comment"].is_null());
}

TEST(PostJson, AttemptsHaveTheDeclaredMembersAndKeepTheLogsWordsBack) {
  target_attempts t;
  t.target = full().targets[0];
  t.target.status = target_status::publishing;
  t.next_action_at = at("2030-01-15T09:00:00Z");
  for (const auto* state : {"failed", "refused", "absent", "open"}) {
    publish_attempt a;
    a.state = state;
    a.error_message = "connect to 10.0.0.7 failed";
    t.attempts.push_back(a);
  }
  auto shown = render(t, true);
  expect_members(shown, "TargetAttempts");
  expect_members(shown["attempts"][0], "PublishAttempt");
  EXPECT_TRUE(shown["next_try_at"].is_null()) << "a call is under way";
  EXPECT_EQ(shown["next_check_at"], "2030-01-15T09:00:00+00:00");
  EXPECT_EQ(shown["attempts"][1]["error_message"], "connect to 10.0.0.7 failed") << "a refusal is the network's own text";
  for (const auto at : {0u, 2u, 3u})
    EXPECT_EQ(shown["attempts"][at].dump().find("10.0.0.7"), std::string::npos) << at;
  EXPECT_EQ(shown["attempts"][3]["outcome"], "in_progress");
  t.attempts.pop_back();
  shown = render(t, true);
  EXPECT_EQ(shown["next_try_at"], "2030-01-15T09:00:00+00:00");
  t.target.status = target_status::failed;
  EXPECT_TRUE(render(t, true)["next_try_at"].is_null()) << "nothing comes next";
  const auto words_for = [&](const char* code) {
    t.attempts[0].error_code = code;
    return render(t, true)["attempts"][0]["error_message"].get<std::string>();
  };
  EXPECT_NE(words_for("NOT_SENT").find("Not sent"), std::string::npos);
  EXPECT_NE(words_for("THROTTLED").find("slow down"), std::string::npos);
  EXPECT_NE(words_for("EXCEPTION").find("could not be reached"), std::string::npos);
}

TEST(PostJson, AMutationIsTheFlatPostAndTheDetail) {
  const auto d = full();
  const auto detail = render_detail(d, true, {});
  EXPECT_EQ(detail.size(), 3u);
  EXPECT_EQ(detail["post"], render(d.post));
  EXPECT_EQ(detail["targets"], render_targets(d, true));
  EXPECT_EQ(detail["media"].size(), 1u);
  auto flat = render_mutation(d, true, {});
  for (const auto* name : {"post", "targets", "media"}) {
    EXPECT_EQ(flat[name], detail[name]) << name;
    flat.erase(name);
  }
  EXPECT_EQ(flat, render(d.post));
}

} // namespace
} // namespace carillon::http::posts
