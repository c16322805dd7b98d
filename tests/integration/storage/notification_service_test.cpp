#include "storage/notification_repository.hpp"

#include <algorithm>
#include <set>
#include <thread>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/job.hpp"
#include "domain/text.hpp"
#include "storage/auth_repository.hpp"
#include "storage/notification_writer.hpp"
#include "tests/support/process.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using test::sql_literal;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class NotificationServiceTest : public ::testing::Test {
protected:
  new_notification message(const std::string& title = "It is out") {
    new_notification m;
    m.tenant = acme;
    m.user = olga;
    m.workspace = shop;
    m.type = notification_type::post_published;
    m.title = title;
    m.message = "Your post is public";
    m.correlation_id = "trace-1";
    return m;
  }

  notification sent(const new_notification& m) {
    auto n = store.send(scope::tenant(m.tenant), m, wake);
    EXPECT_TRUE(n) << (n ? "" : n.error().detail);
    return n ? *n : notification{};
  }
  notification sent() {
    return sent(message());
  }

  void prefer(user_id user, notification_type type,
              const channel_preferences& c) {
    preference_change change{type, c.in_app, c.email, c.push, c.sms};
    ASSERT_TRUE(store.update_preference(here, user, change));
  }

  std::string delivery(const notification& n, const std::string& channel) {
    return db.exec("SELECT state || COALESCE(': ' || reason, '') FROM "
                   "carillon.notification_deliveries WHERE notification_id = "
                   + sql_literal(n.id) + " AND channel = " + sql_literal(channel));
  }

  std::string count(const std::string& from) {
    return db.exec("SELECT count(*) FROM carillon." + from);
  }

  bool record(const notification& n, const email_outcome& outcome,
              std::optional<tenant_id> tenant = {}) {
    auto out = db.connection().transact(
      "record", [&](pqxx::work& tx) -> result<bool> {
        return record_email_outcome(tx, tenant.value_or(acme), n.id, outcome);
      });
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out && *out;
  }

  void age(const notification& n, int days) {
    db.exec("UPDATE carillon.notifications SET created_at = now() - interval '"
            + std::to_string(days) + " days' WHERE id = " + sql_literal(n.id));
  }

  test::test_database db;
  notification_repository store{db.connection()};
  tenant_id acme = test::add_tenant(db, "acme");
  tenant_id other = test::add_tenant(db, "other");
  user_id olga = test::add_user(db, acme, "olga", tenant_role::owner);
  user_id emil = test::add_user(db, acme, "emil");
  user_id stranger = test::add_user(db, other, "stranger");
  workspace_id shop = test::add_workspace(db, acme, "shop");
  scope here = scope::tenant(acme);
  hints wake;
};

// -- send ---------------------------------------------------------------------

TEST_F(NotificationServiceTest, SendStoresTheRowUnreadWithDefaultChannels) {
  auto m = message();
  m.data = R"({"post_id":"42"})";
  m.action_url = "/app/w/1/posts/2/edit";
  const auto n = sent(m);
  EXPECT_FALSE(n.read_at);
  EXPECT_EQ(n.channel, notification_channel::in_app);
  const auto page = store.list(here, olga, {});
  ASSERT_TRUE(page);
  ASSERT_THAT(page->items, SizeIs(1));
  EXPECT_EQ(page->items[0].id, n.id);
  EXPECT_EQ(page->items[0].title, "It is out");
  EXPECT_EQ(page->items[0].action_url, "/app/w/1/posts/2/edit");
  EXPECT_EQ(nlohmann::json::parse(page->items[0].data)["post_id"], "42");
  EXPECT_EQ(page->items[0].created_at, n.created_at);
  EXPECT_EQ(delivery(n, "in_app"), "sent");
  EXPECT_EQ(delivery(n, "email"), "queued");
  EXPECT_EQ(delivery(n, "push"), "skipped: off by preference");
  EXPECT_EQ(delivery(n, "sms"), "skipped: off by preference");
}

TEST_F(NotificationServiceTest, SendQueuesTheEmailJobInTheSameTransaction) {
  const auto n = sent();
  const auto job = db.exec(
    "SELECT concat_ws('|', kind, tenant_id, workspace_id, unique_key, "
    "correlation_id, payload ->> 'v', payload ->> 'notification_id') "
    "FROM carillon.jobs");
  EXPECT_EQ(job, "send_notification_email|" + to_string(acme) + "|"
                   + to_string(shop) + "|notification-email-" + to_string(n.id)
                   + "|trace-1|1|" + to_string(n.id));
  ASSERT_THAT(wake, SizeIs(1));
  EXPECT_EQ(wake[0].about, hint::subject::job_ready);
  EXPECT_EQ(wake[0].workspace, shop);
  EXPECT_EQ(wake[0].at, n.created_at);
}

