// Digests: none dropped, none twice, whatever comes in between.
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/ports/delivery_store.hpp"
#include "domain/ports/job_store.hpp"
#include "domain/ports/notification_store.hpp"
#include "domain/ports/ownership_store.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using namespace std::chrono_literals;
using test::sql_literal;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class NotificationDigestTest : public ::testing::Test {
protected:
  void SetUp() override {
    settings_change change;
    change.digests[notification_category::engagement] = digest_period::hourly;
    ASSERT_TRUE(all->notifications().update_settings(here, olga, change));
  }

  notification send(const std::string& title, notification_type type = notification_type::new_comment) {
    new_notification m;
    m.tenant = acme;
    m.user = olga;
    m.type = type;
    m.title = title;
    m.message = "text of " + title;
    auto n = all->notifications().send(here, m, wake);
    EXPECT_TRUE(n) << (n ? "" : n.error().detail);
    return n.value_or({});
  }

  /// Its window is over: the job is due.
  void let_time_pass() {
    db.exec("UPDATE carillon.jobs SET run_at = now() - interval '1 second' WHERE kind = 'send_notification_digest'");
  }

  job digest_job() {
    due_query query;
    for (int shard = 0; shard < shard_count; ++shard)
      query.shards.push_back(static_cast<shard_id>(shard));
    query.kinds = {std::string{kinds::send_notification_digest}};
    query.first_batch = ++batch;
    const auto due = all->jobs().take_due(me, query);
    EXPECT_TRUE(due);
    if (!due || due->batches.empty() || due->batches[0].jobs.empty()) {
      ADD_FAILURE() << "no digest job is due";
      return {};
    }
    return due->batches[0].jobs[0];
  }

  std::vector<std::string> titles(const digest_order& order) {
    std::vector<std::string> out;
    for (const auto& n : order.items)
      out.push_back(n.title);
    return out;
  }

  std::string state(const notification& n) {
    return db.exec("SELECT state || coalesce(': ' || reason, '') FROM carillon.notification_deliveries WHERE channel = "
                   "'email' AND notification_id = " + sql_literal(n.id));
  }

  std::string jobs() {
    return db.exec("SELECT count(*) FROM carillon.jobs WHERE kind = 'send_notification_digest'");
  }

  test::test_database db;
  std::unique_ptr<store> all = make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
  node_identity me = *all->ownership().start_incarnation("n1", 30s);
  tenant_id acme = test::add_tenant(db, "acme");
  user_id olga = test::add_user(db, acme, "olga");
  scope here = scope::tenant(acme);
  hints wake;
  std::int64_t batch = 0;
  const email_outcome sent{email_outcome::kind::sent, {}};
};

TEST_F(NotificationDigestTest, NotificationsOfACategoryMakeOneMailPerWindow) {
  const auto a = send("a");
  const auto b = send("b", notification_type::new_mention);
  const auto other = send("other", notification_type::post_published);
  const auto urgent = send("urgent", notification_type::post_failed);
  EXPECT_THAT(state(a), ::testing::StartsWith("deferred: hourly digest at "));
  EXPECT_EQ(state(other), "queued");
  EXPECT_EQ(state(urgent), "queued");
  EXPECT_EQ(jobs(), "1");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs WHERE kind = 'send_notification_email'"), "2");

  let_time_pass();
  const auto work = digest_job();
  const auto order = all->deliveries().begin_digest(me, work);
  ASSERT_TRUE(order) << order.error().detail;
  EXPECT_THAT(titles(*order), ElementsAre("a", "b"));
  EXPECT_EQ(order->count, 2);
  EXPECT_EQ(order->recipient_name, "olga");
  EXPECT_EQ(order->category, notification_category::engagement);
  EXPECT_EQ(state(a), "queued: in a digest");
  ASSERT_TRUE(all->deliveries().conclude_digest(me, work, *order, sent));
  EXPECT_EQ(state(a), "sent: in a digest");
  EXPECT_EQ(state(b), "sent: in a digest");
  EXPECT_EQ(db.exec("SELECT count(sent_at) FROM carillon.notifications"), "2");
  EXPECT_EQ(jobs(), "0");
}

TEST_F(NotificationDigestTest, WhatComesWhileOneIsComposedMakesTheNext) {
  send("early");
  let_time_pass();
  const auto work = digest_job();
  const auto order = all->deliveries().begin_digest(me, work);
  ASSERT_TRUE(order);
  const auto late = send("late");
  // The same window: the job that runs is told to run once more.
  if (jobs() == "1") {
    db.exec("UPDATE carillon.notification_deliveries SET deferred_until = now() - interval '1 hour' WHERE notification_id = "
            + sql_literal(late.id));
    db.exec("UPDATE carillon.jobs SET payload = jsonb_set(payload, '{until}', to_jsonb(now()))");
  }
  ASSERT_TRUE(all->deliveries().conclude_digest(me, work, *order, sent));
  EXPECT_THAT(state(late), ::testing::StartsWith("deferred"));
  EXPECT_EQ(jobs(), "1");
  let_time_pass();
  db.exec("UPDATE carillon.jobs SET payload = jsonb_set(payload, '{until}', to_jsonb(now() + interval '2 hours'))");
  const auto again = digest_job();
  const auto next = all->deliveries().begin_digest(me, again);
  ASSERT_TRUE(next);
  EXPECT_THAT(titles(*next), ElementsAre("late"));
  EXPECT_NE(next->id, order->id);
  ASSERT_TRUE(all->deliveries().conclude_digest(me, again, *next, sent));
  EXPECT_EQ(jobs(), "0");
}

