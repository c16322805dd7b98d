#include "outbound/social/host_circuits.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tests/unit/http/recording_logger.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;

http_response answered(int status) {
  http_response out;
  out.how = http_response::delivery::answered;
  out.status = status;
  return out;
}

http_response unanswered(http_response::delivery how, errc why = errc::transient, bool tried = true) {
  http_response out;
  out.how = how;
  out.why = why;
  out.tried = tried;
  return out;
}

class HostCircuitsTest : public ::testing::Test {
protected:
  const std::string url = "https://down.example";
  test::recording_logger log;
  host_circuits circuits{{}, &log};
  host_circuits::time_point now{};

  void hear(const http_response& response, int times = 1, const std::string& path = "/api/v1/statuses") {
    for (int i = 0; i < times; ++i)
      circuits.learn(url + path, response, now);
  }
  std::optional<failure> refusal() {
    return circuits.refusal(url, 10s, now);
  }
  /// Lets the time pass that the last refusal named, and one probe through.
  void send_probe() {
    const auto f = refusal();
    if (f)
      now += *f->retry_after;
    EXPECT_FALSE(refusal());
  }
};

TEST_F(HostCircuitsTest, FiveFailuresInARowOpenItAndPostsWaitWithoutUsingUpATry) {
  hear(answered(502), 4);
  EXPECT_FALSE(refusal());
  hear(answered(502));
  const auto f = refusal();
  ASSERT_TRUE(f);
  EXPECT_EQ(f->code, errc::cancelled);
  EXPECT_EQ(f->retry_after, 5s);
  EXPECT_TRUE(log.has("host-circuit-opened"));
  EXPECT_FALSE(circuits.refusal("https://other.example", 10s, now)) << "another server";
  EXPECT_FALSE(circuits.refusal("https://down.example:8443", 10s, now)) << "another port";
  EXPECT_TRUE(circuits.refusal("HTTPS://Down.Example", 10s, now));
}

TEST_F(HostCircuitsTest, OnlyWhatSpeaksForTheServerOpensIt) {
  using delivery = http_response::delivery;
  for (const auto& nothing : {answered(400), answered(401), answered(404), answered(422), answered(429), answered(501),
                              unanswered(delivery::not_sent, errc::forbidden),
                              unanswered(delivery::not_sent, errc::invalid_argument),
                              unanswered(delivery::not_sent, errc::transient, false)}) {
    hear(nothing, 20);
    EXPECT_FALSE(refusal()) << nothing.status;
  }
  for (const auto& failure : {answered(500), answered(503), answered(504), unanswered(delivery::not_sent),
                              unanswered(delivery::no_answer, errc::outcome_unknown)}) {
    host_circuits fresh;
    for (int i = 0; i < 5; ++i)
      fresh.learn(url, failure, now);
    EXPECT_TRUE(fresh.refusal(url, 10s, now)) << failure.status;
  }
}

TEST_F(HostCircuitsTest, AnAnswerBetweenFailuresKeepsItClosed) {
  for (int i = 0; i < 10; ++i) {
    hear(answered(500), 4);
    hear(answered(429));
  }
  EXPECT_FALSE(refusal());
}

TEST_F(HostCircuitsTest, OneProbeIsLetThroughAndItsSuccessClosesIt) {
  hear(answered(500), 5);
  send_probe();
  const auto f = refusal();
  ASSERT_TRUE(f) << "one at a time";
  EXPECT_GE(*f->retry_after, 5s);
  hear(answered(200));
  EXPECT_FALSE(refusal());
  EXPECT_TRUE(log.has("host-circuit-closed"));
  hear(answered(500), 4);
  EXPECT_FALSE(refusal()) << "it begins afresh";
}

TEST_F(HostCircuitsTest, ProbesThatFailDoubleTheWaitUpToAMinute) {
  hear(answered(500), 5);
  for (const auto wait : {10s, 20s, 40s, 60s, 60s}) {
    send_probe();
    hear(answered(500), 3);
    const auto f = refusal();
    ASSERT_TRUE(f);
    EXPECT_GE(*f->retry_after, wait);
    EXPECT_LE(*f->retry_after, wait + 2s);
  }
}

TEST_F(HostCircuitsTest, AProbeThatNeverReachesTheServerIsFollowedByAnother) {
  hear(answered(500), 5);
  send_probe();
  now += 9'999ms;
  EXPECT_TRUE(refusal());
  now += 1ms;
  EXPECT_FALSE(refusal());
}

TEST_F(HostCircuitsTest, WhatWasUnderWayWhenItOpenedProlongsNothingButAnAnswerClosesItAtOnce) {
  hear(answered(500), 50);
  EXPECT_LE(*refusal()->retry_after, 7s);
  hear(answered(200), 1, "/api/v1/accounts/1/statuses");
  EXPECT_FALSE(refusal());
}

TEST_F(HostCircuitsTest, ThoseThatWaitDoNotAllComeBackAtOneInstant) {
  hear(answered(500), 5);
  std::set<std::chrono::milliseconds> waits;
  for (int i = 0; i < 100; ++i)
    waits.insert(*refusal()->retry_after);
  EXPECT_EQ(waits.size(), 40u);
  EXPECT_LE(*waits.rbegin(), 7s);
}

} // namespace

} // namespace carillon::outbound