TEST_F(NotificationServiceTest, WorkOfNoWorkspaceRunsUnderTheTenant) {
  auto m = message();
  m.workspace = {};
  sent(m);
  EXPECT_EQ(db.exec("SELECT workspace_id FROM carillon.jobs"), to_string(acme));
  EXPECT_EQ(wake.at(0).workspace, root_workspace(acme));
}

TEST_F(NotificationServiceTest, InAppOffStoresTheRowAlreadyRead) {
  prefer(olga, notification_type::post_published, {false, true, false, false});
  const auto n = sent();
  EXPECT_TRUE(n.read_at);
  EXPECT_EQ(*store.unread_count(here, olga), 0);
  EXPECT_EQ(store.list(here, olga, {})->total, 1);
  EXPECT_EQ(delivery(n, "in_app"), "skipped: off by preference");
  EXPECT_EQ(delivery(n, "email"), "queued");
}

TEST_F(NotificationServiceTest, EmailOffQueuesNoJob) {
  prefer(olga, notification_type::post_published, {true, false, false, false});
  const auto n = sent();
  EXPECT_EQ(delivery(n, "email"), "skipped: off by preference");
  EXPECT_EQ(count("jobs"), "0");
  EXPECT_TRUE(wake.empty());
}

TEST_F(NotificationServiceTest, ChannelsWithoutAnAddressSayWhyNothingIsSent) {
  prefer(olga, notification_type::post_published, {true, true, true, true});
  const auto n = sent();
  EXPECT_THAT(delivery(n, "push"), ::testing::StartsWith("skipped: no"));
  EXPECT_THAT(delivery(n, "sms"), ::testing::StartsWith("skipped: no"));
  EXPECT_EQ(count("jobs"), "1");
}

TEST_F(NotificationServiceTest, PreferencesOfAnotherTypeOrUserDoNotCount) {
  prefer(olga, notification_type::post_failed, {false, false, false, false});
  prefer(emil, notification_type::post_published, {false, false, false, false});
  const auto n = sent();
  EXPECT_FALSE(n.read_at);
  EXPECT_EQ(delivery(n, "email"), "queued");
}

TEST_F(NotificationServiceTest, TitleIsCutByCharactersNotBytes) {
  std::string title;
  for (int i = 0; i < 250; ++i)
    title += "ä";
  const auto n = sent(message(title));
  EXPECT_EQ(character_count(n.title), 200u);
  EXPECT_EQ(store.list(here, olga, {})->items.at(0).title, n.title);
}

TEST_F(NotificationServiceTest, OddTextIsMadeStorable) {
  auto m = message(std::string{"a\0b", 3});
  m.message = "cut \xc3 off";
  m.data = "{\"failure_reason\":\"x\\u0000y\"}";
  const auto n = sent(m);
  EXPECT_EQ(n.title, "ab");
  EXPECT_EQ(n.message, "cut \xef\xbf\xbd off");
  const auto back = store.list(here, olga, {})->items.at(0);
  EXPECT_EQ(nlohmann::json::parse(back.data)["failure_reason"], "xy");
}

TEST_F(NotificationServiceTest, LinksThatAreNoPathOfTheClientAreLeftOut) {
  for (const std::string& url :
       {std::string{"https://evil.example"}, std::string{"//evil.example"},
        "/" + std::string(255, 'x')}) {
    auto m = message();
    m.action_url = url;
    EXPECT_EQ(sent(m).action_url, "") << url;
  }
  auto m = message();
  m.action_url = "/" + std::string(254, 'x');
  EXPECT_EQ(sent(m).action_url, m.action_url);
}

TEST_F(NotificationServiceTest, SendToAnotherTenantsUserIsNotFound) {
  auto m = message();
  m.user = stranger;
  auto n = store.send(here, m, wake);
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().code, errc::not_found);
  m.tenant = other;
  EXPECT_EQ(store.send(here, m, wake).error().code, errc::not_found);
  EXPECT_EQ(count("notifications"), "0");
  EXPECT_TRUE(wake.empty());
}