TEST_F(NotificationDigestTest, ACrashBeforeItIsRecordedSendsTheSameDigestAgain) {
  send("a");
  let_time_pass();
  const auto work = digest_job();
  const auto first = all->deliveries().begin_digest(me, work).value();
  const auto late = send("late");
  db.exec("UPDATE carillon.notification_deliveries SET deferred_until = now() - interval '1 hour' WHERE state = 'deferred'");
  const auto second = all->deliveries().begin_digest(me, work).value();
  EXPECT_EQ(second.id, first.id);
  EXPECT_THAT(titles(second), ElementsAre("a"));
  EXPECT_EQ(db.exec("SELECT attempts FROM carillon.notification_digests"), "2");
  EXPECT_EQ(db.exec("SELECT max(attempts) FROM carillon.notification_deliveries"), "2");
  EXPECT_THAT(state(late), ::testing::StartsWith("deferred"));
}

TEST_F(NotificationDigestTest, WhatWasSwitchedOffMeanwhileIsLeftOutAndSaysSo) {
  const auto comment = send("comment");
  const auto mention = send("mention", notification_type::new_mention);
  ASSERT_TRUE(all->notifications().unsubscribe_email(here, olga, {notification_type::new_comment}));
  let_time_pass();
  const auto work = digest_job();
  const auto order = all->deliveries().begin_digest(me, work).value();
  EXPECT_THAT(titles(order), ElementsAre("mention"));
  EXPECT_EQ(state(comment), "skipped: off by preference");
  EXPECT_EQ(state(mention), "queued: in a digest");
}

TEST_F(NotificationDigestTest, WhenNothingIsLeftNoMailIsMade) {
  const auto n = send("a");
  db.exec("INSERT INTO carillon.mail_suppressions (tenant_id, address, reason) SELECT tenant_id, lower(email), 'bounce' FROM "
          "carillon.users");
  let_time_pass();
  const auto work = digest_job();
  const auto order = all->deliveries().begin_digest(me, work).value();
  EXPECT_TRUE(order.id.is_nil());
  EXPECT_EQ(state(n), "skipped: address suppressed after bounce");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notification_digests"), "0");
  ASSERT_TRUE(all->deliveries().conclude_digest(me, work, order, {email_outcome::kind::skipped, "nothing waits"}));
  EXPECT_EQ(jobs(), "0");
}

TEST_F(NotificationDigestTest, AFailedDigestIsRecordedOnEachAndTheRefusedAddressSuppressed) {
  const auto n = send("a");
  let_time_pass();
  const auto work = digest_job();
  const auto order = all->deliveries().begin_digest(me, work).value();
  ASSERT_TRUE(all->deliveries().conclude_digest(
    me, work, order, {email_outcome::kind::failed, "RCPT failed: 550", order.recipient_address}));
  EXPECT_EQ(state(n), "failed: RCPT failed: 550");
  EXPECT_EQ(db.exec("SELECT address || ' ' || reason FROM carillon.mail_suppressions"),
            order.recipient_address + " RCPT failed: 550");
  EXPECT_EQ(state(send("b")), "skipped: address suppressed after bounce");
}

TEST_F(NotificationDigestTest, ADigestInQuietHoursComesAfterThem) {
  const auto to = db.exec("SELECT to_char((now() AT TIME ZONE 'UTC') + interval '5 hours', 'HH24:MI')");
  const auto from = db.exec("SELECT to_char((now() AT TIME ZONE 'UTC') - interval '1 hour', 'HH24:MI')");
  ASSERT_TRUE(all->notifications().update_settings(
    here, olga, {true, parse_time_of_day(from), parse_time_of_day(to), {}, {}}));
  EXPECT_EQ(state(send("a")), "deferred: hourly digest at " + to);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs WHERE kind = 'send_notification_digest' AND run_at > now() + interval "
                    "'4 hours'"), "1");
}

TEST_F(NotificationDigestTest, ArrivalsDuringCompositionAreNeverLost) {
  constexpr int rounds = 30;
  std::thread sender{[this] {
    auto mine = make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
    for (int i = 0; i < rounds; ++i) {
      new_notification m;
      m.tenant = acme;
      m.user = olga;
      m.type = notification_type::new_comment;
      m.title = std::to_string(i);
      m.message = "m";
      hints unused;
      EXPECT_TRUE(mine->notifications().send(here, m, unused));
    }
  }};
  std::set<std::string> told;
  const auto drain = [&] {
    db.exec("UPDATE carillon.notification_deliveries SET deferred_until = now() - interval '1 hour' WHERE state = 'deferred'");
    let_time_pass();
    due_query query;
    for (int shard = 0; shard < shard_count; ++shard)
      query.shards.push_back(static_cast<shard_id>(shard));
    query.kinds = {std::string{kinds::send_notification_digest}};
    query.first_batch = ++batch;
    const auto due = all->jobs().take_due(me, query);
    if (!due || due->batches.empty())
      return false;
    for (const auto& work : due->batches[0].jobs) {
      const auto order = all->deliveries().begin_digest(me, work);
      if (!order)
        return false;
      for (const auto& n : order->items)
        EXPECT_TRUE(told.insert(n.title).second) << n.title << " was told twice";
      EXPECT_TRUE(all->deliveries().conclude_digest(me, work, *order, sent));
    }
    return true;
  };
  for (int i = 0; i < 20; ++i)
    drain();
  sender.join();
  for (int i = 0; i < 5 && drain(); ++i) {
  }
  EXPECT_THAT(told, SizeIs(rounds));
  EXPECT_EQ(jobs(), "0");
}

} // namespace

} // namespace carillon::storage
