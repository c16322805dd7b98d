#include "app/lateness_watch.hpp"

#include <gtest/gtest.h>

#include "tests/unit/http/manual_clock.hpp"
#include "tests/unit/http/recording_logger.hpp"

namespace carillon::app {

namespace {

using namespace std::chrono_literals;

class accepted_counter final : public metrics {
public:
  void job_started(std::string_view, instant) noexcept override {
  }
  void job_ended(std::string_view, std::string_view, std::chrono::nanoseconds) noexcept override {
  }
  void post_accepted(network, instant) noexcept override {
    ++accepted;
  }
  void actor_restarted(std::string_view) noexcept override {
  }
  void host_circuit(bool) noexcept override {
  }
  int accepted = 0;
};

TEST(LatenessWatch, OperatorsHearWhenTheBudgetBurnsAndMetricsGoOn) {
  test::manual_clock clock;
  test::recording_logger log;
  const auto next = std::make_shared<accepted_counter>();
  lateness_watch watch{next, {60s, 0.5}, clock, log};
  watch.post_accepted(network::mastodon, clock.now());
  watch.post_accepted(network::bluesky, clock.now() - 59s);
  EXPECT_FALSE(log.has("lateness-budget-burning"));
  for (int i = 0; i < 5; ++i)
    watch.post_accepted(network::bluesky, clock.now() - 61s);
  EXPECT_TRUE(log.has("lateness-budget-burning"));
  EXPECT_EQ(next->accepted, 7);
}

} // namespace

} // namespace carillon::app
