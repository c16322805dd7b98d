// The decision in SQL: the same as the domain's, and what it decides from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/delivery_decision.hpp"
#include "storage/notification_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using test::sql_literal;

class NotificationDecisionTest : public ::testing::Test {
protected:
  result<done> run(const std::string& sql) {
    return db.connection().transact("run", [&](pqxx::work& tx) -> result<done> {
      tx.exec(sql);
      return done{};
    });
  }

  std::string quiet_until(const std::string& at, const std::string& zone, const std::string& from, const std::string& to) {
    return db.exec("SELECT coalesce(to_char(carillon.quiet_until(" + sql_literal(at) + ", " + sql_literal(zone) + ", " + sql_literal(from)
                   + ", " + sql_literal(to) + ") AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), 'not quiet')");
  }

  std::string next_digest(const std::string& at, const std::string& zone, const std::string& period, int hour = 8) {
    return db.exec("SELECT to_char(carillon.next_digest(" + sql_literal(at) + ", " + sql_literal(zone) + ", " + sql_literal(period) + ", "
                   + std::to_string(hour) + ") AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')");
  }

  /// state: reason, of a notification made now.
  std::string decided(const std::string& channel, notification_type type = notification_type::post_published) {
    hints wake;
    new_notification m;
    m.tenant = acme;
    m.user = olga;
    m.type = type;
    m.title = "title";
    m.message = "message";
    const auto n = store.send(scope::tenant(acme), m, wake);
    EXPECT_TRUE(n) << (n ? "" : n.error().detail);
    if (!n)
      return {};
    return db.exec("SELECT state || coalesce(': ' || reason, '') FROM carillon.notification_deliveries WHERE "
                   "notification_id = " + sql_literal(n->id) + " AND channel = " + sql_literal(channel));
  }

  test::test_database db;
  notification_repository store{db.connection()};
  tenant_id acme = test::add_tenant(db, "acme");
  user_id olga = test::add_user(db, acme, "olga");
};

TEST_F(NotificationDecisionTest, TheTypesInTheDatabaseAreTheDomains) {
  const auto rows = db.connection().transact("types", [](pqxx::work& tx) -> result<std::vector<std::string>> {
    std::vector<std::string> out;
    for (const auto& row : tx.exec("SELECT type || ' ' || category || ' ' || is_urgent || ' ' || overrides_opt_out "
                                   "FROM carillon.notification_types"))
      out.push_back(row[0].as<std::string>());
    return out;
  });
  std::vector<std::string> expected;
  const auto text = [](bool b) { return b ? " true" : " false"; };
  for (const auto type : values_of<notification_type>())
    expected.push_back(std::string{to_string(type)} + " " + std::string{to_string(category(type))} + text(is_urgent(type))
                       + text(overrides_opt_out(type)));
  ASSERT_TRUE(rows);
  EXPECT_THAT(*rows, ::testing::UnorderedElementsAreArray(expected));
}

