#include "domain/cron.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace carillon {
namespace {

cron_expression cron(std::string_view text) {
  auto out = parse_cron(text);
  if (!out)
    throw std::runtime_error{std::string{text} + ": " + out.error().detail};
  return *out;
}

local_minute at(int year, unsigned month, unsigned day, int hour = 0,
                int minute = 0) {
  return std::chrono::local_days{std::chrono::year{year}
                                 / static_cast<int>(month)
                                 / static_cast<int>(day)}
         + std::chrono::hours{hour} + std::chrono::minutes{minute};
}

std::string show(local_minute t) {
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date{day};
  const auto minute = (t - day).count();
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d",
                static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()),
                static_cast<int>(minute / 60), static_cast<int>(minute % 60));
  return text;
}

/// The first `count` runs from `from` on.
std::vector<std::string> runs(std::string_view text, local_minute from,
                              int count) {
  const auto expression = cron(text);
  std::vector<std::string> out;
  for (auto t = expression.next(from, at(9999, 12, 31)); t && count-- > 0;
       t = expression.next(*t + std::chrono::minutes{1}, at(9999, 12, 31)))
    out.push_back(show(*t));
  return out;
}

using texts = std::vector<std::string>;

struct spelling {
  std::string_view text;
  std::string_view canonical;
};

void PrintTo(const spelling& s, std::ostream* out) {
  *out << s.text;
}

class ReadCron : public testing::TestWithParam<spelling> {};

TEST_P(ReadCron, IsShownInItsShortestFormAndReadBackAlike) {
  const auto& [text, canonical] = GetParam();
  const auto got = parse_cron(text);
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(to_string(*got), canonical);
  EXPECT_EQ(cron(canonical), *got);
}

INSTANTIATE_TEST_SUITE_P(
  Values, ReadCron,
  testing::Values(
    spelling{"* * * * *", "* * * * *"}, spelling{"0 0 1 1 0", "0 0 1 1 0"},
    spelling{"59 23 31 12 6", "59 23 31 12 6"},
    spelling{"05 07 09 02 01", "5 7 9 2 1"},
    spelling{"  0\t2  * *\t* ", "0 2 * * *"},
    spelling{"0 0 ? * ?", "0 0 * * *"}, spelling{"0 0 ? * MON", "0 0 * * 1"},
    spelling{"0 0 1 * ?", "0 0 1 * *"}, spelling{"0 0 * * 7", "0 0 * * 0"},
    spelling{"0 0 * JAN SUN", "0 0 * 1 0"},
    spelling{"0 0 * dec Sat", "0 0 * 12 6"},
    spelling{"0 0 * * 0,7", "0 0 * * 0"}));

INSTANTIATE_TEST_SUITE_P(
  Ranges, ReadCron,
  testing::Values(spelling{"10-12 * * * *", "10-12 * * * *"},
                  spelling{"10-11 * * * *", "10,11 * * * *"},
                  spelling{"7-7 * * * *", "7 * * * *"},
                  spelling{"0-59 0-23 1-31 1-12 0-6", "* * * * *"},
                  spelling{"0 0 * * 0-7", "0 0 * * *"},
                  spelling{"0 0 * * 1-7", "0 0 * * *"},
                  spelling{"0 0 * * MON-FRI", "0 0 * * 1-5"},
                  spelling{"0 0 * * FRI-SUN", "0 0 * * 0,5,6"},
                  spelling{"0 0 * * 5-7", "0 0 * * 0,5,6"},
                  spelling{"0 0 * * 5-0", "0 0 * * 0,5,6"},
                  spelling{"0 0 * * SUN-TUE", "0 0 * * 0-2"},
                  spelling{"0 0 * * SUN-SUN", "0 0 * * 0"},
                  spelling{"0 0 * mar-May *", "0 0 * 3-5 *"}));

