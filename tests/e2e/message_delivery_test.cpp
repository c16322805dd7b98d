// From a notification to a browser and to a phone: the real program, and push
// services and an SMS provider that do what a test says.
#include <map>
#include <mutex>

#include <gmock/gmock.h>

#include "domain/base64url.hpp"
#include "outbound/delivery/web_push/message_encryption.hpp"
#include "outbound/delivery/web_push/p256.hpp"
#include "tests/e2e/message_fixture.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon {

namespace {

using nlohmann::json;
using outbound::p256_key;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// A browser with its push service: reads what it gets.
class browser {
public:
  explicit browser(std::vector<std::string> list) : service_(test::answers(std::move(list))) {
  }

  json subscription() const {
    return {{"endpoint", service_.url() + "/push/1"},
            {"expirationTime", nullptr},
            {"keys", {{"p256dh", encode_base64url(key_.point())}, {"auth", encode_base64url(auth_)}}}};
  }

  /// Every request's payload.
  std::vector<json> received() const {
    std::vector<json> out;
    for (const auto& request : service_.requests())
      out.push_back(json::parse(outbound::decrypt_push(request.body, key_, auth_).value_or("null")));
    return out;
  }

  /// The sender's key as the last request said it, if its signature holds.
  std::string sender() const {
    const auto who = service_.requests().back().header("authorization");
    const auto comma = who.find(", k=");
    const auto token = who.substr(8, comma - 8);
    const auto dot = token.rfind('.');
    const auto key = who.substr(comma + 4);
    const bool good = outbound::verify_p256(*decode_base64url(key), token.substr(0, dot), *decode_base64url(token.substr(dot + 1)));
    return good ? key : "";
  }

private:
  p256_key key_ = p256_key::generate().value();
  std::string auth_ = std::string(16, 'a');
  test::scripted_server service_;
};

class MessageDeliveryTest : public test::message_fixture {
protected:
  static void subscribe(const test::web_client& who, const browser& b) {
    const auto answer = who.post("/api/v1/notifications/push/subscriptions", b.subscription());
    ASSERT_EQ(answer.status, 201) << answer.body;
  }

