// Phone numbers and the SMS job in PostgreSQL.
#include <future>

#include "storage/sms_repository.hpp"
#include "tests/integration/engine/message_job_fixture.hpp"

namespace carillon {

namespace {

using kind = delivery_outcome::kind;

class SmsJobTest : public test::message_job_fixture {
protected:
  SmsJobTest() : message_job_fixture(kinds::send_notification_sms) {
    EXPECT_TRUE(texts.set_phone(here, data.author, "+49301234567"));
  }

  sms_order open(const job& work, int cap = 0) {
    auto order = texts.open_call(me, work, cap);
    EXPECT_TRUE(order) << (order ? "" : order.error().detail);
    return order ? *order : sms_order{};
  }

  scope here = scope::tenant(data.tenant);
  storage::sms_repository texts{db.connection()};
};

TEST_F(SmsJobTest, ANumberIsReadSetAndRemoved) {
  EXPECT_EQ(texts.phone(here, data.author).value(), "+49301234567");
  ASSERT_TRUE(texts.set_phone(here, data.author, ""));
  EXPECT_EQ(texts.phone(here, data.author).value(), "");
  const auto there = scope::tenant(test::add_tenant(db, "elsewhere"));
  EXPECT_EQ(texts.phone(there, data.author).error().code, errc::not_found);
  EXPECT_EQ(texts.set_phone(there, data.author, "+49301234567").error().code, errc::not_found);
}

TEST_F(SmsJobTest, ATextIsSentAndRecordedWithTheProvidersId) {
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  const auto order = open(work);
  EXPECT_FALSE(order.settled);
  EXPECT_EQ(order.phone, "+49301234567");
  EXPECT_EQ(order.item.title, "Title");
  ASSERT_TRUE(texts.conclude(me, work, {kind::sent, {}}, "SM1"));
  EXPECT_EQ(delivery(notice, "sms"), "sent");
  EXPECT_EQ(job_state_of(work), "succeeded");
  EXPECT_EQ(db.exec("SELECT provider_id FROM carillon.sms_sends WHERE call_began_at IS NULL"), "SM1");
  EXPECT_EQ(open(enqueue(notice)).settled->how, kind::sent) << "never again";
}

TEST_F(SmsJobTest, WhatMayHaveBeenSentIsNotSentAgain) {
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  open(work);
  // The node dies here; another one runs the job.
  const auto again = open(work);
  ASSERT_TRUE(again.settled);
  EXPECT_EQ(again.settled->how, kind::failed);
  EXPECT_NE(again.settled->reason.find("may have been sent"), std::string::npos);
  // An operator who retries the dead letter takes that risk.
  ASSERT_TRUE(texts.conclude(me, work, *again.settled, ""));
  EXPECT_EQ(job_state_of(work), "discarded");
  EXPECT_FALSE(open(enqueue(notice)).settled);
}

TEST_F(SmsJobTest, WhatWasCertainlyNotSentIsTriedAgainAndCountedOnce) {
  const auto work = enqueue(add_notice());
  open(work, 1);
  ASSERT_TRUE(texts.close_call(me, work));
  EXPECT_FALSE(open(work, 1).settled);
  EXPECT_EQ(db.exec("SELECT sent FROM carillon.sms_daily_counts"), "1");
}

TEST_F(SmsJobTest, BeyondTheDailyCapTextsAreSkippedWithThatAsTheReason) {
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(open(enqueue(add_notice()), 2).settled);
  const auto notice = add_notice();
  const auto work = enqueue(notice);
  const auto third = open(work, 2);
  ASSERT_TRUE(third.settled);
  EXPECT_EQ(third.settled->how, kind::skipped);
  ASSERT_TRUE(texts.conclude(me, work, *third.settled, ""));
  EXPECT_EQ(delivery(notice, "sms"), "skipped: the daily cap of 2 texts is reached");
  EXPECT_EQ(job_state_of(work), "succeeded");
  db.exec("UPDATE carillon.sms_daily_counts SET day = day - 1");
  EXPECT_FALSE(open(enqueue(add_notice()), 2).settled) << "another day";
  db.exec("UPDATE carillon.sms_daily_counts SET day = day - 40 WHERE sent = 2");
  EXPECT_FALSE(open(enqueue(add_notice()), 0).settled) << "no cap";
}

TEST_F(SmsJobTest, ManyAtOnceDoNotPassTheCap) {
  constexpr std::size_t senders = 6;
  std::vector<std::unique_ptr<storage::connection>> sessions;
  std::vector<job> work;
  for (std::size_t i = 0; i < senders; ++i) {
    sessions.push_back(db.connect());
    work.push_back(enqueue(add_notice()));
  }
  std::vector<std::future<bool>> calls;
  for (std::size_t i = 0; i < senders; ++i)
    calls.push_back(std::async(std::launch::async, [&, i] {
      const auto order = storage::sms_repository{*sessions[i]}.open_call(me, work[i], 4);
      return order && !order->settled;
    }));
  int opened = 0;
  for (auto& call : calls)
    opened += call.get() ? 1 : 0;
  EXPECT_EQ(opened, 4);
  EXPECT_EQ(db.exec("SELECT sent FROM carillon.sms_daily_counts"), "4");
}

TEST_F(SmsJobTest, TenantsHaveCapsOfTheirOwn) {
  EXPECT_FALSE(open(enqueue(add_notice()), 1).settled);
  test::seed other{db};
  db.exec("UPDATE carillon.users SET phone = '+49301234568' WHERE id = " + test::sql_literal(other.author));
  db.exec("INSERT INTO carillon.notification_preferences (id, tenant_id, user_id, notification_type, sms_enabled) VALUES "
          "(gen_random_uuid(), " + test::sql_literal(other.tenant) + ", " + test::sql_literal(other.author) + ", 'post_failed', true)");
  std::swap(data.tenant, other.tenant);
  std::swap(data.author, other.author);
  EXPECT_FALSE(open(enqueue(add_notice()), 1).settled);
  EXPECT_TRUE(open(enqueue(add_notice()), 1).settled);
}

TEST_F(SmsJobTest, OnlyNumbersInE164AreSentTo) {
  for (const auto* phone : {"NULL", "''", "'030 1234567'", "'+49 30 1234567'"}) {
    db.exec("UPDATE carillon.users SET phone = " + std::string{phone});
    const auto order = open(enqueue(add_notice()));
    ASSERT_TRUE(order.settled) << phone;
    EXPECT_EQ(order.settled->reason, "no phone number");
    EXPECT_EQ(db.exec("SELECT carillon.sms_obstacle(" + test::sql_literal(data.tenant) + ", " + test::sql_literal(data.author) + ")"),
              "no phone number");
  }
  EXPECT_EQ(count("sms_daily_counts"), "0");
}

TEST_F(SmsJobTest, APreferenceThatWasSetMeanwhileIsObeyed) {
  db.exec("UPDATE carillon.notification_preferences SET sms_enabled = false");
  EXPECT_EQ(open(enqueue(add_notice())).settled->reason, "off by preference");
}

TEST_F(SmsJobTest, ANodeWhoseLifeHasEndedOpensNoCall) {
  const auto work = enqueue(add_notice());
  end_node();
  EXPECT_EQ(texts.open_call(me, work, 0).error().code, errc::cancelled);
  EXPECT_EQ(texts.close_call(me, work).error().code, errc::cancelled);
  EXPECT_EQ(texts.conclude(me, work, {kind::sent, {}}, "").error().code, errc::cancelled);
  EXPECT_EQ(count("sms_sends"), "0");
}

} // namespace

} // namespace carillon