INSTANTIATE_TEST_SUITE_P(
  ListsAndSteps, ReadCron,
  testing::Values(spelling{"5,1,3,1 * * * *", "1,3,5 * * * *"},
                  spelling{"*,7 * * * *", "* * * * *"},
                  spelling{"1-5,3-9,40 * * * *", "1-9,40 * * * *"},
                  spelling{"*/15 * * * *", "*/15 * * * *"},
                  spelling{"0,15,30,45 * * * *", "*/15 * * * *"},
                  spelling{"0/15 * * * *", "*/15 * * * *"},
                  spelling{"1-30/5 * * * *", "1,6,11,16,21,26 * * * *"},
                  spelling{"5/10 * * * *", "5,15,25,35,45,55 * * * *"},
                  spelling{"59/5 * * * *", "59 * * * *"},
                  spelling{"*/1 */1 */1 */1 */1", "* * * * *"},
                  spelling{"*/60 */24 */31 */12 */7", "0 0 1 1 0"},
                  spelling{"*/30 * * * *", "*/30 * * * *"},
                  spelling{"*/7 * * * *", "*/7 * * * *"},
                  spelling{"0 */6 * * *", "0 */6 * * *"},
                  spelling{"0 0 */10 * *", "0 0 */10 * *"},
                  spelling{"0 0 2/10 * *", "0 0 2,12,22 * *"},
                  spelling{"0 0 * */3 *", "0 0 * */3 *"},
                  spelling{"0 0 * FEB/4 *", "0 0 * 2,6,10 *"},
                  spelling{"0 0 * * */2", "0 0 * * */2"},
                  spelling{"0 0 * * 1/2", "0 0 * * 0,1,3,5"},
                  spelling{"0 0 * * MON-FRI/2", "0 0 * * 1,3,5"},
                  spelling{"0 0 * * */3", "0 0 * * */3"},
                  spelling{"0 22-23,0-5 * * *", "0 0-5,22,23 * * *"}));

INSTANTIATE_TEST_SUITE_P(
  LastAndNth, ReadCron,
  testing::Values(spelling{"0 0 L * *", "0 0 L * *"},
                  spelling{"0 0 l * *", "0 0 L * *"},
                  spelling{"0 0 L-0 * *", "0 0 L * *"},
                  spelling{"0 0 L-3,15 * *", "0 0 15,L-3 * *"},
                  spelling{"0 0 *,L * *", "0 0 * * *"},
                  spelling{"0 0 * * MON#2", "0 0 * * 1#2"},
                  spelling{"0 0 * * 7#1", "0 0 * * 0#1"},
                  spelling{"0 0 * * sun#1,0#3", "0 0 * * 0#1,0#3"},
                  spelling{"0 0 * * 5L", "0 0 * * 5L"},
                  spelling{"0 0 * * FRIL", "0 0 * * 5L"},
                  spelling{"0 0 * * L5", "0 0 * * 5L"},
                  spelling{"0 0 * * 7l", "0 0 * * 0L"},
                  spelling{"0 0 * * MON,FRI#1,2L", "0 0 * * 1,2L,5#1"},
                  spelling{"0 0 * * MON,MON#2", "0 0 * * 1"},
                  spelling{"0 0 * JUL *", "0 0 * 7 *"}));

INSTANTIATE_TEST_SUITE_P(Names, ReadCron,
                         testing::Values(spelling{"@yearly", "0 0 1 1 *"},
                                         spelling{"@annually", "0 0 1 1 *"},
                                         spelling{"@monthly", "0 0 1 * *"},
                                         spelling{"@weekly", "0 0 * * 0"},
                                         spelling{"@daily", "0 0 * * *"},
                                         spelling{"@midnight", "0 0 * * *"},
                                         spelling{"@hourly", "0 * * * *"},
                                         spelling{" @Daily ", "0 0 * * *"}));

struct refusal {
  std::string text;
  std::string_view field;
  std::string_view reason; ///< A part of it.
};

/// Becomes a test's name, so without what a test runner may stumble over.
void PrintTo(const refusal& r, std::ostream* out) {
  for (const auto c : r.text.substr(0, 40))
    *out << (c >= ' ' && c <= '~' && c != ';' ? c : '_');
}

class RefusedCron : public testing::TestWithParam<refusal> {};

TEST_P(RefusedCron, NamesTheFieldAndTheReason) {
  const auto& [text, field, reason] = GetParam();
  const auto got = parse_cron(text);
  ASSERT_FALSE(got.has_value()) << to_string(*got);
  EXPECT_EQ(got.error().code, errc::invalid_argument);
  ASSERT_EQ(got.error().fields.size(), 1u);
  EXPECT_EQ(got.error().fields[0].field, field);
  EXPECT_NE(got.error().fields[0].reason.find(reason), std::string::npos)
    << got.error().fields[0].reason;
  EXPECT_NE(got.error().detail.find(field), std::string::npos)
    << got.error().detail;
}

