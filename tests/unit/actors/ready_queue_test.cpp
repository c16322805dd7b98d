// What may start next: fair between workspaces, within caps, rates and
// circuit breakers.
#include <algorithm>

#include <gtest/gtest.h>

#include "actors/jobs/ready_queue.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class ReadyQueueTest : public ::testing::Test {
protected:
  static std::shared_ptr<const job> make(const workspace_id& workspace, std::string_view kind, int priority = 5,
                                         std::string rate_key = {}) {
    auto out = std::make_shared<job>();
    out->id = job_id::make();
    out->kind = kind;
    out->workspace = workspace;
    out->priority = priority;
    out->rate_key = std::move(rate_key);
    return out;
  }

  void push(const workspace_id& workspace, int count, std::string_view kind = kinds::cleanup_old_notifications,
            int priority = 5) {
    for (int i = 0; i < count; ++i)
      queue.push(make(workspace, kind, priority));
  }

  std::size_t popped_of(const std::vector<ready_queue::item>& jobs, const workspace_id& workspace) {
    return static_cast<std::size_t>(
      std::count_if(jobs.begin(), jobs.end(), [&](const auto& j) { return j->workspace == workspace; }));
  }

  static job_control control(job_control::about scope, std::string name) {
    job_control out;
    out.scope = scope;
    out.name = std::move(name);
    return out;
  }

  const workspace_id flood = workspace_id::make();
  const workspace_id small = workspace_id::make();
  ready_queue::time_point now{1h};
  ready_queue queue{{.running_per_workspace = 1'000, .breaker_failures = 3, .breaker_cool_down = 10s,
                     .longest_rush = 5s}};
};

TEST_F(ReadyQueueTest, AWorkspaceWithFewJobsDoesNotWaitForOneThatFloods) {
  push(flood, 500);
  push(small, 2);
  const auto first = queue.pop(now, 4);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(popped_of(first, small), 2u);
}

TEST_F(ReadyQueueTest, TurnsAreInProportionToTheWeightsThatOperatorsGave) {
  auto heavy = control(job_control::about::workspace, to_string(flood));
  heavy.weight = 3;
  queue.set_controls({heavy}, now);
  push(flood, 100);
  push(small, 100);
  const auto jobs = queue.pop(now, 40);
  EXPECT_EQ(popped_of(jobs, flood), 30u);
  EXPECT_EQ(popped_of(jobs, small), 10u);
}

