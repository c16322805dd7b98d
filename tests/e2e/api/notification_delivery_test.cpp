// What became of a notification and why, quiet hours and digests, the end of
// a kind of mail, and the door for other programs.

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto base_route = "/api/v1/notifications";

class NotificationDeliveryTest : public api_suite {
public:
  static void SetUpTestSuite() {
    mails = std::make_unique<scratch_folder>();
    start_node({{"CARILLON_MAIL__DIRECTORY", mails->path().string()},
                {"CARILLON_MAIL__UNSUBSCRIBE_BASE", "https://carillon.example"}});
  }
  static void TearDownTestSuite() {
    api_suite::TearDownTestSuite();
    mails.reset();
  }

protected:
  json request_for(const person& to) const {
    return {{"tenant_id", to_string(tenant)}, {"user_id", to_string(to.id)},     {"type", "post_failed"},
            {"title", "Publishing failed"},   {"message", "The network said no"}};
  }

  web_answer tell(const json& body, const std::string& key = "") const {
    std::vector<std::string> headers;
    if (!key.empty())
      headers.push_back("Idempotency-Key: " + key);
    return node().internal().send("POST", "/internal/notifications", body.dump(), headers);
  }

  /// The id of what was told.
  std::string told(const json& body) const {
    const auto data = data_of(tell(body), 201);
    return data.is_object() && data["notification_ids"].size() == 1 ? data["notification_ids"][0].get<std::string>() : "";
  }

  static json delivery(const person& by, const std::string& id, const std::string& channel) {
    for (const auto& d : data_of(by.web.get(std::string{base_route} + "/" + id + "/deliveries")))
      if (d.value("channel", "") == channel)
        return d;
    return nullptr;
  }

  /// The bytes of the mail about it, once it is there.
  static std::string mail_about(const std::string& id) {
    std::string out;
    eventually([&] {
      for (const auto& file : std::filesystem::directory_iterator{mails->path()})
        if (file.path().extension() == ".eml" && file.path().string().find(id) != std::string::npos) {
          std::ifstream in{file.path()};
          std::ostringstream text;
          text << in.rdbuf();
          out = text.str();
        }
      return !out.empty();
    });
    return out;
  }

  static inline std::unique_ptr<scratch_folder> mails;
};

TEST_F(NotificationDeliveryTest, TheOwnerReadsWhatBecameOfEachChannelAndNobodyElseDoes) {
  const auto id = told(request_for(editor));
  ASSERT_FALSE(id.empty());
  EXPECT_TRUE(eventually([&] { return delivery(editor, id, "email").value("state", "") == "sent"; }));
  const auto all = data_of(editor.web.get(std::string{base_route} + "/" + id + "/deliveries"));
  EXPECT_EQ(column(all, "channel"), json({"in_app", "email", "push", "sms"}));
  EXPECT_EQ(column(all, "state"), json({"sent", "sent", "skipped", "skipped"}));
  EXPECT_EQ(all[2]["reason"], "off by preference");
  EXPECT_EQ(all[1]["attempts"], 1);
  EXPECT_TRUE(is_api_time(all[1]["sent_at"]));
  EXPECT_TRUE(is_api_time(all[1]["last_attempt_at"]));
  EXPECT_TRUE(is_problem(colleague.web.get(std::string{base_route} + "/" + id + "/deliveries"), 403));
  EXPECT_TRUE(is_problem(stranger.web.get(std::string{base_route} + "/" + id + "/deliveries"), 404));
  EXPECT_TRUE(is_problem(editor.web.get(std::string{base_route} + "/nonsense/deliveries"), 404));
  EXPECT_TRUE(is_problem(node().web().get(std::string{base_route} + "/" + id + "/deliveries"), 401));
}

