// The gateway against the sandbox network (which speaks the API as Mastodon
// documents it), and against servers that say what no sandbox says.
#include "outbound/social/mastodon/mastodon_gateway.hpp"

#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/integration/outbound/sandbox_server.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::answers;
using test::closed_port;
using test::http_answer;
using test::scripted_exchange;
using test::scripted_request;
using test::scripted_server;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class MastodonGatewayTest : public ::testing::Test {
protected:
  static account_credentials account_at(std::string url, const std::string& name = "acme") {
    return {network::mastodon, std::move(url), name, "sandbox-" + name};
  }

  static outgoing_post post_to(const account_credentials& account, std::string text = "Hello", std::string key = "key-1") {
    outgoing_post out;
    out.account = account;
    out.text = std::move(text);
    out.idempotency_key = std::move(key);
    out.timeout = 30s;
    return out;
  }

  result<public_post> publish(outgoing_post post) {
    return test::wait_for<result<public_post>>([&](auto done) { gateway.publish(std::move(post), done); });
  }

  result<std::vector<public_post>> list(const account_credentials& account, instant since = {},
                                        std::chrono::milliseconds timeout = 30s) {
    return test::wait_for<result<std::vector<public_post>>>(
      [&](auto done) { gateway.list_recent(account, since, timeout, done); });
  }

  result<std::vector<public_post>> find(outgoing_post post) {
    return test::wait_for<result<std::vector<public_post>>>(
      [&](auto done) { gateway.find_published(std::move(post), {}, 30s, done); });
  }

  template <class T>
  static failure failure_of(const result<T>& r) {
    EXPECT_FALSE(r);
    return r ? failure{} : r.error();
  }

  static mastodon_options quick() {
    mastodon_options out;
    out.media_poll = 5ms;
    out.least_status_time = 10ms;
    return out;
  }

  test::manual_clock clock;
  test::scratch_folder folder;
  curl_loop loop;
  http_client http{loop};
  mastodon_gateway gateway{http, clock, quick()};
};

// -- with the sandbox network ---------------------------------------------------------

class SandboxGatewayTest : public MastodonGatewayTest {
protected:
  ~SandboxGatewayTest() override {
    // Calls that hang are given up with their connections.
    loop.stop();
  }

  std::string url() const {
    return network_.url();
  }
  json call(const std::string& method, const std::string& path) {
    return network_.call(method, path);
  }
  void misbehave(const json& faults) {
    network_.misbehave(faults);
  }
  int accepted() {
    return network_.accepted();
  }

  static std::vector<std::string> texts(const std::vector<public_post>& posts) {
    std::vector<std::string> out;
    for (const auto& post : posts)
      out.push_back(post.text);
    return out;
  }

private:
  test::sandbox_server network_{http, clock};

protected:
  account_credentials acme = account_at(url());
};

TEST_F(SandboxGatewayTest, APostIsPublicWithIdUrlTextAndTime) {
  const auto published = publish(post_to(acme, "Grüße 🔔 & <b>more</b>"));
  ASSERT_TRUE(published) << published.error().detail;
  EXPECT_FALSE(published->id.empty());
  EXPECT_THAT(published->url, HasSubstr(published->id));
  EXPECT_EQ(published->text, normalise_text("Grüße 🔔 & <b>more</b>"));
  EXPECT_LE(std::chrono::abs(published->created_at - clock.now()), 1ms);
  const auto seen = list(acme);
  ASSERT_TRUE(seen);
  ASSERT_THAT(*seen, SizeIs(1));
  EXPECT_EQ(seen->at(0).id, published->id);
  EXPECT_EQ(seen->at(0).text, published->text);
}

TEST_F(SandboxGatewayTest, TheSameKeyGivesTheSamePost) {
  const auto first = publish(post_to(acme, "Once", "same"));
  const auto second = publish(post_to(acme, "Once", "same"));
  const auto other = publish(post_to(acme, "Once", "other"));
  ASSERT_TRUE(first && second && other);
  EXPECT_EQ(first->id, second->id);
  EXPECT_NE(first->id, other->id);
  EXPECT_EQ(accepted(), 2);
}

TEST_F(SandboxGatewayTest, TooManyRequestsSayWhenToComeBack) {
  misbehave({{"rate_429", 1}, {"retry_after", 17}});
  const auto f = failure_of(publish(post_to(acme)));
  EXPECT_EQ(f.code, errc::throttled);
  EXPECT_EQ(f.retry_after, 17s);
  EXPECT_EQ(accepted(), 0);
}

TEST_F(SandboxGatewayTest, AServerErrorMayHideAnAcceptedPost) {
  misbehave({{"rate_5xx", 1}, {"status_5xx", 500}});
  EXPECT_EQ(failure_of(publish(post_to(acme, "never"))).code, errc::outcome_unknown);
  EXPECT_EQ(accepted(), 0);
  misbehave({{"accept_then_5xx", 1}, {"status_5xx", 502}, {"error_html", true}});
  EXPECT_EQ(failure_of(publish(post_to(acme, "taken"))).code, errc::outcome_unknown);
  EXPECT_EQ(accepted(), 1);
  misbehave({{"accept_then_5xx", 1}, {"status_5xx", 503}, {"error_html", true}});
  EXPECT_EQ(failure_of(publish(post_to(acme, "taken too", "key-2"))).code, errc::outcome_unknown);
  EXPECT_EQ(accepted(), 2);
}

