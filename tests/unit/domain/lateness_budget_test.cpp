#include "domain/lateness_budget.hpp"

#include <gtest/gtest.h>

namespace carillon {

namespace {

using namespace std::chrono_literals;

class LatenessBudgetTest : public ::testing::Test {
protected:
  std::optional<lateness_alarm> accept(std::chrono::milliseconds lateness, int times = 1) {
    std::optional<lateness_alarm> out;
    for (int i = 0; i < times; ++i)
      if (auto alarm = budget.accepted(lateness, now))
        out = alarm;
    return out;
  }

  lateness_budget budget{{60s, 0.01}};
  lateness_budget::time_point now{100h};
};

TEST_F(LatenessBudgetTest, APostInTimeNeverAlarms) {
  EXPECT_FALSE(accept(0ms, 1'000));
  EXPECT_FALSE(accept(60s, 1'000)) << "the promise itself is in time";
}

TEST_F(LatenessBudgetTest, TheShareThatIsAllowedMayBeLateAndOneMoreAlarms) {
  accept(0ms, 990);
  EXPECT_FALSE(accept(61s, 10));
  const auto alarm = accept(61s);
  ASSERT_TRUE(alarm);
  EXPECT_EQ(alarm->posts, 1'001u);
  EXPECT_EQ(alarm->late, 11u);
}

TEST_F(LatenessBudgetTest, AnAlarmComesOnceAnHour) {
  EXPECT_TRUE(accept(61s));
  now += 59min;
  EXPECT_FALSE(accept(61s, 100));
  now += 1min;
  EXPECT_TRUE(accept(61s));
}

TEST_F(LatenessBudgetTest, WhatIsAnHourOldCountsNoMore) {
  accept(0ms, 10'000);
  EXPECT_FALSE(accept(61s));
  now += 61min;
  const auto alarm = accept(61s);
  ASSERT_TRUE(alarm) << "one of one";
  EXPECT_EQ(alarm->posts, 1u);
  EXPECT_EQ(alarm->late, 1u);
}

} // namespace

} // namespace carillon
