// That the benchmark runs and tells the truth about a small case. How fast
// anything is, is not tested.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_run.hpp"

namespace carillon {

namespace {

TEST(NotifyBenchTest, PrintsOneJsonLineThatCountsEveryUserOnce) {
  const auto [exit_code, output] = bench::run_bench(CARILLON_NOTIFY_BENCH, "--users 3000 --rounds 1");
  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(output.find('\n'), output.size() - 1) << output;
  const auto line = nlohmann::json::parse(output, nullptr, false);
  ASSERT_TRUE(line.is_object()) << output;
  EXPECT_EQ(line["users"], 3000);
  EXPECT_EQ(line["deliveries"], 12'000);
  EXPECT_GT(line["email_jobs"], 0);
  EXPECT_GT(line["digest_jobs"], 0);
  for (const auto* rate : {"copy_rows_per_s", "fanout_rows_per_s", "of_copy", "complete_per_s"})
    EXPECT_GT(line[rate], 0) << rate;
  EXPECT_EQ(line["settings"]["synchronous_commit"], "on");
}

} // namespace

} // namespace carillon
