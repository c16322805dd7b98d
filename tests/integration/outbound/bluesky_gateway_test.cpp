// What only the AT Protocol has: sessions, record keys, facets.
#include "outbound/social/bluesky/bluesky_gateway.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbound/social/bluesky/record_key.hpp"
#include "tests/integration/outbound/sandbox_server.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::http_answer;
using test::scripted_exchange;
using test::scripted_request;
using test::scripted_server;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const auto acme_did = std::string{"did:web:sandbox.invalid:acme"};

class BlueskyGatewayTest : public ::testing::Test {
protected:
  ~BlueskyGatewayTest() override {
    loop.stop();
  }

  outgoing_post post(const std::string& url, std::string text = "Hello", std::string key = "key-1") {
    outgoing_post out;
    out.account = {network::bluesky, url, acme_did, "sandbox-acme"};
    out.text = std::move(text);
    out.idempotency_key = std::move(key);
    out.made_at = made_at;
    out.timeout = 30s;
    return out;
  }

  result<public_post> publish(outgoing_post what) {
    return test::wait_for<result<public_post>>([&](auto done) { gateway.publish(std::move(what), done); });
  }

  static failure failure_of(const result<public_post>& r) {
    EXPECT_FALSE(r);
    return r ? failure{} : r.error();
  }

  test::manual_clock clock;
  const instant made_at = clock.now() - 24h;
  curl_loop loop;
  http_client http{loop};
  curl_loop operator_loop;
  http_client operator_http{operator_loop};
  bluesky_gateway gateway{http, clock, {10ms, 5ms}};
};

class BlueskySandboxTest : public BlueskyGatewayTest {
protected:
  ~BlueskySandboxTest() override {
    loop.stop();
  }

  std::uint64_t calls() {
    return pds.call("GET", "/sandbox/stats")["calls"].get<std::uint64_t>();
  }

  test::sandbox_server pds{operator_http, clock};
};

TEST_F(BlueskySandboxTest, ARecordHasFacetsWithBytesAndItsKeyIsATid) {
  ASSERT_TRUE(publish(post(pds.url(), "Somebody else", "other")));
  const auto text = std::string{"Grüße an @acme.sandbox.invalid und @nobody.example: https://example.com/ä #Öl"};
  const auto published = publish(post(pds.url(), text));
  ASSERT_TRUE(published) << published.error().detail;
  const auto stored = pds.posts()[1];
  const auto key = stored["record_key"].get<std::string>();
  EXPECT_TRUE(bluesky::is_tid(key));
  EXPECT_EQ(published->id, "at://" + acme_did + "/app.bsky.feed.post/" + key);
  EXPECT_EQ(published->url, "https://bsky.app/profile/" + acme_did + "/post/" + key);
  const auto& record = stored["record"];
  EXPECT_EQ(record["createdAt"], "2026-02-07T10:00:00.123Z");
  ASSERT_THAT(record["facets"], SizeIs(3)) << "a handle that nobody has stays text";
  const auto marked = [&](int i) {
    const auto& index = record["facets"][i]["index"];
    const auto begin = index["byteStart"].get<std::size_t>();
    return text.substr(begin, index["byteEnd"].get<std::size_t>() - begin);
  };
  EXPECT_EQ(marked(0), "@acme.sandbox.invalid");
  EXPECT_EQ(record["facets"][0]["features"][0]["did"], acme_did);
  EXPECT_EQ(marked(1), "https://example.com/ä");
  EXPECT_EQ(record["facets"][1]["features"][0]["uri"], "https://example.com/ä");
  EXPECT_EQ(marked(2), "#Öl");
  EXPECT_EQ(record["facets"][2]["features"][0]["tag"], "Öl");
}

TEST_F(BlueskySandboxTest, CallsThatComeAtOnceShareOneSession) {
  std::atomic<int> published{0};
  constexpr int many = 20;
  for (int i = 0; i < many; ++i)
    gateway.publish(post(pds.url(), "post " + std::to_string(i), "key-" + std::to_string(i)),
                    [&](const result<public_post>& r) { published += r ? 1 : 0; });
  ASSERT_TRUE(test::eventually([&] { return published == many; }));
  EXPECT_EQ(calls(), 1u + many);
}

