// What committed transactions tell, and who may hear it.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/ports/auth_store.hpp"
#include "domain/ports/live_store.hpp"
#include "domain/ports/notification_store.hpp"
#include "domain/ports/post_store.hpp"
#include "domain/ports/publish_store.hpp"
#include "storage/live_notes.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;
using test::sql_literal;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class recorder final : public live_events {
public:
  void publish(live_batch batch) noexcept override {
    for (auto& event : batch.events)
      events.push_back(std::move(event));
    for (const auto& user : batch.rights_changed)
      rights_changed.push_back(user);
  }
  std::vector<live_event> take() {
    return std::exchange(events, {});
  }
  std::vector<live_event> events;
  std::vector<user_id> rights_changed;
};

session_options options_for(const std::string& url, live_events& live) {
  session_options out;
  out.url = url;
  out.live = &live;
  return out;
}

class LiveStorageTest : public ::testing::Test {
protected:
  LiveStorageTest() {
    account = here.add_account(here.workspace);
  }

  new_notification message(user_id to) {
    new_notification out;
    out.tenant = here.tenant;
    out.user = to;
    out.type = notification_type::post_published;
    out.title = "It is \"out\" 🎉";
    out.message = "مرحبا";
    out.action_url = "/app/w/1";
    return out;
  }

  std::string user_channel(user_id id) {
    return to_string(live_channel{live_channel::audience::user, id.value});
  }

  std::int64_t add_token(user_id user, const std::string& expires = "now() + interval '1 day'") {
    static int made = 0;
    return std::stoll(db.exec(
      "INSERT INTO carillon.personal_access_tokens (tokenable_type, tokenable_id, tenant_id, name, token, abilities, "
      "expires_at) SELECT 'user', id, tenant_id, 'auth-token', encode(sha256('live-" + std::to_string(++made)
      + "'::bytea), 'hex'), '[\"*\"]', " + expires + " FROM carillon.users WHERE id = " + sql_literal(user)
      + " RETURNING id"));
  }

  bool may(user_id user, std::int64_t token, const std::string& channel) {
    const auto refused = store->live().refused(scope::maintenance("test"), {{"1.2", channel, user, here.tenant, token}});
    EXPECT_TRUE(refused) << (refused ? "" : refused.error().detail);
    return refused && refused->empty();
  }

  test::test_database db;
  test::seed here{db};
  recorder told;
  std::unique_ptr<carillon::store> store = make_pg_store(options_for(db.url(), told), test::test_cipher(), db.log());
  hints wake;
  social_account_id account;
};

TEST_F(LiveStorageTest, ANotificationIsToldToItsUserAfterTheCommit) {
  const auto sent = store->notifications().send(scope::tenant(here.tenant), message(here.author), wake);
  ASSERT_TRUE(sent);
  ASSERT_THAT(told.events, SizeIs(1));
  const auto& event = told.events[0];
  EXPECT_EQ(event.channel, user_channel(here.author));
  EXPECT_EQ(event.name, "notification.new");
  EXPECT_EQ(event.id, to_string(sent->id));
  EXPECT_EQ(json::parse(event.data), (json{{"id", to_string(sent->id)},
                                           {"type", "post_published"},
                                           {"title", "It is \"out\" 🎉"},
                                           {"message", "مرحبا"},
                                           {"action_url", "/app/w/1"},
                                           {"created_at", format_api_time(sent->created_at)}}));
}

TEST_F(LiveStorageTest, ARowThatIsStoredReadIsNotTold) {
  ASSERT_TRUE(store->notifications().update_preference(scope::tenant(here.tenant), here.author,
                                                       {notification_type::post_published, false, {}, {}, {}}));
  ASSERT_TRUE(store->notifications().send(scope::tenant(here.tenant), message(here.author), wake));
  EXPECT_THAT(told.events, IsEmpty());
  const auto missed = store->live().recent(scope::tenant(here.tenant), here.author, std::chrono::seconds{60}, 10);
  ASSERT_TRUE(missed);
  EXPECT_THAT(*missed, IsEmpty());
}

TEST_F(LiveStorageTest, WhatIsRolledBackIsNotTold) {
  connection session{options_for(db.url(), told), db.log()};
  EXPECT_FALSE(session.transact("fails", [&](pqxx::work& tx) -> result<done> {
    note_rights_change(here.author);
    note_inbox_item({make_uuid_v7(), here.workspace, "mastodon", "comment", "Ann", "Hello", instant{}});
    tx.exec("SELECT 1");
    return failure{errc::conflict, "no", {}, {}};
  }));
  EXPECT_FALSE(session.transact("throws", [&](pqxx::work& tx) -> result<done> {
    note_rights_change(here.author);
    tx.exec("SELECT 1/0");
    return done{};
  }));
  EXPECT_THAT(told.events, IsEmpty());
  EXPECT_THAT(told.rights_changed, IsEmpty());
}

