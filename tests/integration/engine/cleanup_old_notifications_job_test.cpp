#include <gtest/gtest.h>

#include "actors/jobs/kinds/cleanup_old_notifications.hpp"
#include "domain/ports/notification_store.hpp"
#include "domain/ports/ownership_store.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class CleanupOldNotificationsJobTest : public ::testing::Test {
protected:
  /// `age` and `read` are SQL intervals before now; null: not read.
  void add(const std::string& title, const std::string& age, const char* read = nullptr) {
    add_to(data.tenant, data.author, title, age, read);
  }

  void add_to(tenant_id tenant, user_id user, const std::string& title, const std::string& age,
              const char* read = nullptr, int count = 1) {
    db.exec("INSERT INTO carillon.notifications (id, tenant_id, user_id, type, title, message, created_at, read_at) "
            "SELECT gen_random_uuid(), "
            + test::sql_literal(tenant) + ", " + test::sql_literal(user) + ", 'post_published', " + test::sql_literal(title)
            + ", 'text', now() - interval " + test::sql_literal(age) + ", "
            + (read ? "now() - interval " + test::sql_literal(std::string{read}) : std::string{"NULL"})
            + " FROM generate_series(1, " + std::to_string(count) + ")");
  }

  std::string left() {
    return db.exec("SELECT coalesce(string_agg(title, ' ' ORDER BY title), '') FROM carillon.notifications");
  }

  job work() const {
    job out;
    out.kind = kinds::cleanup_old_notifications;
    out.tenant = data.tenant;
    out.workspace = data.workspace;
    out.payload = R"({"v": 1})";
    return out;
  }

  job_outcome run() {
    return cleanup_old_notifications(*all, me, work());
  }

  test::test_database db;
  test::seed data{db};
  std::unique_ptr<store> all = storage::make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
  node_identity me = *all->ownership().start_incarnation("n1", 30s);
};

TEST_F(CleanupOldNotificationsJobTest, WhatIsOlderThanNinetyDaysGoesAndWhatIsYoungerStays) {
  add("older", "90 days 1 minute");
  add("younger", "89 days 23:59");
  add("new", "1 second");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(left(), "new younger");
}

TEST_F(CleanupOldNotificationsJobTest, AReadOneIsKeptThirtyDaysAfterItWasRead) {
  add("read-long-ago", "200 days", "30 days 1 minute");
  add("read-lately", "200 days", "29 days 23:59");
  add("young-and-read-long-ago", "60 days", "59 days");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(left(), "read-lately young-and-read-long-ago");
}

TEST_F(CleanupOldNotificationsJobTest, OtherTenantsKeepTheirs) {
  const auto other = test::add_tenant(db, "other");
  add_to(other, test::add_user(db, other, "ann"), "theirs", "200 days");
  add("ours", "200 days");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(left(), "theirs");
}

TEST_F(CleanupOldNotificationsJobTest, MoreThanAChunkGoesInChunksWithinOneRun) {
  add_to(data.tenant, data.author, "old", "200 days", nullptr, 2'500);
  add("new", "1 day");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(left(), "new");
}

TEST_F(CleanupOldNotificationsJobTest, AChunkTakesTheOldestFirstAndNoMoreThanItsLimit) {
  add("a", "300 days");
  add("b", "200 days");
  add("c", "100 days");
  EXPECT_EQ(all->notifications().delete_expired(me, work(), 90 * 24h, 30 * 24h, 2).value(), 2);
  EXPECT_EQ(left(), "c");
  EXPECT_EQ(all->notifications().delete_expired(me, work(), 90 * 24h, 30 * 24h, 2).value(), 1);
}

TEST_F(CleanupOldNotificationsJobTest, OneThatIsToldToStopDeletesNoMore) {
  add("old", "200 days");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(cleanup_old_notifications(*all, me, work(), stop.get_token()).how, job_report::kind::retry);
  EXPECT_EQ(left(), "old");
}

TEST_F(CleanupOldNotificationsJobTest, AFencedOutNodeDeletesNothingAndConcludesNothingElse) {
  add("old", "200 days");
  ASSERT_TRUE(all->ownership().end_own(me));
  EXPECT_EQ(run().how, job_report::kind::concluded);
  EXPECT_EQ(left(), "old");
}

} // namespace

} // namespace carillon
