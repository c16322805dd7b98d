#include "http/handlers/posts/post_input.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/media_link.hpp"

namespace carillon::http::posts {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <class T>
std::vector<std::string> refused_fields(const result<T>& r) {
  std::vector<std::string> out;
  if (!r)
    for (const auto& e : r.error().fields)
      out.push_back(e.field);
  return out;
}

std::string repeat(const char* text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i)
    out += text;
  return out;
}

// -- POST /posts ------------------------------------------------------------------

TEST(NewPostInput, AnEmptyBodyIsAnEmptyStandardDraft) {
  const auto in = parse_new_post(json::object());
  ASSERT_TRUE(in);
  EXPECT_EQ(in->type, post_type::standard);
  EXPECT_FALSE(in->content.content_text);
  EXPECT_FALSE(in->scheduled_at);
  EXPECT_THAT(in->accounts, IsEmpty());
}

TEST(NewPostInput, EveryFieldIsRead) {
  const auto account = to_string(make_uuid_v7());
  const auto in = parse_new_post({{"content_text", "Hello"},
                                  {"content_variations", {{"mastodon", "Hello, Fediverse"}}},
                                  {"post_type", "thread"},
                                  {"scheduled_at", "2030-07-01T12:00:00"},
                                  {"scheduled_timezone", "Europe/Berlin"},
                                  {"hashtags", {"one", "two"}},
                                  {"mentions", {"@ada"}},
                                  {"link_url", "https://acme.example"},
                                  {"first_comment", "First!"},
                                  {"social_account_ids", {account}}});
  ASSERT_TRUE(in);
  EXPECT_EQ(in->content.content_text, "Hello");
  EXPECT_EQ(in->content.content_variations, R"({"mastodon":"Hello, Fediverse"})");
  EXPECT_EQ(in->type, post_type::thread);
  EXPECT_EQ(format_api_time(*in->scheduled_at), "2030-07-01T10:00:00+00:00");
  EXPECT_EQ(in->scheduled_timezone, "Europe/Berlin");
  EXPECT_EQ(in->content.hashtags, R"(["one","two"])");
  EXPECT_EQ(in->content.mentions, R"(["@ada"])");
  EXPECT_EQ(in->content.link_url, "https://acme.example");
  EXPECT_EQ(in->content.first_comment, "First!");
  ASSERT_EQ(in->accounts.size(), 1u);
  EXPECT_EQ(to_string(in->accounts[0]), account);
}

