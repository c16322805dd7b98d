// The hub in virtual time, with peers and a database that the test looks
// into.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

#include "actors/realtime/realtime.hpp"
#include "domain/ports/live_store.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class rights_in_memory final : public live_store {
public:
  result<std::vector<std::size_t>> refused(const scope&, const std::vector<live_grant>& grants) override {
    ++asked;
    if (broken)
      return failure{errc::transient, "no database", {}, {}};
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < grants.size(); ++i)
      if (revoked.contains(grants[i].token))
        out.push_back(i);
    return out;
  }
  result<std::vector<live_event>> recent(const scope&, user_id, std::chrono::seconds, int) override {
    throw std::logic_error{"not used by the hub"};
  }
  result<std::vector<live_event>> of_notifications(const scope&, const std::vector<notification_id>& ids) override {
    if (broken)
      return failure{errc::transient, "no database", {}, {}};
    std::vector<live_event> out;
    for (const auto& id : ids)
      if (const auto i = written.find(id); i != written.end())
        out.push_back({i->second, "notification.new", to_string(id), "{}"});
    return out;
  }

  std::map<notification_id, std::string> written; ///< Their channels.

  std::set<std::int64_t> revoked;
  int asked = 0;
  bool broken = false;
};

class rights_alone final : public test::store_without_ports {
public:
  explicit rights_alone(live_store& live) : live_(live) {
  }
  live_store& live() override { return live_; }

private:
  live_store& live_;
};

class silent final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

class fake_peer final : public live_peer {
public:
  bool deliver(const live_event_ptr& event) noexcept override {
    if (!reads)
      return false;
    got.push_back(event->id);
    return true;
  }
  void end(live_end why) noexcept override {
    ended = why;
  }

  std::vector<std::string> got;
  std::optional<live_end> ended;
  bool reads = true;
};

