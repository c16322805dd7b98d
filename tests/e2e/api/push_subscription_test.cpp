// Routes of /notifications/push and /notifications/phone.

#include "domain/base64url.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto key_route = "/api/v1/notifications/push/public-key";
constexpr auto subscriptions_route = "/api/v1/notifications/push/subscriptions";
constexpr auto phone_route = "/api/v1/notifications/phone";

/// RFC 8291 appendix A.
constexpr auto point = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

class PushSubscriptionTest : public api_suite {
protected:
  /// As a browser's PushSubscription.toJSON gives it.
  static json subscription(const std::string& name = "one") {
    return {{"endpoint", "https://push.example.net/" + name},
            {"expirationTime", nullptr},
            {"keys", {{"p256dh", point}, {"auth", "BTBZMqHH6r4Tts7J_aSIgg"}}}};
  }

  web_answer remove(const person& who, const json& body) {
    return who.web.send("DELETE", subscriptions_route, body.dump());
  }
};

TEST_F(PushSubscriptionTest, ThePublicKeyIsAPointThatStaysTheSame) {
  const auto key = data_of(editor.web.get(key_route))["public_key"].get<std::string>();
  const auto bytes = decode_base64url(key);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 65u);
  EXPECT_EQ(bytes->front(), '\x04');
  EXPECT_EQ(data_of(stranger.web.get(key_route))["public_key"], key) << "one for the platform";
  EXPECT_EQ(count("platform_secrets WHERE name = 'vapid_private_key'"), 1);
}

TEST_F(PushSubscriptionTest, ABrowserIsSubscribedListedAndUnsubscribed) {
  const auto made = data_of(editor.web.post(subscriptions_route, subscription()), 201);
  EXPECT_EQ(made["endpoint"], "https://push.example.net/one");
  EXPECT_TRUE(is_api_time(made["created_at"]));
  EXPECT_EQ(made["last_success_at"], nullptr);
  EXPECT_EQ(made["failures"], 0);
  EXPECT_EQ(made.size(), 5u) << "no keys: " << made;
  EXPECT_EQ(data_of(editor.web.get(subscriptions_route)), json::array({made}));
  EXPECT_EQ(data_of(remove(editor, {{"endpoint", made["endpoint"]}})), nullptr);
  EXPECT_EQ(data_of(editor.web.get(subscriptions_route)), json::array());
  EXPECT_TRUE(is_problem(remove(editor, {{"endpoint", made["endpoint"]}}), 404));
}

TEST_F(PushSubscriptionTest, TheEndpointToRemoveMayStandInTheQuery) {
  data_of(editor.web.post(subscriptions_route, subscription()), 201);
  data_of(editor.web.send("DELETE", std::string{subscriptions_route} + "?endpoint=https%3A%2F%2Fpush.example.net%2Fone", ""));
  EXPECT_EQ(data_of(editor.web.get(subscriptions_route)), json::array());
}

TEST_F(PushSubscriptionTest, TheSameBrowserAgainIsTheSameSubscription) {
  const auto first = data_of(editor.web.post(subscriptions_route, subscription()), 201);
  const auto again = data_of(editor.web.post(subscriptions_route, subscription()), 201);
  EXPECT_EQ(again["id"], first["id"]);
  EXPECT_EQ(count("push_subscriptions WHERE user_id = " + sql_literal(editor.id)), 1);
}

TEST_F(PushSubscriptionTest, OthersDoNotSeeOrRemoveIt) {
  data_of(editor.web.post(subscriptions_route, subscription()), 201);
  for (const auto* who : {&colleague, &owner, &stranger}) {
    EXPECT_EQ(data_of(who->web.get(subscriptions_route)), json::array());
    EXPECT_TRUE(is_problem(remove(*who, {{"endpoint", "https://push.example.net/one"}}), 404));
  }
  EXPECT_EQ(count("push_subscriptions WHERE user_id = " + sql_literal(editor.id)), 1);
}

TEST_F(PushSubscriptionTest, ABrowserThatAnotherUserSubscribesChangesHands) {
  data_of(editor.web.post(subscriptions_route, subscription()), 201);
  data_of(colleague.web.post(subscriptions_route, subscription()), 201);
  EXPECT_EQ(data_of(editor.web.get(subscriptions_route)), json::array());
  EXPECT_EQ(data_of(colleague.web.get(subscriptions_route)).size(), 1u);
}

TEST_F(PushSubscriptionTest, AUserHasTenBrowsersAtMost) {
  for (int i = 0; i < 10; ++i)
    data_of(editor.web.post(subscriptions_route, subscription(std::to_string(i))), 201);
  EXPECT_TRUE(refuses(editor.web.post(subscriptions_route, subscription("more")), "endpoint"));
  data_of(editor.web.post(subscriptions_route, subscription("0")), 201);
  EXPECT_EQ(data_of(editor.web.get(subscriptions_route)).size(), 10u);
}