  test::carillon_node::environment with_sms(const test::scripted_server& provider) const {
    auto out = settings();
    out["CARILLON_SMS__URL"] = provider.url() + "/2010-04-01/Accounts/AC1/Messages.json";
    out["CARILLON_SMS__FROM"] = "+14155550100";
    out["CARILLON_SMS__AUTH"] = "basic";
    out["CARILLON_SMS__USERNAME"] = "AC1";
    out["CARILLON_SMS__SECRET"] = "a-secret-of-the-provider";
    out["CARILLON_SMS__DAILY_CAP"] = "4";
    return out;
  }
};

TEST_F(MessageDeliveryTest, PushServicesAreServedAsTheyAnswer) {
  using test::http_answer;
  test::carillon_node node{db.url(), folder.path(), settings()};
  const auto who = user(node);
  want(who, true, false);
  EXPECT_EQ(end_of(notify("Nobody"), "push"), "skipped: no browser is subscribed");

  // One takes it, one is busy at first, one is gone.
  const browser good{{http_answer(201)}};
  const browser busy{{http_answer(429, "", {"Retry-After: 1"}), http_answer(202)}};
  const browser gone{{http_answer(410)}};
  for (const auto* b : {&good, &busy, &gone})
    subscribe(who, *b);
  const auto notice = notify("Title \xf0\x9f\x94\x94", std::string(5'000, 'm'));
  EXPECT_EQ(end_of(notice, "push"), "sent") << node.self().output();
  ASSERT_THAT(good.received(), SizeIs(1)) << "who has it is not sent to again";
  ASSERT_THAT(busy.received(), SizeIs(2));
  const auto shown = good.received()[0];
  EXPECT_EQ(shown["id"], notice);
  EXPECT_EQ(shown["type"], "post_failed");
  EXPECT_EQ(shown["title"], "Title \xf0\x9f\x94\x94");
  EXPECT_EQ(shown["action_url"], "/posts/1");
  EXPECT_THAT(shown["message"].get<std::string>(), ::testing::EndsWith("\xe2\x80\xa6"));
  EXPECT_EQ(busy.received()[0], shown);
  EXPECT_EQ(busy.received()[1], shown);
  EXPECT_EQ(who.get("/api/v1/notifications/push/public-key").json()["data"]["public_key"], good.sender());
  EXPECT_EQ(who.get("/api/v1/notifications/push/subscriptions").json()["data"].size(), 2u) << "the third has ended";

  // Another node has the same key.
  test::carillon_node second{db.url(), folder.path(), settings()};
  EXPECT_EQ(user(second).get("/api/v1/notifications/push/public-key").json()["data"]["public_key"], good.sender());
}

TEST_F(MessageDeliveryTest, APushThatIsRefusedFailsWithItsReason) {
  test::carillon_node node{db.url(), folder.path(), settings()};
  const auto who = user(node);
  want(who, true, true);
  const browser small{{test::http_answer(413, "too large")}};
  subscribe(who, small);
  const auto phone = who.put("/api/v1/notifications/phone", {{"phone", "+49 30 1234567"}});
  ASSERT_EQ(phone.status, 200) << phone.body;
  const auto notice = notify("Title");
  EXPECT_EQ(end_of(notice, "push"), "failed: the push service answered 413: too large");
  EXPECT_THAT(small.received(), SizeIs(1)) << "not tried again";
  EXPECT_EQ(end_of(notice, "sms"), "skipped: no SMS provider is configured");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_history WHERE kind = 'send_notification_push' AND state = 'discarded'"), "1");
}

TEST_F(MessageDeliveryTest, TextsGoToTheProviderOnceAndItsAnswersAreObeyed) {
  using test::http_answer;
  test::scripted_server provider{test::answers({http_answer(201, R"({"sid": "SM1"})"),
                                                http_answer(503, "", {"Retry-After: 1"}),
                                                http_answer(201, R"({"sid": "SM2"})"),
                                                http_answer(400, R"({"code": 21211, "message": "Not a number: +49301234567"})"),
                                                http_answer(500)})};
  test::carillon_node node{db.url(), folder.path(), with_sms(provider)};
  const auto who = user(node);
  want(who, false, true);
  EXPECT_EQ(end_of(notify("No number"), "sms"), "skipped: no phone number");
  ASSERT_EQ(who.put("/api/v1/notifications/phone", {{"phone", "+49 30 1234567"}}).status, 200);

  const auto first = notify("Title & more");
  EXPECT_EQ(end_of(first, "sms"), "sent") << node.self().output();
  const auto seen = provider.requests().at(0);
  EXPECT_EQ(seen.line, "POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1");
  EXPECT_EQ(seen.body, "To=%2B49301234567&From=%2B14155550100&Body=Title%20%26%20more%0AMessage%0A"
                       "http%3A%2F%2Flocalhost%3A3000%2Fposts%2F1");
  EXPECT_TRUE(seen.header("authorization").starts_with("Basic "));
  EXPECT_EQ(db.exec("SELECT provider_id FROM carillon.sms_sends WHERE notification_id = " + test::sql_literal(first)), "SM1");

  EXPECT_EQ(end_of(notify("Busy at first"), "sms"), "sent");
  EXPECT_THAT(provider.requests(), SizeIs(3));
  EXPECT_EQ(end_of(notify("Refused"), "sms"), "failed: the SMS provider answered 400: 21211: Not a number: (the number)");
  EXPECT_EQ(end_of(notify("Unknown"), "sms"), "failed: the text may have been sent: the SMS provider answered 500");
  EXPECT_THAT(provider.requests(), SizeIs(5)) << "what may have been sent is not sent again";
  EXPECT_EQ(end_of(notify("Too many"), "sms"), "skipped: the daily cap of 4 texts is reached");
  EXPECT_THAT(provider.requests(), SizeIs(5));
  const auto log = node.self().output();
  EXPECT_EQ(log.find("a-secret-of-the-provider"), log.npos);
  EXPECT_EQ(log.find("49301234567"), log.npos) << "numbers are not logged";
}

} // namespace

} // namespace carillon