TEST_F(NotificationDecisionTest, SqlAndDomainDecideAlikeInEveryCase) {
  // 2^7 flags, then each obstacle, quiet hours and digest with or without.
  constexpr auto sql = R"(
    SELECT b, d.channel, d.state, coalesce(d.reason, ''), d.until, d.in_digest
    FROM generate_series(0, 4095) AS b
    CROSS JOIN LATERAL carillon.decide_channels(
      b & 1 <> 0, b & 2 <> 0, b & 4 <> 0, b & 8 <> 0, b & 16 <> 0, b & 32 <> 0, b & 64 <> 0,
      CASE WHEN b & 128 <> 0 THEN 'no mail' END, CASE WHEN b & 256 <> 0 THEN 'no browser' END,
      CASE WHEN b & 512 <> 0 THEN 'no phone' END,
      CASE WHEN b & 1024 <> 0 THEN '2026-01-01T07:00:00Z'::timestamptz END, 'quiet',
      CASE WHEN b & 2048 <> 0 THEN '2026-01-01T08:00:00Z'::timestamptz END, 'digest') d)";
  const auto compared = db.connection().transact("decide", [&](pqxx::work& tx) -> result<int> {
    int rows = 0;
    for (const auto& row : tx.exec(sql)) {
      const auto bits = row[0].as<int>();
      const auto has = [&](int bit) { return (bits & bit) != 0; };
      delivery_facts facts;
      facts.urgent = has(1);
      facts.overrides = has(2);
      facts.in_app_only = has(4);
      facts.preferences = {has(8), has(16), has(32), has(64)};
      facts.email_obstacle = has(128) ? "no mail" : "";
      facts.push_obstacle = has(256) ? "no browser" : "";
      facts.sms_obstacle = has(512) ? "no phone" : "";
      if (has(1024))
        facts.quiet_until = *parse_time("2026-01-01T07:00:00Z");
      facts.quiet_reason = "quiet";
      if (has(2048))
        facts.digest_at = *parse_time("2026-01-01T08:00:00Z");
      facts.digest_reason = "digest";
      const auto channel = parse<notification_channel>(row[1].as<std::string>());
      EXPECT_TRUE(channel);
      const delivery_decision in_sql{*parse<delivery_state>(row[2].as<std::string>()), row[3].as<std::string>(),
                                     read_nullable_instant(row[4]), row[5].as<bool>()};
      if (decide_delivery(*channel, facts) != in_sql)
        ADD_FAILURE() << "case " << bits << " " << to_string(*channel) << ": SQL says " << to_string(in_sql.state) << " "
                      << in_sql.reason;
      ++rows;
    }
    return rows;
  });
  EXPECT_EQ(compared.value_or(0), 4 * 4096);
}

// -- quiet hours ----------------------------------------------------------------

TEST_F(NotificationDecisionTest, QuietHoursAreOnTheWallClockOfTheZone) {
  EXPECT_EQ(quiet_until("2026-07-01T20:30:00Z", "Europe/Berlin", "22:00", "07:00"), "2026-07-02 05:00");
  EXPECT_EQ(quiet_until("2026-07-01T19:59:00Z", "Europe/Berlin", "22:00", "07:00"), "not quiet");
  EXPECT_EQ(quiet_until("2026-07-02T04:59:00Z", "Europe/Berlin", "22:00", "07:00"), "2026-07-02 05:00");
  EXPECT_EQ(quiet_until("2026-07-02T05:00:00Z", "Europe/Berlin", "22:00", "07:00"), "not quiet");
  EXPECT_EQ(quiet_until("2026-07-01T07:00:00Z", "Asia/Kolkata", "12:00", "13:30"), "2026-07-01 08:00");
  EXPECT_EQ(quiet_until("2026-07-01T08:00:00Z", "Asia/Kolkata", "12:00", "13:30"), "not quiet");
}

TEST_F(NotificationDecisionTest, QuietHoursEndAsTheWallClockSaysAcrossTheClockChange) {
  // Berlin: 29 March 2026 at 02:00 becomes 03:00, 25 October at 03:00 becomes 02:00.
  EXPECT_EQ(quiet_until("2026-03-28T22:00:00Z", "Europe/Berlin", "22:00", "07:00"), "2026-03-29 05:00");
  EXPECT_EQ(quiet_until("2026-10-24T22:00:00Z", "Europe/Berlin", "22:00", "07:00"), "2026-10-25 06:00");
  // An end that does not exist comes with the clock that has jumped over it.
  EXPECT_EQ(quiet_until("2026-03-29T00:30:00Z", "Europe/Berlin", "22:00", "02:30"), "2026-03-29 01:30");
  // An end that comes twice is the second: nothing arrives in between.
  EXPECT_EQ(quiet_until("2026-10-25T00:10:00Z", "Europe/Berlin", "22:00", "02:30"), "2026-10-25 01:30");
  EXPECT_EQ(quiet_until("2026-10-25T01:10:00Z", "Europe/Berlin", "22:00", "02:30"), "2026-10-25 01:30");
  EXPECT_EQ(quiet_until("2026-10-25T01:30:00Z", "Europe/Berlin", "22:00", "02:30"), "not quiet");
}