TEST_F(NotificationDeliveryTest, SettingsAreOffAreSetInPartsAndAreEachUsersOwn) {
  const auto route = std::string{base_route} + "/settings";
  const auto first = data_of(editor.web.get(route));
  EXPECT_EQ(first["quiet_hours"], json({{"enabled", false}, {"start", "22:00"}, {"end", "07:00"}}));
  EXPECT_EQ(first["digests"]["content"], "off");
  const auto changed = data_of(editor.web.put(
    route, {{"quiet_hours", {{"enabled", true}, {"end", "06:30"}}}, {"digests", {{"team", "daily"}}}, {"digest_hour", 18}}));
  EXPECT_EQ(changed["quiet_hours"], json({{"enabled", true}, {"start", "22:00"}, {"end", "06:30"}}));
  EXPECT_EQ(changed["digests"]["team"], "daily");
  EXPECT_EQ(changed["digests"]["content"], "off");
  EXPECT_EQ(changed["digest_hour"], 18);
  EXPECT_EQ(data_of(editor.web.get(route)), changed);
  EXPECT_EQ(data_of(colleague.web.get(route))["digests"]["team"], "off");
  EXPECT_TRUE(refuses(editor.web.put(route, {{"quiet_hours", {{"start", "06:30"}}}}), "quiet_hours.end"));
  EXPECT_TRUE(refuses(editor.web.put(route, {{"digests", {{"sports", "daily"}}}, {"digest_hour", 24}}),
                      {"digests.sports", "digest_hour"}));
  EXPECT_EQ(data_of(editor.web.get(route)), changed);
  EXPECT_TRUE(is_problem(node().web().get(route), 401));
}

TEST_F(NotificationDeliveryTest, ADigestThatIsDueIsMailedAsOne) {
  data_of(editor.web.put(std::string{base_route} + "/settings", {{"digests", {{"team", "hourly"}}}}));
  auto body = request_for(editor);
  body["type"] = "member_added";
  const auto first = told(body);
  const auto second = told(body);
  EXPECT_EQ(delivery(editor, first, "email").value("state", ""), "deferred");
  EXPECT_TRUE(is_api_time(delivery(editor, first, "email")["deferred_until"]));
  // As if the hour had passed.
  db().exec("UPDATE carillon.notification_deliveries SET deferred_until = now() WHERE state = 'deferred' AND tenant_id = "
            + sql_literal(tenant));
  db().exec("UPDATE carillon.jobs SET run_at = now() WHERE kind = 'send_notification_digest' AND tenant_id = " + sql_literal(tenant));
  EXPECT_TRUE(eventually([&] {
    return delivery(editor, first, "email").value("state", "") == "sent"
           && delivery(editor, second, "email").value("state", "") == "sent";
  }));
  const auto digest = db().exec("SELECT id FROM carillon.notification_digests WHERE tenant_id = " + sql_literal(tenant));
  const auto mail = mail_about(digest);
  EXPECT_NE(mail.find("Subject: 2 new notifications: team"), std::string::npos) << mail.substr(0, 1000);
  EXPECT_NE(mail.find("<https://carillon.example/unsubscribe/"), std::string::npos);
}

