// That the benchmark runs and tells the truth about a small case. How fast
// anything is, is not tested.
#include <array>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

namespace carillon {

namespace {

TEST(LiveBenchTest, PrintsOneJsonLineAndLosesNothing) {
  FILE* pipe = ::popen((std::string{"'"} + CARILLON_LIVE_BENCH + "' --connections 20 --listeners 5 --rate 50 --seconds 1").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe))
    output += buffer.data();
  const int status = ::pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
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