TEST_F(NotificationServiceTest, SendToUsersIsAllOrNothing) {
  auto refused
    = store.send_to_users(here, message(), {olga, emil, stranger}, wake);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::not_found);
  EXPECT_EQ(count("notifications"), "0");
  EXPECT_EQ(count("jobs"), "0");
  EXPECT_TRUE(wake.empty());

  auto all = store.send_to_users(here, message(), {emil, olga, emil}, wake);
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, SizeIs(2));
  EXPECT_EQ(count("jobs"), "2");
  EXPECT_THAT(wake, SizeIs(1));
}

// -- read ---------------------------------------------------------------------

TEST_F(NotificationServiceTest, MarkAsReadKeepsTheFirstReadAt) {
  const auto n = sent();
  const auto first = store.mark_as_read(here, olga, n.id);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->read_at);
  const auto second = store.mark_as_read(here, olga, n.id);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->read_at, first->read_at);
}

TEST_F(NotificationServiceTest, MarkAsReadOfOthersIsRefused) {
  const auto n = sent();
  EXPECT_EQ(store.mark_as_read(here, emil, n.id).error().code, errc::forbidden);
  EXPECT_EQ(
    store.mark_as_read(scope::tenant(other), stranger, n.id).error().code,
    errc::not_found);
  EXPECT_EQ(
    store.mark_as_read(here, olga, notification_id::make()).error().code,
    errc::not_found);
  EXPECT_EQ(
    store.mark_as_read(scope::maintenance("test"), olga, n.id).error().code,
    errc::not_found);
  EXPECT_EQ(*store.unread_count(here, olga), 1);
}

TEST_F(NotificationServiceTest, MarkAllCountsOnlyOwnUnread) {
  store.mark_as_read(here, olga, sent().id).value();
  sent();
  sent();
  auto m = message();
  m.user = emil;
  sent(m);
  EXPECT_EQ(*store.mark_all_as_read(here, olga), 2);
  EXPECT_EQ(*store.mark_all_as_read(here, olga), 0);
  EXPECT_EQ(*store.unread_count(here, olga), 0);
  EXPECT_EQ(*store.unread_count(here, emil), 1);
}

TEST_F(NotificationServiceTest, MarkMultipleSkipsOthersAndReadOnes) {
  const auto mine = sent();
  const auto read = sent();
  store.mark_as_read(here, olga, read.id).value();
  auto m = message();
  m.user = emil;
  const auto his = sent(m);
  EXPECT_EQ(*store.mark_multiple_as_read(
              here, olga, {mine.id, read.id, his.id, mine.id}),
            1);
  EXPECT_EQ(*store.unread_count(here, emil), 1);
}

TEST_F(NotificationServiceTest, MarkMultipleWithUnknownIdMarksNothing) {
  const auto mine = sent();
  auto m = message();
  m.tenant = other;
  m.user = stranger;
  const auto foreign = sent(m);
  const auto marked = store.mark_multiple_as_read(
    here, olga, {mine.id, notification_id::make(), foreign.id});
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().code, errc::invalid_argument);
  std::vector<std::string> fields;
  for (const auto& f : marked.error().fields)
    fields.push_back(f.field);
  EXPECT_THAT(fields, ElementsAre("ids.1", "ids.2"));
  EXPECT_EQ(*store.unread_count(here, olga), 1);
}