TEST_F(NotificationDecisionTest, QuietHoursAlwaysEndAfterTheyAreAskedFor) {
  EXPECT_EQ(db.exec("SELECT count(*) FROM generate_series('2026-01-01'::timestamptz, '2026-12-31', '17 minutes') at "
                    "CROSS JOIN unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', "
                    "'Africa/Casablanca', 'Asia/Kathmandu']) zone "
                    "CROSS JOIN (VALUES ('22:00'::time, '02:30'::time), ('01:15', '03:00'), ('23:30', '00:00')) w (a, b) "
                    "WHERE carillon.quiet_until(at, zone, a, b) <= at "
                    "OR carillon.quiet_until(at, zone, a, b) > at + interval '1 day'"), "0");
}

TEST_F(NotificationDecisionTest, DigestsComeAtTheFullHourOrAtTheHourOfTheDay) {
  EXPECT_EQ(next_digest("2026-07-01T10:20:00Z", "Europe/Berlin", "hourly"), "2026-07-01 11:00");
  EXPECT_EQ(next_digest("2026-07-01T10:20:00Z", "Asia/Kathmandu", "hourly"), "2026-07-01 11:15");
  EXPECT_EQ(next_digest("2026-07-01T11:00:00Z", "Europe/Berlin", "hourly"), "2026-07-01 12:00");
  EXPECT_EQ(next_digest("2026-07-01T05:59:00Z", "Europe/Berlin", "daily"), "2026-07-01 06:00");
  EXPECT_EQ(next_digest("2026-07-01T06:00:00Z", "Europe/Berlin", "daily"), "2026-07-02 06:00");
  // The night of the clock change.
  EXPECT_EQ(next_digest("2026-10-24T12:00:00Z", "Europe/Berlin", "daily"), "2026-10-25 07:00");
  EXPECT_EQ(next_digest("2026-03-28T12:00:00Z", "Europe/Berlin", "daily"), "2026-03-29 06:00");
}

TEST_F(NotificationDecisionTest, AZoneThatNobodyKnowsIsPassedOver) {
  EXPECT_EQ(db.exec("SELECT carillon.first_time_zone('Mars/Olympus', 'Asia/Kolkata')"), "Asia/Kolkata");
  EXPECT_EQ(db.exec("SELECT carillon.first_time_zone(NULL, NULL)"), "UTC");
  EXPECT_EQ(db.exec("SELECT carillon.first_time_zone('', 'x; DROP TABLE users')"), "UTC");
}

// -- from the tables --------------------------------------------------------------

TEST_F(NotificationDecisionTest, WithoutSettingsNothingWaits) {
  EXPECT_EQ(decided("email"), "queued");
}

TEST_F(NotificationDecisionTest, InQuietHoursMailWaitsAndUrgentMailDoesNot) {
  // Whatever the time is: the window lies around it.
  const auto from = db.exec("SELECT to_char((now() AT TIME ZONE 'Asia/Kolkata') - interval '1 hour', 'HH24:MI')");
  const auto to = db.exec("SELECT to_char((now() AT TIME ZONE 'Asia/Kolkata') + interval '2 hours', 'HH24:MI')");
  db.exec("UPDATE carillon.tenants SET settings = '{\"timezone\":\"Asia/Kolkata\"}'");
  ASSERT_TRUE(store.update_settings(scope::tenant(acme), olga,
                                    {true, parse_time_of_day(from), parse_time_of_day(to), {}, {}}));
  EXPECT_EQ(decided("email"), "deferred: quiet hours until " + to);
  EXPECT_EQ(decided("in_app"), "sent");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs j JOIN carillon.notification_deliveries d ON "
                    "j.unique_key = 'notification-email-' || d.notification_id AND j.run_at = d.deferred_until "
                    "WHERE j.run_at > now() + interval '90 minutes'"), "2");
  EXPECT_EQ(decided("email", notification_type::post_failed), "queued");
  // A zone of his own comes before the tenant's.
  db.exec("UPDATE carillon.users SET timezone = 'America/New_York'");
  EXPECT_EQ(decided("email"), "queued");
}

TEST_F(NotificationDecisionTest, ASuppressedAddressGetsNoMail) {
  db.exec("INSERT INTO carillon.mail_suppressions (tenant_id, address, reason) SELECT tenant_id, lower(email), 'RCPT failed: 550' "
          "FROM carillon.users");
  db.exec("UPDATE carillon.users SET email = upper(email)");
  EXPECT_EQ(decided("email"), "skipped: address suppressed after bounce");
  EXPECT_EQ(decided("in_app"), "sent");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
}

