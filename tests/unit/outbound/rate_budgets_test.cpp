#include "outbound/social/rate_budgets.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;

class RateBudgetsTest : public ::testing::Test {
protected:
  using headers = std::vector<std::pair<std::string, std::string>>;

  static account_credentials account(const std::string& name = "acme") {
    return {network::mastodon, "https://m.example", name, "secret"};
  }
  static outgoing_post post(const std::string& key, const std::string& name = "acme") {
    outgoing_post out;
    out.account = account(name);
    out.idempotency_key = key;
    return out;
  }
  static http_response answer(int status, headers h) {
    http_response out;
    out.how = http_response::delivery::answered;
    out.status = status;
    out.headers = std::move(h);
    return out;
  }

  void hear(int remaining, std::chrono::seconds left, int limit = 300, rate_scope scope = rate_scope::account) {
    budgets->learn(account(), scope,
                   answer(200, {{"x-ratelimit-limit", std::to_string(limit)},
                                {"x-ratelimit-remaining", std::to_string(remaining)},
                                {"x-ratelimit-reset", std::to_string(left.count())}}),
                   wall, now);
  }
  result<rate_budgets::permit> admit(const outgoing_post& p, const rate_budgets::cost& cost = {}) {
    return budgets->admit(p, cost, now);
  }
  /// Nothing when the post may go.
  std::optional<std::chrono::milliseconds> wait(const std::string& key, const rate_budgets::cost& cost = {}) {
    const auto got = admit(post(key), cost);
    if (got)
      return std::nullopt;
    EXPECT_EQ(got.error().code, errc::cancelled);
    return got.error().retry_after;
  }

