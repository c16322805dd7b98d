#include "domain/instant.hpp"

#include <date/date.h>
#include <gtest/gtest.h>

namespace carillon {
namespace {

struct time_case {
  std::string text;
  std::string zone;
  std::string expected; ///< As format_precise_time shows it.
};

void PrintTo(const time_case& c, std::ostream* out) {
  *out << c.text << " in " << c.zone;
}

class ParsedTime : public testing::TestWithParam<time_case> {};

TEST_P(ParsedTime, IsTheInstantInUtc) {
  const auto got = parse_time(GetParam().text, GetParam().zone);
  ASSERT_TRUE(got.has_value()) << got.error().detail;
  EXPECT_EQ(format_precise_time(*got), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
  Offsets, ParsedTime,
  testing::Values(
    time_case{"2026-02-07T10:00:00Z", "UTC", "2026-02-07T10:00:00.000000+00:00"},
    time_case{"2026-02-07t10:00:00z", "UTC", "2026-02-07T10:00:00.000000+00:00"},
    time_case{"2026-02-07 10:00:00+00:00", "UTC", "2026-02-07T10:00:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00+05:30", "UTC", "2026-02-07T04:30:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00+0530", "UTC", "2026-02-07T04:30:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00-08", "UTC", "2026-02-07T18:00:00.000000+00:00"},
    time_case{"2026-01-01T00:30:00+01:00", "UTC", "2025-12-31T23:30:00.000000+00:00"},
    // An offset wins over the zone.
    time_case{"2026-02-07T10:00:00Z", "America/New_York", "2026-02-07T10:00:00.000000+00:00"},
    time_case{"2024-02-29T00:00:00Z", "UTC", "2024-02-29T00:00:00.000000+00:00"},
    time_case{"0001-01-01T00:00:00Z", "UTC", "0001-01-01T00:00:00.000000+00:00"}));

INSTANTIATE_TEST_SUITE_P(
  Fractions, ParsedTime,
  testing::Values(
    time_case{"2026-02-07T10:00:00.5Z", "UTC", "2026-02-07T10:00:00.500000+00:00"},
    time_case{"2026-02-07T10:00:00.000Z", "UTC", "2026-02-07T10:00:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00,123456Z", "UTC", "2026-02-07T10:00:00.123456+00:00"},
    // Finer than a microsecond is cut, not rounded.
    time_case{"2026-02-07T10:00:00.123456999Z", "UTC", "2026-02-07T10:00:00.123456+00:00"}));

INSTANTIATE_TEST_SUITE_P(
  ShortForms, ParsedTime,
  testing::Values(time_case{"2026-02-07T10:00", "UTC", "2026-02-07T10:00:00.000000+00:00"},
                  time_case{"2026-02-07T10:00Z", "UTC", "2026-02-07T10:00:00.000000+00:00"},
                  time_case{"2026-02-07", "UTC", "2026-02-07T00:00:00.000000+00:00"},
                  time_case{"2026-02-07", "Asia/Kolkata", "2026-02-06T18:30:00.000000+00:00"}));

INSTANTIATE_TEST_SUITE_P(
  NaiveTimes, ParsedTime,
  testing::Values(
    time_case{"2026-02-07T10:00:00", "Europe/Berlin", "2026-02-07T09:00:00.000000+00:00"},
    time_case{"2026-07-07T10:00:00", "Europe/Berlin", "2026-07-07T08:00:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00", "America/New_York", "2026-02-07T15:00:00.000000+00:00"},
    time_case{"2026-02-07T10:00:00", "Asia/Kathmandu", "2026-02-07T04:15:00.000000+00:00"}));

// Berlin 2026: 29 March 02:00 becomes 03:00; 25 October 03:00 becomes 02:00.
INSTANTIATE_TEST_SUITE_P(
  Gaps, ParsedTime,
  testing::Values(
    time_case{"2026-03-29T01:59:59", "Europe/Berlin", "2026-03-29T00:59:59.000000+00:00"},
    time_case{"2026-03-29T02:00:00", "Europe/Berlin", "2026-03-29T01:00:00.000000+00:00"},
    time_case{"2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00.000000+00:00"},
    time_case{"2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00:00.000000+00:00"},
    time_case{"2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:30:00.000000+00:00"},
    // Lord Howe Island moves by half an hour.
    time_case{"2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:45:00.000000+00:00"}));

INSTANTIATE_TEST_SUITE_P(
  Folds, ParsedTime,
  testing::Values(
    time_case{"2026-10-25T01:59:59", "Europe/Berlin", "2026-10-24T23:59:59.000000+00:00"},
    time_case{"2026-10-25T02:00:00", "Europe/Berlin", "2026-10-25T00:00:00.000000+00:00"},
    time_case{"2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000000+00:00"},
    time_case{"2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00:00.000000+00:00"},
    time_case{"2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00.000000+00:00"}));

// Beyond 2037, where the zone files of Debian end.
INSTANTIATE_TEST_SUITE_P(
  FarYears, ParsedTime,
  testing::Values(
    time_case{"2037-12-31T23:00:00", "Europe/Berlin", "2037-12-31T22:00:00.000000+00:00"},
    time_case{"2038-01-31T10:00:00", "Europe/Berlin", "2038-01-31T09:00:00.000000+00:00"},
    time_case{"2038-07-01T10:00:00", "Europe/Berlin", "2038-07-01T08:00:00.000000+00:00"},
    // Berlin 2040: 25 March and 28 October.
    time_case{"2040-03-25T01:59:59", "Europe/Berlin", "2040-03-25T00:59:59.000000+00:00"},
    time_case{"2040-03-25T02:30:00", "Europe/Berlin", "2040-03-25T01:30:00.000000+00:00"},
    time_case{"2040-03-25T03:00:00", "Europe/Berlin", "2040-03-25T01:00:00.000000+00:00"},
    time_case{"2040-10-28T02:30:00", "Europe/Berlin", "2040-10-28T00:30:00.000000+00:00"},
    time_case{"2040-10-28T03:00:00", "Europe/Berlin", "2040-10-28T02:00:00.000000+00:00"},
    time_case{"2048-02-29T10:00:00", "Europe/Berlin", "2048-02-29T09:00:00.000000+00:00"},
    time_case{"2096-07-01T10:00:00", "America/New_York", "2096-07-01T14:00:00.000000+00:00"},
    time_case{"2050-01-10T10:00:00", "Australia/Sydney", "2050-01-09T23:00:00.000000+00:00"},
    time_case{"2050-07-10T10:00:00", "Australia/Sydney", "2050-07-10T00:00:00.000000+00:00"},
    time_case{"9999-07-01T10:00:00", "Europe/Berlin", "9999-07-01T08:00:00.000000+00:00"},
    time_case{"2040-07-01T10:00:00", "Asia/Kolkata", "2040-07-01T04:30:00.000000+00:00"}));

class RefusedTime : public testing::TestWithParam<std::string> {};

TEST_P(RefusedTime, IsInvalid) {
  const auto got = parse_time(GetParam(), "Europe/Berlin");
  ASSERT_FALSE(got.has_value()) << format_precise_time(*got);
  EXPECT_EQ(got.error().code, errc::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(
  Garbage, RefusedTime,
  testing::Values("", " ", "tomorrow", "2026", "2026-02", "2026-2-7", "07.02.2026",
                  "2026-02-30", "2026-00-10", "2026-13-01", "2026-01-00", "2025-02-29",
                  "2026-02-07T", "2026-02-07T10", "2026-02-07T10:", "2026-02-07T24:00:00",
                  "2026-02-07T10:60:00", "2026-02-07T10:00:60", "2026-02-07T10:00:00.",
                  "2026-02-07T10:00:00.Z", "2026-02-07T10:00:00.1234567890Z",
                  "2026-02-07T10:00:00+", "2026-02-07T10:00:00+1", "2026-02-07T10:00:00+16:00",
                  "2026-02-07T10:00:00+05:60", "2026-02-07T10:00:00+05:", "2026-02-07T10:00:00ZZ",
                  "2026-02-07T10:00:00Z ", " 2026-02-07T10:00:00Z", "-2026-02-07T10:00:00Z",
                  "20260207T100000Z", "2026-02-07X10:00:00Z", "2026-02-07T10:00:00 Europe/Berlin",
                  "0000-06-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
                  std::string("2026-02-07T10:00:00Z\0", 21), "\xff\xfe"));

TEST(Instant, AnUnknownZoneIsInvalid) {
  for (const auto* zone : {"", "Mars/Olympus", "Europe", "../../etc/passwd"}) {
    const auto got = parse_time("2026-02-07T10:00:00", zone);
    ASSERT_FALSE(got.has_value()) << zone;
    EXPECT_EQ(got.error().code, errc::invalid_argument);
    EXPECT_FALSE(is_time_zone(zone)) << zone;
  }
  EXPECT_TRUE(is_time_zone("Europe/Berlin"));
  EXPECT_TRUE(is_time_zone("UTC"));
}

TEST(Instant, ApiFormIsSecondsInUtc) {
  const auto t = parse_time("2026-02-07T10:00:00.999999+01:00");
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(format_api_time(*t), "2026-02-07T09:00:00+00:00");
}

TEST(Instant, BeforeTheEpochIsFlooredNotTruncated) {
  const instant t{std::chrono::microseconds{-1}};
  EXPECT_EQ(format_api_time(t), "1969-12-31T23:59:59+00:00");
  EXPECT_EQ(format_precise_time(t), "1969-12-31T23:59:59.999999+00:00");
}

TEST(Instant, EveryFormIsTheLibrarysOwn) {
  for (const auto* text : {"0001-01-01T00:00:00Z", "0999-12-31T23:59:59.000001Z", "1600-02-29T12:34:56Z",
                           "1969-12-31T23:59:59.999999Z", "2000-02-29T01:02:03Z", "2026-11-26T08:00:00.5Z",
                           "2100-03-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"}) {
    const auto t = *parse_time(text);
    EXPECT_EQ(format_precise_time(t), date::format("%FT%T+00:00", t)) << text;
    EXPECT_EQ(format_api_time(t), date::format("%FT%T+00:00", std::chrono::floor<std::chrono::seconds>(t))) << text;
  }
}

TEST(Instant, PreciseFormRoundTrips) {
  const instant t{std::chrono::microseconds{1'770'458'400'123'456}};
  const auto back = parse_time(format_precise_time(t));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, t);
}

} // namespace
} // namespace carillon