INSTANTIATE_TEST_SUITE_P(
  Shapes, RefusedCron,
  testing::Values(
    refusal{"", "expression", "has 0 fields"},
    refusal{"   ", "expression", "has 0 fields"},
    refusal{"*", "expression", "has 1 fields"},
    refusal{"* * * *", "expression", "has 4 fields"},
    refusal{"0 * * * * *", "expression", "has 6 fields"},
    refusal{"@reboot", "expression", "none of @yearly"},
    refusal{"@", "expression", "none of"},
    refusal{"@every 5m", "expression", "has 2 fields"},
    refusal{"@daily @daily", "expression", "has 2 fields"},
    refusal{"@daily * * * *", "minute", "'@DAILY'"},
    refusal{"0 0 * * *\n", "expression", "a character"},
    refusal{"0 0 * * \xc3\xa4", "expression", "a character"},
    refusal{std::string("0 0 * * *\0", 10), "expression", "a character"},
    refusal{"0 0 * * MON;TUE", "expression", "a character"},
    refusal{"0 0 * * 1.5", "expression", "a character"},
    refusal{std::string(300, '*'), "expression", "longer than 200"}));

INSTANTIATE_TEST_SUITE_P(
  Values, RefusedCron,
  testing::Values(refusal{"60 * * * *", "minute", "'60'; values are 0 to 59"},
                  refusal{"-1 * * * *", "minute", "''"},
                  refusal{"100 * * * *", "minute", "'100'"},
                  refusal{"99999999999999999999 * * * *", "minute", "0 to 59"},
                  refusal{"007 * * * *", "minute", "'007'"},
                  refusal{"x * * * *", "minute", "'X'"},
                  refusal{"? * * * *", "minute", "'?'"},
                  refusal{"* ? * * *", "hour", "'?'"},
                  refusal{"* 24 * * *", "hour", "0 to 23"},
                  refusal{"* MON * * *", "hour", "'MON'"},
                  refusal{"* * 0 * *", "day_of_month", "1 to 31"},
                  refusal{"* * 32 * *", "day_of_month", "1 to 31"},
                  refusal{"* * 15W * *", "day_of_month", "'15W'"},
                  refusal{"* * ?,1 * *", "day_of_month", "'?'"},
                  refusal{"* * * 0 *", "month", "1 to 12 and JAN to DEC"},
                  refusal{"* * * 13 *", "month", "'13'"},
                  refusal{"* * * january *", "month", "'JANUARY'"},
                  refusal{"* * * MON *", "month", "'MON'"},
                  refusal{"* * * ? *", "month", "'?'"},
                  refusal{"* * * L *", "month", "'L'"},
                  refusal{"* * * * 8", "day_of_week", "0 to 7 and SUN to SAT"},
                  refusal{"* * * * monday", "day_of_week", "'MONDAY'"},
                  refusal{"* * * * ?/2", "day_of_week", "'?'"},
                  refusal{"*5 * * * *", "minute", "'*5'"},
                  refusal{"** * * * *", "minute", "'**'"}));

INSTANTIATE_TEST_SUITE_P(
  ListsRangesSteps, RefusedCron,
  testing::Values(
    refusal{"1,,2 * * * *", "minute", "an empty element"},
    refusal{", * * * *", "minute", "empty"},
    refusal{"1, 2 * * *", "minute", "empty"},
    refusal{"5-1 * * * *", "minute", "5-1, which runs backwards"},
    refusal{"0 22-2 * * *", "hour", "22-2, which runs backwards"},
    refusal{"0 0 * NOV-FEB *", "month", "NOV-FEB, which runs backwards"},
    refusal{"0 0 * * SAT-MON", "day_of_week", "SAT-MON, which runs backwards"},
    refusal{"1- * * * *", "minute", "''"},
    refusal{"1-2-3 * * * *", "minute", "'2-3'"},
    refusal{"1-60 * * * *", "minute", "'60'"},
    refusal{"*-5 * * * *", "minute", "'*'"},
    refusal{"*/0 * * * *", "minute", "the step '0'"},
    refusal{"*/ * * * *", "minute", "the step ''"},
    refusal{"*/90 * * * *", "minute", "steps are 1 to 60"},
    refusal{"*/x * * * *", "minute", "the step 'X'"},
    refusal{"*/5/5 * * * *", "minute", "the step '5/5'"},
    refusal{"/5 * * * *", "minute", "''"},
    refusal{"0 */25 * * *", "hour", "steps are 1 to 24"},
    refusal{"0 0 * * */8", "day_of_week", "steps are 1 to 7"}));

