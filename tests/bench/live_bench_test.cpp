// That the benchmark runs and tells the truth about a small case. How fast
// anything is, is not tested.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_run.hpp"

namespace carillon {

namespace {

TEST(LiveBenchTest, PrintsOneJsonLineAndLosesNothing) {
  const auto [exit_code, output] = bench::run_bench(CARILLON_LIVE_BENCH, "--connections 20 --listeners 5 --rate 50 --seconds 1");
  EXPECT_EQ(exit_code, 0);
  const auto line = nlohmann::json::parse(output, nullptr, false);
  ASSERT_TRUE(line.is_object()) << output;
  EXPECT_EQ(line["connections"], 20);
  EXPECT_GT(line["events"], 0);
  EXPECT_EQ(line["lost"], 0);
  EXPECT_GT(line["p50_ms"], 0);
  EXPECT_GE(line["p99_ms"], line["p50_ms"]);
}

} // namespace

} // namespace carillon
