#include "domain/delivery_decision.hpp"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/notification_email.hpp"
#include "domain/notification_settings.hpp"

namespace carillon {

namespace {

using enum notification_channel;
using state = delivery_state;

const instant seven = instant{} + std::chrono::hours{7};
const instant eight = instant{} + std::chrono::hours{8};

delivery_facts everything_on() {
  delivery_facts facts;
  facts.preferences = {true, true, true, true};
  return facts;
}

delivery_facts in_quiet_hours() {
  auto facts = everything_on();
  facts.quiet_until = seven;
  facts.quiet_reason = "quiet hours until 07:00";
  return facts;
}

struct row {
  std::string name;
  delivery_facts facts;
  notification_channel channel;
  delivery_decision expected;
};

delivery_facts with(delivery_facts facts, const std::function<void(delivery_facts&)>& change) {
  change(facts);
  return facts;
}

class DeliveryDecisionTable : public ::testing::TestWithParam<row> {};

TEST_P(DeliveryDecisionTable, SaysWhatIsSentAndWhyNot) {
  const auto& r = GetParam();
  EXPECT_EQ(decide_delivery(r.channel, r.facts), r.expected);
}

const delivery_decision now{};
const delivery_decision shown{state::sent, {}, {}, false};
delivery_decision skipped(const std::string& why) {
  return {state::skipped, why, {}, false};
}

INSTANTIATE_TEST_SUITE_P(
  Rules, DeliveryDecisionTable,
  ::testing::Values(
    row{"InAppIsShown", everything_on(), in_app, shown},
    row{"InAppOff", with(everything_on(), [](auto& f) { f.preferences.in_app = false; }), in_app,
        skipped("off by preference")},
    row{"InAppOverridden", with(everything_on(), [](auto& f) { f.preferences.in_app = false, f.overrides = true; }),
        in_app, shown},
    row{"InAppInQuietHours", in_quiet_hours(), in_app, shown},
    row{"EmailOn", everything_on(), email, now},
    row{"EmailOff", with(everything_on(), [](auto& f) { f.preferences.email = false; }), email,
        skipped("off by preference")},
    row{"UrgentDoesNotOverrideAnOptOut",
        with(everything_on(), [](auto& f) { f.preferences.email = false, f.urgent = true; }), email,
        skipped("off by preference")},
    row{"EmailOverridden",
        with(everything_on(), [](auto& f) { f.preferences.email = false, f.overrides = true; }), email, now},
    row{"EmailSuppressed", with(everything_on(), [](auto& f) { f.email_obstacle = "address suppressed after bounce"; }),
        email, skipped("address suppressed after bounce")},
    row{"NoOverrideReachesADeadAddress",
        with(everything_on(), [](auto& f) { f.email_obstacle = "address suppressed after bounce", f.overrides = true; }),
        email, skipped("address suppressed after bounce")},
    row{"EmailInQuietHours", in_quiet_hours(), email, {state::deferred, "quiet hours until 07:00", seven, false}},
    row{"UrgentEmailInQuietHours", with(in_quiet_hours(), [](auto& f) { f.urgent = true; }), email, now},
    row{"EmailOffInQuietHours", with(in_quiet_hours(), [](auto& f) { f.preferences.email = false; }), email,
        skipped("off by preference")},
    row{"DigestComesBeforeQuietHours",
        with(in_quiet_hours(), [](auto& f) { f.digest_at = eight, f.digest_reason = "daily digest at 08:00"; }), email,
        {state::deferred, "daily digest at 08:00", eight, true}},
    row{"UrgentIsInNoDigest",
        with(everything_on(), [](auto& f) { f.digest_at = eight, f.urgent = true; }), email, now},
    row{"PushKnowsNoDigest",
        with(everything_on(), [](auto& f) { f.digest_at = eight, f.digest_reason = "daily digest at 08:00"; }), push,
        now},
    row{"PushInQuietHours", in_quiet_hours(), push, {state::deferred, "quiet hours until 07:00", seven, false}},
    row{"PushOff", with(everything_on(), [](auto& f) { f.preferences.push = false, f.overrides = true; }), push,
        skipped("off by preference")},
    row{"PushWithoutABrowser", with(everything_on(), [](auto& f) { f.push_obstacle = "no browser is subscribed"; }),
        push, skipped("no browser is subscribed")},
    row{"SmsWithoutANumber", with(everything_on(), [](auto& f) { f.sms_obstacle = "no phone number"; }), sms,
        skipped("no phone number")},
    row{"SmsInQuietHours", in_quiet_hours(), sms, {state::deferred, "quiet hours until 07:00", seven, false}},
    row{"SmsOn", everything_on(), sms, now},
    row{"InAppOnlyShows", with(everything_on(), [](auto& f) { f.in_app_only = true; }), in_app, shown},
    row{"InAppOnlyMailsNot", with(everything_on(), [](auto& f) { f.in_app_only = true, f.overrides = true; }), email,
        skipped("in-app notice")},
    row{"InAppOnlyPushesNot", with(everything_on(), [](auto& f) { f.in_app_only = true; }), push,
        skipped("in-app notice")},
    row{"InAppOnlyTextsNot", with(everything_on(), [](auto& f) { f.in_app_only = true; }), sms,
        skipped("in-app notice")}),
  [](const auto& info) { return info.param.name; });

TEST(DeliveryDecision, OnlyWhatCannotBeTakenBackOverridesAnOptOut) {
  std::vector<notification_type> overriding;
  for (const auto type : values_of<notification_type>())
    if (overrides_opt_out(type))
      overriding.push_back(type);
  EXPECT_THAT(overriding, ::testing::ElementsAre(notification_type::data_deletion_scheduled));
}

TEST(DeliveryDecision, StatesAreReadAsTheyAreWritten) {
  for (const auto s : {state::queued, state::deferred, state::sent, state::skipped, state::failed})
    EXPECT_EQ(parse<delivery_state>(to_string(s)), s);
  EXPECT_FALSE(parse<delivery_state>("lost"));
}

TEST(DeliveryDecision, AMailThatWasToGoByItselfWaitsForNoDigest) {
  notification_email mail;
  mail.recipient_address = "olga@example.com";
  mail.facts.digest_at = eight;
  EXPECT_EQ(decide_email(mail).step, email_step::send);
  mail.facts.quiet_until = seven;
  mail.facts.quiet_reason = "quiet hours until 07:00";
  const auto decision = decide_email(mail);
  EXPECT_EQ(decision.step, email_step::defer);
  EXPECT_EQ(decision.until, seven);
  EXPECT_EQ(decision.reason, "quiet hours until 07:00");
}

TEST(NotificationSettings, TimesOfDayAreTwoAndTwoDigits) {
  EXPECT_EQ(parse_time_of_day("07:05"), time_of_day{425});
  EXPECT_EQ(parse_time_of_day("23:59"), time_of_day{1439});
  EXPECT_EQ(format_time_of_day(time_of_day{425}), "07:05");
  for (const auto* bad : {"", "7:05", "24:00", "12:60", "12-30", "ab:cd", "+1:00", "12:3 ", "12:300"})
    EXPECT_FALSE(parse_time_of_day(bad)) << bad;
}

TEST(NotificationSettings, DigestPeriodsAreReadAsTheyAreWritten) {
  for (const auto p : {digest_period::off, digest_period::hourly, digest_period::daily})
    EXPECT_EQ(parse<digest_period>(to_string(p)), p);
  EXPECT_FALSE(parse<digest_period>("weekly"));
}

} // namespace

} // namespace carillon