INSTANTIATE_TEST_SUITE_P(
  LastAndNth, RefusedCron,
  testing::Values(refusal{"0 0 L-31 * *", "day_of_month", "at most L-30"},
                  refusal{"0 0 L- * *", "day_of_month", "L-n"},
                  refusal{"0 0 LW * *", "day_of_month", "LW"},
                  refusal{"0 0 5L * *", "day_of_month", "'5L'"},
                  refusal{"0 0 1-L * *", "day_of_month", "'L'"},
                  refusal{"0 0 * * L", "day_of_week", "L without a day"},
                  refusal{"0 0 * * 8L", "day_of_week", "'8'"},
                  refusal{"0 0 * * L-1", "day_of_week", "'-1'"},
                  refusal{"0 0 * * MON#0", "day_of_week", "MON#0"},
                  refusal{"0 0 * * MON#6", "day_of_week", "1 to 5"},
                  refusal{"0 0 * * MON#", "day_of_week", "MON#"},
                  refusal{"0 0 * * #1", "day_of_week", "''"},
                  refusal{"0 0 * * 1#2#3", "day_of_week", "2#3"},
                  refusal{"0 0 * * MON-FRI#2", "day_of_week", "'MON-FRI'"},
                  refusal{"0 0 #1 * *", "day_of_month", "'#1'"}));

INSTANTIATE_TEST_SUITE_P(
  ThatCouldNeverRun, RefusedCron,
  testing::Values(refusal{"0 0 30 2 *", "day_of_month", "never run"},
                  refusal{"0 0 30-31 FEB *", "day_of_month", "never run"},
                  refusal{"0 0 31 4,6,9,11 *", "day_of_month", "never run"},
                  refusal{"0 0 L-29 2 *", "day_of_month", "never run"},
                  refusal{"0 0 L-30 2,4,6,9,11 ?", "day_of_month",
                          "never run"}));

TEST(Cron, WhatRunsAtLeastInSomeYearsIsAccepted) {
  EXPECT_EQ(
    runs("0 0 29 2 *", at(2026, 1, 1), 3),
    (texts{"2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"}));
  // 2100 is no leap year.
  EXPECT_EQ(runs("0 0 29 2 *", at(2096, 3, 1), 1), (texts{"2104-02-29 00:00"}));
  EXPECT_EQ(runs("0 0 L-28 2 *", at(2026, 1, 1), 1),
            (texts{"2028-02-01 00:00"}));
  EXPECT_EQ(runs("0 0 * 2 SUN#5", at(2026, 1, 1), 2),
            (texts{"2032-02-29 00:00", "2060-02-29 00:00"}));
  EXPECT_EQ(runs("0 0 * 2 MON#5", at(2073, 1, 1), 2),
            (texts{"2112-02-29 00:00", "2140-02-29 00:00"}));
  EXPECT_EQ(runs("0 0 31 2,3 *", at(2026, 1, 1), 1),
            (texts{"2026-03-31 00:00"}));
  // The day of the week is enough where both are given.
  EXPECT_EQ(runs("0 0 30 2 MON", at(2026, 1, 1), 1),
            (texts{"2026-02-02 00:00"}));
}

TEST(Cron, EitherDayFieldIsEnoughWhenBothAreRestricted) {
  // Friday the 13th or any Friday, any 13th: January 2026 starts on a Thursday.
  EXPECT_EQ(runs("0 0 13 * FRI", at(2026, 1, 1), 4),
            (texts{"2026-01-02 00:00", "2026-01-09 00:00", "2026-01-13 00:00",
                   "2026-01-16 00:00"}));
  EXPECT_EQ(
    runs("0 0 */15 * MON", at(2026, 1, 1), 3),
    (texts{"2026-01-01 00:00", "2026-01-05 00:00", "2026-01-12 00:00"}));
  EXPECT_EQ(
    runs("0 0 20 * MON#2", at(2026, 1, 1), 3),
    (texts{"2026-01-12 00:00", "2026-01-20 00:00", "2026-02-09 00:00"}));
  EXPECT_EQ(
    runs("0 0 L * 5L", at(2026, 1, 1), 3),
    (texts{"2026-01-30 00:00", "2026-01-31 00:00", "2026-02-27 00:00"}));
}