TEST_F(NotificationDeliveryTest, TheLinkInAMailAsksFirstAndOneClickEndsTheKind) {
  const auto mail = mail_about(told(request_for(editor)));
  EXPECT_NE(mail.find("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), std::string::npos);
  const std::string before = "https://carillon.example";
  const auto at = mail.find("<" + before + "/unsubscribe/");
  ASSERT_NE(at, std::string::npos) << mail.substr(0, 1500);
  const auto path = mail.substr(at + 1 + before.size(), mail.find('>', at) - at - 1 - before.size());
  const auto nobody = node().web();

  // A scanner that opens links changes nothing.
  const auto page = nobody.get(path);
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("<form method=\"post\">"), std::string::npos);
  EXPECT_EQ(header_of(page, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(header_of(page, "Content-Security-Policy").find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(count("notification_preferences WHERE NOT email_enabled AND tenant_id = " + sql_literal(tenant)), 0);

  const auto forged = path.substr(0, path.size() - 2) + (path.ends_with("AA") ? "BB" : "AA");
  EXPECT_EQ(nobody.get(forged).status, 404);
  EXPECT_EQ(nobody.send("POST", forged, "List-Unsubscribe=One-Click").status, 404);
  EXPECT_EQ(count("notification_preferences WHERE NOT email_enabled AND tenant_id = " + sql_literal(tenant)), 0);

  const std::vector<std::string> form{"Content-Type: application/x-www-form-urlencoded"};
  EXPECT_EQ(nobody.send("POST", path, "List-Unsubscribe=One-Click", form).status, 200);
  EXPECT_EQ(nobody.send("POST", path, "List-Unsubscribe=One-Click", form).status, 200) << "twice is harmless";
  const auto next = told(request_for(editor));
  EXPECT_EQ(delivery(editor, next, "email").value("reason", ""), "off by preference");
  EXPECT_EQ(delivery(editor, next, "in_app").value("state", ""), "sent");
  EXPECT_EQ(count("notification_preferences WHERE NOT email_enabled AND tenant_id = " + sql_literal(tenant)), 1);

  EXPECT_EQ(nobody.send("POST", path, "all=1", form).status, 200);
  EXPECT_EQ(count("notification_preferences WHERE NOT email_enabled AND user_id = " + sql_literal(editor.id)), 32);
}

TEST_F(NotificationDeliveryTest, OtherProgramsTellAListOnceForTheirKey) {
  auto body = request_for(editor);
  body.erase("user_id");
  body["user_ids"] = {to_string(editor.id), to_string(viewer.id)};
  body["data"] = {{"big", std::string(65'536, 'x')}};
  const auto first = data_of(tell(body, "order-17"), 201);
  EXPECT_EQ(first["recipients"], 2);
  EXPECT_EQ(first["repeated"], false);
  const auto again = data_of(tell(body, "order-17"), 201);
  EXPECT_EQ(again["notification_ids"], first["notification_ids"]);
  EXPECT_EQ(again["repeated"], true);
  EXPECT_EQ(count("notifications WHERE tenant_id = " + sql_literal(tenant)), 2);
  body["title"] = "Another";
  EXPECT_TRUE(refuses(tell(body, "order-17"), "idempotency_key"));
}

TEST_F(NotificationDeliveryTest, OtherProgramsTellATenant) {
  auto body = request_for(editor);
  body.erase("user_id");
  body["all_users"] = true;
  body["type"] = "system_announcement";
  const auto answer = data_of(tell(body), 201);
  EXPECT_TRUE(answer["broadcast_id"].is_string());
  const auto users = count("users WHERE status = 'active' AND tenant_id = " + sql_literal(tenant));
  EXPECT_EQ(answer["recipients"], users);
  EXPECT_TRUE(eventually([&] {
    return count("notification_broadcasts WHERE state = 'done' AND tenant_id = " + sql_literal(tenant)) == 1;
  }));
  EXPECT_EQ(count("notifications WHERE type = 'system_announcement' AND tenant_id = " + sql_literal(tenant)), users);
  EXPECT_EQ(count("notifications WHERE type = 'system_announcement' AND user_id = " + sql_literal(stranger.id)), 0);
}

TEST_F(NotificationDeliveryTest, WhatIsWrongIsRefusedAndTellsNobody) {
  auto body = request_for(stranger);
  EXPECT_TRUE(refuses(tell(body), "user_ids.0"));
  body = request_for(editor);
  body["al_users"] = true;
  EXPECT_TRUE(refuses(tell(body), "al_users"));
  body = request_for(editor);
  body["tenant_id"] = to_string(tenant_id::make());
  EXPECT_TRUE(is_problem(tell(body), 404));
  EXPECT_TRUE(refuses(tell(request_for(editor), std::string(256, 'k')), "Idempotency-Key"));
  EXPECT_TRUE(is_problem(node().internal().send("POST", "/internal/notifications", "{nonsense"), 422));
  EXPECT_EQ(node().web().send("POST", "/internal/notifications", request_for(editor).dump()).status, 404)
    << "not on the public address";
  EXPECT_EQ(count("notifications WHERE tenant_id = " + sql_literal(tenant)), 0);
}

} // namespace

} // namespace carillon