TEST_F(LiveStorageTest, AnInboxItemIsToldWithAPreview) {
  connection session{options_for(db.url(), told), db.log()};
  const auto id = make_uuid_v7();
  ASSERT_TRUE(session.transact("inbox", [&](pqxx::work&) -> result<done> {
    note_inbox_item({id, here.workspace, "mastodon", "comment", "Ann", std::string(300, 'x'), instant{}});
    return done{};
  }));
  ASSERT_THAT(told.events, SizeIs(1));
  EXPECT_EQ(told.events[0].channel, "private-workspace." + to_string(here.workspace) + ".inbox");
  const auto data = json::parse(told.events[0].data);
  EXPECT_EQ(data["id"], to_string(id));
  EXPECT_EQ(data["content_preview"], std::string(100, 'x'));
  EXPECT_EQ(data["author_name"], "Ann");
}

TEST_F(LiveStorageTest, EveryChangeOfAPostsStatusIsToldToItsWorkspace) {
  const auto who = scope::tenant(here.tenant);
  const post_actor actor{here.author, "Author", ""};
  new_post draft;
  draft.content.content_text = "A post of more than fifty characters, so that its title is an excerpt";
  draft.accounts = {account};
  const auto made = store->posts().create(who, here.workspace, actor, draft);
  ASSERT_TRUE(made);
  const auto id = made->post.id;
  auto& posts = store->posts();
  ASSERT_TRUE(posts.submit(who, here.workspace, id, actor, wake));
  ASSERT_TRUE(posts.reject(who, here.workspace, id, actor, "Too long", std::nullopt, wake));
  post_content shorter;
  shorter.content_text = "Short";
  ASSERT_TRUE(posts.update(who, here.workspace, id, actor, shorter));
  ASSERT_TRUE(posts.submit(who, here.workspace, id, actor, wake));
  ASSERT_TRUE(posts.approve(who, here.workspace, id, actor, std::nullopt, wake));
  const auto later = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now())
                     + std::chrono::hours{1};
  ASSERT_TRUE(posts.schedule(who, here.workspace, id, actor, later, std::nullopt, false, wake));
  ASSERT_TRUE(posts.schedule(who, here.workspace, id, actor, later + std::chrono::hours{1}, std::nullopt, true, wake));
  ASSERT_TRUE(posts.publish(who, here.workspace, id, actor, wake));
  std::vector<std::string> moves;
  for (const auto& event : told.events) {
    if (event.name != "post.status_changed")
      continue;
    EXPECT_EQ(event.channel, "private-workspace." + to_string(here.workspace));
    const auto data = json::parse(event.data);
    EXPECT_EQ(data["post_id"], to_string(id));
    EXPECT_TRUE(data["updated_at"].is_string());
    moves.push_back(data["previous_status"].get<std::string>() + " > " + data["status"].get<std::string>());
    if (moves.size() == 1) {
      EXPECT_EQ(data["title"], "A post of more than fifty characters, so that i...");
    }
  }
  EXPECT_THAT(moves, ElementsAre("draft > submitted", "submitted > rejected", "rejected > draft", "draft > submitted",
                                 "submitted > approved", "approved > scheduled", "scheduled > publishing"));
}

TEST_F(LiveStorageTest, OnlyALiveTokenOfTheRightPersonMayListen) {
  const auto olga = test::add_user(db, here.tenant, "olga");
  const auto boss = test::add_user(db, here.tenant, "boss", tenant_role::owner);
  const auto member = test::add_user(db, here.tenant, "member");
  test::add_member(db, here.tenant, here.workspace, member, workspace_role::viewer);
  const auto other_tenant = test::add_tenant(db, "other");
  const auto stranger = test::add_user(db, other_tenant, "stranger", tenant_role::owner);
  const auto room = "private-workspace." + to_string(here.workspace);

  const auto token = add_token(olga);
  EXPECT_TRUE(may(olga, token, user_channel(olga)));
  EXPECT_FALSE(may(olga, token, user_channel(member))) << "another user's";
  EXPECT_FALSE(may(olga, add_token(member), user_channel(olga))) << "another user's token";
  EXPECT_FALSE(may(olga, add_token(olga, "now() - interval '1 second'"), user_channel(olga))) << "expired";
  EXPECT_FALSE(may(olga, token, room)) << "no member";
  EXPECT_FALSE(may(olga, token, "private-team.1"));
  for (const auto& channel : {room, room + ".inbox"}) {
    EXPECT_TRUE(may(member, add_token(member), channel));
    EXPECT_TRUE(may(boss, add_token(boss), channel));
    EXPECT_FALSE(may(stranger, add_token(stranger), channel));
  }

  const auto members_token = add_token(member);
  db.exec("DELETE FROM carillon.workspace_memberships WHERE user_id = " + sql_literal(member));
  EXPECT_FALSE(may(member, members_token, room)) << "no member any more";
  db.exec("UPDATE carillon.users SET status = 'suspended' WHERE id = " + sql_literal(member));
  EXPECT_FALSE(may(member, members_token, user_channel(member))) << "suspended";
  db.exec("DELETE FROM carillon.personal_access_tokens WHERE id = " + std::to_string(token));
  EXPECT_FALSE(may(olga, token, user_channel(olga))) << "logged out";
  db.exec("UPDATE carillon.tenants SET status = 'terminated' WHERE id = " + sql_literal(here.tenant));
  EXPECT_FALSE(may(boss, add_token(boss), room)) << "the tenant has ended";
}