TEST_F(NotificationServiceTest, ManyMailboxesAtOnceShowWhatEachShowsAlone) {
  for (int i = 0; i < 7; ++i) {
    const auto n = sent();
    if (i % 3 == 0)
      store.mark_as_read(here, olga, n.id).value();
  }
  // Of one instant: then the id decides.
  db.exec("UPDATE carillon.notifications SET created_at = date_trunc('day', now())");
  auto m = message();
  m.user = emil;
  m.data = R"({"a":1})";
  sent(m);
  m.tenant = other;
  m.user = stranger;
  sent(m);
  db.exec("UPDATE carillon.notifications SET channel = 'email' WHERE user_id = " + sql_literal(stranger));

  const auto everywhere = scope::maintenance("test");
  const std::vector<mailbox> whose{{acme, emil}, {acme, olga}, {other, stranger}, {acme, olga}, {other, olga}};
  EXPECT_THAT(*store.unread_counts(everywhere, whose), ElementsAre(1, 4, 0, 4, 0));
  EXPECT_THAT(*store.unread_counts(here, whose), ElementsAre(1, 4, 0, 4, 0));
  EXPECT_THAT(*store.unread_counts(scope::tenant(other), whose), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_TRUE(store.unread_counts(everywhere, {})->empty());

  std::vector<mailbox_page> asked;
  for (const auto& [page, per_page] : std::vector<std::pair<int, int>>{{1, 20}, {1, 3}, {2, 3}, {3, 3}, {4, 3}})
    for (const auto& one : whose)
      asked.push_back({one, page, per_page});
  const auto pages = store.newest(everywhere, asked);
  ASSERT_TRUE(pages) << pages.error().detail;
  ASSERT_THAT(*pages, SizeIs(asked.size()));
  const auto rows = store.newest_rows(everywhere, asked);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_THAT(*rows, SizeIs(asked.size()));
  for (std::size_t i = 0; i < asked.size(); ++i) {
    notification_filter filter;
    filter.page = asked[i].page;
    filter.per_page = asked[i].per_page;
    const auto alone = store.list(scope::tenant(asked[i].whose.tenant), asked[i].whose.user, filter).value();
    EXPECT_EQ((*pages)[i].total, alone.total) << i;
    EXPECT_EQ((*rows)[i].index.total, alone.total) << i;
    EXPECT_EQ((*rows)[i].index.versions, (*pages)[i].versions) << i;
    EXPECT_EQ((*pages)[i].versions.empty(), alone.items.empty()) << i;
    ASSERT_THAT((*rows)[i].items, SizeIs(alone.items.size())) << i;
    for (std::size_t k = 0; k < alone.items.size(); ++k) {
      const auto& one = (*rows)[i].items[k];
      const auto& same = alone.items[k];
      EXPECT_EQ(std::tie(one.id, one.tenant, one.user, one.type, one.channel, one.title, one.message, one.data,
                         one.action_url, one.icon, one.read_at, one.sent_at, one.created_at),
                std::tie(same.id, same.tenant, same.user, same.type, same.channel, same.title, same.message, same.data,
                         same.action_url, same.icon, same.read_at, same.sent_at, same.created_at));
    }
  }
  const auto no_rows = store.newest_rows(scope::tenant(other), asked).value();
  ASSERT_THAT(no_rows, SizeIs(asked.size()));
  for (const auto& page : no_rows) {
    EXPECT_EQ(page.index.total, 0);
    EXPECT_TRUE(page.index.versions.empty());
    EXPECT_TRUE(page.items.empty());
  }
  const auto nothing = store.newest(scope::tenant(other), asked).value();
  ASSERT_THAT(nothing, SizeIs(asked.size()));
  for (const auto& page : nothing) {
    EXPECT_EQ(page.total, 0);
    EXPECT_TRUE(page.versions.empty());
  }
  EXPECT_TRUE(store.newest(everywhere, {})->empty());
  EXPECT_TRUE(store.newest_rows(everywhere, {})->empty());
}

TEST_F(NotificationServiceTest, APageBeyondTheEndIsEmptyAndWalksNoMailbox) {
  for (int i = 0; i < 5; ++i)
    sent();
  const auto scans_of = [&](const std::vector<mailbox_page>& asked, bool with_rows) {
    const auto scans = [&] {
      return std::stoll(db.exec("SELECT seq_scan + idx_scan FROM pg_stat_all_tables "
                                "WHERE relid = 'carillon.notifications'::regclass"));
    };
    const auto ask = [](connection& there, const std::string& sql) {
      return there.read("test", [&](pqxx::transaction_base& tx) -> result<std::string> {
        return std::string{tx.exec(sql)[0][0].c_str()};
      });
    };
    // A session says what it did at its end at the latest; that of `store` now.
    EXPECT_TRUE(ask(db.connection(), "SELECT pg_stat_force_next_flush()"));
    auto session = db.connect();
    const auto backend = ask(*session, "SELECT pg_backend_pid()");
    const auto ended = [&] {
      return db.exec("SELECT count(*) FROM pg_stat_activity WHERE pid = " + *backend) == "0";
    };
    const auto before = scans();
    notification_repository there{*session};
    const auto everywhere = scope::maintenance("test");
    std::vector<mailbox_index> pages;
    if (with_rows) {
      const auto all = there.newest_rows(everywhere, asked).value();
      for (const auto& page : all) {
        EXPECT_TRUE(page.items.empty());
        pages.push_back(page.index);
      }
    } else {
      pages = there.newest(everywhere, asked).value();
    }
    EXPECT_THAT(pages, SizeIs(asked.size()));
    for (const auto& page : pages) {
      EXPECT_EQ(page.total, 5);
      EXPECT_TRUE(page.versions.empty());
    }
    session.reset();
    EXPECT_TRUE(test::eventually(ended));
    return scans() - before;
  };
  const mailbox of_olga{acme, olga};
  for (const bool with_rows : {false, true}) {
    EXPECT_EQ(scans_of({{of_olga, 2, 5}}, with_rows), 1) << "that which counts";
    EXPECT_EQ(scans_of({{of_olga, 10'000'000, 100}, {of_olga, 2, 20}}, with_rows), 2);
  }
  const auto pages = store.newest_rows(here, {{of_olga, 2, 3}, {of_olga, 3, 3}, {of_olga, 1, 20}}).value();
  EXPECT_THAT(pages[0].items, SizeIs(2));
  EXPECT_THAT(pages[1].items, SizeIs(0));
  EXPECT_THAT(pages[2].items, SizeIs(5));
}

TEST_F(NotificationServiceTest, EveryChangeOfAPageIsAnotherVersionOfIt) {
  const auto n = sent();
  sent();
  const auto everywhere = scope::maintenance("test");
  std::set<std::string> seen;
  const auto is_new = [&] {
    const auto page = store.newest(everywhere, {{{acme, olga}, 1, 20}})->at(0);
    EXPECT_EQ(page.versions, store.newest(everywhere, {{{acme, olga}, 1, 20}})->at(0).versions);
    EXPECT_EQ(page.versions, store.newest_rows(everywhere, {{{acme, olga}, 1, 20}})->at(0).index.versions);
    return seen.insert(page.versions).second;
  };
  EXPECT_TRUE(is_new());
  store.mark_as_read(here, olga, n.id).value();
  EXPECT_TRUE(is_new());
  db.exec("UPDATE carillon.notifications SET title = 'other' WHERE read_at IS NULL");
  EXPECT_TRUE(is_new());
  // Rows of one transaction are told apart as well, and so is their order.
  db.exec("UPDATE carillon.notifications SET icon = 'bell'");
  EXPECT_TRUE(is_new());
  db.exec("UPDATE carillon.notifications SET created_at = created_at - interval '1 hour' WHERE title = 'other'");
  EXPECT_TRUE(is_new());
  sent();
  EXPECT_TRUE(is_new());
  db.exec("DELETE FROM carillon.notifications WHERE title = 'other'");
  EXPECT_TRUE(is_new());
  db.exec("DELETE FROM carillon.notifications");
  EXPECT_TRUE(is_new());
  EXPECT_TRUE(seen.contains(""));
}

/// However few ask: what is planned with a known number of them is planned
/// anew each time, as it looks cheaper.
TEST_F(NotificationServiceTest, WhatManyAskIsPlannedOnceASession) {
  sent();
  const std::vector<mailbox> whose{{acme, olga}};
  const std::vector<mailbox_page> pages{{{acme, olga}, 1, 20}};
  const auto everywhere = scope::maintenance("test");
  auth_repository tokens{db.connection()};
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(store.unread_counts(everywhere, whose));
    ASSERT_TRUE(store.newest(everywhere, pages));
    ASSERT_TRUE(store.newest_rows(everywhere, pages));
    ASSERT_TRUE(tokens.find_holders(everywhere, {1}));
  }
  const auto planned = db.connection().read("test", [](pqxx::transaction_base& tx) -> result<std::vector<int>> {
    std::vector<int> out;
    for (const auto& row : tx.exec("SELECT generic_plans FROM pg_prepared_statements "
                                   "WHERE statement LIKE '%unnest($%' AND generic_plans + custom_plans = 8"))
      out.push_back(row[0].as<int>());
    return out;
  });
  ASSERT_TRUE(planned) << planned.error().detail;
  EXPECT_THAT(*planned, ElementsAre(3, 3, 3, 3)) << "the server plans the first five with what they ask";
}

