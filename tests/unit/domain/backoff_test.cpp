#include "domain/backoff.hpp"

#include <array>

#include <gtest/gtest.h>

namespace carillon {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::chrono::seconds, 3> steps = {60s, 120s, 240s};

TEST(SteppedDelay, FollowsTheStepsAndRepeatsTheLast) {
  // A random of one half is the middle: no spread.
  EXPECT_EQ(stepped_delay(steps, 0, 0.1, 0.5), 60s);
  EXPECT_EQ(stepped_delay(steps, 1, 0.1, 0.5), 120s);
  EXPECT_EQ(stepped_delay(steps, 2, 0.1, 0.5), 240s);
  EXPECT_EQ(stepped_delay(steps, 9, 0.1, 0.5), 240s);
}

TEST(SteppedDelay, SpreadsByTheJitterAndNoMore) {
  EXPECT_EQ(stepped_delay(steps, 0, 0.1, 0.0), 54s);
  const auto longest = stepped_delay(steps, 0, 0.1, 0.999999);
  EXPECT_GT(longest, 65900ms);
  EXPECT_LE(longest, 66s);
  EXPECT_EQ(stepped_delay(steps, 1, 0.0, 0.99), 120s);
}

TEST(ExponentialDelay, DoublesUpToTheCap) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto full = std::min<std::chrono::milliseconds>(
      30s, attempt < 20 ? 100ms * (1 << attempt) : 30s);
    EXPECT_GE(exponential_delay(100ms, 30s, attempt, 0.0), full / 2) << attempt;
    EXPECT_LE(exponential_delay(100ms, 30s, attempt, 0.999999), full) << attempt;
  }
}

} // namespace
} // namespace carillon
