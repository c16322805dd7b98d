// Subscriptions and the push job in PostgreSQL.
#include <future>

#include <gmock/gmock.h>

#include "domain/base64url.hpp"
#include "storage/push_repository.hpp"
#include "tests/integration/engine/message_job_fixture.hpp"

namespace carillon {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using kind = delivery_outcome::kind;
using said = push_receipt::kind;

class PushJobTest : public test::message_job_fixture {
protected:
  PushJobTest() : message_job_fixture(kinds::send_notification_push) {
  }

  static push_address address(const std::string& name, char key = 'k') {
    return {"https://push.example.net/" + name, std::string(65, key), std::string(16, 's')};
  }

  push_subscription subscribe(const std::string& name) {
    auto made = pushes.subscribe(here, data.author, address(name), 10);
    EXPECT_TRUE(made) << (made ? "" : made.error().detail);
    return *made;
  }

  std::vector<std::string> endpoints(user_id user) {
    std::vector<std::string> out;
    const auto all = pushes.list(here, user).value();
    for (const auto& one : all)
      out.push_back(one.endpoint);
    return out;
  }

  storage::push_repository pushes{db.connection(), test::test_cipher()};
  scope here = scope::tenant(data.tenant);
};

TEST_F(PushJobTest, ASubscriptionIsKeptWithItsSecretEncrypted) {
  const auto made = subscribe("one");
  EXPECT_EQ(made.endpoint, "https://push.example.net/one");
  EXPECT_EQ(made.failures, 0);
  EXPECT_FALSE(made.last_success_at);
  const auto stored = db.exec("SELECT auth_encrypted FROM carillon.push_subscriptions");
  EXPECT_TRUE(stored.starts_with("v1:")) << stored;
  EXPECT_EQ(stored.find(encode_base64url(std::string(16, 's'))), stored.npos);
  const auto order = pushes.load_order(enqueue(add_notice())).value();
  ASSERT_THAT(order.targets, SizeIs(1));
  EXPECT_EQ(order.targets[0].address.auth, std::string(16, 's'));
  EXPECT_EQ(order.targets[0].address.p256dh, std::string(65, 'k'));
}

TEST_F(PushJobTest, AKnownEndpointGetsTheNewKeysAndStaysOne) {
  const auto first = subscribe("one");
  const auto again = pushes.subscribe(here, data.author, address("one", 'n'), 10).value();
  EXPECT_EQ(again.id, first.id);
  EXPECT_THAT(endpoints(data.author), SizeIs(1));
  EXPECT_EQ(pushes.load_order(enqueue(add_notice()))->targets[0].address.p256dh, std::string(65, 'n'));
}

TEST_F(PushJobTest, TheLimitOfAUserHoldsAlsoWhenManySubscribeAtOnce) {
  std::vector<std::future<bool>> tries;
  std::vector<std::unique_ptr<storage::connection>> sessions;
  for (int i = 0; i < 6; ++i)
    sessions.push_back(db.connect());
  for (std::size_t i = 0; i < 6; ++i)
    tries.push_back(std::async(std::launch::async, [&, i] {
      storage::push_repository mine{*sessions[i], test::test_cipher()};
      return mine.subscribe(here, data.author, address(std::to_string(i)), 3).has_value();
    }));
  int taken = 0;
  for (auto& one : tries)
    taken += one.get() ? 1 : 0;
  EXPECT_EQ(taken, 3);
  EXPECT_THAT(endpoints(data.author), SizeIs(3));
  EXPECT_EQ(pushes.subscribe(here, data.author, address("more"), 3).error().code, errc::conflict);
}

TEST_F(PushJobTest, ABrowserBelongsToWhoeverSubscribedWithItLast) {
  const auto other = test::add_user(db, data.tenant, "other");
  const auto elsewhere = test::add_tenant(db, "elsewhere");
  const auto third = test::add_user(db, elsewhere, "third");
  subscribe("shared");
  ASSERT_TRUE(pushes.subscribe(here, other, address("shared"), 10));
  EXPECT_THAT(endpoints(data.author), IsEmpty());
  EXPECT_THAT(endpoints(other), SizeIs(1));
  ASSERT_TRUE(pushes.subscribe(scope::tenant(elsewhere), third, address("shared"), 10));
  EXPECT_THAT(endpoints(other), IsEmpty()) << "also across tenants";
  ASSERT_TRUE(pushes.subscribe(here, other, address("shared", 'x'), 10));
  EXPECT_EQ(count("push_subscriptions"), "2") << "who knows only the endpoint takes nothing";
}

TEST_F(PushJobTest, OthersSubscriptionsAreNotThere) {
  const auto elsewhere = test::add_tenant(db, "elsewhere");
  const auto stranger = test::add_user(db, elsewhere, "stranger");
  subscribe("one");
  const auto there = scope::tenant(elsewhere);
  EXPECT_THAT(*pushes.list(there, data.author), IsEmpty());
  EXPECT_EQ(pushes.unsubscribe(there, data.author, address("one").endpoint).error().code, errc::not_found);
  EXPECT_EQ(pushes.unsubscribe(there, stranger, address("one").endpoint).error().code, errc::not_found);
  EXPECT_EQ(pushes.subscribe(there, data.author, address("two"), 10).error().code, errc::not_found);
  EXPECT_TRUE(pushes.unsubscribe(here, data.author, address("one").endpoint));
  EXPECT_THAT(endpoints(data.author), IsEmpty());
}

TEST_F(PushJobTest, WhoHasNoSubscriptionIsSkippedWithThatAsTheReason) {
  const auto notice = add_notice();
  const auto order = pushes.load_order(enqueue(notice)).value();
  ASSERT_TRUE(order.settled);
  EXPECT_EQ(order.settled->how, kind::skipped);
  EXPECT_EQ(order.settled->reason, "no browser is subscribed");
  EXPECT_EQ(db.exec("SELECT carillon.push_obstacle(" + test::sql_literal(data.tenant) + ", " + test::sql_literal(data.author) + ")"),
            "no browser is subscribed");
  subscribe("one");
  EXPECT_EQ(db.exec("SELECT carillon.push_obstacle(" + test::sql_literal(data.tenant) + ", " + test::sql_literal(data.author) + ") IS NULL"),
            "t");
}

TEST_F(PushJobTest, APreferenceThatWasSetMeanwhileIsObeyed) {
  subscribe("one");
  db.exec("UPDATE carillon.notification_preferences SET push_enabled = false");
  const auto order = pushes.load_order(enqueue(add_notice())).value();
  ASSERT_TRUE(order.settled);
  EXPECT_EQ(order.settled->reason, "off by preference");
  EXPECT_EQ(pushes.load_order(enqueue(add_notice("trial_ended")))->settled->reason, "off by preference")
    << "without a row the default counts";
  db.exec("UPDATE carillon.users SET status = 'deactivated'");
  EXPECT_EQ(pushes.load_order(enqueue(add_notice()))->settled->reason, "the user is gone");
}

TEST_F(PushJobTest, ADeletedNotificationAndAPayloadWithoutOneAreTold) {
  EXPECT_EQ(pushes.load_order(enqueue(notification_id::make())).error().code, errc::not_found);
  for (const auto* payload : {R"({"v": 1})", R"({"v": 1, "notification_id": 5})", R"({"v": 1, "notification_id": "x"})"})
    EXPECT_EQ(pushes.load_order(enqueue(payload)).error().code, errc::invalid_argument) << payload;
}

TEST_F(PushJobTest, SuccessIsRecordedTogetherWithTheJobsEnd) {
  const auto one = subscribe("one");
  const auto two = subscribe("two");
  db.exec("UPDATE carillon.push_subscriptions SET failures = 5");
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  ASSERT_TRUE(pushes.conclude(me, work, {{one.id, said::taken, {}}, {two.id, said::gone, {}}}, {kind::sent, {}}));
  EXPECT_EQ(delivery(notice, "push"), "sent");
  EXPECT_EQ(job_state_of(work), "succeeded");
  EXPECT_THAT(endpoints(data.author), ElementsAre(one.endpoint)) << "the one that has ended is gone";
  EXPECT_EQ(db.exec("SELECT failures || ' ' || (last_success_at IS NOT NULL) FROM carillon.push_subscriptions"), "0 true");
  // It is never sent again, and never unsaid.
  const auto again = enqueue(notice);
  EXPECT_EQ(pushes.load_order(again)->settled->how, kind::sent);
  ASSERT_TRUE(pushes.conclude(me, again, {}, {kind::failed, "later"}));
  EXPECT_EQ(delivery(notice, "push"), "sent");
}

TEST_F(PushJobTest, ARetryLeavesOutTheBrowsersThatHaveIt) {
  const auto one = subscribe("one");
  const auto two = subscribe("two");
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  ASSERT_TRUE(pushes.record_receipts(me, work, {{one.id, said::taken, {}}}));
  EXPECT_EQ(delivery(notice, "push"), "") << "not over yet";
  const auto rest = pushes.load_order(work).value();
  EXPECT_TRUE(rest.had_one);
  ASSERT_THAT(rest.targets, SizeIs(1));
  EXPECT_EQ(rest.targets[0].id, two.id);
  ASSERT_TRUE(pushes.record_receipts(me, work, {{two.id, said::gone, {}}}));
  EXPECT_EQ(pushes.load_order(work)->settled->how, kind::sent) << "all that are left have it";
}

TEST_F(PushJobTest, AFailureIsADeadLetterThatAdminsHearOf) {
  const auto admin = test::add_user(db, data.tenant, "admin", tenant_role::admin);
  const auto one = subscribe("one");
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  ASSERT_TRUE(pushes.conclude(me, work, {{one.id, said::failed, "the push service answered 413"}},
                              {kind::failed, "the push service answered 413"}));
  EXPECT_EQ(delivery(notice, "push"), "failed: the push service answered 413");
  EXPECT_EQ(job_state_of(work), "discarded");
  EXPECT_EQ(count("notifications WHERE user_id = " + test::sql_literal(admin)), "1");
  EXPECT_EQ(db.exec("SELECT failures || ' ' || last_failure FROM carillon.push_subscriptions"),
            "1 the push service answered 413");
}

TEST_F(PushJobTest, ASubscriptionThatHasFailedTooOftenAndTooLongIsRemoved) {
  const auto old = subscribe("old");
  const auto young = subscribe("young");
  const auto working = subscribe("working");
  db.exec("UPDATE carillon.push_subscriptions SET failures = 19, created_at = now() - interval '8 days' "
          "WHERE endpoint LIKE '%old' OR endpoint LIKE '%working'");
  db.exec("UPDATE carillon.push_subscriptions SET last_success_at = now() - interval '6 days' WHERE endpoint LIKE '%working'");
  db.exec("UPDATE carillon.push_subscriptions SET failures = 50 WHERE endpoint LIKE '%young'");
  std::vector<push_receipt> all;
  for (const auto& id : {old.id, young.id, working.id})
    all.push_back({id, said::failed, "503"});
  ASSERT_TRUE(pushes.conclude(me, enqueue(add_notice()), all, {kind::failed, "503"}));
  EXPECT_EQ(db.exec("SELECT string_agg(right(endpoint, 7) || failures, ' ' ORDER BY failures) FROM carillon.push_subscriptions"),
            "working20 t/young51");
}

TEST_F(PushJobTest, ANodeWhoseLifeHasEndedWritesNothing) {
  const auto one = subscribe("one");
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  end_node();
  EXPECT_EQ(pushes.conclude(me, work, {{one.id, said::gone, {}}}, {kind::sent, {}}).error().code, errc::cancelled);
  EXPECT_EQ(pushes.record_receipts(me, work, {{one.id, said::gone, {}}}).error().code, errc::cancelled);
  EXPECT_EQ(delivery(notice, "push"), "");
  EXPECT_THAT(endpoints(data.author), SizeIs(1));
  EXPECT_EQ(job_state_of(work), "available");
}

TEST_F(PushJobTest, ASecretThatNoKeyDecryptsFailsTheDelivery) {
  subscribe("one");
  const storage::token_cipher other{std::string(32, 'o')};
  storage::push_repository changed{db.connection(), other};
  const auto order = changed.load_order(enqueue(add_notice())).value();
  ASSERT_TRUE(order.settled);
  EXPECT_EQ(order.settled->how, kind::failed);
}

TEST_F(PushJobTest, AllNodesShareTheSecretOfWhoCameFirst) {
  EXPECT_EQ(pushes.share_secret("vapid", "first").value(), "first");
  EXPECT_EQ(pushes.share_secret("vapid", "second").value(), "first");
  EXPECT_EQ(pushes.share_secret("another", "third").value(), "third");
  EXPECT_EQ(count("platform_secrets WHERE value_encrypted LIKE '%first%'"), "0");
  const storage::token_cipher other{std::string(32, 'o')};
  EXPECT_EQ((storage::push_repository{db.connection(), other}.share_secret("vapid", "x").error().code), errc::permanent);
  const storage::token_cipher rotated{std::string(32, 'o'), {std::string(32, 'k')}};
  EXPECT_EQ((storage::push_repository{db.connection(), rotated}.share_secret("vapid", "x").value()), "first");
}

} // namespace

} // namespace carillon
