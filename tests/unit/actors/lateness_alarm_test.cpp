#include "actors/jobs/lateness_alarm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

const instant noon{std::chrono::hours{12}};

workspace_lateness lateness_of(const std::string& name, std::int64_t late, std::chrono::milliseconds max) {
  workspace_lateness out;
  out.workspace = *workspace_id::parse("01890000-0000-7000-8000-000000000001");
  out.workspace_name = name;
  out.platform = "mastodon";
  out.posts = 10;
  out.late = late;
  out.max = max;
  return out;
}

TEST(LatenessAlarmTest, TheMailSaysHowManyOfHowManyAndWhoseAndWhatWasPromised) {
  lateness_report report;
  report.posts = 5'000;
  report.late = 37;
  report.waiting = 12;
  report.worst = {lateness_of("Acme", 9, 90'500ms), lateness_of("Prompt", 0, 1s)};
  const auto mail = lateness_mail(report, {60s, 0.001}, noon);
  EXPECT_EQ(mail.title, "Posts leave late: 37 of 5000 posts within the hour");
  EXPECT_THAT(mail.message, HasSubstr("more than 60 s after their instant; promised are at most 0.1 %."));
  EXPECT_THAT(mail.message, HasSubstr("12 of them have not gone out yet."));
  EXPECT_THAT(mail.message, HasSubstr("Acme (01890000-0000-7000-8000-000000000001) on mastodon 9 of 10, at most 90.5 s"));
  EXPECT_THAT(mail.message, Not(HasSubstr("Prompt")));
  EXPECT_TRUE(mail.urgent);
}

TEST(LatenessAlarmTest, ARepeatWithinTheHourIsTheSameMailAndTheNextHoursIsAnother) {
  const auto id = [](instant when) { return lateness_mail({}, {}, when).notification_id; };
  EXPECT_EQ(id(noon), id(noon + 59min));
  EXPECT_NE(id(noon), id(noon + 60min));
}

} // namespace

} // namespace carillon
