// The whole sandbox network behind a real server, spoken to over sockets.
#include "http/sandbox/service.hpp"
#include "tests/unit/http/manual_clock.hpp"
#include "tests/unit/http/raw_client.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace carillon::http::sandbox {
namespace {

using namespace std::chrono_literals;
using test::raw_answer;
using test::raw_client;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class SandboxServiceTest : public testing::Test {
protected:
  using headers = std::vector<std::pair<std::string, std::string>>;

  SandboxServiceTest() {
    auto options = make_server_options();
    options.port = 0;
    server_ = std::make_unique<server>(options, network_.dispatcher(), log_);
    server_->start();
  }

  static std::string message(const std::string& method,
                             const std::string& target,
                             const std::string& body = {},
                             const headers& more = {}) {
    std::string out = method + " " + target
                      + " HTTP/1.1\r\nHost: s.example:81\r\n"
                        "Content-Length: "
                      + std::to_string(body.size()) + "\r\n";
    for (const auto& [name, value] : more)
      out += name + ": " + value + "\r\n";
    return out + "\r\n" + body;
  }

  std::optional<raw_answer> try_call(const std::string& method,
                                     const std::string& target,
                                     const std::string& body = {},
                                     const headers& more = {}) {
    raw_client client{server_->port()};
    client.send(message(method, target, body, more));
    return client.receive();
  }

  raw_answer call(const std::string& method, const std::string& target,
                  const std::string& body = {}, const headers& more = {}) {
    auto answer = try_call(method, target, body, more);
    EXPECT_TRUE(answer) << method << ' ' << target << " was not answered";
    return answer ? *answer : raw_answer{};
  }

  json get(const std::string& target, const std::string& account = {}) {
    const auto answer = call("GET", target, {}, token(account));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }

  static headers token(const std::string& account) {
    return account.empty()
             ? headers{}
             : headers{{"Authorization", "Bearer sandbox-" + account}};
  }

  static headers publishing(const std::string& account,
                            const std::string& key = {}) {
    auto out = token(account);
    out.emplace_back("Content-Type", "application/json");
    if (!key.empty())
      out.emplace_back("Idempotency-Key", key);
    return out;
  }

  std::optional<raw_answer> try_publish(const json& body,
                                        const std::string& key = {},
                                        const std::string& account = "acme") {
    return try_call("POST", "/api/v1/statuses", body.dump(),
                    publishing(account, key));
  }

  json publish(const json& body, const std::string& key = {},
               const std::string& account = "acme") {
    const auto answer = try_publish(body, key, account);
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer ? answer->status : 0, 200) << (answer ? answer->body : "");
    return answer ? json::parse(answer->body, nullptr, false) : json{};
  }

  void misbehave(const json& faults) {
    EXPECT_EQ(call("POST", "/sandbox/faults", faults.dump()).status, 200);
  }

  json stats() {
    return get("/sandbox/stats");
  }

  std::vector<std::string> contents(const json& statuses) {
    std::vector<std::string> out;
    for (const auto& one : statuses)
      out.push_back(one["content"].get<std::string>());
    return out;
  }

  raw_answer upload(const std::string& bytes, const std::string& type,
                    const std::string& description = {}) {
    const std::string body
      = "--b\r\nContent-Disposition: form-data; name=\"file\"; "
        "filename=\"a.png\"\r\nContent-Type: "
        + type + "\r\n\r\n" + bytes
        + "\r\n--b\r\nContent-Disposition: form-data; name=\"description\""
          "\r\n\r\n"
        + description + "\r\n--b--\r\n";
    auto with = token("acme");
    with.emplace_back("Content-Type", "multipart/form-data; boundary=b");
    return call("POST", "/api/v2/media", body, with);
  }

  static std::string png() {
    return "\x89PNG\r\n\x1a\n" + std::string(8, 'x')
           + std::string{"\0\0\0\x02\0\0\0\x01", 8} + "data";
  }

  test::manual_clock clock_;
  test::recording_logger log_;
  service network_{{}, clock_, log_};
  std::unique_ptr<server> server_;
};

