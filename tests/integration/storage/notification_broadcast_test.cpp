// Telling a whole tenant, and what other programs ask for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/jobs/kinds/send_tenant_notification.hpp"
#include "domain/ports/notification_store.hpp"
#include "domain/ports/ownership_store.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using namespace std::chrono_literals;
using test::sql_literal;

class NotificationBroadcastTest : public ::testing::Test {
protected:
  void add_users(int count, const std::string& status = "active") {
    db.exec("INSERT INTO carillon.users (id, tenant_id, email, name, status) SELECT gen_random_uuid(), " + sql_literal(acme)
            + ", " + sql_literal(status) + " || g || '@acme.example', 'user ' || g, " + sql_literal(status)
            + " FROM generate_series(1, " + std::to_string(count) + ") g");
  }

  new_notification message() {
    new_notification m;
    m.tenant = acme;
    m.type = notification_type::system_announcement;
    m.title = "News";
    m.message = "We are open";
    return m;
  }

  job job_of(const uuid& broadcast) const {
    job out;
    out.kind = kinds::send_tenant_notification;
    out.tenant = acme;
    out.workspace = root_workspace(acme);
    out.payload = R"({"v":1,"broadcast_id":")" + to_string(broadcast) + "\"}";
    return out;
  }

  uuid started() {
    const auto b = all->notifications().send_to_tenant(here, message(), wake);
    EXPECT_TRUE(b) << (b ? "" : b.error().detail);
    return b ? b->id : uuid{};
  }

  std::string count(const std::string& from) {
    return db.exec("SELECT count(*) FROM carillon." + from);
  }

  /// Users with several of its notifications, notifications without four
  /// delivery rows, and mails without a job.
  std::string faults() {
    return db.exec("SELECT (SELECT count(*) FROM (SELECT user_id FROM carillon.notifications GROUP BY user_id HAVING "
                   "count(*) > 1) x) || ' ' || (SELECT count(*) FROM carillon.notifications n WHERE (SELECT count(*) FROM "
                   "carillon.notification_deliveries d WHERE d.notification_id = n.id) <> 4) || ' ' || (SELECT count(*) FROM "
                   "carillon.notification_deliveries d WHERE d.channel = 'email' AND (d.state = 'queued') <> EXISTS (SELECT "
                   "FROM carillon.jobs j WHERE j.unique_key = 'notification-email-' || d.notification_id))");
  }

  test::test_database db;
  std::unique_ptr<store> all = make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
  node_identity me = *all->ownership().start_incarnation("n1", 30s);
  tenant_id acme = test::add_tenant(db, "acme");
  scope here = scope::tenant(acme);
  hints wake;
};

TEST_F(NotificationBroadcastTest, EveryActiveUserIsToldOnceAndNobodyElse) {
  add_users(50);
  add_users(3, "deactivated");
  add_users(2, "pending");
  db.exec("UPDATE carillon.users SET deleted_at = now() WHERE email = 'active7@acme.example'");
  const auto other = test::add_tenant(db, "other");
  test::add_user(db, other, "stranger");
  db.exec("INSERT INTO carillon.notification_preferences (id, tenant_id, user_id, notification_type, in_app_enabled, "
          "email_enabled) SELECT gen_random_uuid(), tenant_id, id, 'system_announcement', name <> 'user 1', name = 'user 1' "
          "FROM carillon.users WHERE name IN ('user 1', 'user 2') AND status = 'active'");

  const auto b = all->notifications().send_to_tenant(here, message(), wake);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->recipients, 49);
  EXPECT_EQ(count("notifications"), "0");
  ASSERT_EQ(wake.size(), 1u);
  EXPECT_EQ(wake[0].workspace, root_workspace(acme));
  EXPECT_EQ(db.exec("SELECT payload ->> 'broadcast_id' FROM carillon.jobs"), to_string(b->id));

  EXPECT_EQ(send_tenant_notification(*all, me, job_of(b->id)).how, job_report::kind::succeeded);
  EXPECT_EQ(db.exec("SELECT count(*) || ' ' || count(DISTINCT user_id) || ' ' || count(read_at) FROM carillon.notifications"),
            "49 49 1");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications n JOIN carillon.users u ON u.id = n.user_id WHERE "
                    "u.status <> 'active' OR u.deleted_at IS NOT NULL OR u.tenant_id <> n.tenant_id"), "0");
  EXPECT_EQ(faults(), "0 0 0");
  EXPECT_EQ(count("jobs WHERE kind = 'send_notification_email'"), "48");
  EXPECT_EQ(db.exec("SELECT state || ' ' || written || ' ' || delivered FROM carillon.notification_broadcasts"),
            "done 49 49");
}