TEST(NewPostInput, LimitsCountCharacters) {
  const auto euro = "\xe2\x82\xac";
  const auto link = "https://acme.example/" + repeat("x", 2'048 - 21);
  EXPECT_TRUE(parse_new_post({{"content_text", repeat(euro, 10'000)},
                              {"hashtags", {repeat(euro, 100)}},
                              {"mentions", {repeat(euro, 100)}},
                              {"link_url", link},
                              {"first_comment", repeat(euro, 2'000)}}));
  EXPECT_THAT(refused_fields(parse_new_post({{"content_text", repeat(euro, 10'001)},
                                             {"hashtags", {"ok", repeat(euro, 101)}},
                                             {"mentions", {repeat(euro, 101)}},
                                             {"link_url", link + "x"},
                                             {"first_comment", repeat(euro, 2'001)}})),
              ElementsAre("content_text", "hashtags.1", "mentions.0", "link_url", "first_comment"));
}

TEST(NewPostInput, AllFaultsAreNamedAtOnce) {
  EXPECT_THAT(refused_fields(parse_new_post({{"content_text", 1},
                                             {"content_variations", "x"},
                                             {"hashtags", "x"},
                                             {"mentions", json::object()},
                                             {"link_url", "nowhere"},
                                             {"first_comment", json::array({1})},
                                             {"post_type", "poem"},
                                             {"scheduled_timezone", "Mars/Base"},
                                             {"scheduled_at", "soon"},
                                             {"social_account_ids", {"x", 7}}})),
              ElementsAre("content_text", "content_variations", "hashtags", "mentions", "link_url",
                          "first_comment", "post_type", "scheduled_timezone", "scheduled_at",
                          "social_account_ids.0", "social_account_ids.1"));
}

// -- PUT /posts/{post}, /targets ----------------------------------------------------

TEST(EditInput, NullsAndAbsentFieldsChangeNothing) {
  const auto in = parse_content({{"content_text", nullptr}, {"hashtags", {"x"}}});
  ASSERT_TRUE(in);
  EXPECT_FALSE(in->content_text);
  EXPECT_FALSE(in->link_url);
  EXPECT_EQ(in->hashtags, R"(["x"])");
}

TEST(EditInput, OnlyTextFieldsAreLookedAt) {
  EXPECT_TRUE(parse_content({{"social_account_ids", 7}, {"status", "published"}, {"post_type", "x"}}));
}

TEST(TargetsInput, AtLeastOneAccountIsRequired) {
  EXPECT_THAT(refused_fields(parse_accounts(json::object())), ElementsAre("social_account_ids"));
  EXPECT_THAT(refused_fields(parse_accounts({{"social_account_ids", json::array()}})),
              ElementsAre("social_account_ids"));
  EXPECT_THAT(refused_fields(parse_accounts({{"social_account_ids", {"x"}}})),
              ElementsAre("social_account_ids.0"));
  EXPECT_EQ(parse_accounts({{"social_account_ids", {to_string(make_uuid_v7())}}})->size(), 1u);
}

// -- schedule -----------------------------------------------------------------------

struct schedule_case {
  const char* at;
  const char* zone; ///< Null: not given.
  const char* expected;
};

class ScheduleInput : public testing::TestWithParam<schedule_case> {};

TEST_P(ScheduleInput, IsAnInstantInUtc) {
  const auto& p = GetParam();
  json body{{"scheduled_at", p.at}};
  if (p.zone)
    body["timezone"] = p.zone;
  const auto in = parse_schedule(body, "America/New_York");
  ASSERT_TRUE(in);
  EXPECT_EQ(format_api_time(in->at), p.expected);
  EXPECT_EQ(in->zone, p.zone ? std::optional<std::string>{p.zone} : std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(
  All, ScheduleInput,
  testing::Values(
    schedule_case{"2030-01-15T09:00:00Z", nullptr, "2030-01-15T09:00:00+00:00"},
    schedule_case{"2030-01-15T09:00:00.123Z", "Asia/Kolkata", "2030-01-15T09:00:00+00:00"},
    schedule_case{"2030-01-15T09:00:00+05:30", "Europe/Berlin", "2030-01-15T03:30:00+00:00"},
    schedule_case{"2030-01-15T09:00:00", "Asia/Kolkata", "2030-01-15T03:30:00+00:00"},
    // Naive without a zone: the post's own.
    schedule_case{"2030-01-15T09:00:00", nullptr, "2030-01-15T14:00:00+00:00"},
    // A gap moves forward, a fold takes the first.
    schedule_case{"2030-03-31T02:30:00", "Europe/Berlin", "2030-03-31T01:30:00+00:00"},
    schedule_case{"2030-10-27T02:30:00", "Europe/Berlin", "2030-10-27T00:30:00+00:00"}));

TEST(ScheduleInputFaults, TimeIsRequiredAndBothAreChecked) {
  EXPECT_THAT(refused_fields(parse_schedule(json::object(), "UTC")), ElementsAre("scheduled_at"));
  EXPECT_THAT(refused_fields(parse_schedule({{"scheduled_at", 1893456000}}, "UTC")),
              ElementsAre("scheduled_at"));
  EXPECT_THAT(refused_fields(
                parse_schedule({{"scheduled_at", "2030-01-15"}, {"timezone", "Nowhere/At_All"}}, "UTC")),
              ElementsAre("timezone"));
  EXPECT_THAT(refused_fields(parse_schedule({{"scheduled_at", "x"}, {"timezone", 1}}, "UTC")),
              ElementsAre("timezone", "scheduled_at"));
}

// -- decisions ----------------------------------------------------------------------

TEST(DecisionInput, ApprovalTakesAComment) {
  EXPECT_FALSE(parse_approve(json::object())->comment);
  EXPECT_EQ(parse_approve({{"comment", "Fine"}})->comment, "Fine");
  EXPECT_THAT(refused_fields(parse_approve({{"comment", repeat("x", 1'001)}})),
              ElementsAre("comment"));
}

TEST(DecisionInput, RejectionNeedsAReason) {
  const auto in = parse_reject({{"reason", "Typo"}, {"comment", "Line 2"}});
  ASSERT_TRUE(in);
  EXPECT_EQ(in->reason, "Typo");
  EXPECT_EQ(in->comment, "Line 2");
  for (const auto& body : {json::object(), json{{"reason", ""}}, json{{"reason", nullptr}},
                           json{{"reason", repeat("x", 1'001)}}})
    EXPECT_THAT(refused_fields(parse_reject(body)), ElementsAre("reason")) << body.dump();
}

// -- queries ------------------------------------------------------------------------

request query(std::map<std::string, std::string> values) {
  request req;
  req.query = std::move(values);
  return req;
}

TEST(PostFilter, EverythingIsOptional) {
  const auto f = parse_filter(query({}));
  EXPECT_FALSE(f.status || f.author || f.type || f.from || f.to);
  EXPECT_EQ(f.search, "");
  EXPECT_EQ(f.sort, post_filter::column::created_at);
  EXPECT_FALSE(f.ascending);
  EXPECT_EQ(f.page, 1);
  EXPECT_EQ(f.per_page, 15);
}

TEST(PostFilter, KnownValuesAreRead) {
  const auto author = to_string(make_uuid_v7());
  const auto f = parse_filter(query({{"status", "scheduled"},
                                     {"author_id", author},
                                     {"post_type", "reel"},
                                     {"from_date", "2030-01-01"},
                                     {"to_date", "2030-01-31"},
                                     {"search", "sale"},
                                     {"sort", "scheduled_at"},
                                     {"direction", "asc"},
                                     {"page", "3"},
                                     {"per_page", "50"}}));
  EXPECT_EQ(f.status, post_status::scheduled);
  EXPECT_EQ(to_string(*f.author), author);
  EXPECT_EQ(f.type, post_type::reel);
  EXPECT_EQ(format_precise_time(*f.from), "2030-01-01T00:00:00.000000+00:00");
  EXPECT_EQ(format_precise_time(*f.to), "2030-01-31T23:59:59.999999+00:00");
  EXPECT_EQ(f.search, "sale");
  EXPECT_EQ(f.sort, post_filter::column::scheduled_at);
  EXPECT_TRUE(f.ascending);
  EXPECT_EQ(f.page, 3);
  EXPECT_EQ(f.per_page, 50);
}

TEST(PostFilter, UnknownValuesAreNoFilter) {
  const auto f = parse_filter(query({{"status", "lost"},
                                     {"author_id", "me"},
                                     {"post_type", ""},
                                     {"from_date", "0000-01-01"},
                                     {"to_date", "later"},
                                     {"sort_by", "password; drop table"},
                                     {"sort_dir", "sideways"},
                                     {"page", "-1"},
                                     {"per_page", "5000"}}));
  EXPECT_FALSE(f.status || f.author || f.type || f.from || f.to);
  EXPECT_EQ(f.sort, post_filter::column::created_at);
  EXPECT_FALSE(f.ascending);
  EXPECT_EQ(f.page, 1);
  EXPECT_EQ(f.per_page, 100);
}

TEST(PostFilter, SortByWinsOverItsAlias) {
  EXPECT_EQ(parse_filter(query({{"sort_by", "status"}, {"sort", "updated_at"}})).sort,
            post_filter::column::status);
}

TEST(ApprovalsFilter, AreTheLongestWaitingSubmissions) {
  const auto f = parse_approvals_filter(query({{"status", "draft"}, {"sort", "status"}, {"per_page", "2"}}));
  EXPECT_EQ(f.status, post_status::submitted);
  EXPECT_EQ(f.sort, post_filter::column::submitted_at);
  EXPECT_TRUE(f.ascending);
  EXPECT_EQ(f.per_page, 2);
}

// -- POST /posts/{post}/media -----------------------------------------------------

TEST(NewMediaInput, AnAddressThatEndsIsNotKept) {
  const auto kept = [](const std::string& url) {
    const auto in = parse_media({{"media_type", "image"}, {"file_path", "uploads/a.png"}, {"file_url", url}, {"thumbnail_url", url}});
    EXPECT_TRUE(in) << url;
    EXPECT_EQ(in->url, in->thumbnail_url);
    return in->url.has_value();
  };
  const media_links links{{"key"}, std::chrono::hours{1}};
  const auto token = links.make({tenant_id::make(), workspace_id::make(), "uploads/a.png"}, instant{});
  ASSERT_FALSE(token.empty());
  EXPECT_FALSE(kept("http://127.0.0.1:8080/api/v1/media/" + token));
  EXPECT_FALSE(kept("https://api.acme.example/api/v1/media/" + token + "?download=1"));
  EXPECT_FALSE(kept("https://acme.example/carillon/api/v1/media/" + token)) << "http.public_url may have a path";
  EXPECT_TRUE(kept("https://cdn.acme.example/a.png"));
  EXPECT_TRUE(kept("https://cdn.acme.example/api/v1/mediathek/a.png"));
  EXPECT_TRUE(kept("https://cdn.acme.example/api/v1/media/a.png")) << "somebody else's file";
  EXPECT_TRUE(kept("https://cdn.acme.example/api/v1/media/2026/a.png"));
  EXPECT_TRUE(kept("https://cdn.acme.example/a.png?from=/api/v1/media/" + token));
}

} // namespace
} // namespace carillon::http::posts
