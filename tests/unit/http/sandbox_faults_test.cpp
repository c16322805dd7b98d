// What is set, what is refused, and whom the dice hit.
#include "http/sandbox/faults.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::http::sandbox {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::vector<blow> blows_of(faults f, int calls) {
  misbehaviour m;
  m.set(std::move(f));
  std::vector<blow> out;
  for (int i = 0; i < calls; ++i)
    out.push_back(m.roll_publish("acme").hit);
  return out;
}

TEST(SandboxFaults, WhatIsLeftOutIsOff) {
  const auto f = parse_faults(json::object());
  ASSERT_TRUE(f);
  for (auto b : blows_of(*f, 100))
    EXPECT_EQ(b, blow::none);
  EXPECT_EQ(f->latency, 0ms);
  EXPECT_EQ(f->hang, 60s);
}

TEST(SandboxFaults, WhatIsShownCanBeSetAgain) {
  const json all{{"latency_ms", 20},
                 {"rate_429", 0.2},
                 {"retry_after", 7},
                 {"rate_5xx", 1},
                 {"status_5xx", 503},
                 {"error_html", true},
                 {"drop_before_accept", 0.1},
                 {"accept_then_drop", 0.3},
                 {"accept_then_hang", 0.4},
                 {"hang_ms", 6000},
                 {"accept_then_5xx", 0.5},
                 {"visibility_delay_ms", 1500},
                 {"media_processing_ms", 250},
                 {"ignore_idempotency_keys", true},
                 {"times", 3},
                 {"accounts", {"acme", "zenith"}},
                 {"seed", 7}};
  const auto f = parse_faults(all);
  ASSERT_TRUE(f) << f.error().detail;
  EXPECT_EQ(to_json(*f), all);
  EXPECT_EQ(to_json(*parse_faults(to_json(*f))), all);
}

TEST(SandboxFaults, EveryFieldThatIsWrongIsNamed) {
  const auto f = parse_faults({{"rate_429", 1.5},
                               {"latency_ms", "20"},
                               {"ignore_idempotency_keys", 1},
                               {"acept_then_drop", 1.0},
                               {"times", -1},
                               {"status_5xx", 404},
                               {"accounts", {1}},
                               {"hang_ms", 1.5},
                               {"seed", 18'446'744'073'709'551'615U},
                               {"retry_after", true}});
  ASSERT_FALSE(f);
  EXPECT_EQ(f.error().code, errc::invalid_argument);
  EXPECT_EQ(f.error().fields.size(), 10U);
  EXPECT_THAT(f.error().detail,
              HasSubstr("acept_then_drop is not a fault that this network "
                        "knows"));
  EXPECT_THAT(f.error().detail,
              HasSubstr("rate_429 must be a probability from 0 to 1"));
}

TEST(SandboxFaults, TheSameSeedHitsTheSameCalls) {
  faults f;
  f.rate_429 = 0.2;
  f.rate_5xx = 0.3;
  f.accept_then_drop = 0.3;
  f.seed = 7;
  const auto first = blows_of(f, 200);
  EXPECT_EQ(blows_of(f, 200), first);
  f.seed = 8;
  EXPECT_NE(blows_of(f, 200), first);
}

TEST(SandboxFaults, AnotherFaultDoesNotMoveTheOnesBeforeIt) {
  faults f;
  f.rate_429 = 0.3;
  const auto alone = blows_of(f, 200);
  f.accept_then_drop = 1;
  const auto both = blows_of(f, 200);
  for (std::size_t i = 0; i < alone.size(); ++i)
    EXPECT_EQ(both[i] == blow::too_many_requests,
              alone[i] == blow::too_many_requests);
}

TEST(SandboxFaults, RatesAreKeptOverManyCalls) {
  faults f;
  f.rate_5xx = 0.25;
  const auto all = blows_of(f, 10'000);
  EXPECT_NEAR(
    static_cast<double>(std::count(all.begin(), all.end(), blow::server_error)),
    2500, 150);
}

TEST(SandboxFaults, ARateOfOneAlwaysHits) {
  for (auto [rate, expected] :
       {std::pair{&faults::rate_429, blow::too_many_requests},
        {&faults::rate_5xx, blow::server_error},
        {&faults::drop_before_accept, blow::dropped_before_accept},
        {&faults::accept_then_drop, blow::dropped},
        {&faults::accept_then_hang, blow::hung},
        {&faults::accept_then_5xx, blow::hidden_by_server_error}}) {
    faults f;
    f.*rate = 1;
    for (auto b : blows_of(f, 50))
      EXPECT_EQ(b, expected);
  }
}

TEST(SandboxFaults, ServerErrorsAreOfEveryKindOrOfTheOneAskedFor) {
  misbehaviour m;
  faults f;
  f.rate_5xx = 1;
  m.set(f);
  std::set<int> seen;
  for (int i = 0; i < 200; ++i)
    seen.insert(m.roll_publish("acme").status);
  EXPECT_EQ(seen, (std::set{500, 502, 503, 504}));
  f.status_5xx = 503;
  m.set(f);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(m.roll_publish("acme").status, 503);
}

TEST(SandboxFaults, TimesEndsAllOfThemAfterSoManyPublishCalls) {
  misbehaviour m;
  faults f;
  f.rate_5xx = 1;
  f.latency = 10ms;
  f.times = 2;
  m.set(f);
  EXPECT_EQ(m.times_left(), 2U);
  EXPECT_EQ(m.roll_other("acme").latency, 10ms);
  EXPECT_EQ(m.roll_publish("acme").hit, blow::server_error);
  EXPECT_EQ(m.roll_publish("acme").hit, blow::server_error);
  EXPECT_EQ(m.times_left(), 0U);
  const auto third = m.roll_publish("acme");
  EXPECT_EQ(third.hit, blow::none);
  EXPECT_EQ(third.latency, 0ms);
  EXPECT_EQ(m.roll_other("acme").latency, 0ms);
  m.set(f);
  EXPECT_EQ(m.roll_publish("acme").hit, blow::server_error);
}

TEST(SandboxFaults, OnlyTheAccountsThatAreNamedSuffer) {
  misbehaviour m;
  faults f;
  f.accept_then_drop = 1;
  f.latency = 10ms;
  f.accounts = {"acme"};
  f.times = 1;
  m.set(f);
  EXPECT_EQ(m.roll_publish("zenith").hit, blow::none);
  EXPECT_EQ(m.roll_other("zenith").latency, 0ms);
  EXPECT_EQ(m.roll_publish("acme").hit, blow::dropped);
}

} // namespace
} // namespace carillon::http::sandbox