TEST_F(BlueskySandboxTest, ASessionThatIsOverIsRefreshedAndAPasswordMakesANewOneWhenThatIsOverToo) {
  ASSERT_TRUE(publish(post(pds.url(), "one", "1")));
  EXPECT_EQ(calls(), 2u);
  clock.advance(3h);
  ASSERT_TRUE(publish(post(pds.url(), "two", "2")));
  EXPECT_EQ(calls(), 4u) << "refreshSession, putRecord";
  clock.advance(24h * 90);
  const auto third = publish(post(pds.url(), "three", "3"));
  ASSERT_TRUE(third) << third.error().detail;
  EXPECT_EQ(calls(), 7u) << "refreshSession, createSession, putRecord";
}

TEST_F(BlueskySandboxTest, AChangedPasswordCountsAtOnce) {
  ASSERT_TRUE(publish(post(pds.url(), "one", "1")));
  auto revoked = post(pds.url(), "two", "2");
  revoked.account.access_token = "another";
  EXPECT_EQ(failure_of(publish(revoked)).code, errc::unauthorized);
  EXPECT_TRUE(publish(post(pds.url(), "three", "3")));
}

TEST_F(BlueskySandboxTest, AnotherPostUnderTheSameKeyIsNeverOverwritten) {
  ASSERT_TRUE(publish(post(pds.url(), "The first", "same")));
  const auto f = failure_of(publish(post(pds.url(), "Something else", "same")));
  EXPECT_EQ(f.code, errc::permanent);
  ASSERT_EQ(pds.accepted(), 1);
  EXPECT_EQ(pds.posts()[0]["text"], "The first");
}

