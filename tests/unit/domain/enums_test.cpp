#include "domain/enums.hpp"

#include <set>

#include <gtest/gtest.h>

#include "domain/network.hpp"
#include "domain/notification_type.hpp"

namespace carillon {
namespace {

/// Wire texts are unique, read back, and nothing else is read.
template <class Enum>
void check_enum(std::size_t count) {
  std::set<std::string_view> texts;
  for (const auto value : values_of<Enum>()) {
    EXPECT_TRUE(texts.insert(to_string(value)).second) << to_string(value);
    EXPECT_EQ(parse<Enum>(to_string(value)), value);
    EXPECT_FALSE(label(value).empty()) << to_string(value);
  }
  EXPECT_EQ(texts.size(), count);
  EXPECT_FALSE(parse<Enum>(""));
  EXPECT_FALSE(parse<Enum>("no such value"));
}

TEST(Enums, EveryValueOfTheContractIsThere) {
  check_enum<post_status>(9);
  check_enum<target_status>(4);
  check_enum<post_type>(5);
  check_enum<media_type>(4);
  check_enum<media_processing_status>(4);
  check_enum<approval_decision>(2);
  check_enum<social_account_status>(4);
  check_enum<inbox_item_type>(5);
  check_enum<inbox_item_status>(4);
  check_enum<tenant_status>(4);
  check_enum<tenant_type>(6);
  check_enum<user_status>(4);
  check_enum<tenant_role>(3);
  check_enum<workspace_role>(4);
  check_enum<workspace_status>(3);
  check_enum<data_request_status>(5);
  check_enum<data_request_type>(4);
  check_enum<audit_action>(12);
  check_enum<auditable_type>(13);
  check_enum<device_type>(4);
  check_enum<integration_status>(3);
  check_enum<super_admin_role>(4);
  check_enum<super_admin_status>(3);
  check_enum<notification_channel>(4);
}

TEST(Enums, KeywordsOfTheLanguageDoNotShow) {
  EXPECT_EQ(to_string(data_request_type::export_), "export");
  EXPECT_EQ(to_string(audit_action::delete_), "delete");
  EXPECT_EQ(parse<audit_action>("delete"), audit_action::delete_);
  EXPECT_FALSE(parse<audit_action>("delete_"));
}

TEST(Enums, WorkspaceRolesCompareByTheirRights) {
  EXPECT_LT(workspace_role::viewer, workspace_role::editor);
  EXPECT_LT(workspace_role::editor, workspace_role::admin);
  EXPECT_LT(workspace_role::admin, workspace_role::owner);
}

TEST(Enums, LabelsAreThoseOfTheContract) {
  EXPECT_EQ(label(notification_channel::in_app), "In-App");
  EXPECT_EQ(label(inbox_item_type::dm), "Direct Message");
  EXPECT_EQ(label(post_type::standard), "Standard Post");
  EXPECT_EQ(label(media_type::gif), "GIF");
}

TEST(NotificationType, HasTheThirtyTwoOfTheSpecification) {
  std::set<std::string_view> texts;
  for (const auto type : values_of<notification_type>()) {
    texts.insert(to_string(type));
    EXPECT_EQ(parse<notification_type>(to_string(type)), type);
    EXPECT_FALSE(label(type).empty());
    EXPECT_FALSE(default_icon(type).empty());
    EXPECT_LE(to_string(type).size(), 50U);
    EXPECT_TRUE(parse<notification_category>(to_string(category(type))));
  }
  EXPECT_EQ(texts.size(), 32U);
  EXPECT_FALSE(parse<notification_type>("post_exploded"));
}

TEST(NotificationType, FiveAreUrgent) {
  std::set<std::string_view> urgent;
  for (const auto type : values_of<notification_type>())
    if (is_urgent(type))
      urgent.insert(to_string(type));
  EXPECT_EQ(urgent, (std::set<std::string_view>{"post_failed", "payment_failed", "trial_ended",
                                                "account_token_expired",
                                                "data_deletion_scheduled"}));
}

TEST(NotificationType, CategoriesGroupThem) {
  EXPECT_EQ(category(notification_type::post_failed), notification_category::content);
  EXPECT_EQ(category(notification_type::new_mention), notification_category::engagement);
  EXPECT_EQ(category(notification_type::role_changed), notification_category::team);
  EXPECT_EQ(category(notification_type::trial_ended), notification_category::billing);
  EXPECT_EQ(category(notification_type::account_token_expired), notification_category::social);
  EXPECT_EQ(category(notification_type::ticket_replied), notification_category::support);
  EXPECT_EQ(category(notification_type::data_export_ready), notification_category::data);
  EXPECT_EQ(category(notification_type::maintenance_scheduled), notification_category::system);
}

TEST(Network, TheOldClientSeesOnlyTheFiveOlderOnes) {
  std::size_t older = 0;
  for (const auto network : values_of<network>()) {
    const auto shown = compat(network);
    EXPECT_TRUE(shown != network::mastodon && shown != network::bluesky);
    if (shown == network)
      ++older;
    EXPECT_EQ(parse<carillon::network>(to_string(network)), network);
    EXPECT_EQ(color(network).size(), 7U);
  }
  EXPECT_EQ(older, 5U);
  EXPECT_EQ(compat(network::mastodon), network::twitter);
  EXPECT_EQ(compat(network::bluesky), network::twitter);
}

TEST(Network, LengthLimitsAreThoseOfTheContract) {
  EXPECT_EQ(max_text_length(network::mastodon), 500U);
  EXPECT_EQ(max_text_length(network::bluesky), 300U);
  EXPECT_EQ(max_text_length(network::twitter), 280U);
  EXPECT_EQ(label(network::mastodon), "Mastodon");
}

} // namespace
} // namespace carillon