TEST_F(LiveStorageTest, ManyAreAskedAboutAtOnceAndTheRefusedAreNamedByPosition) {
  const auto token = add_token(here.author);
  std::vector<live_grant> grants;
  for (int i = 0; i < 1'000; ++i)
    grants.push_back({"1." + std::to_string(i), user_channel(here.author), here.author, here.tenant,
                      i % 400 == 7 ? token + 1'000'000 : token});
  const auto refused = store->live().refused(scope::maintenance("test"), grants);
  ASSERT_TRUE(refused);
  EXPECT_THAT(*refused, ElementsAre(7, 407, 807));
  EXPECT_THAT(*store->live().refused(scope::maintenance("test"), {}), IsEmpty());
}

TEST_F(LiveStorageTest, RevokingATokenTellsWhoseRightsChanged) {
  const auto token = add_token(here.author);
  ASSERT_TRUE(store->auth().revoke_token(scope::tenant(here.tenant), here.author, token));
  EXPECT_THAT(told.rights_changed, ElementsAre(here.author));
  ASSERT_TRUE(store->auth().replace_tokens(scope::tenant(here.tenant), here.author, {"auth-token", std::string(64, 'a'),
                                                                                   std::chrono::seconds{60}}));
  EXPECT_THAT(told.rights_changed, SizeIs(2));
}

TEST_F(LiveStorageTest, AResumeGivesTheUnreadOfTheWindowOldestFirst) {
  const auto who = scope::tenant(here.tenant);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) {
    const auto sent = store->notifications().send(who, message(here.author), wake);
    ASSERT_TRUE(sent);
    ids.push_back(to_string(sent->id));
  }
  db.exec("UPDATE carillon.notifications SET created_at = now() - interval '2 minutes' WHERE id = '" + ids[0] + "'");
  db.exec("UPDATE carillon.notifications SET read_at = now() WHERE id = '" + ids[1] + "'");
  const auto missed = store->live().recent(who, here.author, std::chrono::seconds{60}, 10);
  ASSERT_TRUE(missed);
  std::vector<std::string> got;
  for (const auto& event : *missed)
    got.push_back(event.id);
  EXPECT_THAT(got, ElementsAre(ids[2], ids[3]));
  const auto newest = store->live().recent(who, here.author, std::chrono::seconds{60}, 1);
  ASSERT_TRUE(newest);
  ASSERT_THAT(*newest, SizeIs(1));
  EXPECT_EQ(newest->front().id, ids[3]);
}

TEST_F(LiveStorageTest, WhatAnotherProgramWritesIsAnnouncedToItsOwnerAndCanBeRead) {
  db.exec("INSERT INTO carillon.node_incarnations (incarnation, node) OVERRIDING SYSTEM VALUE VALUES (901, 'live-test')");
  db.exec("UPDATE carillon.shard_leases SET incarnation = 901");
  std::vector<std::string> heard;
  class receiver final : public pqxx::notification_receiver {
  public:
    receiver(pqxx::connection& session, std::vector<std::string>& heard)
      : pqxx::notification_receiver(session, "carillon_live-test"), heard_(heard) {
    }
    void operator()(const std::string& payload, int) override {
      heard_.push_back(payload);
    }

  private:
    std::vector<std::string>& heard_;
  };
  pqxx::connection session{db.url()};
  const receiver listening{session, heard};
  const auto notify = [&](const std::string& type) {
    return db.exec("SELECT carillon.notify(" + sql_literal(here.tenant) + ", " + sql_literal(here.author) + ", '" + type
                   + "', 'Paid', 'Thank you', NULL, '/app/billing')");
  };
  const auto id = notify("subscription_renewed");
  ASSERT_TRUE(store->notifications().update_preference(scope::tenant(here.tenant), here.author,
                                                       {notification_type::trial_ending, false, {}, {}, {}}));
  const auto silent = notify("trial_ending");
  while (std::count(heard.begin(), heard.end(), "1 live " + id) == 0)
    ASSERT_GT(session.await_notification(30, 0), 0);
  session.get_notifs();
  EXPECT_EQ(std::count(heard.begin(), heard.end(), "1 live " + silent), 0) << "stored read";

  const auto events = store->live().of_notifications(
    scope::maintenance("test"), {*notification_id::parse(id), *notification_id::parse(silent), notification_id::make()});
  ASSERT_TRUE(events);
  ASSERT_THAT(*events, SizeIs(1));
  EXPECT_EQ(events->front().channel, user_channel(here.author));
  EXPECT_EQ(json::parse(events->front().data)["title"], "Paid");
}

} // namespace

} // namespace carillon::storage
