#include "outbound/delivery/web_push/web_push_gateway.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/base64url.hpp"
#include "outbound/delivery/web_push/message_encryption.hpp"
#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using test::answers;
using test::http_answer;
using test::scripted_exchange;
using test::scripted_request;
using test::scripted_server;

class WebPushGatewayTest : public ::testing::Test {
protected:
  result<done> send(const std::string& url, push_message what = notice(), web_push_options options = trusting()) {
    web_push_gateway gateway{http, clock, signer, std::move(options)};
    return test::wait_for<result<done>>(
      [&](auto callback) { gateway.send({url, receiver.point(), auth}, std::move(what), callback); });
  }

  result<done> answered(int status, const std::vector<std::string>& headers = {}) {
    scripted_server server{answers({http_answer(status, "so it is", headers)})};
    return send(server.url() + "/push/1");
  }

  static push_message notice() {
    return {"0190a6e0-0000-7000-8000-000000000001", "post_failed", "Title", "Message", "/posts/1", false};
  }
  static web_push_options trusting() {
    return {.time_to_live = 3'600s, .timeout = 10s, .trusted_hosts = {"127.0.0.1"}};
  }

  curl_loop loop;
  http_client http{loop};
  system_clock clock;
  vapid_signer signer = vapid_signer::from(make_vapid_key().value(), "mailto:ops@example.com").value();
  p256_key receiver = p256_key::generate().value();
  std::string auth = std::string(16, 's');
};

TEST_F(WebPushGatewayTest, ThePushServiceGetsWhatTheRfcsAskForAndTheBrowserReadsIt) {
  scripted_server server{answers({http_answer(201)})};
  auto what = notice();
  what.urgent = true;
  const auto sent = send(server.url() + "/push/1?a=b", what);
  ASSERT_TRUE(sent) << sent.error().detail;
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.line, "POST /push/1?a=b HTTP/1.1");
  EXPECT_EQ(seen.header("content-encoding"), "aes128gcm");
  EXPECT_EQ(seen.header("content-type"), "application/octet-stream");
  EXPECT_EQ(seen.header("ttl"), "3600");
  EXPECT_EQ(seen.header("urgency"), "high");
  EXPECT_EQ(seen.header("topic"), encode_base64url(std::string{"\x01\x90\xa6\xe0\0\0\x70\0\x80\0\0\0\0\0\0\x01", 16}));
  EXPECT_LE(seen.header("topic").size(), 32u) << "RFC 8030 §5.4";
  EXPECT_EQ(seen.header("expect"), "");
  const auto plain = decrypt_push(seen.body, receiver, auth);
  ASSERT_TRUE(plain) << plain.error().detail;
  EXPECT_EQ(nlohmann::json::parse(*plain)["title"], "Title");

  const auto who = seen.header("authorization");
  const auto comma = who.find(", k=");
  const auto token = who.substr(8, comma - 8);
  const auto dot = token.rfind('.');
  EXPECT_TRUE(verify_p256(*decode_base64url(who.substr(comma + 4)), token.substr(0, dot), *decode_base64url(token.substr(dot + 1))));
  const auto claims = nlohmann::json::parse(*decode_base64url(token.substr(token.find('.') + 1, dot - token.find('.') - 1)));
  EXPECT_EQ(claims["aud"], server.url()) << "scheme, host and port";
}

TEST_F(WebPushGatewayTest, EveryTryOfANoticeHasTheSameTopic) {
  scripted_server server{answers({http_answer(201)})};
  ASSERT_TRUE(send(server.url()));
  ASSERT_TRUE(send(server.url()));
  auto other = notice();
  other.notification_id.back() = '2';
  ASSERT_TRUE(send(server.url(), other));
  const auto seen = server.requests();
  EXPECT_EQ(seen[0].header("topic"), seen[1].header("topic"));
  EXPECT_NE(seen[0].header("topic"), seen[2].header("topic"));
  EXPECT_EQ(seen[0].header("urgency"), "normal");
}

TEST_F(WebPushGatewayTest, AnswersSayWhatToDoNext) {
  for (const int status : {200, 201, 202, 204})
    EXPECT_TRUE(answered(status)) << status;
  for (const int status : {404, 410})
    EXPECT_EQ(answered(status).error().code, errc::not_found) << status;
  for (const int status : {408, 500, 502, 503})
    EXPECT_EQ(answered(status).error().code, errc::transient) << status;
  for (const int status : {301, 307, 400, 401, 403, 413})
    EXPECT_EQ(answered(status).error().code, errc::permanent) << status;
  EXPECT_EQ(answered(429).error().code, errc::throttled);
}

TEST_F(WebPushGatewayTest, RetryAfterIsTakenOverWithALimit) {
  EXPECT_EQ(answered(429, {"Retry-After: 7"}).error().retry_after, 7s);
  EXPECT_EQ(answered(503, {"Retry-After: 120"}).error().retry_after, 120s);
  EXPECT_EQ(answered(429, {"Retry-After: 999999"}).error().retry_after, 1h);
  EXPECT_FALSE(answered(429, {"Retry-After: soon"}).error().retry_after);
}

TEST_F(WebPushGatewayTest, TheAnswersTextGoesToTheLogInOneLine) {
  scripted_server server{answers({http_answer(400, "a\r\nb\x1b[31m" + std::string(1'000, 'x'))})};
  const auto detail = send(server.url()).error().detail;
  EXPECT_NE(detail.find("400: a??b?[31mxxx"), detail.npos) << detail;
  EXPECT_LT(detail.size(), 300u);
}

TEST_F(WebPushGatewayTest, ARedirectIsNotFollowed) {
  scripted_server inside{answers({http_answer(201)})};
  scripted_server server{answers({http_answer(307, "", {"Location: " + inside.url() + "/secret"})})};
  EXPECT_EQ(send(server.url()).error().code, errc::permanent);
  EXPECT_EQ(inside.connections(), 0);
}

TEST_F(WebPushGatewayTest, AServiceThatGoesSilentAfterTheRequestLeavesItUnknown) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request request;
    e.receive(request);
    e.drop();
  }};
  EXPECT_EQ(send(server.url()).error().code, errc::outcome_unknown);
  EXPECT_EQ(server.requests().size(), 1u) << "sent once";
}

TEST_F(WebPushGatewayTest, AServiceThatIsAwayIsTransient) {
  EXPECT_EQ(send("http://127.0.0.1:" + std::to_string(test::closed_port())).error().code, errc::transient);
}

TEST_F(WebPushGatewayTest, OnlyTrustedHostsArePrivateOrWithoutTls) {
  scripted_server server{answers({http_answer(201)})};
  auto options = trusting();
  options.trusted_hosts.clear();
  EXPECT_EQ(send(server.url(), notice(), options).error().code, errc::invalid_argument);
  // A name that leads to a private address is found out when it connects.
  const auto port = std::to_string(server.port());
  const auto named = send("https://localhost.localdomain:" + port + "/a", notice(), options).error();
  EXPECT_TRUE(named.code == errc::forbidden || named.code == errc::transient) << named.detail;
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(WebPushGatewayTest, KeysThatCannotWorkAreInvalidAndNothingIsSent) {
  scripted_server server{answers({http_answer(201)})};
  web_push_gateway gateway{http, clock, signer, trusting()};
  const auto sent = test::wait_for<result<done>>([&](auto callback) {
    gateway.send({server.url(), std::string(65, 'x'), auth}, notice(), callback);
  });
  EXPECT_EQ(sent.error().code, errc::invalid_argument);
  EXPECT_EQ(server.connections(), 0);
}

} // namespace

} // namespace carillon::outbound