caf::actor_system_config& with_test_coordinator(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

class RealtimeTest : public ::testing::Test {
protected:
  RealtimeTest() {
    context->log = &log;
    context->settings.live_recheck_every = 30s;
    context->settings.live_max_connections_per_user = 2;
    context->databases.background
      = caf::actor_cast<database_actor>(system.spawn([this](caf::event_based_actor*) -> caf::behavior {
          return {[this](atom::run, const db_task_ptr& task) {
                    rights_alone db{rights};
                    task->run(db);
                    return atom::done_v;
                  },
                  [](atom::report) { return actor_report{}; }};
        }));
    realtime_relay relay;
    relay.events = [this](const live_batch& batch) { relayed += batch.events.size(); };
    hub = spawn_realtime(system, context, relay);
    coordinator().run();
  }
  ~RealtimeTest() override {
    caf::anon_send_exit(hub, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(context->databases.background, caf::exit_reason::user_shutdown);
    coordinator().run();
    context->databases = {};
  }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  template <class... Message>
  void send(Message&&... message) {
    caf::anon_send(hub, std::forward<Message>(message)...);
    coordinator().run();
  }

  static std::string channel_of(user_id user) {
    return to_string(live_channel{live_channel::audience::user, user.value});
  }
  live_grant grant(const std::string& socket, user_id user, std::int64_t token) {
    return {socket, channel_of(user), user, tenant, token};
  }
  std::shared_ptr<fake_peer> listen(const std::string& socket, user_id user, std::int64_t token) {
    auto peer = std::make_shared<fake_peer>();
    send(atom::grant_v, grant(socket, user, token));
    send(atom::subscribe_v, live_subscription{socket, channel_of(user), peer});
    return peer;
  }
  void say(user_id to, const std::string& id) {
    live_batch batch;
    batch.events.push_back({channel_of(to), "notification.new", id, "{}"});
    send(atom::live_v, std::move(batch));
  }
  void change_rights(user_id of) {
    live_batch batch;
    batch.rights_changed.push_back(of);
    send(atom::live_v, std::move(batch));
  }
  void pass(std::chrono::milliseconds time) {
    coordinator().advance_time(time);
    coordinator().run();
  }

  using ids = std::vector<std::string>;

  silent log;
  rights_in_memory rights;
  caf::actor_system_config config;
  caf::actor_system system{with_test_coordinator(config)};
  std::shared_ptr<engine_context> context = std::make_shared<engine_context>();
  realtime_actor hub;
  std::size_t relayed = 0;
  const tenant_id tenant = tenant_id::make();
  const user_id olga = user_id::make();
  const user_id paul = user_id::make();
};

TEST_F(RealtimeTest, AnEventReachesThoseWhoListenToItsChannelAndNobodyElse) {
  const auto first = listen("1.1", olga, 1);
  const auto second = listen("1.2", olga, 1);
  const auto other = listen("1.3", paul, 2);
  say(olga, "a");
  say(olga, "b");
  EXPECT_EQ(first->got, (ids{"a", "b"}));
  EXPECT_EQ(second->got, (ids{"a", "b"}));
  EXPECT_EQ(other->got, ids{});
}

TEST_F(RealtimeTest, AGrantOfAPeerIsAsGoodAsOneGivenHere) {
  const auto peer = std::make_shared<fake_peer>();
  send(atom::subscribe_v, live_subscription{"1.1", channel_of(olga), peer});
  send(atom::peer_v, grant("1.1", olga, 1));
  pass(30s);
  pass(30s);
  EXPECT_FALSE(peer->ended);
}

TEST_F(RealtimeTest, WhatComesLateIsToldToThoseWhoListenedThenOnly) {
  const auto old = listen("1.1", olga, 1);
  pass(10s);
  const auto at_the_time = listen("1.2", olga, 1);
  pass(10s);
  const auto since = std::make_shared<fake_peer>();
  send(atom::grant_v, grant("1.3", paul, 2));
  send(atom::subscribe_v, live_subscription{"1.3", channel_of(paul), since});
  live_batch batch;
  batch.events.push_back({channel_of(olga), "notification.new", "a", "{}"});
  batch.events.push_back({channel_of(paul), "notification.new", "b", "{}"});
  batch.age = 10s;
  send(atom::peer_v, batch);
  EXPECT_EQ(old->got, ids{"a"});
  EXPECT_EQ(at_the_time->got, ids{});
  EXPECT_EQ(at_the_time->ended, live_end::reconnect) << "nobody knows whether it has read the row";
  EXPECT_EQ(since->got, ids{});
  EXPECT_FALSE(since->ended);
}

TEST_F(RealtimeTest, AResyncTellsEverybodyToConnectAgainSomeAtATime) {
  std::vector<std::shared_ptr<fake_peer>> all;
  for (int i = 0; i < 1'100; ++i)
    all.push_back(listen("1." + std::to_string(i), user_id::make(), i));
  send(atom::resync_v);
  const auto ended = [&] { return std::count_if(all.begin(), all.end(), [](const auto& p) { return p->ended.has_value(); }); };
  EXPECT_EQ(ended(), 500);
  const auto later = listen("2.1", olga, 1);
  for (int i = 0; i < 5; ++i)
    pass(100ms);
  EXPECT_EQ(ended(), 1'100);
  EXPECT_FALSE(later->ended) << "who comes after it has read what is there";
}

TEST_F(RealtimeTest, WhoLeavesHearsNoMore) {
  const auto peer = listen("1.1", olga, 1);
  send(atom::leave_v, std::string{"1.1"}, channel_of(olga));
  say(olga, "a");
  EXPECT_EQ(peer->got, ids{});
  const auto closed = listen("1.2", olga, 1);
  send(atom::gone_v, std::string{"1.2"});
  say(olga, "b");
  EXPECT_EQ(closed->got, ids{});
  EXPECT_FALSE(closed->ended);
}

TEST_F(RealtimeTest, SubscribingTwiceDeliversOnce) {
  const auto peer = listen("1.1", olga, 1);
  send(atom::subscribe_v, live_subscription{"1.1", channel_of(olga), peer});
  say(olga, "a");
  EXPECT_EQ(peer->got, ids{"a"});
}

TEST_F(RealtimeTest, APeerThatTakesNoMoreIsForgotten) {
  const auto slow = listen("1.1", olga, 1);
  const auto quick = listen("1.2", olga, 1);
  slow->reads = false;
  say(olga, "a");
  slow->reads = true;
  say(olga, "b");
  EXPECT_EQ(slow->got, ids{});
  EXPECT_EQ(quick->got, (ids{"a", "b"}));
}

TEST_F(RealtimeTest, ARevokedTokenEndsItsPeersAtOnce) {
  const auto ended = listen("1.1", olga, 1);
  const auto other_token = listen("1.2", olga, 2);
  const auto other_user = listen("1.3", paul, 1);
  rights.revoked = {1};
  change_rights(olga);
  EXPECT_EQ(ended->ended, live_end::reconnect);
  EXPECT_FALSE(other_token->ended);
  EXPECT_FALSE(other_user->ended) << "only what changed is asked about";
  say(olga, "a");
  EXPECT_EQ(ended->got, ids{});
  EXPECT_EQ(other_token->got, ids{"a"});
}

TEST_F(RealtimeTest, WhatAnotherNodeRevokedEndsWithTheNextRecheck) {
  const auto peer = listen("1.1", olga, 1);
  rights.revoked = {1};
  pass(29s);
  EXPECT_FALSE(peer->ended);
  pass(1s);
  EXPECT_EQ(peer->ended, live_end::reconnect);
}

TEST_F(RealtimeTest, TroubleOfTheDatabaseEndsNobody) {
  const auto peer = listen("1.1", olga, 1);
  rights.broken = true;
  pass(30s);
  EXPECT_EQ(rights.asked, 1);
  EXPECT_FALSE(peer->ended);
  rights.broken = false;
  rights.revoked = {1};
  pass(30s);
  EXPECT_EQ(peer->ended, live_end::reconnect);
}

TEST_F(RealtimeTest, AGrantThatIsRevokedBeforeItIsUsedIsWorthNothing) {
  const auto peer = std::make_shared<fake_peer>();
  send(atom::grant_v, grant("1.1", olga, 1));
  rights.revoked = {1};
  change_rights(olga);
  send(atom::subscribe_v, live_subscription{"1.1", channel_of(olga), peer});
  pass(30s);
  pass(30s);
  EXPECT_EQ(peer->ended, live_end::reconnect);
}

TEST_F(RealtimeTest, ASubscriptionWithoutAGrantIsEndedUnlessItComesLate) {
  const auto unknown = std::make_shared<fake_peer>();
  const auto late = std::make_shared<fake_peer>();
  send(atom::subscribe_v, live_subscription{"1.1", channel_of(olga), unknown});
  send(atom::subscribe_v, live_subscription{"1.2", channel_of(paul), late});
  pass(30s);
  EXPECT_FALSE(unknown->ended);
  send(atom::grant_v, grant("1.2", paul, 2));
  pass(30s);
  EXPECT_EQ(unknown->ended, live_end::reconnect);
  EXPECT_FALSE(late->ended);
}

TEST_F(RealtimeTest, AUserHasSoManyConnectionsAndNoMore) {
  const auto first = listen("1.1", olga, 1);
  const auto second = listen("1.2", olga, 1);
  const auto third = listen("1.3", olga, 1);
  EXPECT_EQ(third->ended, live_end::over_quota);
  EXPECT_FALSE(first->ended);
  EXPECT_FALSE(second->ended);
  EXPECT_FALSE(listen("1.4", paul, 2)->ended);
  send(atom::gone_v, std::string{"1.1"});
  EXPECT_FALSE(listen("1.5", olga, 1)->ended);
}

TEST_F(RealtimeTest, NobodySignsForAnothersSocket) {
  const auto pauls = listen("2.1", paul, 2);
  listen("1.1", olga, 1);
  listen("1.2", olga, 1);
  // She has all the connections that she may have; this would be one more.
  send(atom::grant_v, live_grant{"2.1", channel_of(paul), olga, tenant, 1});
  EXPECT_FALSE(pauls->ended);
  say(paul, "a");
  EXPECT_EQ(pauls->got, ids{"a"});
}

TEST_F(RealtimeTest, WhatIsCommittedHereIsRelayedAndWhatComesFromAPeerIsNot) {
  const auto peer = listen("1.1", olga, 1);
  say(olga, "here");
  EXPECT_EQ(relayed, 1u);
  live_batch batch;
  batch.events.push_back({channel_of(olga), "notification.new", "there", "{}"});
  send(atom::peer_v, std::move(batch));
  EXPECT_EQ(relayed, 1u);
  EXPECT_EQ(peer->got, (ids{"here", "there"}));
}

TEST_F(RealtimeTest, WhatAnotherProgramWroteIsReadAndToldHereAndThere) {
  const auto peer = listen("1.1", olga, 1);
  const auto id = notification_id::make();
  rights.written[id] = channel_of(olga);
  send(atom::hint_v, to_string(id));
  send(atom::hint_v, to_string(notification_id::make())); // Rolled back, or read.
  send(atom::hint_v, std::string{"no id"});
  EXPECT_EQ(peer->got, ids{to_string(id)});
  EXPECT_EQ(relayed, 1u);
}

TEST_F(RealtimeTest, TheHubsEndTellsEveryoneToConnectAgain) {
  const auto peer = listen("1.1", olga, 1);
  caf::anon_send_exit(hub, caf::exit_reason::kill);
  coordinator().run();
  EXPECT_EQ(peer->ended, live_end::reconnect);
}

} // namespace

} // namespace carillon
