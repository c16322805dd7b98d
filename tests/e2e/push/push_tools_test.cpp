// Web Push against what others have written: npm's http_ece and
// web-push-testing (tests/e2e/push/push_service.mjs).
#include "tests/e2e/message_fixture.hpp"

namespace carillon {

namespace {

using nlohmann::json;

class PushToolsTest : public test::message_fixture {
protected:
  /// The port that the script printed behind `name`.
  std::string url_of(const std::string& name) {
    std::string port;
    const bool up = test::eventually([&] {
      const auto output = tools_.output();
      const auto begin = output.find(name + ' ');
      const auto end = begin == output.npos ? begin : output.find('\n', begin);
      if (end == output.npos)
        return false;
      port = output.substr(begin + name.size() + 1, end - begin - name.size() - 1);
      return true;
    });
    if (!up)
      throw std::runtime_error{"the push service did not start: " + tools_.output()};
    return "http://127.0.0.1:" + port;
  }

  static test::web_answer subscribe(const test::web_client& who, const json& subscription) {
    return who.post("/api/v1/notifications/push/subscriptions", subscription);
  }

private:
  test::process tools_{{"node", std::string{CARILLON_SOURCE_DIR} + "/tests/e2e/push/push_service.mjs", CARILLON_NPM_DIR},
                       {{"PATH", std::getenv("PATH")}},
                       folder.path() / "push_service.log"};
};

TEST_F(PushToolsTest, HttpEceReadsTheMessageAndNodeAcceptsTheSignature) {
  const test::web_client receiver{url_of("receiver")};
  test::carillon_node node{db.url(), folder.path(), settings()};
  const auto who = user(node);
  want(who, true, false);
  const auto made = subscribe(who, receiver.get("/subscription").json());
  ASSERT_EQ(made.status, 201) << made.body;
  const auto notice = notify("Title \xf0\x9f\x94\x94", std::string(5'000, 'm'));
  ASSERT_EQ(end_of(notice, "push"), "sent") << node.self().output();
  const auto seen = receiver.get("/received").json();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0]["payload"]["id"], notice);
  EXPECT_EQ(seen[0]["payload"]["title"], "Title \xf0\x9f\x94\x94");
  const auto public_key = who.get("/api/v1/notifications/push/public-key").json()["data"]["public_key"];
  EXPECT_EQ(seen[0]["vapid"], (json{{"good", true}, {"key", public_key}, {"audience", true}, {"algorithm", "ES256"},
                                    {"ends", true}, {"subject", "mailto:carillon@localhost.localdomain"}}));
  EXPECT_EQ(seen[0]["ttl"], "86400");
  EXPECT_EQ(seen[0]["urgency"], "high");
}

TEST_F(PushToolsTest, WebPushTestingDeliversToItsSubscriberUntilTheSubscriptionExpires) {
  const test::web_client service{url_of("testing")};
  test::carillon_node node{db.url(), folder.path(), settings()};
  const auto who = user(node);
  want(who, true, false);
  const auto key = who.get("/api/v1/notifications/push/public-key").json()["data"]["public_key"];
  const auto granted = service.post("/subscribe", {{"userVisibleOnly", "true"}, {"applicationServerKey", key}});
  ASSERT_EQ(granted.status, 200) << granted.body;
  const auto subscription = granted.json()["data"];
  const auto made = subscribe(who, subscription);
  ASSERT_EQ(made.status, 201) << made.body << subscription;
  ASSERT_EQ(end_of(notify("First"), "push"), "sent") << node.self().output();
  const auto hash = subscription["clientHash"];
  const auto messages = service.post("/get-notifications", {{"clientHash", hash}}).json()["data"]["messages"];
  ASSERT_EQ(messages.size(), 1u) << messages;
  EXPECT_EQ(json::parse(messages[0].get<std::string>())["title"], "First");
  ASSERT_EQ(service.post("/expire-subscription/" + hash.get<std::string>()).status, 200);
  EXPECT_EQ(end_of(notify("Second"), "push"), "skipped: every subscription had ended");
  EXPECT_EQ(who.get("/api/v1/notifications/push/subscriptions").json()["data"], json::array());
}

} // namespace

} // namespace carillon
