// What the sandbox's PDS refuses: a fake that takes everything proves nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/outbound/sandbox_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SandboxAtprotoTest : public ::testing::Test {
protected:
  http_response call(const std::string& method, const std::string& name, const json& body = {},
                     const std::string& token = {}) {
    http_request q;
    q.method = method;
    q.url = pds.url() + "/xrpc/com.atproto." + name;
    if (!body.is_null()) {
      q.body = body.dump();
      q.headers.emplace_back("Content-Type", "application/json");
    }
    if (!token.empty())
      q.headers.emplace_back("Authorization", "Bearer " + token);
    return test::wait_for<http_response>([&](auto done) { http.send(q, done); });
  }

  json session() {
    return json::parse(
      call("POST", "server.createSession", {{"identifier", "acme.sandbox.invalid"}, {"password", "sandbox-acme"}}).body);
  }

  json put(json record, const std::string& key = "3jzfcijpj2z2a") {
    return {{"repo", "acme.sandbox.invalid"}, {"collection", "app.bsky.feed.post"}, {"rkey", key},
            {"record", std::move(record)}, {"swapRecord", nullptr}};
  }

  static json record(const std::string& text = "Hello") {
    return {{"$type", "app.bsky.feed.post"}, {"text", text}, {"createdAt", "2026-02-07T10:00:00.000Z"}};
  }

  /// `200`, or the status and the error's name.
  static std::string outcome(const http_response& r) {
    return std::to_string(r.status) + (r.status == 200 ? "" : " " + json::parse(r.body).value("error", "none"));
  }

  test::manual_clock clock;
  curl_loop loop;
  http_client http{loop};
  test::sandbox_server pds{http, clock};
};

TEST_F(SandboxAtprotoTest, OnlyTheRightPasswordMakesASessionAndOnlyItsTokensWrite) {
  EXPECT_EQ(outcome(call("POST", "server.createSession", {{"identifier", "acme.sandbox.invalid"}, {"password", "sandbox-rival"}})),
            "401 AuthenticationRequired");
  EXPECT_EQ(outcome(call("POST", "server.createSession", {{"identifier", "acme"}, {"password", "sandbox-acme"}})),
            "401 AuthenticationRequired");
  EXPECT_EQ(outcome(call("POST", "server.createSession", json::object())), "400 InvalidRequest");
  const auto mine = session();
  EXPECT_EQ(mine["did"], "did:web:sandbox.invalid:acme");
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record()))), "401 AuthMissing");
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record()), "nonsense")), "400 InvalidToken");
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record()), mine["refreshJwt"])), "400 InvalidToken");
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record()), mine["accessJwt"])), "200");
  clock.advance(3h);
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record()), mine["accessJwt"])), "400 ExpiredToken");
}

TEST_F(SandboxAtprotoTest, ARefreshTokenIsGoodForOneUse) {
  const auto first = session();
  const auto second = call("POST", "server.refreshSession", {}, first["refreshJwt"]);
  EXPECT_EQ(outcome(second), "200");
  EXPECT_NE(json::parse(second.body)["accessJwt"], first["accessJwt"]);
  EXPECT_EQ(outcome(call("POST", "server.refreshSession", {}, first["refreshJwt"])), "400 ExpiredToken");
}

TEST_F(SandboxAtprotoTest, ARecordIsWrittenOnceAndReadBack) {
  const std::string token = session()["accessJwt"];
  ASSERT_EQ(outcome(call("POST", "repo.putRecord", put(record("one")), token)), "200");
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record("one")), token)), "200") << "nothing would change";
  EXPECT_EQ(outcome(call("POST", "repo.putRecord", put(record("two")), token)), "400 InvalidSwap");
  EXPECT_EQ(pds.accepted(), 1);
  const auto path = std::string{"repo.getRecord?repo=did:web:sandbox.invalid:acme&collection=app.bsky.feed.post&rkey="};
  const auto read = call("GET", path + "3jzfcijpj2z2a");
  ASSERT_EQ(outcome(read), "200");
  EXPECT_EQ(json::parse(read.body)["value"]["text"], "one");
  EXPECT_EQ(outcome(call("GET", path + "3jzfcijpj2z2b")), "400 RecordNotFound");
  ASSERT_EQ(outcome(call("POST", "repo.putRecord", put(record("three"), "3jzfcijpj2z2b"), token)), "200");
  const auto page = json::parse(call("GET", "repo.listRecords?repo=acme.sandbox.invalid&limit=1").body);
  ASSERT_THAT(page["records"], SizeIs(1));
  EXPECT_EQ(page["records"][0]["value"]["text"], "three") << "the highest key first";
  const auto rest = json::parse(
    call("GET", "repo.listRecords?repo=acme.sandbox.invalid&cursor=" + page["cursor"].get<std::string>()).body);
  EXPECT_EQ(rest["records"][0]["value"]["text"], "one");
}

TEST_F(SandboxAtprotoTest, WhatIsNoPostIsRefused) {
  const std::string token = session()["accessJwt"];
  const auto refused = [&](const json& body) {
    return outcome(call("POST", "repo.putRecord", body, token));
  };
  std::string families;
  for (int i = 0; i < 301; ++i)
    families += "é";
  const auto with = [](const char* name, json value) {
    auto out = record("ä b");
    out[name] = std::move(value);
    return out;
  };
  const auto facet = [](int begin, int end) {
    return json::array({{{"index", {{"byteStart", begin}, {"byteEnd", end}}},
                         {"features", json::array({{{"$type", "app.bsky.richtext.facet#tag"}, {"tag", "b"}}})}}});
  };
  for (const auto& bad : {record(families), record(std::string(3'001, 'x')), with("text", 7), with("createdAt", "yesterday"),
                          with("$type", "app.bsky.feed.like"), with("facets", facet(0, 5)), with("facets", facet(2, 2)),
                          with("facets", facet(1, 3)), with("facets", "none"), with("reply", {{"root", "x"}}),
                          with("embed", {{"$type", "app.bsky.embed.images"}, {"images", json::array({{{"alt", "x"}}})}})})
    EXPECT_EQ(refused(put(bad)), "400 InvalidRequest") << bad.dump().substr(0, 200);
  for (const auto* key : {"", "short", "zzzzzzzzzzzzz", "3JZFCIJPJ2Z2A", "3jzfcijpj2z2a2"})
    EXPECT_EQ(refused(put(record(), key)), "400 InvalidRequest") << key;
  auto elsewhere = put(record());
  elsewhere["repo"] = "rival.sandbox.invalid";
  EXPECT_EQ(refused(elsewhere), "401 AuthRequired");
  EXPECT_EQ(refused(json::array()), "400 InvalidRequest");
  EXPECT_EQ(pds.accepted(), 0);
  EXPECT_EQ(refused(put(with("facets", facet(3, 4)))), "200");
}

TEST_F(SandboxAtprotoTest, HandlesOfAccountsThatAreThereAreResolved) {
  EXPECT_EQ(outcome(call("GET", "identity.resolveHandle?handle=acme.sandbox.invalid")), "400 InvalidRequest");
  session();
  EXPECT_THAT(call("GET", "identity.resolveHandle?handle=acme.sandbox.invalid").body, HasSubstr("did:web:sandbox.invalid:acme"));
  EXPECT_EQ(outcome(call("GET", "repo.noSuchThing")).substr(0, 3), "404");
}

} // namespace

} // namespace carillon::outbound