// -- Mastodon's API -----------------------------------------------------------

TEST_F(SandboxServiceTest, PublishesInMastodonsShape) {
  const auto status = publish({{"status", "Hello <world>\n& all"}});
  EXPECT_THAT(status["id"].get<std::string>(), Not(IsEmpty()));
  EXPECT_EQ(status["content"], "<p>Hello &lt;world&gt;<br />&amp; all</p>");
  EXPECT_EQ(status["created_at"], "2026-02-07T10:00:00.123Z");
  EXPECT_EQ(status["visibility"], "public");
  EXPECT_EQ(status["in_reply_to_id"], nullptr);
  EXPECT_EQ(status["url"],
            "http://s.example:81/@acme/" + status["id"].get<std::string>());
  EXPECT_EQ(status["account"]["id"], "acme");
  EXPECT_EQ(status["account"]["acct"], "acme");
  EXPECT_EQ(status["account"]["display_name"], "Acme");
  EXPECT_EQ(status["media_attachments"], json::array());
  EXPECT_EQ(get("/api/v1/statuses/" + status["id"].get<std::string>())["id"],
            status["id"]);
}

TEST_F(SandboxServiceTest, TakesAFormAsCurlSendsIt) {
  const auto answer
    = call("POST", "/api/v1/statuses", "status=a+%26+b&visibility=unlisted",
           {{"Authorization", "Bearer sandbox-acme"},
            {"Content-Type", "application/x-www-form-urlencoded"}});
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(get("/sandbox/posts")["posts"][0]["text"], "a & b");
}

TEST_F(SandboxServiceTest, RefusesTokensItDoesNotKnow) {
  for (const auto* value :
       {"Bearer nonsense", "Bearer sandbox-", "sandbox-acme",
        "Basic sandbox-acme", "Bearer sandbox-a/b", "Bearer sandbox-..",
        "Bearer sandbox-a b"}) {
    const headers with{{"Authorization", value}};
    const auto published
      = call("POST", "/api/v1/statuses", "{\"status\":\"a\"}", with);
    EXPECT_EQ(published.status, 401) << value;
    EXPECT_EQ(published.body, "{\"error\":\"The access token is invalid\"}");
    EXPECT_EQ(call("GET", "/api/v1/timelines/public", {}, with).status, 401);
  }
  EXPECT_EQ(call("POST", "/api/v1/statuses", "{\"status\":\"a\"}").status, 401);
  EXPECT_EQ(call("GET", "/api/v1/accounts/verify_credentials").status, 401);
  EXPECT_EQ(stats()["posts"], 0);
  EXPECT_EQ(stats()["accounts"], 0);
}