TEST_F(PushSubscriptionTest, WhatIsNoSubscriptionIsRefusedFieldByField) {
  const auto with = [&](const json::json_pointer& where, const json& value) {
    auto body = subscription();
    body[where] = value;
    return editor.web.post(subscriptions_route, body);
  };
  using where = json::json_pointer;
  EXPECT_TRUE(refuses(editor.web.post(subscriptions_route, json::object()), {"endpoint", "keys.p256dh", "keys.auth"}));
  for (const auto& endpoint :
       {json{"http://push.example.net/1"}, json{"https://127.0.0.1/1"}, json{"https://localhost/1"}, json{"https://10.1.1.1/1"},
        json{"https://[::1]/1"}, json{"https://user:pw@push.example.net/"}, json{"javascript:alert(1)"}, json{""},
        json{"https://push.example.net/" + std::string(2'000, 'a')}, json{7}, json{nullptr}, json::array()})
    EXPECT_TRUE(refuses(with(where{"/endpoint"}, endpoint), "endpoint")) << endpoint;
  auto off_curve = std::string{point};
  off_curve[80] = off_curve[80] == 'A' ? 'B' : 'A';
  for (const auto& key : {json{""}, json{"AAAA"}, json{"not base64url!"}, json{off_curve}, json{std::string(10'000, 'A')}, json{1},
                          json{nullptr}, json::object()})
    EXPECT_TRUE(refuses(with(where{"/keys/p256dh"}, key), "keys.p256dh")) << key;
  for (const auto& key : {json{""}, json{"AAAA"}, json{"BTBZMqHH6r4Tts7J_aSI"}, json{1}, json{nullptr}})
    EXPECT_TRUE(refuses(with(where{"/keys/auth"}, key), "keys.auth")) << key;
  EXPECT_TRUE(refuses(with(where{"/keys"}, "x"), {"keys.p256dh", "keys.auth"}));
  EXPECT_TRUE(refuses(remove(editor, json::object()), "endpoint"));
  EXPECT_TRUE(refuses(remove(editor, {{"endpoint", 5}}), "endpoint"));
  EXPECT_EQ(count("push_subscriptions WHERE user_id = " + sql_literal(editor.id)), 0);
}

TEST_F(PushSubscriptionTest, NobodyGetsInWithoutAToken) {
  const auto nobody = node().web();
  for (const auto* path : {key_route, subscriptions_route, phone_route})
    EXPECT_TRUE(is_problem(nobody.get(path), 401)) << path;
  EXPECT_TRUE(is_problem(nobody.post(subscriptions_route, subscription()), 401));
  EXPECT_TRUE(is_problem(nobody.send("DELETE", subscriptions_route, "{}"), 401));
  EXPECT_TRUE(is_problem(nobody.put(phone_route, {{"phone", "+49301234567"}}), 401));
}

TEST_F(PushSubscriptionTest, APhoneNumberIsKeptInE164) {
  EXPECT_EQ(data_of(editor.web.get(phone_route)), (json{{"phone", nullptr}, {"can_receive_texts", false}}));
  const json set{{"phone", "+49301234567"}, {"can_receive_texts", true}};
  EXPECT_EQ(data_of(editor.web.put(phone_route, {{"phone", "0049 (30) 123-4567"}})), set);
  EXPECT_EQ(data_of(editor.web.get(phone_route)), set);
  EXPECT_EQ(data_of(colleague.web.get(phone_route))["phone"], nullptr);
  EXPECT_EQ(data_of(editor.web.put(phone_route, {{"phone", nullptr}}))["phone"], nullptr);
  EXPECT_EQ(data_of(editor.web.get(phone_route))["phone"], nullptr);
}

TEST_F(PushSubscriptionTest, WhatIsNoInternationalNumberIsRefused) {
  data_of(editor.web.put(phone_route, {{"phone", "+49301234567"}}));
  for (const auto& phone : {json{"030 1234567"}, json{"+0"}, json{"+49 30 12x"}, json{49301234567}, json{true}, json::array(),
                            json{"+" + std::string(1'000, '1')}, json{"+49301234567\nTo: +1"}})
    EXPECT_TRUE(refuses(editor.web.put(phone_route, {{"phone", phone}}), "phone")) << phone;
  EXPECT_TRUE(refuses(editor.web.put(phone_route, json::object()), "phone"));
  EXPECT_EQ(data_of(editor.web.get(phone_route))["phone"], "+49301234567");
}

} // namespace

} // namespace carillon