TEST_F(NotificationServiceTest, TwoMarkersAtOnceBothSucceed) {
  std::vector<notification_id> forward;
  for (int i = 0; i < 50; ++i)
    forward.push_back(sent().id);
  const std::vector<notification_id> backward{forward.rbegin(), forward.rend()};
  auto second = db.connect();
  notification_repository other_store{*second};
  std::int64_t there = -1;
  std::thread racer{[&] {
    there = other_store.mark_multiple_as_read(here, olga, backward)
              .value_or(-1);
  }};
  const auto mine
    = store.mark_multiple_as_read(here, olga, forward).value_or(-1);
  racer.join();
  EXPECT_EQ(mine + there, 50);
}

// -- lists --------------------------------------------------------------------

TEST_F(NotificationServiceTest, ListFiltersCombine) {
  const auto published = sent();
  auto m = message("Comment by Zoë");
  m.type = notification_type::new_comment;
  const auto comment = sent(m);
  m = message("100% failed");
  m.type = notification_type::post_failed;
  const auto failed = sent(m);
  age(failed, 3);
  store.mark_as_read(here, olga, published.id).value();

  auto ids = [&](const notification_filter& f) {
    std::vector<notification_id> out;
    auto page = store.list(here, olga, f);
    EXPECT_TRUE(page);
    for (const auto& n : page->items)
      out.push_back(n.id);
    EXPECT_EQ(page->total, static_cast<std::int64_t>(out.size()));
    return out;
  };
  notification_filter f;
  EXPECT_THAT(ids(f), ElementsAre(comment.id, published.id, failed.id));
  f.category = notification_category::content;
  EXPECT_THAT(ids(f), ElementsAre(published.id, failed.id));
  f.is_read = false;
  EXPECT_THAT(ids(f), ElementsAre(failed.id));
  f.type = notification_type::new_comment;
  EXPECT_THAT(ids(f), SizeIs(0));
  f = {};
  f.type = notification_type::new_comment;
  EXPECT_THAT(ids(f), ElementsAre(comment.id));
  f = {};
  f.is_read = true;
  EXPECT_THAT(ids(f), ElementsAre(published.id));
  f = {};
  f.to = published.created_at - std::chrono::hours{24};
  EXPECT_THAT(ids(f), ElementsAre(failed.id));
  f = {};
  f.from = published.created_at - std::chrono::hours{24};
  EXPECT_THAT(ids(f), ElementsAre(comment.id, published.id));
  f = {};
  f.search = "0%";
  EXPECT_THAT(ids(f), ElementsAre(failed.id));
  f.search = "COMMENT by";
  EXPECT_THAT(ids(f), ElementsAre(comment.id));
  f.search = "'; DROP TABLE";
  EXPECT_THAT(ids(f), SizeIs(0));
}