  const instant wall = *parse_time("2026-02-07T10:00:00Z");
  rate_budgets::time_point now{1'000h};
  std::shared_ptr<rate_budgets> budgets = std::make_shared<rate_budgets>();
};

TEST_F(RateBudgetsTest, AServerThatSaysNothingIsHeldToNothing) {
  budgets->learn(account(), rate_scope::account, answer(200, {}), wall, now);
  std::vector<rate_budgets::permit> running;
  for (int i = 0; i < 1'000; ++i) {
    auto permit = admit(post(std::to_string(i)));
    ASSERT_TRUE(permit);
    running.push_back(std::move(*permit));
  }
}

TEST_F(RateBudgetsTest, A429ClosesTheAccountForAsLongAsItSaysAndNoOther) {
  budgets->learn(account(), rate_scope::account, answer(429, {{"retry-after", "600"}}), wall, now);
  EXPECT_EQ(wait("1"), 600s);
  EXPECT_TRUE(admit(post("2", "rival")));
  now += 599s;
  EXPECT_EQ(wait("1"), 1s);
  now += 1s;
  EXPECT_FALSE(wait("1"));
}

TEST_F(RateBudgetsTest, AWindowThatIsUsedUpClosesTheAccountUntilItsEnd) {
  hear(0, 200s);
  EXPECT_EQ(wait("1"), 200s);
  now += 200s;
  EXPECT_FALSE(wait("1"));
}

TEST_F(RateBudgetsTest, WhatRunningCallsMayStillUseUpIsNobodyElses) {
  hear(2, 200s);
  auto first = admit(post("1"));
  auto second = admit(post("2"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(wait("3"), 2s) << "one of them may not come to a call";
  first = rate_budgets::permit{};
  EXPECT_FALSE(wait("3"));
}

TEST_F(RateBudgetsTest, WhenFewerCallsAreLeftThanWaitTheRestComesBackAtTheReset) {
  hear(40, 200s);
  int at_once = 0, within_the_minute = 0, at_the_reset = 0;
  std::vector<rate_budgets::permit> running;
  for (int i = 0; i < 100; ++i) {
    auto got = admit(post(std::to_string(i)));
    if (got)
      running.push_back(std::move(*got)), ++at_once;
    else if (*got.error().retry_after <= 45s)
      ++within_the_minute;
    else if (*got.error().retry_after == 200s)
      ++at_the_reset;
  }
  EXPECT_EQ(at_once, 30);
  EXPECT_EQ(within_the_minute, 70) << "those that run have not used up what is left yet: some are asked to come soon";
  for (int i = 0; i < 30; ++i)
    hear(40 - i - 1, 200s);
  running.clear();
  EXPECT_EQ(wait("100"), 200s) << "the last ten are promised";
}

TEST_F(RateBudgetsTest, ASmallBurstIsNotSpread) {
  hear(290, 250s);
  for (int i = 0; i < 30; ++i)
    EXPECT_FALSE(wait(std::to_string(i))) << i;
}

TEST_F(RateBudgetsTest, ALargeBurstIsSpreadEvenlyWithinTheMinuteEachPostWithASlotOfItsOwn) {
  hear(280, 250s);
  std::vector<std::chrono::milliseconds> slots;
  for (int i = 0; i < 200; ++i)
    if (const auto w = wait(std::to_string(i)))
      slots.push_back(*w);
  ASSERT_EQ(slots.size(), 170u);
  EXPECT_LE(slots.back(), 45s);
  EXPECT_TRUE(std::is_sorted(slots.begin(), slots.end()));
  // No second gets many more than its part.
  std::map<std::int64_t, int> by_second;
  for (const auto slot : slots)
    ++by_second[slot / 1s];
  for (const auto& [second, posts] : by_second)
    EXPECT_LE(posts, 8) << second;
  // Each gets its permit when its time has come, and no sooner.
  EXPECT_EQ(wait("199"), slots.back());
  now += slots.back();
  for (int i = 30; i < 200; ++i)
    EXPECT_FALSE(wait(std::to_string(i))) << i;
}

TEST_F(RateBudgetsTest, AThreadIsNotBegunWhenTheWindowDoesNotHoldItsEnd) {
  hear(5, 100s);
  EXPECT_EQ(wait("thread", {6, 0, 0}), 100s);
  EXPECT_FALSE(wait("shorter", {5, 0, 0}));
  hear(3, 100s, 3);
  EXPECT_FALSE(wait("longer than every window", {50, 0, 0}));
}

TEST_F(RateBudgetsTest, UploadsHoldBackOnlyPostsWithFiles) {
  hear(0, 300s, 30, rate_scope::uploads);
  EXPECT_EQ(wait("with a file", {2, 1, 0}), 300s);
  EXPECT_FALSE(wait("words alone"));
}

TEST_F(RateBudgetsTest, AnswersThatOvertakeEachOtherNeverAddToAWindow) {
  hear(1, 100s);
  hear(20, 100s);
  EXPECT_FALSE(wait("1"));
  auto running = admit(post("1"));
  EXPECT_TRUE(wait("2"));
  now += 100s;
  hear(299, 300s);
  EXPECT_FALSE(wait("2")) << "the next window";
}

TEST_F(RateBudgetsTest, NoWorkspaceUsesUpTheRestOfAHostThatOthersUseToo) {
  const auto quiet = workspace_id::make();
  const auto busy = workspace_id::make();
  const auto of = [&](const workspace_id& whose, int i) {
    auto out = post(to_string(whose) + std::to_string(i), to_string(whose));
    out.workspace = whose;
    return out;
  };
  hear(60, 300s, 100, rate_scope::host);
  EXPECT_TRUE(admit(of(quiet, 0), {1, 0, 1}));
  int admitted = 0;
  for (int i = 0; i < 60; ++i) {
    hear(std::max(1, 59 - admitted), 300s, 100, rate_scope::host);
    admitted += admit(of(busy, i), {1, 0, 1}) ? 1 : 0;
  }
  EXPECT_EQ(admitted, 50);
  EXPECT_TRUE(admit(of(quiet, 1), {1, 0, 1}));
}

TEST_F(RateBudgetsTest, AWaitIsTakenOnceAndAShortOneNotAtAll) {
  EXPECT_TRUE(budgets->take_learned_rates(account(), now).is_none());
  budgets->close(account(), rate_scope::account, 4s, now);
  EXPECT_TRUE(budgets->take_learned_rates(account(), now).is_none());
  budgets->close(account(), rate_scope::uploads, 90s, now);
  budgets->close(account(), rate_scope::account, 60s, now);
  const auto taken = budgets->take_learned_rates(account(), now);
  EXPECT_EQ(taken.calls_wait, 60s);
  EXPECT_EQ(taken.uploads_wait, 90s);
  EXPECT_TRUE(budgets->take_learned_rates(account(), now).is_none());
  budgets->close(account(), rate_scope::account, 300s, now);
  EXPECT_EQ(budgets->take_learned_rates(account(), now).calls_wait, 300s);
}

TEST_F(RateBudgetsTest, AWindowIsTakenWhenItIsHalfUsedUpAndEachTimeThatItHasHalved) {
  const auto taken = [&] {
    const auto window = budgets->take_learned_rates(account(), now).calls;
    return window ? window->left : -1;
  };
  const std::pair<int, int> steps[]{{300, -1}, {151, -1}, {150, 150}, {76, -1}, {75, 75}, {10, 10}, {1, 1}};
  for (const auto& [left, expected] : steps) {
    hear(left, 300s, 300);
    EXPECT_EQ(taken(), expected) << left;
    EXPECT_EQ(taken(), -1) << "once";
  }
  now += 301s;
  hear(299, 300s, 300);
  EXPECT_EQ(taken(), -1) << "a new window";
  hear(100, 300s, 300);
  EXPECT_EQ(taken(), 100);
}

TEST_F(RateBudgetsTest, WhatIsRememberedHoldsForANodeThatHasHeardNothingItself) {
  auto next = post("1");
  next.known_rates.calls = rate_window{300, 0, 90s};
  const auto held = budgets->admit(next, {1, 0, 0}, now);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().retry_after, 90s);
  EXPECT_TRUE(admit(post("2", "rival")));
  now += 91s;
  EXPECT_TRUE(admit(post("2")));
}

TEST_F(RateBudgetsTest, WhatIsRememberedAgesUntilItIsWritten) {
  const account_rates told{.calls_wait = 60s, .calls = rate_window{300, 7, 90s}, .uploads = rate_window{30, 1, 20s}};
  const auto later = told.after(30s);
  EXPECT_EQ(later.calls_wait, 30s);
  ASSERT_TRUE(later.calls);
  EXPECT_EQ(later.calls->ends_in, 60s);
  EXPECT_EQ(later.calls->left, 7);
  EXPECT_FALSE(later.uploads) << "that window is over";
  EXPECT_TRUE(told.after(90s).is_none());
}

TEST_F(RateBudgetsTest, OfOneWindowTheSmallerRestCountsAndOfTwoTheOneThatWasHeard) {
  hear(100, 300s, 300);
  auto next = post("1");
  next.known_rates.calls = rate_window{300, 0, 299s};
  EXPECT_FALSE(budgets->admit(next, {1, 0, 0}, now)) << "another node has used up the rest";
  now += 301s;
  hear(100, 300s, 300);
  next.known_rates.calls = rate_window{300, 0, 20s};
  EXPECT_TRUE(budgets->admit(next, {1, 0, 0}, now)) << "that window is not the one that was heard of";
}

TEST_F(RateBudgetsTest, TheTightestOfSeveralWindowsCountsUntilItEnds) {
  hear(3, 60s, 5);
  hear(4'000, 86'400s, 5'000);
  const auto one = admit(post("1"));
  const auto two = admit(post("2"));
  const auto three = admit(post("3"));
  ASSERT_TRUE(one && two && three);
  EXPECT_FALSE(admit(post("4")));
  now += 61s;
  EXPECT_TRUE(admit(post("4")));
}

TEST_F(RateBudgetsTest, WhatCouldAlsoGoLaterLeavesAQuarterOfTheLimitToPostsThatAreDue) {
  const rate_budgets::cost early{0, 1, 0, true};
  EXPECT_TRUE(admit(post(""), early)) << "a server that says nothing is held to nothing";
  hear(9, 600s, 30, rate_scope::uploads);
  {
    const auto one = admit(post(""), early);
    const auto two = admit(post(""), early);
    ASSERT_TRUE(one && two);
    EXPECT_FALSE(admit(post(""), early)) << "7 are left";
  }
  hear(7, 600s, 30, rate_scope::uploads);
  const auto held = admit(post(""), early);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, errc::cancelled);
  EXPECT_EQ(held.error().retry_after, 600s);
  EXPECT_TRUE(admit(post("due"), {1, 7, 0}));
}

TEST_F(RateBudgetsTest, HeadersThatMakeNoSenseTeachNothing) {
  for (const auto& odd : std::vector<headers>{{{"x-ratelimit-remaining", "-1"}, {"x-ratelimit-reset", "60"}},
                                              {{"x-ratelimit-remaining", "none"}, {"x-ratelimit-reset", "60"}},
                                              {{"x-ratelimit-remaining", "0"}},
                                              {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "later"}},
                                              {{"x-ratelimit-remaining", "99999999999999999999"}, {"x-ratelimit-reset", "60"}}}) {
    budgets->learn(account(), rate_scope::account, answer(200, odd), wall, now);
    EXPECT_FALSE(wait("1"));
  }
  budgets->learn(account(), rate_scope::account,
                 answer(200, {{"ratelimit-remaining", "0, 0;w=60"}, {"ratelimit-reset", "60"}}), wall, now);
  EXPECT_EQ(wait("1"), 60s);
}

} // namespace

} // namespace carillon::outbound
