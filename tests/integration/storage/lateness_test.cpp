// How late posts leave, and the alarm that one node claims for all.

#include <gtest/gtest.h>

#include "storage/operations_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using namespace std::chrono_literals;

class LatenessTest : public ::testing::Test {
protected:
  struct measured {
    std::int64_t posts = 0;
    std::int64_t late = 0;
    std::int64_t waiting = 0;
    std::int64_t retried = 0;

    bool operator==(const measured&) const = default;
  };

  /// A post with a target, in `status`, due `ago`.
  post_id add(const std::string& ago, const std::string& status, const std::string& target_status) {
    const auto post = data.add_scheduled_post(data.workspace, "text " + std::to_string(++posts), "now() - interval '" + ago + "'");
    data.add_target(post, account);
    db.exec("UPDATE carillon.posts SET status = " + test::sql_literal(status) + ", published_at = CASE WHEN "
            + test::sql_literal(status) + " = 'published' THEN now() END WHERE id = " + test::sql_literal(post));
    db.exec("UPDATE carillon.post_targets SET status = " + test::sql_literal(target_status) + ", external_post_id = 'x"
            + std::to_string(posts) + "' WHERE post_id = " + test::sql_literal(post));
    return post;
  }

  /// The call began so long `after` the instant; `latency` NULL: the node died,
  /// and the post was found.
  void add_attempt(post_id post, const std::string& state, const std::string& after, const std::string& latency = "50") {
    db.exec("INSERT INTO carillon.publish_attempts (id, tenant_id, workspace_id, post_id, target_id, social_account_id, number, "
            "idempotency_key, text_hash, state, node, incarnation, started_at, deadline_at, concluded_at, latency_ms) "
            "SELECT carillon.uuid_v7(), p.tenant_id, p.workspace_id, p.id, t.id, t.social_account_id, 1, 'k', p.id, "
            + test::sql_literal(state) + ", 'n', 1, p.scheduled_at + interval '" + after + "', p.scheduled_at + interval '" + after
            + "' + interval '30 s', CASE WHEN " + test::sql_literal(state) + " IN ('open', 'unknown') THEN NULL ELSE now() END, "
            + latency + " FROM carillon.posts p JOIN carillon.post_targets t ON t.post_id = p.id WHERE p.id = " + test::sql_literal(post));
  }

  lateness_report report(std::chrono::hours within = 1h) {
    lateness_filter filter;
    filter.within = within;
    auto out = operations.lateness(scope::tenant({data.tenant}), filter);
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out ? *out : lateness_report{};
  }
  measured sums() {
    const auto r = report();
    return {r.posts, r.late, r.waiting, r.retried};
  }

  bool is_claimed(double share = 0.1, std::chrono::milliseconds every = 0ms) {
    const auto out = operations.claim_lateness_alarm({60s, share}, every);
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out && out->has_value();
  }

  test::test_database db;
  test::seed data{db};
  social_account_id account = data.add_account(data.workspace);
  operations_repository operations{db.connection()};
  int posts = 0;
};