TEST_F(NotificationServiceTest, ListSortsByWhiteListedColumns) {
  const auto b = sent(message("b"));
  const auto a = sent(message("a"));
  const auto c = sent(message("c"));
  store.mark_as_read(here, olga, a.id).value();
  auto titles = [&](notification_filter::column column, bool ascending) {
    notification_filter f;
    f.sort = column;
    f.ascending = ascending;
    std::string out;
    const auto page = store.list(here, olga, f);
    for (const auto& n : page->items)
      out += n.title;
    return out;
  };
  using enum notification_filter::column;
  EXPECT_EQ(titles(title, true), "abc");
  EXPECT_EQ(titles(title, false), "cba");
  EXPECT_EQ(titles(created_at, true), "bac");
  EXPECT_EQ(titles(created_at, false), "cab");
  EXPECT_EQ(titles(read_at, false), "acb");
  EXPECT_EQ(titles(read_at, true), "bca");
  EXPECT_EQ(titles(type, true), "bac");
}

TEST_F(NotificationServiceTest, PagesAreStableAndComplete) {
  for (int i = 0; i < 7; ++i)
    sent(message("same"));
  db.exec("UPDATE carillon.notifications SET created_at = now()");
  std::set<notification_id> seen;
  notification_filter f;
  f.per_page = 3;
  for (f.page = 1; f.page <= 3; ++f.page) {
    const auto page = store.list(here, olga, f);
    EXPECT_EQ(page->total, 7);
    for (const auto& n : page->items)
      seen.insert(n.id);
  }
  EXPECT_THAT(seen, SizeIs(7));
  EXPECT_TRUE(store.list(here, olga, f)->items.empty());
  f.page = 10'000'000;
  f.per_page = 100;
  EXPECT_TRUE(store.list(here, olga, f)->items.empty());
}