TEST_F(SandboxServiceTest, SaysWhyAPostIsRefused) {
  const auto refusal = [this](const std::string& body) {
    const auto answer
      = call("POST", "/api/v1/statuses", body, publishing("acme"));
    EXPECT_EQ(answer.status, 422) << body;
    const auto parsed = json::parse(answer.body, nullptr, false);
    return parsed.is_object() ? parsed.value("error", "") : "";
  };
  EXPECT_THAT(refusal("{}"), HasSubstr("can't be blank"));
  EXPECT_THAT(refusal("{\"status\":\"" + std::string(501, 'x') + "\"}"),
              HasSubstr("limit of 500"));
  EXPECT_THAT(refusal("{\"status\":\"a\",\"media_ids\":[\"17\"]}"),
              HasSubstr("Media with id 17"));
  EXPECT_THAT(refusal("{\"status\":\"a\",\"media_ids\":\"17\"}"),
              HasSubstr("media_ids"));
  EXPECT_THAT(refusal("{\"status\":[1]}"), HasSubstr("status"));
  EXPECT_THAT(refusal("{\"status\":\"a\",\"visibility\":\"secret\"}"),
              HasSubstr("Visibility"));
  EXPECT_THAT(refusal("not json"), HasSubstr("JSON"));
  EXPECT_THAT(refusal("{\"status\":\"\xff\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("{\"status\":\"a\\u0000b\"}"), HasSubstr("JSON"));
  EXPECT_THAT(
    refusal("{\"status\":\"a\",\"x\":\"" + std::string(70'000, 'x') + "\"}"),
    HasSubstr("larger than"));
  EXPECT_EQ(stats()["posts"], 0);
}

TEST_F(SandboxServiceTest, AnswersARepeatedKeyWithThePostMadeFirst) {
  const auto first = publish({{"status", "a"}}, "k");
  EXPECT_EQ(publish({{"status", "a"}}, "k")["id"], first["id"]);
  const auto posts = get("/sandbox/posts")["posts"];
  ASSERT_EQ(posts.size(), 1U);
  EXPECT_EQ(posts[0]["calls"], 2);
  EXPECT_EQ(posts[0]["idempotency_key"], "k");
  EXPECT_EQ(stats()["idempotent_repeats"], 1);
  clock_.advance(1h);
  EXPECT_NE(publish({{"status", "a"}}, "k")["id"], first["id"]);
  EXPECT_EQ(stats()["duplicates"], 1);
}

TEST_F(SandboxServiceTest, ListsNewestFirstAndSaysWhereTheNextPageIs) {
  for (const char* text : {"1", "2", "3"})
    publish({{"status", text}});
  const auto first
    = call("GET", "/api/v1/accounts/acme/statuses?exclude_reblogs=true&limit=2",
           {}, token("acme"));
  const auto page = json::parse(first.body);
  EXPECT_THAT(contents(page), ElementsAre("<p>3</p>", "<p>2</p>"));
  const auto oldest = page[1]["id"].get<std::string>();
  EXPECT_THAT(first.header("link"),
              HasSubstr("<http://s.example:81/api/v1/accounts/acme/statuses"
                        "?limit=2&max_id="
                        + oldest + ">; rel=\"next\""));
  EXPECT_THAT(
    contents(get("/api/v1/accounts/acme/statuses?limit=2&max_id=" + oldest)),
    ElementsAre("<p>1</p>"));
  EXPECT_EQ(get("/api/v1/accounts/acme/statuses?limit=0").size(), 1U);
  EXPECT_EQ(get("/api/v1/timelines/public").size(), 3U);
  EXPECT_EQ(call("GET", "/api/v1/accounts/nobody/statuses").status, 404);
}

TEST_F(SandboxServiceTest, AnAccountIsThereFromItsFirstUse) {
  EXPECT_EQ(get("/api/v1/accounts/acme/statuses", "acme"), json::array());
  const auto who = get("/api/v1/accounts/verify_credentials", "acme_europe");
  EXPECT_EQ(who["id"], "acme_europe");
  EXPECT_EQ(who["username"], "acme_europe");
  EXPECT_EQ(who["display_name"], "Acme Europe");
  EXPECT_EQ(who["avatar"], "http://s.example:81/avatars/acme_europe.svg");
  EXPECT_EQ(who["source"]["privacy"], "public");
  EXPECT_EQ(stats()["accounts"], 2);
}

TEST_F(SandboxServiceTest, DeletesOnlyItsOwnPosts) {
  const auto path = "/api/v1/statuses/"
                    + publish({{"status", "oops"}})["id"].get<std::string>();
  EXPECT_EQ(call("DELETE", path, {}, token("zenith")).status, 404);
  const auto gone = call("DELETE", path, {}, token("acme"));
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(json::parse(gone.body)["text"], "oops");
  EXPECT_EQ(call("GET", path).status, 404);
  EXPECT_EQ(get("/sandbox/posts")["posts"][0]["deleted"], true);
}

TEST_F(SandboxServiceTest, UploadsAPictureAndShowsIt) {
  const auto answer = upload(png(), "image/png", "A bike");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto file = json::parse(answer.body);
  EXPECT_EQ(file["type"], "image");
  EXPECT_EQ(file["description"], "A bike");
  EXPECT_EQ(file["meta"]["original"]["width"], 2);
  const auto id = file["id"].get<std::string>();
  EXPECT_EQ(file["url"], "http://s.example:81/media/" + id);
  const auto status = publish({{"status", ""}, {"media_ids", {id}}});
  EXPECT_EQ(status["media_attachments"][0]["id"], id);

  const auto picture = call("GET", "/media/" + id);
  EXPECT_EQ(picture.status, 200);
  EXPECT_EQ(picture.body, png());
  EXPECT_EQ(picture.header("content-type"), "image/png");
  EXPECT_EQ(picture.header("x-content-type-options"), "nosniff");
}

TEST_F(SandboxServiceTest, NeverServesAPageAsAPicture) {
  EXPECT_EQ(upload("<html><script>alert(1)</script>", "image/png").status, 422);
  EXPECT_EQ(upload("<svg onload='alert(1)'/>", "image/svg+xml").status, 422);
}

TEST_F(SandboxServiceTest, AFileIsProcessedForAsLongAsItIsTold) {
  misbehave({{"media_processing_ms", 500}});
  const auto answer = upload(png(), "image/png");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(json::parse(answer.body)["url"], nullptr);
  const auto path
    = "/api/v1/media/" + json::parse(answer.body)["id"].get<std::string>();
  EXPECT_EQ(call("GET", path, {}, token("acme")).status, 206);
  clock_.advance(500ms);
  const auto ready = call("GET", path, {}, token("acme"));
  EXPECT_EQ(ready.status, 200);
  EXPECT_NE(json::parse(ready.body)["url"], nullptr);
  EXPECT_EQ(call("GET", path, {}, token("zenith")).status, 404);
}

TEST_F(SandboxServiceTest, SaysWhatItIsAndWhereItsLimitsAre) {
  const auto instance = get("/api/v2/instance");
  EXPECT_EQ(instance["configuration"]["statuses"]["max_characters"], 500);
  EXPECT_THAT(instance["description"].get<std::string>(),
              HasSubstr("nothing here is public"));
}

TEST_F(SandboxServiceTest, UnknownPathsAndMethodsAreMastodonsErrors) {
  const auto unknown = call("GET", "/api/v1/nonsense");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body, "{\"error\":\"Record not found\"}");
  const auto wrong = call("POST", "/sandbox/stats");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "GET, HEAD");
}

// -- misbehaviour -------------------------------------------------------------

TEST_F(SandboxServiceTest, ThrottlesWithAllThatMastodonSays) {
  misbehave({{"rate_429", 1.0}, {"retry_after", 7}});
  const auto answer = try_publish({{"status", "a"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 429);
  EXPECT_EQ(answer->header("retry-after"), "7");
  EXPECT_EQ(answer->header("x-ratelimit-remaining"), "0");
  EXPECT_EQ(answer->header("x-ratelimit-reset"), "2026-02-07T10:00:07.123Z");
  EXPECT_THAT(answer->body, HasSubstr("Too many requests"));
  EXPECT_EQ(stats()["posts"], 0);
  EXPECT_EQ(stats()["faults"]["rate_429"], 1);
}

TEST_F(SandboxServiceTest, FailsWithoutStoringAlsoAsAPage) {
  misbehave({{"rate_5xx", 1.0}, {"status_5xx", 502}});
  auto answer = try_publish({{"status", "a"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 502);
  EXPECT_EQ(answer->header("content-type"), "application/json");
  misbehave({{"rate_5xx", 1.0}, {"error_html", true}});
  answer = try_publish({{"status", "a"}});
  ASSERT_TRUE(answer);
  EXPECT_GE(answer->status, 500);
  EXPECT_THAT(answer->body, StartsWith("<!doctype html>"));
  EXPECT_EQ(stats()["posts"], 0);
}

TEST_F(SandboxServiceTest, DropsBeforeItAcceptsAndStoresNothing) {
  misbehave({{"drop_before_accept", 1.0}});
  EXPECT_FALSE(try_publish({{"status", "a"}}));
  EXPECT_EQ(stats()["posts"], 0);
}

TEST_F(SandboxServiceTest, DropsAfterItHasAcceptedAndStored) {
  misbehave({{"accept_then_drop", 1.0}});
  raw_client client{server_->port()};
  client.send(message("POST", "/api/v1/statuses", "{\"status\":\"a\"}",
                      publishing("acme")));
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(get("/api/v1/accounts/acme/statuses").size(), 1U);
  EXPECT_EQ(stats()["faults"]["accept_then_drop"], 1);
}

TEST_F(SandboxServiceTest, ARefusedPostIsAnsweredWhateverWouldHideAcceptance) {
  misbehave({{"accept_then_drop", 1.0}});
  const auto answer = try_publish({{"status", ""}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 422);
  EXPECT_EQ(stats()["faults"]["accept_then_drop"], 0);
}

TEST_F(SandboxServiceTest, HidesAnAcceptedPostBehindAnErrorPage) {
  misbehave({{"accept_then_5xx", 1.0}, {"status_5xx", 504}});
  const auto answer = try_publish({{"status", "a"}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 504);
  EXPECT_EQ(stats()["posts"], 1);
}

TEST_F(SandboxServiceTest, HangsAndThenDropsWithoutAByte) {
  misbehave({{"accept_then_hang", 1.0}, {"hang_ms", 30}});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(try_publish({{"status", "a"}}));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  EXPECT_EQ(stats()["posts"], 1);
  EXPECT_EQ(stats()["faults"]["accept_then_hang"], 1);
}

TEST_F(SandboxServiceTest, ACallThatHangsHoldsUpNobodyAndEndsWithTheServer) {
  misbehave({{"accept_then_hang", 1.0}, {"hang_ms", 600'000}, {"times", 1}});
  raw_client hanging{server_->port()};
  hanging.send(message("POST", "/api/v1/statuses", "{\"status\":\"a\"}",
                       publishing("acme")));
  while (stats()["publish_calls"] == 0) {
  }
  publish({{"status", "b"}});
  EXPECT_EQ(get("/sandbox/posts")["posts"].size(), 2U);
  server_->stop(0ms);
  EXPECT_TRUE(hanging.is_closed());
}

TEST_F(SandboxServiceTest, TakesItsTimeWithEveryCall) {
  misbehave({{"latency_ms", 40}});
  const auto begin = std::chrono::steady_clock::now();
  publish({{"status", "a"}});
  get("/api/v1/timelines/public");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 80ms);
  EXPECT_EQ(stats()["faults"]["latency"], 2);
}

TEST_F(SandboxServiceTest, KeepsPostsOutOfListingsUntilTheyAreVisible) {
  misbehave({{"visibility_delay_ms", 1500}});
  const auto id = publish({{"status", "late"}})["id"].get<std::string>();
  EXPECT_EQ(get("/api/v1/accounts/acme/statuses", "acme"), json::array());
  EXPECT_EQ(call("GET", "/api/v1/statuses/" + id).status, 404);
  auto posts = get("/sandbox/posts")["posts"];
  ASSERT_EQ(posts.size(), 1U);
  EXPECT_EQ(posts[0]["visible"], false);
  EXPECT_EQ(posts[0]["created_at"], "2026-02-07T10:00:00.123Z");
  EXPECT_EQ(posts[0]["visible_at"], "2026-02-07T10:00:01.623Z");
  EXPECT_EQ(stats()["not_visible_yet"], 1);
  clock_.advance(1500ms);
  EXPECT_EQ(get("/api/v1/accounts/acme/statuses", "acme").size(), 1U);
  EXPECT_EQ(get("/sandbox/posts")["posts"][0]["visible"], true);
}

TEST_F(SandboxServiceTest, IgnoresKeysWhenItIsTold) {
  misbehave({{"ignore_idempotency_keys", true}});
  const auto first = publish({{"status", "a"}}, "k");
  EXPECT_NE(publish({{"status", "a"}}, "k")["id"], first["id"]);
  EXPECT_EQ(stats()["duplicates"], 1);
  EXPECT_EQ(stats()["faults"]["ignore_idempotency_keys"], 2);
}

TEST_F(SandboxServiceTest, EachSetOfFaultsReplacesTheOneBefore) {
  misbehave({{"rate_429", 1.0}});
  misbehave({{"latency_ms", 1}});
  EXPECT_EQ(get("/sandbox/faults")["rate_429"], 0.0);
  EXPECT_EQ(get("/sandbox/faults")["latency_ms"], 1);
  publish({{"status", "a"}});
  EXPECT_EQ(call("DELETE", "/sandbox/faults").status, 200);
  EXPECT_EQ(get("/sandbox/faults")["latency_ms"], 0);
}

TEST_F(SandboxServiceTest, AFaultItDoesNotKnowIsNamedAndChangesNothing) {
  misbehave({{"rate_429", 1.0}});
  const auto answer
    = call("POST", "/sandbox/faults", "{\"rate_42\":1,\"latency_ms\":\"x\"}");
  EXPECT_EQ(answer.status, 422);
  const auto fields = json::parse(answer.body)["fields"];
  EXPECT_TRUE(fields.contains("rate_42"));
  EXPECT_TRUE(fields.contains("latency_ms"));
  for (const char* body : {"", "[]", "nonsense"})
    EXPECT_EQ(call("POST", "/sandbox/faults", body).status,
              std::string_view{body}.empty() ? 200 : 422)
      << body;
}

// -- for the operator ---------------------------------------------------------

TEST_F(SandboxServiceTest, ShowsEveryAcceptedPostAsItWasPosted) {
  const auto parent = publish({{"status", "one <b>"}}, "k1")["id"];
  publish(
    {{"status", "two\n"}, {"in_reply_to_id", parent}, {"visibility", "direct"}},
    "k2", "zenith");
  const auto posts = get("/sandbox/posts")["posts"];
  ASSERT_EQ(posts.size(), 2U);
  EXPECT_EQ(posts[0]["text"], "one <b>");
  EXPECT_EQ(posts[0]["account"], "acme");
  EXPECT_EQ(posts[1]["text"], "two\n");
  EXPECT_EQ(posts[1]["account"], "zenith");
  EXPECT_EQ(posts[1]["in_reply_to_id"], parent);
  EXPECT_EQ(posts[1]["media"], json::array());
}

TEST_F(SandboxServiceTest, ResetForgetsPostsAndCountsButNotFaults) {
  misbehave({{"latency_ms", 1}});
  publish({{"status", "a"}});
  EXPECT_EQ(call("POST", "/sandbox/reset").status, 200);
  EXPECT_EQ(stats()["posts"], 0);
  EXPECT_EQ(stats()["calls"], 0);
  EXPECT_EQ(get("/sandbox/posts")["posts"], json::array());
  EXPECT_EQ(get("/sandbox/faults")["latency_ms"], 1);
}

TEST_F(SandboxServiceTest, AnotherSitesPageChangesNothing) {
  const headers from_elsewhere{{"Origin", "http://evil.example"}};
  for (const auto* call_of : {"POST /sandbox/faults", "DELETE /sandbox/faults",
                              "POST /sandbox/reset"}) {
    const std::string text = call_of;
    const auto space = text.find(' ');
    EXPECT_EQ(
      call(text.substr(0, space), text.substr(space + 1), "{}", from_elsewhere)
        .status,
      403)
      << text;
  }
  EXPECT_EQ(
    call("POST", "/sandbox/reset", "{}", {{"Origin", "http://s.example:81"}})
      .status,
    200);
}

// -- the page -----------------------------------------------------------------

TEST_F(SandboxServiceTest,
       ThePageNeedsNothingFromElsewhereAndAllowsNothingElse) {
  const auto page = call("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.header("content-security-policy"),
              StartsWith("default-src 'none'; script-src 'self';"));
  EXPECT_THAT(page.header("content-security-policy"), Not(HasSubstr("unsafe")));
  EXPECT_THAT(page.body, HasSubstr("Nothing here is public."));
  EXPECT_THAT(page.body, Not(HasSubstr("http://")));
  EXPECT_THAT(page.body, Not(HasSubstr("https://")));
  EXPECT_THAT(page.body, Not(HasSubstr(" style=")));
  EXPECT_THAT(page.body, Not(HasSubstr(" onclick=")));
  for (const auto* path :
       {"/assets/timeline.css", "/assets/timeline.js", "/avatars/acme.svg",
        "/@acme", "/@acme/17", "/tags/berlin"})
    EXPECT_EQ(call("GET", path).status, 200) << path;
  for (const auto* path : {"/acme", "/avatars/acme", "/avatars/a%22b.svg",
                           "/media/17", "/assets/other.js"})
    EXPECT_EQ(call("GET", path).status, 404) << path;
}

TEST_F(SandboxServiceTest, ThePagesScriptMakesNoMarkUpOfTexts) {
  const auto script = call("GET", "/assets/timeline.js").body;
  for (const auto* way : {"innerHTML", "outerHTML", "insertAdjacentHTML",
                          "document.write", "eval("})
    EXPECT_THAT(script, Not(HasSubstr(way)));
}

TEST_F(SandboxServiceTest, ThePageIsToldOnlyWhatIsNew) {
  publish({{"status", "a"}});
  auto seen = get("/sandbox/timeline");
  EXPECT_EQ(seen["changed"], true);
  EXPECT_EQ(seen["posts"].size(), 1U);
  EXPECT_EQ(seen["now"], "2026-02-07T10:00:00.123Z");
  const auto since = "/sandbox/timeline?pending=1&since="
                     + std::to_string(seen["revision"].get<std::uint64_t>());
  EXPECT_EQ(get(since)["changed"], false);
  EXPECT_FALSE(get(since).contains("posts"));
  misbehave({{"visibility_delay_ms", 3000}});
  publish({{"status", "b"}});
  seen = get(since);
  EXPECT_EQ(seen["changed"], true);
  EXPECT_EQ(seen["posts"].size(), 1U);
  EXPECT_EQ(seen["pending"][0]["text"], "b");
  clock_.advance(3s);
  EXPECT_EQ(get("/sandbox/timeline")["posts"].size(), 2U);
}

TEST_F(SandboxServiceTest, AThreadShowsWhatAPostAnswersAndWhatAnswersIt) {
  const auto first = publish({{"status", "first"}})["id"];
  const auto second
    = publish({{"status", "second"}, {"in_reply_to_id", first}})["id"];
  publish({{"status", "third"}, {"in_reply_to_id", second}});
  publish({{"status", "something else"}});
  const auto thread
    = get("/sandbox/timeline?thread=" + second.get<std::string>())["posts"];
  ASSERT_EQ(thread.size(), 3U);
  EXPECT_EQ(thread[0]["text"], "first");
  EXPECT_EQ(thread[0]["replies"], 1);
  EXPECT_EQ(thread[1]["in_reply_to_account"], "acme");
  EXPECT_EQ(thread[2]["text"], "third");
}

// -- many at once -------------------------------------------------------------

TEST_F(SandboxServiceTest, LosesAndDoublesNothingWhenManyPostAtOnce) {
  misbehave({{"latency_ms", 2}});
  constexpr int clients = 8;
  constexpr int each = 40;
  std::vector<std::thread> threads;
  for (int c = 0; c < clients; ++c)
    threads.emplace_back([this, c] {
      raw_client client{server_->port()};
      for (int i = 0; i < each; ++i) {
        const auto text = std::to_string(c) + "/" + std::to_string(i);
        client.send(message("POST", "/api/v1/statuses",
                            json{{"status", text}}.dump(),
                            publishing("acct" + std::to_string(c), text)));
        const auto answer = client.receive();
        EXPECT_TRUE(answer && answer->status == 200);
      }
    });
  for (auto& t : threads)
    t.join();
  std::set<std::string> ids;
  std::set<std::string> texts;
  const auto posts = get("/sandbox/posts")["posts"];
  for (const auto& p : posts) {
    ids.insert(p["id"].get<std::string>());
    texts.insert(p["text"].get<std::string>());
  }
  EXPECT_EQ(ids.size(), std::size_t{clients * each});
  EXPECT_EQ(texts.size(), std::size_t{clients * each});
  EXPECT_EQ(stats()["duplicates"], 0);
}

} // namespace
} // namespace carillon::http::sandbox