TEST(Cron, ADayFieldThatAllowsEverythingDoesNotRestrict) {
  for (const auto* any : {"*", "?", "*/1", "1-31", "1-15,16/1"}) {
    const auto text = "0 0 " + std::string{any} + " * FRI";
    EXPECT_EQ(runs(text, at(2026, 1, 1), 2),
              (texts{"2026-01-02 00:00", "2026-01-09 00:00"}))
      << text;
  }
  EXPECT_EQ(runs("0 0 13 * 0-6", at(2026, 1, 1), 2),
            (texts{"2026-01-13 00:00", "2026-02-13 00:00"}));
}

TEST(Cron, LastDaysFollowTheMonthsLength) {
  EXPECT_EQ(runs("0 0 L * *", at(2028, 1, 1), 4),
            (texts{"2028-01-31 00:00", "2028-02-29 00:00", "2028-03-31 00:00",
                   "2028-04-30 00:00"}));
  EXPECT_EQ(
    runs("0 0 L-3 * *", at(2026, 1, 1), 3),
    (texts{"2026-01-28 00:00", "2026-02-25 00:00", "2026-03-28 00:00"}));
  // Only months of 31 days have it.
  EXPECT_EQ(
    runs("0 0 L-30 * *", at(2026, 2, 1), 3),
    (texts{"2026-03-01 00:00", "2026-05-01 00:00", "2026-07-01 00:00"}));
  EXPECT_EQ(
    runs("0 0 * * FRIL", at(2026, 1, 1), 3),
    (texts{"2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00"}));
}

TEST(Cron, NthWeekdaysCountFromTheFirstOfTheMonth) {
  EXPECT_EQ(
    runs("0 0 * * MON#2", at(2026, 1, 1), 3),
    (texts{"2026-01-12 00:00", "2026-02-09 00:00", "2026-03-09 00:00"}));
  EXPECT_EQ(runs("0 0 * * THU#1", at(2026, 1, 1), 2),
            (texts{"2026-01-01 00:00", "2026-02-05 00:00"}));
  // Months without a fifth Friday are left out.
  EXPECT_EQ(
    runs("0 0 * * FRI#5", at(2026, 1, 1), 3),
    (texts{"2026-01-30 00:00", "2026-05-29 00:00", "2026-07-31 00:00"}));
}

TEST(Cron, TheNextRunIsTheFirstFromTheGivenMinuteOn) {
  const auto expression = cron("30 9,17 * * MON-FRI");
  const auto next = [&](local_minute from) {
    const auto t = expression.next(from, at(2027, 1, 1));
    return t ? show(*t) : std::string{"none"};
  };
  EXPECT_EQ(next(at(2026, 1, 1, 9, 30)), "2026-01-01 09:30");
  EXPECT_EQ(next(at(2026, 1, 1, 9, 31)), "2026-01-01 17:30");
  EXPECT_EQ(next(at(2026, 1, 1, 17, 31)), "2026-01-02 09:30");
  EXPECT_EQ(next(at(2026, 1, 2, 18)), "2026-01-05 09:30");
  EXPECT_EQ(next(at(2026, 12, 31, 17, 30)), "2026-12-31 17:30");
  EXPECT_EQ(next(at(2026, 12, 31, 17, 31)), "none");
}

TEST(Cron, TheEndOfTheSearchIsNotPartOfIt) {
  const auto daily = cron("@daily");
  EXPECT_EQ(daily.next(at(2026, 1, 1, 0, 1), at(2026, 1, 2)), std::nullopt);
  EXPECT_EQ(daily.next(at(2026, 1, 1, 0, 1), at(2026, 1, 2, 0, 1)),
            at(2026, 1, 2));
  EXPECT_EQ(daily.next(at(2026, 1, 1), at(2026, 1, 1)), std::nullopt);
  EXPECT_EQ(daily.next(at(2026, 1, 2), at(2026, 1, 1)), std::nullopt);
}