TEST_F(NotificationServiceTest, OtherChannelsAreInNoList) {
  const auto n = sent();
  db.exec("UPDATE carillon.notifications SET channel = 'email'");
  EXPECT_EQ(store.list(here, olga, {})->total, 0);
  EXPECT_EQ(*store.unread_count(here, olga), 0);
  EXPECT_TRUE(store.recent(here, olga, 10)->empty());
  EXPECT_EQ(*store.mark_all_as_read(here, olga), 1);
}

TEST_F(NotificationServiceTest, RecentIsNewestFirstAndLimited) {
  sent(message("1"));
  sent(message("2"));
  sent(message("3"));
  const auto recent = store.recent(here, olga, 2);
  ASSERT_TRUE(recent);
  ASSERT_THAT(*recent, SizeIs(2));
  EXPECT_EQ(recent->at(0).title, "3");
  EXPECT_EQ(recent->at(1).title, "2");
}

TEST_F(NotificationServiceTest, RowsOfANewerNodeDoNotBreakTheList) {
  sent();
  db.exec("UPDATE carillon.notifications SET type = 'from_the_future'");
  const auto page = store.list(here, olga, {});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->items.at(0).type, notification_type::system_announcement);
}

// -- preferences --------------------------------------------------------------

TEST_F(NotificationServiceTest, PreferencesCreateMissingRowsInEnumOrder) {
  const auto all = store.preferences(here, olga);
  ASSERT_TRUE(all);
  const auto types = values_of<notification_type>();
  ASSERT_EQ(all->size(), types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    EXPECT_EQ(all->at(i).type, types[i]);
    EXPECT_EQ(all->at(i).channels, channel_preferences{});
  }
  const auto again = store.preferences(here, olga);
  EXPECT_EQ(again->front().id, all->front().id);
  EXPECT_EQ(count("notification_preferences"), std::to_string(types.size()));
}

TEST_F(NotificationServiceTest, PreferencesOfAnotherTenantsUserAreNotFound) {
  EXPECT_EQ(store.preferences(here, stranger).error().code, errc::not_found);
  EXPECT_EQ(count("notification_preferences"), "0");
}

TEST_F(NotificationServiceTest, TwoFirstReadersCreateEachRowOnce) {
  auto second = db.connect();
  notification_repository other_store{*second};
  std::size_t there = 0;
  std::thread racer{[&] {
    if (auto all = other_store.preferences(here, olga))
      there = all->size();
  }};
  const auto all = store.preferences(here, olga);
  racer.join();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), there);
  EXPECT_EQ(count("notification_preferences"), std::to_string(there));
}

TEST_F(NotificationServiceTest, UpdateKeepsFlagsThatAreNotNamed) {
  prefer(olga, notification_type::post_failed, {true, true, true, true});
  preference_change change;
  change.type = notification_type::post_failed;
  change.email = false;
  const auto after = store.update_preference(here, olga, change);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->channels, (channel_preferences{true, false, true, true}));
  EXPECT_EQ(after->type, notification_type::post_failed);
}

TEST_F(NotificationServiceTest, BulkUpdateAnswersTheCompleteList) {
  const auto all = store.update_preferences(
    here, olga,
    {{notification_type::post_failed, false, false, {}, {}},
     {notification_type::new_mention, true, false, true, {}},
     {notification_type::post_failed, true, false, {}, {}}});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), values_of<notification_type>().size());
  auto of = [&](notification_type type) {
    return all->at(static_cast<std::size_t>(type)).channels;
  };
  EXPECT_EQ(of(notification_type::post_failed),
            (channel_preferences{true, false, false, false}));
  EXPECT_EQ(of(notification_type::new_mention),
            (channel_preferences{true, false, true, false}));
  EXPECT_EQ(of(notification_type::post_published), channel_preferences{});
  EXPECT_EQ(store.preferences(here, emil)
              ->at(static_cast<std::size_t>(notification_type::post_failed))
              .channels,
            channel_preferences{});
}

// -- retention ----------------------------------------------------------------

TEST_F(NotificationServiceTest, DeleteOldGoesByAgeOnly) {
  const auto old_read = sent();
  store.mark_as_read(here, olga, old_read.id).value();
  age(old_read, 91);
  age(sent(), 91);
  const auto young = sent();
  age(young, 89);
  EXPECT_EQ(*store.delete_old(here, 90), 2);
  EXPECT_EQ(count("notification_deliveries"), "4");
  EXPECT_EQ(store.list(here, olga, {})->items.at(0).id, young.id);
}

