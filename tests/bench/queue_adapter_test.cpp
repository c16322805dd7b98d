// That the adapter speaks the harness's contract. How fast anything is, is
// not tested.

#include <csignal>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/process.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/test_database.hpp"

namespace carillon {

namespace {

class QueueAdapterTest : public ::testing::Test {
protected:
  using environment = std::map<std::string, std::string>;

  std::vector<nlohmann::json> lines(const test::process& adapter) {
    std::vector<nlohmann::json> out;
    std::istringstream text{adapter.output()};
    for (std::string line; std::getline(text, line);)
      if (auto parsed = nlohmann::json::parse(line, nullptr, false); parsed.is_object())
        out.push_back(std::move(parsed));
    return out;
  }

  test::scratch_folder folder;
};

TEST_F(QueueAdapterTest, DescribesItselfSamplesEveryMetricWorksOffWhatItOffersAndEndsOnTerm) {
  test::test_database db;
  test::process adapter{{CARILLON_QUEUE_ADAPTER},
                        {{"DATABASE_URL", db.url()}, {"PRODUCER_RATE", "200"}, {"WORKER_COUNT", "4"},
                         {"JOB_PAYLOAD_BYTES", "64"}, {"JOB_WORK_MS", "1"}, {"SAMPLE_EVERY_S", "1"},
                         {"BENCH_INSTANCE_ID", "3"}},
                        folder.path() / "adapter.log"};
  const auto completed = [&] {
    double most = 0;
    for (const auto& line : lines(adapter))
      if (line.value("metric", "") == "completion_rate")
        most = std::max(most, line["value"].get<double>());
    return most;
  };
  ASSERT_TRUE(test::eventually([&] { return completed() > 0; })) << adapter.output();
  adapter.signal(SIGTERM);
  const auto status = adapter.wait();
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << adapter.output();

  const auto said = lines(adapter);
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said[0]["kind"], "descriptor");
  EXPECT_EQ(said[0]["event_tables"][0], "carillon.jobs");
  std::set<std::string> metrics;
  for (std::size_t i = 1; i < said.size(); ++i) {
    EXPECT_EQ(said[i]["kind"], "adapter");
    EXPECT_GE(said[i]["value"].get<double>(), 0);
    EXPECT_EQ(said[i]["instance_id"], 3);
    metrics.insert(said[i]["metric"]);
  }
  EXPECT_EQ(metrics, (std::set<std::string>{"claim_p50_ms", "claim_p95_ms", "claim_p99_ms", "subscriber_p50_ms",
                                            "subscriber_p95_ms", "subscriber_p99_ms", "end_to_end_p50_ms",
                                            "end_to_end_p95_ms", "end_to_end_p99_ms", "completion_rate",
                                            "enqueue_rate", "producer_target_rate", "queue_depth"}));
  EXPECT_GT(std::stoi(db.exec("SELECT count(*) FROM carillon.job_history WHERE state = 'succeeded'")), 0);
}

TEST_F(QueueAdapterTest, EnqueuesWhatTheHarnessSaysAndPassesOverWhatItDoesNotUnderstand) {
  test::test_database db;
  const auto pipe = folder.path() / "stdin";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  // For reading too: it opens without a reader.
  const int told = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(told, 0);
  constexpr std::string_view words = "ENQUEUE 3\nENQUEUE some\nENQUEUE 10200\n";
  ASSERT_EQ(::write(told, words.data(), words.size()), static_cast<ssize_t>(words.size()));
  test::process adapter{{"/bin/sh", "-c", "exec '" + std::string{CARILLON_QUEUE_ADAPTER} + "' <'" + pipe.string() + "'"},
                        {{"DATABASE_URL", db.url()}, {"PRODUCER_PACING", "harness"}, {"PRODUCER_RATE", "1000000"},
                         {"WORKER_COUNT", "256"}, {"JOB_WORK_MS", "0"}, {"SAMPLE_EVERY_S", "1"}},
                        folder.path() / "adapter.log"};
  EXPECT_TRUE(test::eventually([&] {
    return adapter.output().find("not understood: ENQUEUE some") != std::string::npos
           && db.exec("SELECT to_regclass('carillon.job_history') IS NOT NULL") == "t"
           && db.exec("SELECT count(*) FROM carillon.job_history WHERE state = 'succeeded'") == "10203";
  })) << adapter.output();
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
  ::close(told);
}

TEST_F(QueueAdapterTest, RefusesSettingsThatItDoesNotUnderstandAndNamesThem) {
  const std::vector<std::pair<std::string, std::string>> wrong{
    {"PRODUCER_RATE", "fast"}, {"WORKER_COUNT", "0"}, {"SCENARIO", "chaos"}, {"PRODUCER_MODE", "bursts"},
    {"PRODUCER_PACING", "mine"}, {"BENCH_INSTANCE_ID", "-1"}};
  for (const auto& [name, value] : wrong) {
    test::process adapter{{CARILLON_QUEUE_ADAPTER},
                          {{"DATABASE_URL", "postgresql:///nowhere"}, {name, value}},
                          folder.path() / (name + ".log")};
    const auto status = adapter.wait();
    ASSERT_TRUE(status) << name;
    EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 2) << name;
    EXPECT_NE(adapter.output().find(name), std::string::npos) << adapter.output();
  }
}

} // namespace

} // namespace carillon
