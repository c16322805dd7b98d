#include "app/prometheus_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class fixed_clock final : public clock_port {
public:
  instant now() const noexcept override {
    return at;
  }
  instant at = *parse_time("2026-02-07T10:00:10Z");
};

class PrometheusMetricsTest : public ::testing::Test {
protected:
  fixed_clock clock;
  prometheus_metrics measured{clock};
  const instant due = *parse_time("2026-02-07T10:00:08Z");
};

TEST_F(PrometheusMetricsTest, NothingMeasuredYetIsAnEmptyPageAndNotAHeader) {
  EXPECT_THAT(measured.render({}, {}), Not(HasSubstr("carillon_job_pickup_seconds")));
}

TEST_F(PrometheusMetricsTest, RunsAreCountedByKindAndOutcome) {
  using namespace std::chrono_literals;
  measured.job_started("publish_post", due);
  measured.job_ended("publish_post", "retry", 20ms);
  measured.job_ended("publish_post", "concluded", 3ms);
  measured.job_ended("publish_post", "concluded", 3ms);
  const auto page = measured.render({}, {});
  EXPECT_THAT(page, HasSubstr(R"(carillon_job_runs_total{kind="publish_post",outcome="concluded"} 2)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_job_runs_total{kind="publish_post",outcome="retry"} 1)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_job_pickup_seconds_sum{kind="publish_post"} 2)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_job_run_seconds_bucket{kind="publish_post",le="0.005"} 2)"));
}

TEST_F(PrometheusMetricsTest, LatenessIsKeptByNetworkAndNeverNegative) {
  measured.post_accepted(network::mastodon, due);
  measured.post_accepted(network::mastodon, clock.at + std::chrono::seconds{1});
  const auto page = measured.render({}, {});
  EXPECT_THAT(page, HasSubstr(R"(carillon_publish_lateness_seconds_sum{network="mastodon"} 2)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_publish_lateness_seconds_count{network="mastodon"} 2)"));
}

TEST_F(PrometheusMetricsTest, ServersThatAreDownAreCounted) {
  EXPECT_THAT(measured.render({}, {}), HasSubstr("carillon_host_circuits_open 0"));
  measured.host_circuit(true);
  measured.host_circuit(true);
  measured.host_circuit(false);
  const auto page = measured.render({}, {});
  EXPECT_THAT(page, HasSubstr("carillon_host_circuits_open 1"));
  EXPECT_THAT(page, HasSubstr("carillon_host_circuits_opened_total 2"));
}

TEST_F(PrometheusMetricsTest, GaugesComeFromTheReportsAndTheWaitingJobs) {
  const actor_report node{"node a",
                          "running",
                          {},
                          {{"ownership", "running", {{"incarnation", "7"}, {"shards", "256"}, {"lease_left_ms", "2500"}}, {}},
                           {"database.background", "running", {{"workers", "4"}, {"busy", "1"}, {"queued", "9"}}, {}},
                           {"region", "running", {{"workspaces", "3"}, {"quarantined", "1"}, {"mailbox", "5"}}, {}}}};
  const auto page = measured.render(node, {{"retrying", "publish_post", "publishing", 4, std::chrono::milliseconds{1'500}}});
  EXPECT_THAT(page, HasSubstr("carillon_lease_epoch 7"));
  EXPECT_THAT(page, HasSubstr("carillon_lease_left_seconds 2.5"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_database_connections{pool="background",state="idle"} 3)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_database_queued{pool="background"} 9)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_mailbox_depth{actor="region"} 5)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_jobs{kind="publish_post",queue="publishing",state="retrying"} 4)"));
  EXPECT_THAT(page, HasSubstr(R"(carillon_job_oldest_due_seconds{kind="publish_post"} 1.5)"));
}

TEST_F(PrometheusMetricsTest, AnActorWithoutAnAnswerLeavesNoGauge) {
  const actor_report node{"node a", "running", {}, {{"ownership", "restarting", {{"incarnation", "none"}}, {}}}};
  EXPECT_THAT(measured.render(node, {}), Not(HasSubstr("carillon_lease_epoch")));
}

} // namespace
} // namespace carillon::app
