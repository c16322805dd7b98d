// What the settings and the internal route read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/handlers/internal/notifications.hpp"
#include "http/handlers/notifications/settings.hpp"

namespace carillon::http {

namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

template <class T>
std::vector<std::string> faults(const result<T>& r) {
  std::vector<std::string> out;
  if (!r)
    for (const auto& f : r.error().fields)
      out.push_back(f.field);
  return out;
}

// -- settings -------------------------------------------------------------------

TEST(SettingsInputTest, WhatIsAbsentIsKept) {
  const auto nothing = notifications::parse_settings(json::object());
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->quiet_enabled);
  EXPECT_FALSE(nothing->digest_hour);
  EXPECT_TRUE(nothing->digests.empty());
  const auto some = notifications::parse_settings(
    json::parse(R"({"quiet_hours":{"enabled":true,"end":"06:30"},"digests":{"team":"hourly"},"digest_hour":0})"));
  ASSERT_TRUE(some);
  EXPECT_EQ(some->quiet_enabled, true);
  EXPECT_FALSE(some->quiet_start);
  EXPECT_EQ(some->quiet_end, time_of_day{390});
  EXPECT_EQ(some->digests.at(notification_category::team), digest_period::hourly);
  EXPECT_EQ(some->digest_hour, 0);
}

TEST(SettingsInputTest, EveryBadFieldIsNamed) {
  const auto bad = notifications::parse_settings(json::parse(
    R"({"quiet_hours":{"enabled":"maybe","start":"25:00","end":7,"zone":"UTC"},
        "digests":{"team":"weekly","sports":"daily","data":null},"digest_hour":24})"));
  EXPECT_THAT(faults(bad), UnorderedElementsAre("quiet_hours.enabled", "quiet_hours.start", "quiet_hours.end",
                                                "quiet_hours.zone", "digests.team", "digests.sports", "digests.data",
                                                "digest_hour"));
  for (const auto* text : {R"({"quiet_hours":[]})", R"({"quiet_hours":null})"})
    EXPECT_THAT(faults(notifications::parse_settings(json::parse(text))), ElementsAre("quiet_hours")) << text;
  EXPECT_THAT(faults(notifications::parse_settings(json::parse(R"({"digests":"daily"})"))), ElementsAre("digests"));
  for (const auto* hour : {"-1", "8.5", "\"8\"", "null", "99999999999999999999"})
    EXPECT_THAT(faults(notifications::parse_settings(json::parse(R"({"digest_hour":)" + std::string{hour} + "}"))),
                ElementsAre("digest_hour")) << hour;
}

// -- /internal/notifications ------------------------------------------------------

json notification_request() {
  return {{"tenant_id", to_string(tenant_id::make())},
          {"user_id", to_string(user_id::make())},
          {"type", "payment_failed"},
          {"title", "Payment failed"},
          {"message", "Your card was refused."}};
}

std::vector<std::string> faults_with(const std::string& field, const json& value, const std::string& key = "") {
  auto body = notification_request();
  body[field] = value;
  return faults(internal_area::parse_notification_request(body, key));
}

TEST(NotificationRequestTest, ReadsWhomAndWhat) {
  auto body = notification_request();
  body["data"] = {{"invoice", 7}};
  body["action_url"] = "/app/billing";
  body["workspace_id"] = to_string(workspace_id::make());
  const auto in = internal_area::parse_notification_request(body, "key-1");
  ASSERT_TRUE(in) << in.error().detail;
  EXPECT_EQ(body["tenant_id"], to_string(in->message.tenant));
  ASSERT_THAT(in->users, SizeIs(1));
  EXPECT_EQ(in->message.type, notification_type::payment_failed);
  EXPECT_EQ(in->message.data, R"({"invoice":7})");
  EXPECT_EQ(in->idempotency_key, "key-1");
  EXPECT_EQ(in->fingerprint.size(), 64u);
  auto other = body;
  other["title"] = "x";
  EXPECT_NE(internal_area::parse_notification_request(other, "key-1")->fingerprint, in->fingerprint);
}

TEST(NotificationRequestTest, TellsEverybodyOnlyWhenAskedTo) {
  auto body = notification_request();
  body.erase("user_id");
  EXPECT_THAT(faults(internal_area::parse_notification_request(body, "")), ElementsAre("user_id"));
  body["all_users"] = false;
  EXPECT_THAT(faults(internal_area::parse_notification_request(body, "")), ElementsAre("user_id"));
  body["all_users"] = true;
  const auto all = internal_area::parse_notification_request(body, "");
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->users.empty());
  body["user_ids"] = json::array({to_string(user_id::make())});
  EXPECT_THAT(faults(internal_area::parse_notification_request(body, "")), ElementsAre("user_id"));
  body.erase("all_users");
  EXPECT_TRUE(internal_area::parse_notification_request(body, ""));
  body["user_ids"] = json::array();
  EXPECT_THAT(faults(internal_area::parse_notification_request(body, "")), ::testing::Contains("user_ids"));
}

TEST(NotificationRequestTest, IsStrict) {
  EXPECT_THAT(faults_with("tenant_id", "x"), ElementsAre("tenant_id"));
  EXPECT_THAT(faults_with("tenant_id", nullptr), ElementsAre("tenant_id"));
  EXPECT_THAT(faults_with("user_id", 7), ElementsAre("user_id"));
  EXPECT_THAT(faults_with("type", "no_such_type"), ElementsAre("type"));
  EXPECT_THAT(faults_with("title", std::string(201, 'x')), ElementsAre("title"));
  EXPECT_THAT(faults_with("title", ""), ElementsAre("title"));
  EXPECT_THAT(faults_with("message", std::string(10'001, 'x')), ElementsAre("message"));
  EXPECT_THAT(faults_with("data", json::array({1})), ElementsAre("data"));
  EXPECT_THAT(faults_with("data", {{"x", std::string(100'001, 'x')}}), ElementsAre("data"));
  EXPECT_TRUE(faults_with("data", {{"x", std::string(65'536, 'x')}}).empty());
  EXPECT_THAT(faults_with("action_url", "https://evil.example"), ElementsAre("action_url"));
  EXPECT_THAT(faults_with("action_url", "//evil.example"), ElementsAre("action_url"));
  EXPECT_THAT(faults_with("workspace_id", "x"), ElementsAre("workspace_id"));
  EXPECT_THAT(faults_with("all_users", "yes"), ::testing::Contains("all_users"));
  EXPECT_THAT(faults_with("al_users", true), ElementsAre("al_users"));
  EXPECT_THAT(faults_with("title", "t", "two words"), ElementsAre("Idempotency-Key"));
  EXPECT_THAT(faults_with("title", "t", std::string(256, 'k')), ElementsAre("Idempotency-Key"));
  auto body = notification_request();
  body.erase("user_id");
  for (int i = 0; i < 1'001; ++i)
    body["user_ids"].push_back(to_string(user_id::make()));
  EXPECT_THAT(faults(internal_area::parse_notification_request(body, "")), ::testing::Contains("user_ids"));
}

} // namespace

} // namespace carillon::http