TEST_F(NotificationDecisionTest, AnAnnouncedDeletionIsMailedWhateverThePreferences) {
  const auto type = notification_type::data_deletion_scheduled;
  ASSERT_TRUE(store.update_preference(scope::tenant(acme), olga, {type, false, false, false, false}));
  EXPECT_EQ(decided("email", type), "queued");
  EXPECT_EQ(decided("in_app", type), "sent");
  EXPECT_EQ(decided("sms", type), "skipped: off by preference");
}

TEST_F(NotificationDecisionTest, EveryChannelOfEveryTypeHasItsRow) {
  for (const auto type : values_of<notification_type>())
    decided("email", type);
  EXPECT_EQ(db.exec("SELECT count(*) || ' ' || count(DISTINCT notification_id) || ' ' || count(DISTINCT channel) FROM "
                    "carillon.notification_deliveries"),
            std::to_string(4 * values_of<notification_type>().size()) + " "
              + std::to_string(values_of<notification_type>().size()) + " 4");
}

// -- settings -----------------------------------------------------------------------

TEST_F(NotificationDecisionTest, SettingsAreOffUntilTheyAreSetAndKeepWhatIsNotNamed) {
  const auto here = scope::tenant(acme);
  const auto first = store.settings(here, olga);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->quiet_enabled);
  EXPECT_EQ(first->digests.size(), 8u);
  EXPECT_EQ(first->digests.at(notification_category::content), digest_period::off);
  EXPECT_EQ(first->time_zone, "UTC");
  settings_change change;
  change.quiet_enabled = true;
  change.digests[notification_category::content] = digest_period::daily;
  ASSERT_TRUE(store.update_settings(here, olga, change));
  settings_change hour;
  hour.digest_hour = 18;
  const auto after = store.update_settings(here, olga, hour);
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->quiet_enabled);
  EXPECT_EQ(after->digest_hour, 18);
  EXPECT_EQ(after->digests.at(notification_category::content), digest_period::daily);
  EXPECT_EQ(after->digests.at(notification_category::team), digest_period::off);
}

TEST_F(NotificationDecisionTest, AnEmptyWindowAndAStrangerAreRefused) {
  settings_change change;
  change.quiet_start = time_of_day{420};
  EXPECT_EQ(store.update_settings(scope::tenant(acme), olga, change).error().code, errc::invalid_argument);
  const auto other = test::add_tenant(db, "other");
  EXPECT_EQ(store.settings(scope::tenant(other), olga).error().code, errc::not_found);
  EXPECT_EQ(store.update_settings(scope::tenant(other), olga, {}).error().code, errc::not_found);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notification_settings"), "0");
}

TEST_F(NotificationDecisionTest, UnsubscribingTurnsOffMailAboutTheseTypesOnly) {
  const auto here = scope::tenant(acme);
  ASSERT_TRUE(store.update_preference(here, olga, {notification_type::post_failed, true, true, true, true}));
  ASSERT_TRUE(store.unsubscribe_email(here, olga, {notification_type::post_failed, notification_type::new_comment}));
  const auto all = *store.preferences(here, olga);
  const auto of = [&](notification_type type) { return all.at(static_cast<std::size_t>(type)).channels; };
  EXPECT_EQ(of(notification_type::post_failed), (channel_preferences{true, false, true, true}));
  EXPECT_EQ(of(notification_type::new_comment), (channel_preferences{true, false, false, false}));
  EXPECT_EQ(of(notification_type::new_mention), channel_preferences{});
  const auto other = test::add_tenant(db, "other");
  EXPECT_EQ(store.unsubscribe_email(scope::tenant(other), olga, {notification_type::new_mention}).error().code,
            errc::not_found);
}

// -- the record -----------------------------------------------------------------------

