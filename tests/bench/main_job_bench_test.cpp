// That the benchmark runs and tells the truth about a small case. How fast
// anything is, is not tested.

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_run.hpp"

namespace carillon {

namespace {

using bench::run_bench;

TEST(MainJobBenchTest, PrintsOneJsonLineThatCountsEveryPostOnce) {
  const auto run = run_bench(CARILLON_MAIN_JOB_BENCH, "--posts 20 --workspaces 5 --latency-ms 1");
  EXPECT_EQ(run.exit_code, 0);
  ASSERT_FALSE(run.output.empty());
  EXPECT_EQ(run.output.find('\n'), run.output.size() - 1) << run.output;
  const auto line = nlohmann::json::parse(run.output, nullptr, false);
  ASSERT_TRUE(line.is_object()) << run.output;
  EXPECT_EQ(line["posts"], 20);
  EXPECT_EQ(line["workspaces"], 5);
  EXPECT_EQ(line["duplicates"], 0);
  EXPECT_EQ(line["lost"], 0);
  EXPECT_EQ(line["early"], 0);
  EXPECT_EQ(line["failed"], 0);
  EXPECT_GE(line["lateness_max_ms"], line["lateness_p50_ms"]);
  EXPECT_GT(line["cpu_seconds"]["postgres"], 0);
  EXPECT_GT(line["rss_mb"], 0);
  EXPECT_EQ(line["fsync"], "on");
  EXPECT_EQ(line["synchronous_commit"], "on");
}

TEST(MainJobBenchTest, CountsWhatIsUploadedAheadAndWhatWhenThePostsAreDue) {
  const auto run = run_bench(CARILLON_MAIN_JOB_BENCH,
                             "--posts 8 --workspaces 4 --latency-ms 0 --with-files 0.5 --file-bytes 1000 --no-prepare");
  EXPECT_EQ(run.exit_code, 0);
  const auto line = nlohmann::json::parse(run.output, nullptr, false);
  ASSERT_TRUE(line.is_object()) << run.output;
  EXPECT_EQ(line["files"], 4);
  EXPECT_EQ(line["uploads_ahead"], 0);
  EXPECT_EQ(line["uploads_when_due"], 4);
  EXPECT_GE(line["calls_when_due"], 12);
  EXPECT_EQ(line["lost"], 0);
  EXPECT_EQ(line["failed"], 0);
}

TEST(MainJobBenchTest, RefusesWhatItCannotMeasure) {
  for (const auto* wrong : {"--posts 0", "--with-files 1.5", "--file-bytes 1", "--posts many", "--workspaces 30 --posts 20", "--set JOBS=1",
                            "--build /nowhere", "--unknown"}) {
    const auto run = run_bench(CARILLON_MAIN_JOB_BENCH, std::string{wrong} + " 2>&1");
    EXPECT_EQ(run.exit_code, 2) << wrong;
    EXPECT_FALSE(run.output.empty()) << wrong;
  }
}

} // namespace

} // namespace carillon