TEST_F(BlueskySandboxTest, APostThatIsTakenButNotShownYetStaysUnknownWhenItIsSentAgain) {
  pds.misbehave({{"visibility_delay_ms", 60'000}});
  ASSERT_TRUE(publish(post(pds.url())));
  clock.advance(1s);
  EXPECT_EQ(failure_of(publish(post(pds.url()))).code, errc::outcome_unknown);
  EXPECT_EQ(pds.accepted(), 1);
}

// -- scripted servers -----------------------------------------------------------------

std::string session_json(const std::string& access) {
  return json{{"did", acme_did}, {"handle", "acme.example"}, {"accessJwt", access}, {"refreshJwt", "refresh-" + access}}.dump();
}

std::string xrpc_answer(int status, const std::string& name, const std::string& message = "so it is") {
  return http_answer(status, json{{"error", name}, {"message", message}}.dump());
}

/// A PDS whose sessions work and whose putRecord answers one after the other.
class pds_script {
public:
  explicit pds_script(std::vector<std::string> put_answers) : put_answers_(std::move(put_answers)) {
  }

  void operator()(scripted_exchange& e) {
    scripted_request q;
    while (e.receive(q)) {
      if (q.line.find("server.createSession") != std::string::npos || q.line.find("server.refreshSession") != std::string::npos)
        e.send(http_answer(200, session_json("access-" + std::to_string(++*sessions_))));
      else
        e.send(put_answers_[std::min<std::size_t>((*puts_)++, put_answers_.size() - 1)]);
    }
  }

private:
  std::vector<std::string> put_answers_;
  std::shared_ptr<std::atomic<int>> sessions_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<std::size_t>> puts_ = std::make_shared<std::atomic<std::size_t>>(0);
};

const auto stored_answer = http_answer(200, R"({"uri":"at://did:web:x/app.bsky.feed.post/3jzfcijpj2z2a","cid":"bafy"})");

TEST_F(BlueskyGatewayTest, AnAccessTokenThatIsRefusedIsRenewedOnceAndTheRecordSentAgain) {
  scripted_server server{pds_script{{xrpc_answer(400, "ExpiredToken"), stored_answer}}};
  const auto out = publish(post(server.url()));
  ASSERT_TRUE(out) << out.error().detail;
  std::vector<std::string> tokens;
  for (const auto& q : server.requests())
    if (q.line.find("putRecord") != std::string::npos)
      tokens.push_back(q.header("authorization"));
  EXPECT_THAT(tokens, ::testing::ElementsAre("Bearer access-1", "Bearer access-2"));

  scripted_server stubborn{pds_script{{xrpc_answer(400, "ExpiredToken")}}};
  EXPECT_EQ(failure_of(publish(post(stubborn.url()))).code, errc::unauthorized);
  EXPECT_THAT(stubborn.requests(), SizeIs(4)) << "once";
}

TEST_F(BlueskyGatewayTest, AnotherPasswordSharesNoSessionNotEvenOneThatIsBeingMade) {
  std::atomic<int> asked{0};
  scripted_server server{[&](scripted_exchange& e) {
    scripted_request q;
    while (e.receive(q)) {
      if (q.line.find("putRecord") != std::string::npos) {
        e.send(stored_answer);
        continue;
      }
      // Both ask before either has its answer.
      ++asked;
      EXPECT_TRUE(test::eventually([&] { return asked == 2; }));
      e.send(q.body.find("sandbox-acme") != std::string::npos ? http_answer(200, session_json("access"))
                                                              : xrpc_answer(401, "AuthenticationRequired"));
    }
  }};
  auto revoked = post(server.url(), "Theirs", "key-2");
  revoked.account.access_token = "revoked";
  std::atomic<int> published{0};
  std::atomic<int> refused{0};
  gateway.publish(post(server.url()), [&](const result<public_post>& r) { published += r ? 1 : 0; });
  gateway.publish(revoked, [&](const result<public_post>& r) { refused += !r && r.error().code == errc::unauthorized ? 1 : 0; });
  EXPECT_TRUE(test::eventually([&] { return published == 1 && refused == 1; }));
}

TEST_F(BlueskyGatewayTest, WhoeverWaitsForASessionWithOthersIsAnsweredInItsOwnTime) {
  std::atomic<int> asked{0};
  scripted_server server{[&](scripted_exchange& e) {
    scripted_request q;
    while (e.receive(q)) {
      ++asked;
      return e.hang();
    }
  }};
  std::atomic<bool> patient_is_answered{false};
  auto patient = post(server.url());
  patient.timeout = 120s;
  gateway.publish(patient, [&](const result<public_post>&) { patient_is_answered = true; });
  ASSERT_TRUE(test::eventually([&] { return asked == 1; }));
  auto hasty = post(server.url(), "Theirs", "key-2");
  hasty.timeout = 200ms;
  EXPECT_EQ(failure_of(publish(hasty)).code, errc::transient);
  EXPECT_FALSE(patient_is_answered);
  EXPECT_EQ(asked, 1) << "they share the request";
  EXPECT_TRUE(test::eventually([&] { return patient_is_answered.load(); })) << "a session that is not made ends too";
}

TEST_F(BlueskyGatewayTest, WhoeverJoinsARequestForASessionThatHasLessTimeGoesOnWithoutIt) {
  std::atomic<int> asked{0};
  scripted_server server{[&](scripted_exchange& e) {
    scripted_request q;
    while (e.receive(q)) {
      if (q.line.find("putRecord") != std::string::npos)
        e.send(stored_answer);
      else if (++asked == 1)
        return e.hang();
      else
        e.send(http_answer(200, session_json("access")));
    }
  }};
  auto hasty = post(server.url(), "Theirs", "key-2");
  hasty.timeout = 1s;
  std::atomic<int> refused{0};
  gateway.publish(hasty, [&](const result<public_post>& r) { refused += r ? 0 : 1; });
  ASSERT_TRUE(test::eventually([&] { return asked == 1; }));
  auto patient = post(server.url());
  patient.timeout = 25s;
  const auto out = publish(patient);
  EXPECT_TRUE(out) << out.error().detail;
  EXPECT_EQ(refused, 1);
}

TEST_F(BlueskyGatewayTest, AMentionThatCannotBeLookedUpStaysTextAndThePostGoesOut) {
  const auto text = std::string{"Thanks to @somebody.example"};
  for (const auto& lookup : {http_answer(500), http_answer(502, "<html>"), xrpc_answer(429, "RateLimitExceeded"), http_answer(404),
                             http_answer(403, "<html>"), http_answer(200, "odd"), std::string{}, std::string{"hang"}}) {
    scripted_server server{[&](scripted_exchange& e) {
      scripted_request q;
      while (e.receive(q)) {
        if (q.line.find("createSession") != std::string::npos)
          e.send(http_answer(200, session_json("access")));
        else if (q.line.find("putRecord") != std::string::npos)
          e.send(stored_answer);
        else if (lookup.empty())
          return e.drop();
        else if (lookup == "hang")
          return e.hang();
        else
          e.send(lookup);
      }
    }};
    auto thanks = post(server.url(), text);
    if (lookup == "hang")
      thanks.timeout = 4s;
    const auto out = publish(thanks);
    ASSERT_TRUE(out) << lookup << out.error().detail;
    const auto put = server.requests().back();
    ASSERT_THAT(put.line, HasSubstr("putRecord"));
    EXPECT_FALSE(json::parse(put.body)["record"].contains("facets")) << lookup;
  }
}

struct put_case {
  std::string name;
  std::string answer;
  errc means;
};

class BlueskyAnswerTest : public BlueskyGatewayTest, public ::testing::WithParamInterface<put_case> {};

TEST_P(BlueskyAnswerTest, MeansTheSameEverywhere) {
  scripted_server server{pds_script{{GetParam().answer}}};
  const auto f = failure_of(publish(post(server.url())));
  EXPECT_EQ(f.code, GetParam().means) << f.detail;
  EXPECT_THAT(f.detail, Not(HasSubstr("access-1"))) << "a secret";
  EXPECT_THAT(f.detail, Not(HasSubstr("sandbox-acme"))) << "a secret";
}

INSTANTIATE_TEST_SUITE_P(
  Answers, BlueskyAnswerTest,
  ::testing::Values(put_case{"Invalid", xrpc_answer(400, "InvalidRequest", "Record/text is too long"), errc::permanent},
                    put_case{"TooLarge", xrpc_answer(413, "PayloadTooLarge"), errc::permanent},
                    put_case{"NotImplemented", xrpc_answer(501, "MethodNotImplemented"), errc::permanent},
                    put_case{"Unauthorized", xrpc_answer(401, "AuthMissing"), errc::unauthorized},
                    put_case{"Takedown", xrpc_answer(400, "AccountTakedown"), errc::unauthorized},
                    put_case{"PageOfAWall", http_answer(403, "<html>Checking your browser</html>"), errc::transient},
                    put_case{"TooMany", xrpc_answer(429, "RateLimitExceeded"), errc::throttled},
                    put_case{"Unavailable", http_answer(503, "<html>"), errc::outcome_unknown},
                    put_case{"Internal", xrpc_answer(500, "InternalServerError"), errc::outcome_unknown},
                    put_case{"BadGateway", http_answer(502, "<html>"), errc::outcome_unknown},
                    put_case{"HtmlOk", http_answer(200, "<html>Welcome</html>"), errc::outcome_unknown},
                    put_case{"OkWithoutCid", http_answer(200, R"({"uri":"at://x/y/z"})"), errc::outcome_unknown},
                    put_case{"OkWithAUriThatCannotBeKept", http_answer(200, R"({"uri":"at://x\u0000y","cid":"b"})"), errc::outcome_unknown},
                    put_case{"DeepJson", http_answer(200, std::string(100'000, '[')), errc::outcome_unknown},
                    put_case{"Moved", http_answer(308, "", {"Location: /x"}), errc::permanent}),
  [](const auto& info) { return info.param.name; });

TEST_F(BlueskyGatewayTest, WhatEndsBeforeTheRecordPublishesNothingAndIsNeverUnknown) {
  for (const auto& answer : {http_answer(500), http_answer(200, "odd"), http_answer(502, "<html>")}) {
    scripted_server server{test::answers({answer})};
    EXPECT_EQ(failure_of(publish(post(server.url()))).code, errc::transient);
    EXPECT_THAT(server.requests(), SizeIs(1));
  }
}

TEST_F(BlueskyGatewayTest, WhatABlueskyPostCannotBeIsRefusedBeforeACall) {
  scripted_server server{test::answers({http_answer(500)})};
  auto followers_only = post(server.url());
  followers_only.visibility = "private";
  EXPECT_EQ(failure_of(publish(followers_only)).code, errc::permanent);
  auto film = post(server.url());
  film.media = {{"/nowhere/film.mp4", "video/mp4", ""}};
  EXPECT_EQ(failure_of(publish(film)).code, errc::permanent);
  auto five = post(server.url());
  five.media.assign(5, {"/nowhere/a.png", "image/png", ""});
  EXPECT_EQ(failure_of(publish(five)).code, errc::permanent);
  std::string heavy;
  for (int i = 0; i < 200; ++i)
    heavy += "👩‍👩‍👧";
  EXPECT_EQ(failure_of(publish(post(server.url(), heavy))).code, errc::permanent) << "200 graphemes, 3,600 bytes";
  EXPECT_THAT(server.requests(), SizeIs(0));
}

} // namespace

} // namespace carillon::outbound