TEST_F(SandboxGatewayTest, AConnectionLostAfterTheRequestLeavesTheOutcomeUnknownAndReadBackSettlesIt) {
  misbehave({{"accept_then_drop", 1}, {"ignore_idempotency_keys", true}});
  EXPECT_EQ(failure_of(publish(post_to(acme, "Taken"))).code, errc::outcome_unknown);
  misbehave({{"drop_before_accept", 1}});
  EXPECT_EQ(failure_of(publish(post_to(acme, "Lost"))).code, errc::outcome_unknown);
  misbehave(json::object());
  const auto seen = list(acme);
  ASSERT_TRUE(seen);
  EXPECT_THAT(texts(*seen), ElementsAre("Taken")) << "once: the gateway never repeats a call";
}

TEST_F(SandboxGatewayTest, SilenceAfterTheRequestLeavesTheOutcomeUnknownAtTheTimeout) {
  misbehave({{"accept_then_hang", 1}, {"hang_ms", 600'000}});
  auto post = post_to(acme, "Taken");
  post.timeout = 500ms;
  EXPECT_EQ(failure_of(publish(post)).code, errc::outcome_unknown);
  EXPECT_EQ(accepted(), 1);
}

TEST_F(SandboxGatewayTest, AListGoesBackBeyondOnePage) {
  for (int i = 0; i < 95; ++i) {
    ASSERT_TRUE(publish(post_to(acme, "post " + std::to_string(i), "key-" + std::to_string(i))));
    clock.advance(1s);
  }
  ASSERT_TRUE(publish(post_to(account_at(url(), "rival"), "not ours", "rival")));
  const auto seen = list(acme);
  ASSERT_TRUE(seen) << seen.error().detail;
  ASSERT_THAT(*seen, SizeIs(95));
  std::set<std::string> ids;
  for (std::size_t i = 0; i < seen->size(); ++i) {
    EXPECT_EQ(seen->at(i).text, "post " + std::to_string(94 - i)) << "newest first";
    ids.insert(seen->at(i).id);
  }
  EXPECT_THAT(ids, SizeIs(95));
  // Back to `since`, not further than the page that holds it.
  const auto latest = list(acme, seen->at(10).created_at);
  ASSERT_TRUE(latest);
  EXPECT_GE(latest->size(), 11u);
  EXPECT_LE(latest->size(), 40u);
}

TEST_F(SandboxGatewayTest, AListEndsAtTwoHundredPosts) {
  for (int i = 0; i < 230; ++i)
    ASSERT_TRUE(publish(post_to(acme, "post " + std::to_string(i), "key-" + std::to_string(i))));
  const auto seen = list(acme);
  ASSERT_TRUE(seen);
  EXPECT_THAT(*seen, SizeIs(200));
  EXPECT_EQ(seen->front().text, "post 229");
}

TEST_F(SandboxGatewayTest, APostThatIsNotVisibleYetIsInNoList) {
  misbehave({{"visibility_delay_ms", 5'000}});
  const auto published = publish(post_to(acme, "Late"));
  ASSERT_TRUE(published);
  EXPECT_THAT(*list(acme), IsEmpty());
  clock.advance(4'999ms);
  EXPECT_THAT(*list(acme), IsEmpty());
  clock.advance(2ms);
  ASSERT_TRUE(test::eventually([&] { return list(acme)->size() == 1; }));
  EXPECT_EQ(list(acme)->at(0).id, published->id);
}

TEST_F(SandboxGatewayTest, WhatTheNetworkMakesOfATextStillMatchesIt) {
  int n = 0;
  for (const std::string text :
       {"one\ntwo\n\nthree", "https://www.example.com/a/very/long/path?with=query&and=more#fragment end",
        "@someone@other.example hello #Tag", "<script>alert('x')</script> & \"quotes\"", "  blanks   inside\t and around  ",
        "emoji 👩‍👩‍👧‍👦 e\u0301", "http://a.example/x, (https://b.example/y)."}) {
    const auto published = publish(post_to(acme, text, "k" + std::to_string(n++)));
    ASSERT_TRUE(published) << text;
    EXPECT_EQ(published->text, normalise_text(text)) << "in the answer";
    EXPECT_EQ(list(acme)->at(0).text, normalise_text(text)) << "in the list";
  }
}

TEST_F(SandboxGatewayTest, FilesAreUploadedFirstAndPublishedWithTheirDescriptions) {
  const auto file = folder.path() / "picture.png";
  const std::string bytes{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde", 33};
  std::ofstream{file, std::ios::binary} << bytes;
  misbehave({{"media_processing_ms", 60'000}});
  auto post = post_to(acme, "With pictures");
  post.media = {{file.string(), "image/png", "A bell"}, {file.string(), "image/png", ""}};
  // The files are ready when the clock says so.
  std::atomic<bool> published{false};
  std::thread time{[&] {
    while (!published) {
      clock.advance(1s);
      std::this_thread::yield();
    }
  }};
  const auto out = publish(post);
  published = true;
  time.join();
  ASSERT_TRUE(out) << out.error().detail;
  const auto posts = call("GET", "/sandbox/posts");
  const auto& media = (posts.is_array() ? posts : posts["posts"])[0]["media"];
  ASSERT_THAT(media, SizeIs(2)) << posts.dump();
}

TEST_F(SandboxGatewayTest, ATokenThatIsNotKnownIsUnauthorized) {
  auto stranger = acme;
  stranger.access_token = "not-a-token";
  const auto f = failure_of(publish(post_to(stranger)));
  EXPECT_EQ(f.code, errc::unauthorized);
  EXPECT_THAT(f.detail, Not(HasSubstr("not-a-token")));
}

TEST_F(SandboxGatewayTest, WhatTheNetworkRefusesIsPermanentInItsWords) {
  const auto empty = failure_of(publish(post_to(acme, "")));
  EXPECT_EQ(empty.code, errc::permanent);
  EXPECT_THAT(empty.detail, HasSubstr("422"));
  EXPECT_THAT(empty.detail, HasSubstr("Text can't be blank"));
  EXPECT_EQ(accepted(), 0);
}

TEST_F(SandboxGatewayTest, ATokenSpeaksForItsAccount) {
  const auto who = test::wait_for<result<verified_account>>(
    [&](auto done) { gateway.verify_account(acme, 30s, done); });
  ASSERT_TRUE(who) << who.error().detail;
  EXPECT_EQ(who->id, "acme");
  EXPECT_EQ(who->username, "acme");
  EXPECT_THAT(who->url, ::testing::StartsWith("http"));
}

// -- with scripted servers ------------------------------------------------------------

std::string status_json(const std::string& id, const std::string& content = "<p>Hello</p>",
                        const std::string& created = "2026-02-07T10:00:00.000Z") {
  return json{{"id", id}, {"content", content}, {"url", "https://m.example/@acme/" + id}, {"created_at", created}}.dump();
}

TEST_F(MastodonGatewayTest, ACallCarriesTokenKeyTraceAndJson) {
  scripted_server server{answers({http_answer(200, status_json("7"))})};
  auto post = post_to(account_at(server.url()), "Say \"hi\" 🔔\n\xff");
  post.correlation_id = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto out = publish(post);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->id, "7");
  EXPECT_EQ(out->url, "https://m.example/@acme/7");
  EXPECT_EQ(format_api_time(out->created_at), "2026-02-07T10:00:00+00:00");
  ASSERT_THAT(server.requests(), SizeIs(1));
  const auto q = server.requests()[0];
  EXPECT_EQ(q.line, "POST /api/v1/statuses HTTP/1.1");
  EXPECT_EQ(q.header("authorization"), "Bearer sandbox-acme");
  EXPECT_EQ(q.header("idempotency-key"), "key-1");
  EXPECT_EQ(q.header("traceparent"), post.correlation_id);
  EXPECT_EQ(q.header("content-type"), "application/json");
  EXPECT_EQ(json::parse(q.body)["status"], "Say \"hi\" 🔔\n\xef\xbf\xbd");
  EXPECT_FALSE(json::parse(q.body).contains("media_ids"));
}

struct answer_case {
  std::string name;
  std::string answer;
  errc publish_means;
  errc list_means;
  std::string says;
  std::optional<std::chrono::milliseconds> retry_after;
};

class MastodonAnswerTest : public MastodonGatewayTest, public ::testing::WithParamInterface<answer_case> {};

TEST_P(MastodonAnswerTest, MeansTheSameEverywhere) {
  const auto& c = GetParam();
  scripted_server server{answers({c.answer})};
  const auto published = failure_of(publish(post_to(account_at(server.url()))));
  EXPECT_EQ(published.code, c.publish_means) << published.detail;
  EXPECT_THAT(published.detail, HasSubstr(c.says));
  EXPECT_THAT(published.detail, Not(HasSubstr("sandbox-acme"))) << "a secret";
  EXPECT_THAT(published.detail, Not(HasSubstr("\n")));
  EXPECT_EQ(published.retry_after, c.retry_after);
  EXPECT_THAT(server.requests(), SizeIs(1)) << "one call, whatever comes";
  const auto listed = failure_of(list(account_at(server.url())));
  EXPECT_EQ(listed.code, c.list_means) << listed.detail;
}

std::string error_answer(int status, const std::string& words, const std::vector<std::string>& headers = {}) {
  return http_answer(status, json{{"error", words}}.dump(), headers);
}

INSTANTIATE_TEST_SUITE_P(
  Answers, MastodonAnswerTest,
  ::testing::Values(
    answer_case{"TooMany", error_answer(429, "Too many requests", {"Retry-After: 3"}), errc::throttled, errc::throttled,
                "Too many requests", 3s},
    answer_case{"TooManyUntil",
                error_answer(429, "Slow down", {"Date: Sat, 07 Feb 2026 12:00:00 GMT", "X-RateLimit-Reset: 2026-02-07T12:05:00.000000Z"}),
                errc::throttled, errc::throttled, "Slow down", 5min},
    answer_case{"TooManyWithoutAWait", error_answer(429, "Slow down"), errc::throttled, errc::throttled, "429", {}},
    answer_case{"Unauthorized", error_answer(401, "The access token is invalid"), errc::unauthorized, errc::unauthorized,
                "The access token is invalid", {}},
    answer_case{"Forbidden", error_answer(403, "This action is not allowed"), errc::unauthorized, errc::unauthorized,
                "not allowed", {}},
    answer_case{"Unprocessable", error_answer(422, "Validation failed: Text character limit of 500 exceeded"), errc::permanent,
                errc::permanent, "Validation failed: Text character limit of 500 exceeded", {}},
    answer_case{"MultilineWords", error_answer(422, "one\r\ntwo"), errc::permanent, errc::permanent, "one  two", {}},
    answer_case{"NotFound", error_answer(404, "Record not found"), errc::permanent, errc::permanent, "Record not found", {}},
    answer_case{"Gone", http_answer(410, "<html>gone</html>"), errc::permanent, errc::permanent, "HTTP 410", {}},
    answer_case{"RequestTimeout", http_answer(408), errc::transient, errc::transient, "408", {}},
    answer_case{"TooEarly", http_answer(425), errc::transient, errc::transient, "425", {}},
    answer_case{"Unavailable", error_answer(503, "Maintenance", {"Retry-After: 60"}), errc::outcome_unknown, errc::transient,
                "Maintenance", {}},
    answer_case{"InternalError", error_answer(500, "Oops"), errc::outcome_unknown, errc::transient, "Oops", {}},
    answer_case{"BadGateway", http_answer(502, "<html><body>nginx</body></html>"), errc::outcome_unknown, errc::transient,
                "HTTP 502", {}},
    answer_case{"GatewayTimeout", http_answer(504), errc::outcome_unknown, errc::transient, "504", {}},
    answer_case{"MovedForGood", http_answer(301, "", {"Location: https://new.example/"}), errc::permanent, errc::permanent,
                "301", {}},
    answer_case{"Redirected", http_answer(308, "", {"Location: /x"}), errc::permanent, errc::permanent, "308", {}},
    answer_case{"Found", http_answer(302, "", {"Location: /login"}), errc::outcome_unknown, errc::transient, "302", {}},
    answer_case{"EmptyOk", http_answer(200), errc::outcome_unknown, errc::transient, "unreadable", {}},
    answer_case{"HtmlOk", http_answer(200, "<html>Welcome</html>"), errc::outcome_unknown, errc::transient, "unreadable", {}},
    answer_case{"OkWithoutId", http_answer(200, R"({"content":"<p>x</p>"})"), errc::outcome_unknown, errc::transient,
                "unreadable", {}},
    answer_case{"OkWithoutContent", http_answer(200, R"({"id":"1"})"), errc::outcome_unknown, errc::transient, "unreadable", {}},
    answer_case{"OkOfWrongTypes", http_answer(200, R"({"id":{},"content":7})"), errc::outcome_unknown, errc::transient,
                "unreadable", {}},
    answer_case{"OkWithAnIdThatCannotBeKept", http_answer(200, R"({"id":"1\u0000","content":"<p>x</p>"})"), errc::outcome_unknown,
                errc::transient, "unreadable", {}},
    answer_case{"OkWithAnIdThatIsTooLong", http_answer(200, status_json(std::string(256, '1'))), errc::outcome_unknown,
                errc::transient, "unreadable", {}},
    answer_case{"DeepJson", http_answer(200, std::string(100'000, '[')), errc::outcome_unknown, errc::transient, "unreadable",
                {}},
    answer_case{"HugeBody", http_answer(200, "[" + std::string(3'000'000, ' ') + "]"), errc::outcome_unknown, errc::transient,
                "unreadable", {}}),
  [](const auto& info) { return info.param.name; });

TEST_F(MastodonGatewayTest, NobodyListeningIsTransient) {
  const auto nowhere = account_at("http://127.0.0.1:" + std::to_string(closed_port()));
  EXPECT_EQ(failure_of(publish(post_to(nowhere))).code, errc::transient);
  EXPECT_EQ(failure_of(list(nowhere)).code, errc::transient);
}

TEST_F(MastodonGatewayTest, AnAddressThatCanNeverWorkIsPermanent) {
  for (const auto* url : {"", "ftp://m.example", "file:///etc", "http://user:secret@127.0.0.1", "http://m.example\r\nX: y"})
    EXPECT_EQ(failure_of(publish(post_to(account_at(url)))).code, errc::permanent) << url;
  scripted_server server{answers({http_answer(200, status_json("1"))})};
  auto post = post_to(account_at(server.url()));
  post.account.access_token = "bad\r\nX-Evil: yes";
  EXPECT_EQ(failure_of(publish(post)).code, errc::permanent);
  post = post_to(account_at(server.url()), "Hello", "key\r\nX-Evil: yes");
  EXPECT_EQ(failure_of(publish(post)).code, errc::permanent);
  EXPECT_THAT(server.requests(), IsEmpty());
}

TEST_F(MastodonGatewayTest, AnAnswerCutInTheMiddleLeavesTheOutcomeUnknown) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":\"1\",");
  }};
  EXPECT_EQ(failure_of(publish(post_to(account_at(server.url())))).code, errc::outcome_unknown);
  EXPECT_EQ(failure_of(list(account_at(server.url()))).code, errc::transient);
}

TEST_F(MastodonGatewayTest, AnIdMayBeANumberAndTheTimeMissing) {
  scripted_server server{answers({http_answer(200, R"({"id":42,"content":"<p>Hello</p>","uri":"https://m.example/42"})")})};
  const auto out = publish(post_to(account_at(server.url())));
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->id, "42");
  EXPECT_EQ(out->url, "https://m.example/42");
  EXPECT_EQ(out->created_at, clock.now());
}

TEST_F(MastodonGatewayTest, AListWithOneUnreadableEntryIsNoList) {
  scripted_server server{answers({http_answer(200, "[" + status_json("2") + R"(,{"id":"1"}])")})};
  EXPECT_EQ(failure_of(list(account_at(server.url()))).code, errc::transient) << "that one could be the one looked for";
}

TEST_F(MastodonGatewayTest, AListThatNeverMovesOnEnds) {
  scripted_server server{answers({http_answer(200, "[" + status_json("2") + "]")})};
  const auto seen = list(account_at(server.url()));
  ASSERT_TRUE(seen);
  EXPECT_LE(server.requests().size(), 3u);
}

TEST_F(MastodonGatewayTest, AnAccountIdCannotLeaveItsPlaceInThePath) {
  scripted_server server{answers({http_answer(200, "[]")})};
  auto account = account_at(server.url());
  account.platform_account_id = "../../x?y=1#z";
  EXPECT_TRUE(list(account));
  EXPECT_EQ(server.requests().at(0).line,
            "GET /api/v1/accounts/..%2F..%2Fx%3Fy%3D1%23z/statuses?exclude_reblogs=true&limit=40 HTTP/1.1");
}

// -- limits, threads and servers of their own kind -----------------------------------------

/// Answers by what is asked for; requests that no entry begins are 404.
test::scripted_server::script by_path(std::vector<std::pair<std::string, std::string>> answers_by_path) {
  return [all = std::move(answers_by_path)](scripted_exchange& e) {
    scripted_request q;
    while (e.receive(q)) {
      auto answer = http_answer(404, R"({"error":"Record not found"})");
      for (const auto& [begin, one] : all)
        if (q.line.starts_with(begin))
          answer = one;
      e.send(answer);
    }
  };
}

std::string instance_json(int characters) {
  return json{{"configuration", {{"statuses", {{"max_characters", characters}, {"max_media_attachments", 2}}}}}}.dump();
}

int asked_for(const scripted_server& server, const std::string& begin) {
  int out = 0;
  for (const auto& q : server.requests())
    out += q.line.starts_with(begin) ? 1 : 0;
  return out;
}

TEST_F(MastodonGatewayTest, AnInstancesOwnLimitHoldsAndIsReadOnceAnHour) {
  scripted_server server{by_path({{"GET /api/v2/instance", http_answer(200, instance_json(1'000))},
                                  {"POST /api/v1/statuses", http_answer(200, status_json("1"))}})};
  EXPECT_TRUE(publish(post_to(account_at(server.url()), std::string(1'000, 'x'))));
  EXPECT_THAT(failure_of(publish(post_to(account_at(server.url()), std::string(1'001, 'x')))).detail,
              HasSubstr("1001 characters; this server allows 1000"));
  EXPECT_TRUE(publish(post_to(account_at(server.url()), "https://example.com/" + std::string(2'000, 'x'))));
  EXPECT_EQ(asked_for(server, "GET /api/v2/instance"), 1);
  EXPECT_EQ(asked_for(server, "POST /api/v1/statuses"), 2);
}

TEST_F(MastodonGatewayTest, AnInstanceThatKeepsItsLimitsToItselfHasTheLastWord) {
  scripted_server server{by_path({{"POST /api/v1/statuses", error_answer(422, "Text is too long")}})};
  EXPECT_THAT(failure_of(publish(post_to(account_at(server.url()), std::string(700, 'x')))).detail,
              HasSubstr("Text is too long"));
  EXPECT_EQ(asked_for(server, "GET /api/v2/instance"), 1);
}

TEST_F(MastodonGatewayTest, WhileTheLimitsCannotBeReadNothingIsSentAndReadBackProvesNothing) {
  const auto answer_of = [](const std::string& instance) {
    return by_path({{"GET /api/v2/instance", instance},
                    {"GET /api/v1/accounts/acme/statuses", http_answer(200, "[]")},
                    {"POST /api/v1/statuses", http_answer(200, status_json("1"))}});
  };
  for (const auto& [instance, code] : {std::pair{http_answer(500, "<html>"), errc::transient},
                                       std::pair{http_answer(503), errc::transient},
                                       std::pair{http_answer(403, "<html>Checking your browser</html>"), errc::transient},
                                       std::pair{http_answer(200, "<html>We are moving</html>"), errc::transient},
                                       std::pair{error_answer(429, "Slow down"), errc::throttled}}) {
    scripted_server server{answer_of(instance)};
    auto thread = post_to(account_at(server.url()), "One. " + std::string(600, 'x'));
    thread.is_thread = true;
    EXPECT_EQ(failure_of(publish(thread)).code, code) << instance;
    EXPECT_EQ(failure_of(find(thread)).code, code) << instance;
    EXPECT_EQ(asked_for(server, "POST"), 0);
    EXPECT_TRUE(find(post_to(account_at(server.url())))) << "a short text needs no limits";
  }
  scripted_server silent{answer_of(http_answer(404))};
  auto thread = post_to(account_at(silent.url()), "One. " + std::string(600, 'x'));
  thread.is_thread = true;
  EXPECT_TRUE(find(thread)) << "its parts are always those of the usual limits";
}

TEST_F(MastodonGatewayTest, AThreadEndsWhereAnEarlierCallDividedItOtherwise) {
  const auto paragraph = [](char c) { return std::string(300, c); };
  scripted_server server{by_path({{"GET /api/v2/instance", http_answer(200, instance_json(1'000))},
                                  {"POST /api/v1/statuses", http_answer(200, status_json("1", "<p>" + paragraph('a') + "</p>"))}})};
  auto thread = post_to(account_at(server.url()), paragraph('a') + "\n\n" + paragraph('b') + "\n\n" + paragraph('c') + "\n\n" + paragraph('d'));
  thread.is_thread = true;
  const auto out = publish(thread);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->id, "1");
  EXPECT_THAT(out->left_out, HasSubstr("divided the text otherwise"));
  EXPECT_EQ(asked_for(server, "POST /api/v1/statuses"), 1);
}

TEST_F(MastodonGatewayTest, ATextThatTheServerShowsInItsOwnWayIsStillFollowedByItsComment) {
  scripted_server server{answers({http_answer(200, status_json("1", "<p>Hello <b>dear</b> world</p>")), http_answer(200, status_json("2"))})};
  auto post = post_to(account_at(server.url()), "Hello *dear* world");
  post.first_comment = "And this";
  const auto out = publish(post);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->left_out, "");
  EXPECT_THAT(server.requests(), SizeIs(2));
}

TEST_F(MastodonGatewayTest, APageInsteadOfTheApisWordsDisconnectsNobodyUnlessTheTokenIsRefused) {
  const auto page = http_answer(403, "<html><body>Checking your browser</body></html>");
  const auto statuses = std::string{"POST /api/v1/statuses"};
  const auto verify = std::string{"GET /api/v1/accounts/verify_credentials"};
  const auto me = http_answer(200, R"({"id":"1","username":"acme"})");
  scripted_server walled{by_path({{statuses, page}, {verify, page}})};
  scripted_server good{by_path({{statuses, page}, {verify, me}})};
  scripted_server down{by_path({{statuses, page}, {verify, http_answer(502)}})};
  scripted_server plain{by_path({{statuses, http_answer(401, "<html>no</html>")}, {verify, me}})};
  EXPECT_EQ(failure_of(publish(post_to(account_at(walled.url())))).code, errc::unauthorized);
  EXPECT_EQ(failure_of(publish(post_to(account_at(good.url())))).code, errc::permanent);
  EXPECT_EQ(failure_of(publish(post_to(account_at(down.url())))).code, errc::transient);
  EXPECT_EQ(failure_of(publish(post_to(account_at(plain.url())))).code, errc::transient);
}

TEST_F(MastodonGatewayTest, AFirstCommentThatIsRefusedLeavesThePostPublished) {
  scripted_server server{answers({http_answer(200, status_json("1")), error_answer(422, "Not like this")})};
  auto post = post_to(account_at(server.url()));
  post.first_comment = "And this";
  post.visibility = "unlisted";
  const auto out = publish(post);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->id, "1");
  EXPECT_THAT(out->left_out, AllOf(HasSubstr("first comment"), HasSubstr("Not like this")));
  ASSERT_THAT(server.requests(), SizeIs(2));
  const auto comment = json::parse(server.requests()[1].body);
  EXPECT_EQ(comment["in_reply_to_id"], "1");
  EXPECT_EQ(comment["visibility"], "unlisted");
  EXPECT_EQ(json::parse(server.requests()[0].body)["visibility"], "unlisted");
  EXPECT_NE(server.requests()[1].header("idempotency-key"), server.requests()[0].header("idempotency-key"));
}

TEST_F(MastodonGatewayTest, AnAnswerIsTriedAgainOnlyWhenItWasCertainlyNotPublished) {
  scripted_server busy{answers({http_answer(200, status_json("1")), http_answer(408), http_answer(200, status_json("2"))})};
  auto post = post_to(account_at(busy.url()));
  post.first_comment = "And this";
  auto out = publish(post);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->left_out, "");
  EXPECT_THAT(busy.requests(), SizeIs(3));

  scripted_server unclear{answers({http_answer(200, status_json("1")), http_answer(502)})};
  post.account = account_at(unclear.url());
  out = publish(post);
  ASSERT_TRUE(out);
  EXPECT_THAT(out->left_out, HasSubstr("may be public"));
  EXPECT_THAT(unclear.requests(), SizeIs(2)) << "a server that ignores keys would show it twice";
}

TEST_F(MastodonGatewayTest, AWaitThatTheNetworkAskedForIsKeptWithoutACall) {
  scripted_server server{answers({error_answer(429, "Slow down", {"Retry-After: 600"})})};
  EXPECT_EQ(failure_of(publish(post_to(account_at(server.url())))).code, errc::throttled);
  const auto f = failure_of(publish(post_to(account_at(server.url()), "Another", "key-2")));
  EXPECT_EQ(f.code, errc::cancelled);
  ASSERT_TRUE(f.retry_after);
  EXPECT_LE(*f.retry_after, 600s);
  EXPECT_GT(*f.retry_after, 500s);
  EXPECT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(failure_of(publish(post_to(account_at(server.url(), "rival"), "Theirs", "key-3"))).code, errc::throttled)
    << "another account is asked for itself";
}

TEST_F(MastodonGatewayTest, TheLastCallOfAWindowClosesTheAccountUntilItsEnd) {
  scripted_server server{answers({http_answer(
    200, status_json("1"), {"Date: Sat, 07 Feb 2026 12:00:00 GMT", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-02-07T12:05:00Z"})})};
  EXPECT_TRUE(publish(post_to(account_at(server.url()))));
  EXPECT_EQ(failure_of(publish(post_to(account_at(server.url()), "Another", "key-2"))).code, errc::cancelled);
}

TEST_F(MastodonGatewayTest, ALargeBurstIsSpreadOverTheMinuteOnceTheServerTellsWhatIsLeft) {
  scripted_server server{answers({http_answer(
    200, status_json("1"),
    {"Date: Sat, 07 Feb 2026 12:00:00 GMT", "X-RateLimit-Limit: 300", "X-RateLimit-Remaining: 250", "X-RateLimit-Reset: 2026-02-07T12:04:00Z"})})};
  int spread = 0;
  for (int i = 0; i < 40; ++i) {
    const auto out = publish(post_to(account_at(server.url()), "Post", "key-" + std::to_string(i)));
    if (out)
      continue;
    ++spread;
    EXPECT_EQ(out.error().code, errc::cancelled);
    EXPECT_LE(*out.error().retry_after, 45s);
  }
  EXPECT_GE(spread, 1);
  EXPECT_THAT(server.requests(), SizeIs(static_cast<std::size_t>(40 - spread)));
}

TEST_F(MastodonGatewayTest, AThreadWaitsForAWindowThatHoldsAllOfIt) {
  scripted_server server{answers({http_answer(
    200, status_json("1"),
    {"Date: Sat, 07 Feb 2026 12:00:00 GMT", "X-RateLimit-Limit: 300", "X-RateLimit-Remaining: 1", "X-RateLimit-Reset: 2026-02-07T12:04:00Z"})})};
  ASSERT_TRUE(publish(post_to(account_at(server.url()))));
  auto two_calls = post_to(account_at(server.url()), "Post", "key-2");
  two_calls.first_comment = "And this";
  const auto f = failure_of(publish(two_calls));
  EXPECT_EQ(f.code, errc::cancelled);
  EXPECT_GT(f.retry_after, 200s);
  EXPECT_TRUE(publish(post_to(account_at(server.url()), "Post", "key-3")));
}

// -- uploads -----------------------------------------------------------------------------

class MastodonUploadTest : public MastodonGatewayTest {
protected:
  outgoing_post with_file(const std::string& url) {
    const auto file = folder.path() / "a.png";
    std::ofstream{file, std::ios::binary} << "PNG!";
    auto out = post_to(account_at(url));
    out.media = {{file.string(), "image/png", "A bell"}};
    return out;
  }

  static std::vector<std::string> lines(const scripted_server& server) {
    std::vector<std::string> out;
    for (const auto& q : server.requests())
      out.push_back(q.line.substr(0, q.line.rfind(' ')));
    return out;
  }
};

TEST_F(MastodonUploadTest, AFileInProcessIsWaitedForBeforeTheStatus) {
  scripted_server server{answers({http_answer(202, R"({"id":"m1"})"), http_answer(206, R"({"id":"m1"})"),
                                  http_answer(200, R"({"id":"m1"})"), http_answer(200, status_json("7"))})};
  const auto out = publish(with_file(server.url()));
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_THAT(lines(server), ElementsAre("POST /api/v2/media", "GET /api/v1/media/m1", "GET /api/v1/media/m1",
                                         "POST /api/v1/statuses"));
  const auto upload = server.requests()[0];
  EXPECT_THAT(upload.body, HasSubstr("name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nPNG!\r\n"));
  EXPECT_THAT(upload.body, HasSubstr("name=\"description\"\r\n\r\nA bell\r\n"));
  EXPECT_EQ(upload.header("authorization"), "Bearer sandbox-acme");
  EXPECT_EQ(upload.header("idempotency-key"), "");
  EXPECT_EQ(json::parse(server.requests()[3].body)["media_ids"], json({"m1"}));
}

TEST_F(MastodonUploadTest, AFailedUploadIsNeverUnknownAndNoStatusIsSent) {
  struct upload_case {
    std::string answer;
    errc code;
  };
  for (const auto& c :
       {upload_case{http_answer(500), errc::transient}, upload_case{http_answer(200, "odd"), errc::transient},
        upload_case{error_answer(422, "File type not supported"), errc::permanent},
        upload_case{error_answer(429, "Slow down", {"Retry-After: 9"}), errc::throttled},
        upload_case{error_answer(401, "no"), errc::unauthorized}}) {
    scripted_server server{answers({c.answer, http_answer(200, status_json("7"))})};
    EXPECT_EQ(failure_of(publish(with_file(server.url()))).code, c.code);
    EXPECT_THAT(lines(server), ElementsAre("POST /api/v2/media"));
  }
  scripted_server dropping{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.drop();
  }};
  EXPECT_EQ(failure_of(publish(with_file(dropping.url()))).code, errc::transient);
}

TEST_F(MastodonUploadTest, AWaitForUploadsHoldsBackOnlyPostsWithFiles) {
  scripted_server server{by_path({{"POST /api/v2/media", error_answer(429, "Slow down", {"Retry-After: 600"})},
                                  {"POST /api/v1/statuses", http_answer(200, status_json("7"))}})};
  EXPECT_EQ(failure_of(publish(with_file(server.url()))).code, errc::throttled);
  const auto out = publish(post_to(account_at(server.url()), "Words alone", "key-2"));
  EXPECT_TRUE(out) << out.error().detail;
  EXPECT_EQ(failure_of(publish(with_file(server.url()))).code, errc::cancelled);
  EXPECT_THAT(lines(server), ElementsAre("POST /api/v2/media", "POST /api/v1/statuses"));
}

TEST_F(MastodonUploadTest, AFileThatIsNotThereIsSaidSoAndNothingIsSent) {
  scripted_server server{answers({http_answer(200, status_json("7"))})};
  auto post = with_file(server.url());
  post.media[0].path = (folder.path() / "missing.png").string();
  EXPECT_EQ(failure_of(publish(post)).code, errc::not_found);
  EXPECT_THAT(server.requests(), IsEmpty());
}

TEST_F(MastodonUploadTest, AStatusThatIsRefusedAlsoWithFreshFilesIsRefusedForGood) {
  for (const int status : {404, 422}) {
    scripted_server server{answers({error_answer(status, "Media with ids m1 do not exist"), http_answer(200, R"({"id":"m2"})"),
                                    error_answer(status, "No")})};
    auto post = with_file(server.url());
    post.media[0].reference = "m1";
    EXPECT_EQ(failure_of(publish(post)).code, errc::permanent);
    EXPECT_THAT(lines(server), ElementsAre("POST /api/v1/statuses", "POST /api/v2/media", "POST /api/v1/statuses"));
    EXPECT_EQ(json::parse(server.requests()[0].body)["media_ids"], json({"m1"}));
    EXPECT_EQ(json::parse(server.requests()[2].body)["media_ids"], json({"m2"}));
    EXPECT_EQ(server.requests()[0].header("idempotency-key"), server.requests()[2].header("idempotency-key"));
  }
}

TEST_F(MastodonUploadTest, AStatusThatMayBePublicIsNeverSentAgainWithFreshFiles) {
  for (const auto& answer : {error_answer(500, "No"), error_answer(503, "No"), error_answer(429, "No"), error_answer(401, "No"),
                             http_answer(404, "<html>a proxy's page</html>"), http_answer(422, "{}")}) {
    scripted_server server{answers({answer})};
    auto post = with_file(server.url());
    post.media[0].reference = "m1";
    EXPECT_FALSE(publish(post));
    EXPECT_THAT(lines(server), ElementsAre("POST /api/v1/statuses"));
  }
}

TEST_F(MastodonUploadTest, AServerThatLeavesOutAFileItHasForgottenPublishesAPostThatSaysSo) {
  auto without = json::parse(status_json("7"));
  without["media_attachments"] = json::array();
  scripted_server server{answers({http_answer(200, without.dump())})};
  auto post = with_file(server.url());
  post.media[0].reference = "m1";
  const auto out = publish(post);
  ASSERT_TRUE(out) << out.error().detail;
  EXPECT_EQ(out->left_out, "The server published the post without 1 of its 1 files.");
}

TEST_F(MastodonUploadTest, AFileThatIsPreparedIsWaitedForAndItsIdIsTheReference) {
  scripted_server server{answers({http_answer(202, R"({"id":"m1"})"), http_answer(206, R"({"id":"m1"})"),
                                  http_answer(200, R"({"id":"m1"})")})};
  const auto post = with_file(server.url());
  const auto reference = test::wait_for<result<std::string>>(
    [&](auto done) { gateway.prepare_media({post.account, {}, post.media[0], 30s}, done); });
  ASSERT_TRUE(reference) << reference.error().detail;
  EXPECT_EQ(*reference, "m1");
  EXPECT_THAT(lines(server), ElementsAre("POST /api/v2/media", "GET /api/v1/media/m1", "GET /api/v1/media/m1"));
  EXPECT_THAT(server.requests()[0].body, HasSubstr("name=\"description\"\r\n\r\nA bell\r\n"));
}

TEST_F(MastodonUploadTest, AFileThatIsNeverReadyIsTransientAndNoStatusIsSent) {
  scripted_server server{answers({http_answer(202, R"({"id":"m1"})"), http_answer(206, R"({"id":"m1"})")})};
  auto post = with_file(server.url());
  post.timeout = 300ms;
  EXPECT_EQ(failure_of(publish(post)).code, errc::transient);
  for (const auto& line : lines(server))
    EXPECT_NE(line, "POST /api/v1/statuses");
}

TEST_F(MastodonUploadTest, WithTooLittleTimeLeftTheStatusIsNotSent) {
  mastodon_options slow = quick();
  slow.least_status_time = 10s;
  mastodon_gateway careful{http, clock, slow};
  scripted_server server{answers({http_answer(200, R"({"id":"m1"})"), http_answer(200, status_json("7"))})};
  auto post = with_file(server.url());
  post.timeout = 0ms;
  const auto out = test::wait_for<result<public_post>>([&](auto done) { careful.publish(post, done); });
  EXPECT_EQ(failure_of(out).code, errc::transient);
  EXPECT_THAT(server.requests(), IsEmpty());
}

TEST_F(MastodonGatewayTest, EveryCallIsAnsweredOnceWhenTheLoopStops) {
  scripted_server server{[](scripted_exchange& e) { e.hang(); }};
  std::atomic<int> ended{0};
  for (int i = 0; i < 20; ++i) {
    gateway.publish(post_to(account_at(server.url())), [&](const result<public_post>& r) {
      EXPECT_FALSE(r);
      ++ended;
    });
    gateway.list_recent(account_at(server.url()), {}, 30s, [&](const result<std::vector<public_post>>& r) {
      EXPECT_FALSE(r);
      ++ended;
    });
  }
  loop.stop();
  EXPECT_EQ(ended, 40);
}

} // namespace

} // namespace carillon::outbound