TEST_F(NotificationBroadcastTest, ARunThatIsCutShortAnywhereIsTakenUpAndDoublesNobody) {
  add_users(37);
  const auto work = job_of(started());
  // Each step in a transaction of its own, which another run begins where the
  // last one was committed; steps that are rolled back leave nothing.
  bool finished = false;
  for (int step = 0; step < 100 && !finished; ++step) {
    db.exec("BEGIN; SELECT carillon.continue_broadcast(" + sql_literal(acme) + ", (SELECT id FROM "
            "carillon.notification_broadcasts), 5); ROLLBACK");
    const auto progress = all->notifications().continue_broadcast(me, work, 5);
    ASSERT_TRUE(progress);
    finished = progress->finished;
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(count("notifications"), "37");
  EXPECT_EQ(faults(), "0 0 0");
  // Run again after the end: nothing.
  EXPECT_EQ(send_tenant_notification(*all, me, work).how, job_report::kind::succeeded);
  EXPECT_EQ(count("notifications"), "37");
}

TEST_F(NotificationBroadcastTest, AnEarlierLifeWritesNothing) {
  add_users(3);
  const auto work = job_of(started());
  auto earlier = me;
  ASSERT_TRUE(all->ownership().start_incarnation("n1", 30s));
  db.exec("UPDATE carillon.node_incarnations SET ended_at = now() WHERE incarnation = " + std::to_string(me.incarnation));
  EXPECT_EQ(all->notifications().continue_broadcast(earlier, work, 5).error().code, errc::cancelled);
  EXPECT_EQ(count("notifications"), "0");
}

TEST_F(NotificationBroadcastTest, UsersWhoLeaveInBetweenAreNoTrouble) {
  add_users(10);
  const auto work = job_of(started());
  ASSERT_TRUE(all->notifications().continue_broadcast(me, work, 100));
  db.exec("DELETE FROM carillon.users WHERE name IN ('user 1', 'user 2')");
  EXPECT_EQ(send_tenant_notification(*all, me, work).how, job_report::kind::succeeded);
  EXPECT_EQ(count("notifications"), "8");
  EXPECT_EQ(faults(), "0 0 0");
}

TEST_F(NotificationBroadcastTest, ATenantWithoutUsersIsDoneAtOnce) {
  EXPECT_EQ(send_tenant_notification(*all, me, job_of(started())).how, job_report::kind::succeeded);
  EXPECT_EQ(db.exec("SELECT state FROM carillon.notification_broadcasts"), "done");
}

TEST_F(NotificationBroadcastTest, AJobOfAnotherTenantOrOfNoBroadcastDoesNothing) {
  add_users(2);
  auto work = job_of(started());
  work.tenant = test::add_tenant(db, "other");
  EXPECT_EQ(send_tenant_notification(*all, me, work).how, job_report::kind::succeeded);
  work.payload = R"({"v":1})";
  EXPECT_EQ(send_tenant_notification(*all, me, work).how, job_report::kind::discarded);
  EXPECT_EQ(count("notifications"), "0");
}

TEST_F(NotificationBroadcastTest, OtherProgramsTellATenantInTheirTransaction) {
  add_users(4);
  const auto call = "SELECT carillon.notify_tenant(" + sql_literal(acme) + ", 'maintenance_scheduled', 'Tonight', 'At two')";
  db.exec("BEGIN; " + call + "; ROLLBACK");
  EXPECT_EQ(count("notification_broadcasts"), "0");
  EXPECT_EQ(count("jobs"), "0");
  const auto id = parse_uuid(db.exec(call));
  ASSERT_TRUE(id);
  EXPECT_EQ(send_tenant_notification(*all, me, job_of(*id)).how, job_report::kind::succeeded);
  EXPECT_EQ(count("notifications WHERE type = 'maintenance_scheduled'"), "4");
}

TEST_F(NotificationBroadcastTest, SendToAnotherTenantIsNotFound) {
  auto m = message();
  m.tenant = test::add_tenant(db, "other");
  EXPECT_EQ(all->notifications().send_to_tenant(here, m, wake).error().code, errc::not_found);
  EXPECT_TRUE(wake.empty());
}

// -- requests with a key -----------------------------------------------------------------

TEST_F(NotificationBroadcastTest, ARequestIsCarriedOutOnceForItsKey) {
  const auto olga = test::add_user(db, acme, "olga");
  notification_request request{message(), {olga}, "key-1", "print-1"};
  const auto first = all->notifications().send_once(here, request, wake);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->repeated);
  ASSERT_EQ(first->ids.size(), 1u);
  EXPECT_EQ(wake.size(), 1u);
  const auto second = all->notifications().send_once(here, request, wake);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->repeated);
  EXPECT_EQ(second->ids, first->ids);
  EXPECT_EQ(second->recipients, 1);
  EXPECT_EQ(count("notifications"), "1");
  request.fingerprint = "print-2";
  EXPECT_EQ(all->notifications().send_once(here, request, wake).error().fields.at(0).field, "idempotency_key");
  request.idempotency_key.clear();
  EXPECT_TRUE(all->notifications().send_once(here, request, wake));
  EXPECT_EQ(count("notifications"), "2");
}

TEST_F(NotificationBroadcastTest, ARequestToStrangersTellsNobodyAndKeepsNoKey) {
  const auto olga = test::add_user(db, acme, "olga");
  const auto stranger = test::add_user(db, test::add_tenant(db, "other"), "stranger");
  notification_request request{message(), {olga, stranger}, "key-1", "print-1"};
  const auto refused = all->notifications().send_once(here, request, wake);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  ASSERT_EQ(refused.error().fields.size(), 1u);
  EXPECT_EQ(refused.error().fields[0].field, "user_ids.1");
  EXPECT_EQ(count("notifications"), "0");
  request.users = {olga};
  EXPECT_TRUE(all->notifications().send_once(here, request, wake));
  request.message.workspace = workspace_id::make();
  request.idempotency_key = "key-2";
  EXPECT_EQ(all->notifications().send_once(here, request, wake).error().fields.at(0).field, "workspace_id");
  request.message.tenant = tenant_id::make();
  EXPECT_EQ(all->notifications().send_once(scope::tenant(request.message.tenant), request, wake).error().code,
            errc::not_found);
}

TEST_F(NotificationBroadcastTest, ARequestToATenantAnswersWithItsBroadcast) {
  add_users(3);
  notification_request request{message(), {}, "key-1", "print-1"};
  const auto first = all->notifications().send_once(here, request, wake);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->broadcast);
  EXPECT_EQ(first->recipients, 3);
  const auto again = all->notifications().send_once(here, request, wake);
  EXPECT_EQ(again->broadcast, first->broadcast);
  EXPECT_EQ(count("notification_broadcasts"), "1");
}

} // namespace

} // namespace carillon::storage
