// That the benchmark runs and tells the truth about a small case. How fast
// anything is, is not tested.

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_run.hpp"

namespace carillon {

namespace {

using bench::run_bench;

TEST(JobBenchTest, PrintsOneJsonLineThatCountsEveryJobOnce) {
  const auto run = run_bench(CARILLON_JOB_BENCH, "--jobs 3000 --workspaces 300 --pickups 5 --history 1000 --idle-reader --flood 2000");
  EXPECT_EQ(run.exit_code, 0);
  ASSERT_FALSE(run.output.empty());
  EXPECT_EQ(run.output.find('\n'), run.output.size() - 1) << run.output;
  const auto line = nlohmann::json::parse(run.output, nullptr, false);
  ASSERT_TRUE(line.is_object()) << run.output;
  EXPECT_EQ(line["jobs"], 3000);
  EXPECT_EQ(line["concluded"], 3000);
  EXPECT_EQ(line["left"], 0);
  EXPECT_GT(line["flood_pickups"], 0);
  for (const auto* rate : {"enqueue_per_s", "drain_per_s", "bare_per_s", "pickup_p50_ms", "cpu_us_per_job"})
    EXPECT_GT(line[rate], 0) << rate;
  EXPECT_GE(line["pickup_p99_ms"], line["pickup_p50_ms"]);
  EXPECT_EQ(line["settings"]["fsync"], "on");
  EXPECT_EQ(line["settings"]["synchronous_commit"], "on");
}

TEST(JobBenchTest, RefusesWhatItCannotMeasure) {
  for (const auto* wrong : {"--jobs 0", "--jobs many", "--batch-size 0", "--unknown",
                            "--database-url postgresql://nobody@/nothing?host=/nowhere"}) {
    const auto run = run_bench(CARILLON_JOB_BENCH, std::string{wrong} + " 2>&1");
    EXPECT_EQ(run.exit_code, 2) << wrong;
    EXPECT_FALSE(run.output.empty()) << wrong;
  }
}

} // namespace

} // namespace carillon