TEST_F(NotificationServiceTest, DeleteOldWorksInChunksWithinItsTenant) {
  for (const auto& [tenant, user, rows] :
       {std::tuple{acme, olga, 2500}, std::tuple{other, stranger, 5}})
    db.exec("INSERT INTO carillon.notifications (id, tenant_id, user_id, type, "
            "title, message, created_at) SELECT gen_random_uuid(), "
            + sql_literal(tenant) + ", " + sql_literal(user)
            + ", 'post_failed', 't', 'm', now() - interval '100 days' FROM "
              "generate_series(1, "
            + std::to_string(rows) + ")");
  EXPECT_EQ(*store.delete_old(here, 90), 2500);
  EXPECT_EQ(count("notifications"), "5");
  EXPECT_EQ(*store.delete_old(scope::maintenance("retention"), 90), 5);
}

// -- e-mail -------------------------------------------------------------------

TEST_F(NotificationServiceTest, LoadEmailTellsAllThatRenderingNeeds) {
  const auto n = sent();
  auto mail = store.load_email(here, n.id);
  ASSERT_TRUE(mail);
  EXPECT_EQ(mail->recipient_name, "olga");
  EXPECT_EQ(mail->recipient_address, "olga@" + to_string(acme) + ".example");
  EXPECT_TRUE(mail->facts.preferences.email);
  EXPECT_EQ(mail->item.title, "It is out");
  EXPECT_EQ(decide_email(*mail).step, email_step::send);
  EXPECT_EQ(store.load_email(scope::tenant(other), n.id).error().code,
            errc::not_found);
}

TEST_F(NotificationServiceTest, EmailPreferenceCountsWhenTheJobRuns) {
  const auto n = sent();
  prefer(olga, notification_type::post_published, {true, false, false, false});
  const auto decision = decide_email(*store.load_email(here, n.id));
  EXPECT_EQ(decision.step, email_step::skip);
  ASSERT_TRUE(record(n, {email_outcome::kind::skipped, decision.reason}));
  const auto back = store.load_email(here, n.id)->item;
  EXPECT_FALSE(back.sent_at);
  EXPECT_FALSE(back.failed_at);
  EXPECT_EQ(back.failure_reason, "off by preference");
  EXPECT_EQ(delivery(n, "email"), "skipped: off by preference");
}

TEST_F(NotificationServiceTest, EmailToADeletedUserFails) {
  const auto n = sent();
  db.exec("UPDATE carillon.users SET deleted_at = now() WHERE id = "
          + sql_literal(olga));
  const auto decision = decide_email(*store.load_email(here, n.id));
  EXPECT_EQ(decision.step, email_step::fail);
  EXPECT_FALSE(decision.reason.empty());
}

TEST_F(NotificationServiceTest, SentIsRecordedAndFinal) {
  const auto n = sent();
  ASSERT_TRUE(record(n, {email_outcome::kind::sent, {}}));
  EXPECT_EQ(delivery(n, "email"), "sent");
  const auto mail = *store.load_email(here, n.id);
  EXPECT_TRUE(mail.item.sent_at);
  EXPECT_EQ(decide_email(mail).step, email_step::already_sent);
  EXPECT_FALSE(record(n, {email_outcome::kind::failed, "too late"}));
  EXPECT_EQ(delivery(n, "email"), "sent");
  EXPECT_FALSE(store.load_email(here, n.id)->item.failed_at);
}

TEST_F(NotificationServiceTest, FailureReasonIsTruncated) {
  const auto n = sent();
  std::string reason;
  for (int i = 0; i < 300; ++i)
    reason += "é";
  ASSERT_TRUE(record(n, {email_outcome::kind::failed, reason}));
  const auto back = store.load_email(here, n.id)->item;
  EXPECT_TRUE(back.failed_at);
  EXPECT_EQ(character_count(back.failure_reason), 255u);
  ASSERT_TRUE(record(n, {email_outcome::kind::sent, {}}));
  const auto later = store.load_email(here, n.id)->item;
  EXPECT_FALSE(later.failed_at);
  EXPECT_EQ(later.failure_reason, "");
}

TEST_F(NotificationServiceTest, OutcomeOfAnotherTenantsNoticeIsNotWritten) {
  const auto n = sent();
  EXPECT_FALSE(record(n, {email_outcome::kind::sent, {}}, other));
  EXPECT_EQ(delivery(n, "email"), "queued");
}

} // namespace

} // namespace carillon::storage