TEST_F(ReadyQueueTest, LessUrgentJobsGiveWayToARushOfMoreUrgentOnesUntilItIsOver) {
  push(flood, 200, kinds::cleanup_old_notifications, 1);
  push(small, 3, kinds::cleanup_old_notifications, 5);
  auto rush = queue.pop(now, 1'000);
  ASSERT_EQ(rush.size(), 200u) << "not one of the others";
  EXPECT_EQ(queue.next_wake(), now + 5s);
  while (rush.size() > 128) {
    queue.finished(*rush.back());
    rush.pop_back();
  }
  EXPECT_EQ(queue.pop(now, 1'000).size(), 0u);
  queue.finished(*rush.back());
  EXPECT_EQ(queue.pop(now, 1'000).size(), 3u);
  EXPECT_EQ(queue.next_wake(), std::nullopt);
}

TEST_F(ReadyQueueTest, NobodyGivesWayForLongerThanFiveSecondsAndToTheNextRushAgain) {
  push(flood, 200, kinds::cleanup_old_notifications, 1);
  push(small, 1, kinds::cleanup_old_notifications, 5);
  const auto rush = queue.pop(now, 1'000);
  now += 4'999ms;
  EXPECT_EQ(queue.pop(now, 1'000).size(), 0u);
  now += 1ms;
  EXPECT_EQ(queue.pop(now, 1'000).size(), 1u);
  EXPECT_EQ(queue.next_wake(), std::nullopt);
  for (const auto& one : rush)
    queue.finished(*one);
  EXPECT_EQ(queue.pop(now, 1'000).size(), 0u);
  push(flood, 200, kinds::cleanup_old_notifications, 1);
  push(small, 1, kinds::cleanup_old_notifications, 5);
  EXPECT_EQ(queue.pop(now, 1'000).size(), 200u);
}

TEST_F(ReadyQueueTest, JobsOfOneLevelAreNoRushForEachOther) {
  push(flood, 500, kinds::cleanup_old_notifications, 5);
  ASSERT_EQ(queue.pop(now, 1'000).size(), 500u);
  push(small, 1, kinds::cleanup_old_notifications, 5);
  EXPECT_EQ(queue.pop(now, 1'000).size(), 1u);
}

TEST_F(ReadyQueueTest, MoreUrgentJobsGoFirstWhoeverOwnsThem) {
  push(flood, 10, kinds::cleanup_old_notifications, 5);
  push(small, 1, kinds::cleanup_old_notifications, 0);
  EXPECT_EQ(queue.pop(now, 1)[0]->workspace, small);
}

TEST_F(ReadyQueueTest, JobsOfOneWorkspaceAndKindKeepTheirOrder) {
  const auto first = make(small, kinds::cleanup_old_notifications);
  const auto second = make(small, kinds::cleanup_old_notifications);
  queue.push(first);
  queue.push(second);
  const auto jobs = queue.pop(now, 2);
  EXPECT_EQ(jobs[0]->id, first->id);
  EXPECT_EQ(jobs[1]->id, second->id);
}

TEST_F(ReadyQueueTest, AWorkspaceRunsNoMoreThanItsCapAndGoesOnWhenOneEnds) {
  queue.set_limits({.running_per_workspace = 2, .breaker_failures = 3, .breaker_cool_down = 10s});
  push(flood, 5);
  push(small, 1);
  const auto jobs = queue.pop(now, 10);
  EXPECT_EQ(popped_of(jobs, flood), 2u);
  EXPECT_EQ(popped_of(jobs, small), 1u);
  EXPECT_TRUE(queue.pop(now, 10).empty());
  for (const auto& j : jobs)
    if (j->workspace == flood) {
      queue.finished(*j);
      break;
    }
  EXPECT_EQ(queue.pop(now, 10).size(), 1u);
}

TEST_F(ReadyQueueTest, AKindRunsNoMoreThanItsCapAcrossWorkspaces) {
  auto cap = control(job_control::about::kind, std::string{kinds::cleanup_old_notifications});
  cap.max_running = 3;
  queue.set_controls({cap}, now);
  for (int i = 0; i < 10; ++i)
    push(workspace_id::make(), 1);
  push(small, 1, kinds::send_notification_email);
  auto jobs = queue.pop(now, 100);
  EXPECT_EQ(jobs.size(), 4u) << "three of the capped kind, and the other kind";
  std::size_t total = jobs.size();
  while (!jobs.empty()) {
    for (const auto& j : jobs)
      queue.finished(*j);
    jobs = queue.pop(now, 100);
    EXPECT_LE(jobs.size(), 3u);
    total += jobs.size();
  }
  EXPECT_EQ(total, 11u) << "none is forgotten";
}

TEST_F(ReadyQueueTest, ARateBudgetIsHeldPerKeyAndTokensComeBackWithTime) {
  auto rate = control(job_control::about::kind, std::string{kinds::cleanup_old_notifications});
  rate.rate = rate_budget{2.0, 2};
  queue.set_controls({rate}, now);
  for (const auto* key : {"a", "b"})
    for (int i = 0; i < 4; ++i)
      queue.push(make(small, kinds::cleanup_old_notifications, 5, key));
  EXPECT_EQ(queue.pop(now, 100).size(), 4u) << "two of each key at once";
  EXPECT_TRUE(queue.pop(now, 100).empty());
  ASSERT_TRUE(queue.next_wake());
  EXPECT_LE(*queue.next_wake(), now + 500ms);
  EXPECT_FALSE(queue.blocks(now).empty());
  EXPECT_EQ(queue.pop(now + 500ms, 100).size(), 2u) << "one more of each";
  EXPECT_EQ(queue.pop(now + 2s, 100).size(), 2u);
}

TEST_F(ReadyQueueTest, FailuresInARowOpenTheBreakerAndOneProbeClosesIt) {
  push(small, 10, kinds::send_notification_email);
  auto jobs = queue.pop(now, 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(queue.report_dependency(*jobs[i], true, now), i == 2) << "opens at the third";
    queue.finished(*jobs[i]);
  }
  EXPECT_TRUE(queue.pop(now + 9s, 10).empty()) << "open";
  const auto probe = queue.pop(now + 10s, 10);
  ASSERT_EQ(probe.size(), 1u) << "half open lets one through";
  queue.report_dependency(*probe[0], false, now + 10s);
  queue.finished(*probe[0]);
  EXPECT_EQ(queue.pop(now + 10s, 10).size(), 6u);
}

TEST_F(ReadyQueueTest, AProbeThatFailsOpensTheBreakerAgain) {
  push(small, 10, kinds::send_notification_email);
  for (const auto& j : queue.pop(now, 3)) {
    queue.report_dependency(*j, true, now);
    queue.finished(*j);
  }
  const auto probe = queue.pop(now + 10s, 10);
  ASSERT_EQ(probe.size(), 1u);
  EXPECT_TRUE(queue.report_dependency(*probe[0], true, now + 10s));
  queue.finished(*probe[0]);
  EXPECT_TRUE(queue.pop(now + 19s, 10).empty());
  EXPECT_EQ(queue.pop(now + 20s, 10).size(), 1u);
}

TEST_F(ReadyQueueTest, PausedWorkspacesAndKindsStartNothingUntilTheyAreResumed) {
  push(small, 1);
  push(flood, 1, kinds::send_notification_email);
  auto workspace = control(job_control::about::workspace, to_string(small));
  workspace.paused = true;
  auto queue_control = control(job_control::about::queue, "notifications");
  queue_control.paused = true;
  queue.set_controls({workspace, queue_control}, now);
  EXPECT_TRUE(queue.pop(now, 10).empty());
  EXPECT_TRUE(queue.is_paused(small));
  const auto kinds_now = queue.runnable_kinds();
  EXPECT_EQ(std::count(kinds_now.begin(), kinds_now.end(), kinds::send_notification_email), 0);
  queue.set_controls({}, now);
  EXPECT_EQ(queue.pop(now, 10).size(), 2u);
}

TEST_F(ReadyQueueTest, WhatIsDroppedIsGoneAndTheRestIsNot) {
  push(small, 3);
  push(flood, 4);
  const auto dropped = queue.drop([&](const job& j) { return j.workspace == small; });
  EXPECT_EQ(dropped.size(), 3u);
  EXPECT_EQ(queue.held(small), 0u);
  EXPECT_EQ(queue.waiting(), 4u);
  EXPECT_EQ(queue.pop(now, 10).size(), 4u);
  EXPECT_EQ(queue.held(flood), 4u) << "running ones count";
}

} // namespace

} // namespace carillon
