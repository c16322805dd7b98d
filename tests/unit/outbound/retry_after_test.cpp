#include "outbound/retry_after.hpp"

#include <gtest/gtest.h>

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;

const instant now = *parse_time("2026-02-07T10:00:00.500+00:00");

TEST(RetryAfterTest, SecondsAndDatesAreWaits) {
  EXPECT_EQ(parse_retry_after("0", now), 0ms);
  EXPECT_EQ(parse_retry_after("120", now), 120s);
  EXPECT_EQ(parse_retry_after("Sat, 07 Feb 2026 10:00:10 GMT", now), 9'500ms);
  EXPECT_EQ(parse_retry_after("Saturday, 07-Feb-26 10:00:10 GMT", now), 9'500ms);
  EXPECT_EQ(parse_retry_after("Sat Feb  7 10:00:10 2026", now), 9'500ms);
}

TEST(RetryAfterTest, AWaitIsNeitherNegativeNorLongerThanADay) {
  EXPECT_EQ(parse_retry_after("-5", now), 0ms);
  EXPECT_EQ(parse_retry_after("Sat, 07 Feb 2026 09:00:00 GMT", now), 0ms);
  EXPECT_EQ(parse_retry_after("86401", now), 24h);
  EXPECT_EQ(parse_retry_after("99999999999999999999999", now), 24h);
  EXPECT_EQ(parse_retry_after("Sat, 07 Feb 2032 10:00:00 GMT", now), 24h);
}

TEST(RetryAfterTest, AnythingElseIsNothing) {
  for (const auto* text : {"", "soon", "1.5", "12s", "0x10", " ", "--1"})
    EXPECT_EQ(parse_retry_after(text, now), std::nullopt) << text;
}

TEST(RetryAfterTest, ARateLimitEndsAtAnInstant) {
  EXPECT_EQ(parse_rate_limit_reset("2026-02-07T10:05:00.500000Z", now), 5min);
  EXPECT_EQ(parse_rate_limit_reset("1770458460", now), 59'500ms);
  EXPECT_EQ(parse_rate_limit_reset("2026-02-07T09:00:00Z", now), 0ms);
  EXPECT_EQ(parse_rate_limit_reset("50", now), 50s);
  EXPECT_EQ(parse_rate_limit_reset("99999999", now), 24h);
  EXPECT_EQ(parse_rate_limit_reset("100000000", now), 0ms) << "1973";
  EXPECT_EQ(parse_rate_limit_reset("soon", now), std::nullopt);
  EXPECT_EQ(parse_rate_limit_reset("", now), std::nullopt);
}

} // namespace

} // namespace carillon::outbound