TEST_F(LatenessTest, ItIsMeasuredFromTheInstantToTheNetworksAnswer) {
  add_attempt(add("100 s", "published", "published"), "succeeded", "1 s", "1500");
  const auto r = report();
  ASSERT_EQ(r.worst.size(), 1u);
  EXPECT_EQ(r.worst[0].p50, 2'500ms);
  EXPECT_EQ(r.worst[0].p99, 2'500ms);
  EXPECT_EQ(r.worst[0].max, 2'500ms);
  EXPECT_EQ(r.worst[0].workspace_name, "Main");
  EXPECT_EQ(r.worst[0].platform, "mastodon");
  EXPECT_EQ(sums(), (measured{1, 0, 0, 0})) << "recorded 100 s later, but accepted in time";
}

TEST_F(LatenessTest, OfACallThatWasFoundAfterwardsTheLatestMomentCounts) {
  add_attempt(add("200 s", "published", "published"), "succeeded", "1 s", "NULL");
  EXPECT_EQ(report().worst.at(0).max, 31'000ms) << "the call's deadline";
}

TEST_F(LatenessTest, ARetriedPostIsCountedApart) {
  const auto post = add("300 s", "published", "published");
  db.exec("UPDATE carillon.post_targets SET retry_count = 1");
  add_attempt(post, "succeeded", "1 s");
  EXPECT_EQ(sums(), (measured{0, 0, 0, 1}));
  EXPECT_FALSE(report().worst.at(0).max);
}

TEST_F(LatenessTest, WhatIsDueAndNotTriedIsLate) {
  add("90 s", "scheduled", "pending");
  add("30 s", "scheduled", "pending");
  add("90 s", "publishing", "publishing");
  add_attempt(add("90 s", "publishing", "publishing"), "unknown", "1 s");
  add("90 s", "draft", "pending");
  add("90 s", "failed", "failed");
  EXPECT_EQ(sums(), (measured{2, 2, 2, 0}));
}

TEST_F(LatenessTest, WhatIsHeldBackWasNotTried) {
  add_attempt(add("90 s", "publishing", "publishing"), "failed", "1 s");
  EXPECT_EQ(sums(), (measured{0, 0, 0, 0}));
  db.exec("UPDATE carillon.publish_attempts SET error_code = 'NOT_SENT'");
  EXPECT_EQ(sums(), (measured{1, 1, 1, 0}));
}

TEST_F(LatenessTest, WhatWentOutBeforeThePostWasScheduledAnewDoesNotCount) {
  add_attempt(add("10 s", "published", "published"), "succeeded", "-2 hours");
  EXPECT_EQ(sums(), measured{});
}

TEST_F(LatenessTest, OnlyWhatWasPublishedWithinTheTimeAskedForCounts) {
  add_attempt(add("3 hours", "published", "published"), "succeeded", "1 s");
  db.exec("UPDATE carillon.posts SET published_at = now() - interval '3 hours'");
  EXPECT_EQ(report(1h).posts, 0);
  EXPECT_EQ(report(4h).posts, 1);
}

TEST_F(LatenessTest, TheAlarmIsClaimedOnceAndAgainWhenTellingFailed) {
  EXPECT_FALSE(is_claimed()) << "nothing is late";
  add_attempt(add("300 s", "published", "published"), "succeeded", "299 s");
  EXPECT_FALSE(is_claimed(1.0)) << "no more than allowed";
  EXPECT_TRUE(is_claimed());
  EXPECT_FALSE(is_claimed()) << "somebody is telling";
  ASSERT_TRUE(operations.record_lateness_told(false));
  EXPECT_TRUE(is_claimed());
  ASSERT_TRUE(operations.record_lateness_told(true));
  EXPECT_FALSE(is_claimed()) << "told within the hour";
  db.exec("UPDATE carillon.operator_alarms SET told_at = now() - interval '61 minutes'");
  EXPECT_TRUE(is_claimed());
}

TEST_F(LatenessTest, OneLooksForAll) {
  add_attempt(add("300 s", "published", "published"), "succeeded", "299 s");
  EXPECT_FALSE(is_claimed(1.0, 1h));
  EXPECT_FALSE(is_claimed(0.1, 1h)) << "somebody has looked within the interval";
}

TEST_F(LatenessTest, WhoeverDiesWhileTellingIsReplacedAfterElevenMinutes) {
  add_attempt(add("300 s", "published", "published"), "succeeded", "299 s");
  ASSERT_TRUE(is_claimed());
  EXPECT_EQ(db.exec("SELECT next_look_at > now() + interval '10 minutes' FROM carillon.operator_alarms"), "t");
  db.exec("UPDATE carillon.operator_alarms SET next_look_at = next_look_at - interval '11 minutes'");
  EXPECT_TRUE(is_claimed());
}

} // namespace

} // namespace carillon::storage