TEST_F(NotificationDecisionTest, TheOwnerReadsWhatBecameOfEachChannel) {
  hints wake;
  new_notification m;
  m.tenant = acme;
  m.user = olga;
  m.title = m.message = "x";
  const auto n = store.send(scope::tenant(acme), m, wake).value();
  const auto all = store.deliveries(scope::tenant(acme), olga, n.id);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 4u);
  EXPECT_EQ(all->at(0).channel, notification_channel::in_app);
  EXPECT_EQ(all->at(0).state, delivery_state::sent);
  EXPECT_TRUE(all->at(0).sent_at);
  EXPECT_EQ(all->at(1).channel, notification_channel::email);
  EXPECT_EQ(all->at(1).state, delivery_state::queued);
  EXPECT_EQ(all->at(2).reason, "off by preference");
  const auto emil = test::add_user(db, acme, "emil");
  EXPECT_EQ(store.deliveries(scope::tenant(acme), emil, n.id).error().code, errc::forbidden);
  const auto other = test::add_tenant(db, "other");
  EXPECT_EQ(store.deliveries(scope::tenant(other), olga, n.id).error().code, errc::not_found);
}

// -- carillon.notify --------------------------------------------------------------------

TEST_F(NotificationDecisionTest, AnyProgramTellsAUserInItsOwnTransaction) {
  const auto call = "SELECT carillon.notify(" + sql_literal(acme) + ", " + sql_literal(olga)
                    + ", 'payment_failed', repeat('t', 250), 'message', '{\"invoice\":7}', '/app/billing')";
  EXPECT_EQ(db.exec("BEGIN; " + call + "; ROLLBACK; SELECT count(*) FROM carillon.notifications"), "0");
  const auto id = db.exec(call);
  EXPECT_EQ(db.exec("SELECT length(title) || ' ' || (data ->> 'invoice') || ' ' || action_url FROM carillon.notifications "
                    "WHERE id = " + sql_literal(id)), "200 7 /app/billing");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notification_deliveries WHERE notification_id = " + sql_literal(id)), "4");
  EXPECT_EQ(db.exec("SELECT kind || ' ' || (workspace_id = tenant_id) || ' ' || queue FROM carillon.jobs"),
            "send_notification_email true notifications");
  // A path that leads away is left out, as everywhere.
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications WHERE action_url IS NULL AND id = carillon.notify("
                    + sql_literal(acme) + ", " + sql_literal(olga) + ", 'post_failed', 't', 'm', NULL, '//evil.example')"), "0");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications WHERE action_url LIKE '//%'"), "0");
}

TEST_F(NotificationDecisionTest, NotifyRefusesWhatTheServiceCouldNotHold) {
  const auto other = test::add_tenant(db, "other");
  const auto stranger = test::add_user(db, other, "stranger");
  const auto elsewhere = test::add_workspace(db, other, "elsewhere");
  const auto a = sql_literal(acme);
  const auto u = sql_literal(olga);
  for (const auto& call : {
         a + ", " + sql_literal(stranger) + ", 'post_failed', 't', 'm'",
         sql_literal(tenant_id::make()) + ", " + u + ", 'post_failed', 't', 'm'",
         a + ", " + u + ", 'no_such_type', 't', 'm'",
         a + ", " + u + ", NULL, 't', 'm'",
         a + ", " + u + ", 'post_failed', NULL, 'm'",
         a + ", " + u + ", 'post_failed', 't', repeat('x', 100001)",
         a + ", " + u + ", 'post_failed', 't', 'm', '[1]'",
         a + ", " + u + ", 'post_failed', 't', 'm', jsonb_build_object('x', repeat('x', 262144))",
         a + ", " + u + ", 'post_failed', 't', 'm', NULL, NULL, " + sql_literal(elsewhere),
       })
    EXPECT_FALSE(run("SELECT carillon.notify(" + call + ")")) << call;
  EXPECT_TRUE(run("SELECT carillon.notify(" + a + ", " + u
                  + ", 'post_failed', 't', 'm', jsonb_build_object('x', repeat('x', 65536)))"));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications"), "1");
}

TEST_F(NotificationDecisionTest, NotifyDoesNotBelieveTheCallersSearchPath) {
  ASSERT_TRUE(run("CREATE TEMP TABLE notification_types (type text); CREATE TEMP TABLE users (id uuid); "
                  "SET LOCAL search_path = pg_temp, carillon; "
                  "SELECT carillon.notify(" + sql_literal(acme) + ", " + sql_literal(olga) + ", 'post_failed', 't', 'm')"));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications"), "1");
}

} // namespace

} // namespace carillon::storage