TEST(Cron, TheSearchStaysWithinTheYearsOneTo9999) {
  const auto daily = cron("@daily");
  EXPECT_EQ(daily.next(local_minute::min(), local_minute::max()), at(1, 1, 1));
  EXPECT_EQ(daily.next(at(9999, 12, 31, 0, 1), local_minute::max()),
            std::nullopt);
  EXPECT_EQ(daily.next(local_minute::max(), local_minute::max()), std::nullopt);
}

TEST(Cron, MatchesExactlyItsMinutes) {
  const auto expression = cron("*/20 8-9 1,L 6 *");
  int count = 0;
  for (auto t = at(2026, 1, 1); t < at(2027, 1, 1);
       t += std::chrono::minutes{1}) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date{day};
    const auto minute = (t - day).count();
    const bool expected = date.month() == std::chrono::June
                          && (date.day() == std::chrono::day{1}
                              || date.day() == std::chrono::day{30})
                          && (minute / 60 == 8 || minute / 60 == 9)
                          && minute % 20 == 0;
    ASSERT_EQ(expression.matches(t), expected) << show(t);
    count += expected;
  }
  EXPECT_EQ(count, 12);
}

TEST(Cron, RepeatingOnesAreToldFromThoseThatNameTimes) {
  for (const auto* text :
       {"* * * * *", "*/15 * * * *", "7 * * * *", "3,17 * * * *", "@hourly",
        "0 * * * MON", "*/15 9-17 * * *", "0,30 1-2 * * *",
        "10,40 22-23,0-5 * * *", "*/20 1,2,13,14 * * *", "*/30 0,23 * * *",
        "* 1-2 * * *"})
    EXPECT_TRUE(follows_elapsed_time(cron(text))) << text;
  for (const auto* text :
       {"0 2 * * *", "@daily", "@weekly", "0 */6 * * *", "0 9-17 * * *",
        "0,30 2 * * *", "*/15 2 * * *", "* 2 * * *", "*/15 */2 * * *",
        "0,20 9-17 * * *", "0,10,30 9-17 * * *", "20,50,59 1-4 * * *",
        "20,35,50,51 1-4 * * *", "*/15 2,9-17 * * *", "*/7 1-4 * * *"})
    EXPECT_FALSE(follows_elapsed_time(cron(text))) << text;
}

TEST(Cron, GarbageIsRefusedWithAFieldOrReadBackAlike) {
  std::mt19937 random{20260207}; // NOLINT: the same texts each time.
  const std::vector<std::string_view> pieces{
    "*",  "0", "1", "5", "12", "23", "31",  "61",  "-",   "-9", "/",
    "/2", ",", "?", "#", "#2", "L",  "MON", "jan", "Fri", "@"};
  const std::vector<std::string_view> fields{
    "expression", "minute", "hour", "day_of_month", "month", "day_of_week"};
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (int field = 0; field < 5; ++field) {
      for (bool more = true; more; more = random() % 4 == 0)
        text
          += random() % 2 == 0 ? pieces[0] : pieces[random() % pieces.size()];
      text += ' ';
    }
    const auto got = parse_cron(text);
    if (!got) {
      ASSERT_EQ(got.error().fields.size(), 1u) << text;
      ASSERT_NE(
        std::find(fields.begin(), fields.end(), got.error().fields[0].field),
        fields.end());
      continue;
    }
    ++accepted;
    ASSERT_EQ(cron(to_string(*got)), *got) << text;
    ASSERT_TRUE(got->next(at(2026, 1, 1), at(2126, 1, 1)).has_value()) << text;
  }
  EXPECT_GT(accepted, 100);
}

TEST(Cron, AnyCombinationOfValuesIsReadBackAlike) {
  std::mt19937 random{7};
  const auto list = [&](unsigned min, unsigned max) {
    std::string out;
    for (auto n = 1 + random() % 12; n > 0; --n)
      out += (out.empty() ? "" : ",")
             + std::to_string(min + random() % (max - min + 1));
    return out;
  };
  for (int i = 0; i < 2'000; ++i) {
    const auto text = list(0, 59) + ' ' + list(0, 23) + ' ' + list(1, 29) + ' '
                      + list(1, 12) + ' ' + list(0, 7);
    const auto expression = cron(text);
    ASSERT_EQ(cron(to_string(expression)), expression) << text;
  }
}

} // namespace
} // namespace carillon
