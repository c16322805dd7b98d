// The line between nodes in virtual time: several cluster actors in one
// system, or one whose other side the test plays itself.
#include "actors/realtime/cluster.hpp"

#include <map>

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

#include "actors/realtime/peer_wire.hpp"
#include "domain/node_message.hpp"
#include "domain/ports/ownership_store.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
namespace wire = peer_wire;

/// node_leases, without the leases.
struct board {
  std::map<std::string, std::string> endpoints; ///< By node.
  bool broken = false;
};

class endpoints_in_memory final : public ownership_store {
public:
  explicit endpoints_in_memory(board& b) : board_(b) {
  }
  result<std::vector<node_endpoint>> exchange_endpoints(const std::string& node, const std::string& endpoint) override {
    if (board_.broken)
      return failure{errc::transient, "no database", {}, {}};
    board_.endpoints[node] = endpoint;
    std::vector<node_endpoint> out;
    for (const auto& [name, at] : board_.endpoints)
      out.push_back({name, at});
    return out;
  }
  result<node_identity> start_incarnation(const std::string&, std::chrono::milliseconds) override { absent(); }
  result<lease_view> renew(const node_identity&, std::chrono::milliseconds) override { absent(); }
  result<int> end_expired() override { absent(); }
  result<shard_list> take_free(const node_identity&, int) override { absent(); }
  result<done> give_back(const node_identity&, const shard_list&) override { absent(); }
  result<done> end_own(const node_identity&) override { absent(); }
  result<std::optional<std::string>> owner_of(shard_id) override { absent(); }
  result<done> notify(const std::string&, const std::string&) override { absent(); }

private:
  [[noreturn]] static void absent() {
    throw std::logic_error{"not used by the cluster"};
  }
  board& board_;
};

class store_of_board final : public test::store_without_ports {
public:
  explicit store_of_board(board& b) : endpoints_(b) {
  }
  ownership_store& ownership() override { return endpoints_; }

private:
  endpoints_in_memory endpoints_;
};

class events_logged final : public logger {
public:
  void write(log_level, std::string_view event, std::initializer_list<log_field> fields) noexcept override {
    std::string line{event};
    for (const auto& field : fields)
      line += ' ' + std::string{field.key} + '=' + field.value;
    lines.push_back(line);
  }
  int count(const std::string& text) const {
    int n = 0;
    for (const auto& line : lines)
      n += line.find(text) != std::string::npos ? 1 : 0;
    return n;
  }
  std::vector<std::string> lines;
};

/// What the hub of a node was told by its cluster.
struct hub_record {
  std::vector<std::string> ids;
  std::vector<std::chrono::milliseconds> ages;
  std::vector<std::string> grants; ///< Their sockets.
  std::vector<user_id> rights;
  int resyncs = 0;
};

caf::actor_system_config& in_virtual_time(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

/// An envelope that the played node got.
struct heard {
  std::string type;
  std::string body;
};

class ClusterTest : public ::testing::Test {
protected:
  struct node {
    std::shared_ptr<engine_context> context = std::make_shared<engine_context>();
    hub_record hub;
    events_logged log;
    realtime_actor hub_actor;
    cluster_actor cluster;
  };

  ~ClusterTest() override {
    for (auto& [name, n] : nodes) {
      n->context->realtime->connect({});
      caf::anon_send_exit(n->cluster, caf::exit_reason::user_shutdown);
      caf::anon_send_exit(n->hub_actor, caf::exit_reason::user_shutdown);
      n->context->databases = {};
    }
    caf::anon_send_exit(network, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(database, caf::exit_reason::user_shutdown);
    hang_up();
    ports.clear();
    coordinator().run();
  }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  void pass(std::chrono::milliseconds time) {
    for (; time > 0ms; time -= 50ms) {
      coordinator().advance_time(std::min(time, 50ms));
      coordinator().run();
    }
  }

  node& start(const std::string& name, const std::string& cluster_name = "blue", const std::string& secret = "s3cret") {
    auto& n = *(nodes[name] = std::make_unique<node>());
    n.context->log = &n.log;
    n.context->settings.node = name;
    n.context->settings.cluster = {true, cluster_name, "127.0.0.1", 0, {}};
    n.context->cluster_proof = [secret](std::string_view text) {
      return std::to_string(std::hash<std::string>{}(secret + '/' + std::string{text}));
    };
    n.context->databases.background = caf::actor_cast<database_actor>(database);
    n.hub_actor = caf::actor_cast<realtime_actor>(system.spawn([&n](caf::event_based_actor*) -> caf::behavior {
      return {[&n](atom::peer, live_batch& batch) {
                for (const auto& event : batch.events) {
                  n.hub.ids.push_back(event.id);
                  n.hub.ages.push_back(batch.age);
                }
                n.hub.rights.insert(n.hub.rights.end(), batch.rights_changed.begin(), batch.rights_changed.end());
              },
              [&n](atom::peer, const live_grant& grant) { n.hub.grants.push_back(grant.socket); },
              [&n](atom::resync) { ++n.hub.resyncs; }};
    }));
    n.context->realtime->connect(n.hub_actor);
    n.cluster = spawn_cluster(system, n.context, network);
    coordinator().run();
    pass(500ms);
    return n;
  }

  static live_batch batch(const std::string& id, std::size_t bytes = 2) {
    live_batch out;
    out.events.push_back({"private-user.x", "notification.new", id, std::string(bytes, '.')});
    return out;
  }
  void tell(node& n, const std::string& id, std::size_t bytes = 2) {
    caf::anon_send(n.cluster, atom::live_v, batch(id, bytes));
    coordinator().run();
    pass(50ms);
  }
  std::map<std::string, std::string> facts(node& n) {
    std::map<std::string, std::string> out;
    caf::scoped_actor self{system};
    auto asked = self->request(n.cluster, caf::infinite, atom::report_v);
    coordinator().run();
    asked.receive([&](const actor_report& r) { out.insert(r.facts.begin(), r.facts.end()); },
                  [](const caf::error&) { FAIL(); });
    return out;
  }

  // -- the other side, played by the test ------------------------------------------

  /// A node that is listed and answers calls; what it hears is in `mail`.
  void list_played(const std::string& instance) {
    leases.endpoints["played"] = "10.0.0.9:1#" + instance;
    pick_up();
  }
  void pick_up() {
    played = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return {[this, self](const std::string& envelope) {
                const auto m = decode_node_message(envelope);
                mail.push_back({m->type, m->body});
                caller = caf::actor_cast<caf::actor>(self->current_sender());
              },
              [this, self](atom::run, const std::string& envelope) { self->send(caller, envelope); }};
    });
    ports[1] = caf::actor_cast<cluster_peer>(played);
  }
  void hang_up() {
    if (played)
      caf::anon_send_exit(played, caf::exit_reason::remote_link_unreachable);
    played = nullptr;
    caller = nullptr;
    ports.erase(1);
    coordinator().run();
  }
  void say(const std::string& envelope) {
    caf::anon_send(played, atom::run_v, envelope);
    coordinator().run();
    pass(50ms);
  }
  template <class M>
  M last(std::size_t nth_from_end = 0) {
    for (auto i = mail.rbegin(); i != mail.rend(); ++i)
      if (i->type == M::type && nth_from_end-- == 0)
        return wire::decode<M>(i->body).value_or(M{});
    ADD_FAILURE() << "it was not told " << M::type;
    return {};
  }
  int count(const std::string& type) const {
    return static_cast<int>(std::count_if(mail.begin(), mail.end(), [&](const heard& h) { return h.type == type; }));
  }
  std::string proof(const node& n, const char* step, const std::string& caller_instance, const std::string& called,
                    const std::string& callers_nonce, const std::string& calleds_nonce) {
    std::string text = "carillon cluster ";
    for (const auto& part : {std::string{step}, std::string{"blue"}, caller_instance, called, callers_nonce, calleds_nonce})
      text += std::to_string(part.size()) + ':' + part;
    return n.context->cluster_proof(text);
  }
  /// Answers the call of `n` and says what it has of its stream.
  void welcome(const node& n, const std::string& instance, const wire::resume& has = {}) {
    pass(2s);
    const auto greeting = last<wire::hello>();
    say(wire::encode(wire::welcome{{wire::protocol, "blue", "played", instance, "theirs"},
                                   proof(n, "welcome", greeting.instance, instance, greeting.nonce, "theirs")}));
    ASSERT_EQ(last<wire::confirm>().proof,
              proof(n, "confirm", greeting.instance, instance, greeting.nonce, "theirs"));
    say(wire::encode(has));
  }

  board leases;
  caf::actor_system_config config;
  caf::actor_system system{in_virtual_time(config)};
  caf::actor database = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
    return {[this](atom::run, const db_task_ptr& task) {
      store_of_board db{leases};
      task->run(db);
      return atom::done_v;
    }};
  });
  std::map<std::uint16_t, cluster_peer> ports;
  bool cut = false;
  peer_network_actor network
    = caf::actor_cast<peer_network_actor>(system.spawn([this](caf::event_based_actor*) -> caf::behavior {
        return {[this](atom::listen, const std::string&, std::uint16_t, const cluster_peer& whom) {
                  const auto port = static_cast<std::uint16_t>(100 + ports.size());
                  ports[port] = whom;
                  return port;
                },
                [this](atom::dial, const std::string&, std::uint16_t port) -> caf::result<cluster_peer> {
                  if (cut || !ports.contains(port))
                    return caf::make_error(caf::sec::cannot_connect_to_node, std::string{"nobody there"});
                  return ports.at(port);
                }};
      }));
  std::map<std::string, std::unique_ptr<node>> nodes;
  caf::actor played;
  caf::actor caller;
  std::vector<heard> mail;

  using ids = std::vector<std::string>;
  /// Older than every instance that is made now, so that it is called.
  static constexpr auto elder = "00000000-0000-7000-8000-000000000001";
};

// -- real ones among themselves ---------------------------------------------------------

TEST_F(ClusterTest, WhatOneNodeTellsReachesEveryOtherOnceAndNeverItself) {
  auto& a = start("a");
  auto& b = start("b");
  auto& c = start("c");
  EXPECT_EQ(facts(a)["peers_up"], "2");
  tell(a, "from a");
  tell(b, "from b");
  EXPECT_EQ(a.hub.ids, ids{"from b"});
  EXPECT_EQ(b.hub.ids, ids{"from a"});
  EXPECT_EQ(c.hub.ids, (ids{"from a", "from b"}));
  EXPECT_EQ(a.hub.resyncs + b.hub.resyncs + c.hub.resyncs, 0);
}

TEST_F(ClusterTest, GrantsAndChangedRightsCrossToo) {
  auto& a = start("a");
  auto& b = start("b");
  caf::anon_send(a.cluster, atom::grant_v, live_grant{"1.2", "private-user.x", user_id::make(), tenant_id::make(), 7});
  live_batch rights;
  rights.rights_changed.push_back(user_id::make());
  caf::anon_send(a.cluster, atom::live_v, rights);
  pass(100ms);
  EXPECT_EQ(b.hub.grants, ids{"1.2"});
  EXPECT_EQ(b.hub.rights, rights.rights_changed);
}

TEST_F(ClusterTest, ABurstTravelsInFewMessagesAndInOrder) {
  auto& a = start("a");
  auto& b = start("b");
  ids all;
  for (int i = 0; i < 1'000; ++i) {
    all.push_back(std::to_string(i));
    caf::anon_send(a.cluster, atom::live_v, batch(all.back()));
  }
  pass(100ms);
  EXPECT_EQ(b.hub.ids, all);
  EXPECT_LE(std::stoi(facts(a)["messages_sent"]), 3);
}

TEST_F(ClusterTest, ANodeOfAnotherClusterIsRefusedAndBothSaySo) {
  auto& a = start("a");
  auto& b = start("b", "green");
  tell(a, "x");
  EXPECT_EQ(b.hub.ids, ids{});
  EXPECT_GT(a.log.count("cluster-peer-refused peer=b"), 0);
  EXPECT_GT(a.log.count("'green'"), 0);
  EXPECT_GT(b.log.count("cluster-peer-refused peer=a"), 0);
  EXPECT_EQ(facts(a)["peers_up"], "0");
}

TEST_F(ClusterTest, ANodeOfAnotherSecretIsRefusedAndTheSecretIsNotSaid) {
  auto& a = start("a");
  auto& b = start("b", "blue", "another");
  tell(a, "x");
  EXPECT_EQ(b.hub.ids, ids{});
  EXPECT_GT(b.log.count("live.app_secret"), 0);
  EXPECT_GT(a.log.count("live.app_secret"), 0);
  EXPECT_EQ(a.log.count("s3cret") + b.log.count("another"), 0);
}

TEST_F(ClusterTest, ANodeThatSaysGoodByeLeavesNothingToResync) {
  auto& a = start("a");
  auto& b = start("b");
  caf::anon_send(b.cluster, atom::live_v, batch("last words"));
  caf::scoped_actor self{system};
  auto stopped = self->request(b.cluster, caf::infinite, atom::stop_v);
  pass(200ms);
  bool answered = false;
  stopped.receive([&](atom::done) { answered = true; }, [](const caf::error&) { FAIL(); });
  EXPECT_TRUE(answered);
  EXPECT_EQ(a.hub.ids, ids{"last words"});
  leases.endpoints.erase("b");
  caf::anon_send_exit(b.cluster, caf::exit_reason::user_shutdown);
  pass(4s);
  EXPECT_EQ(a.log.count("cluster-peer-gone peer=b"), 1);
  EXPECT_EQ(a.hub.resyncs, 0);
}

TEST_F(ClusterTest, ANodeThatDiesWithoutAGoodByeMeansAResync) {
  auto& a = start("a");
  auto& b = start("b");
  tell(b, "x");
  leases.endpoints.erase("b");
  caf::anon_send_exit(b.cluster, caf::exit_reason::kill);
  pass(4s);
  EXPECT_EQ(a.hub.resyncs, 1);
  EXPECT_EQ(facts(a)["peers"], "0");
}

TEST_F(ClusterTest, WhatACrashedHubDidNotTellMeansAResyncForTheOthersOnce) {
  auto& a = start("a");
  auto& b = start("b");
  tell(b, "x");
  caf::anon_send(b.cluster, atom::resync_v);
  pass(1s);
  EXPECT_EQ(a.hub.resyncs, 1);
  EXPECT_EQ(b.hub.resyncs, 0);
  tell(b, "y");
  EXPECT_EQ(a.hub.ids, (ids{"x", "y"}));
}

TEST_F(ClusterTest, ANodeThatComesLaterResyncsThoseWhoCameBeforeItHeardOfTheOthers) {
  auto& a = start("a");
  tell(a, "before");
  auto& b = start("b");
  EXPECT_EQ(b.hub.ids, ids{});
  EXPECT_EQ(b.hub.resyncs, 1);
  EXPECT_EQ(a.hub.resyncs, 0) << "of b nothing was missed";
  tell(a, "after");
  EXPECT_EQ(b.hub.ids, ids{"after"});
}

TEST_F(ClusterTest, WithoutTheDatabaseTheLinesStay) {
  auto& a = start("a");
  auto& b = start("b");
  leases.broken = true;
  pass(5s);
  tell(a, "x");
  EXPECT_EQ(b.hub.ids, ids{"x"});
}

// -- against one that the test plays -----------------------------------------------------

TEST_F(ClusterTest, WhatWasToldWhileALineWasDownComesOnceAndSaysItsAge) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  tell(a, "one");
  const auto first = last<wire::live>();
  EXPECT_EQ(first.number, 1u);
  EXPECT_EQ(first.said.events.at(0).id, "one");
  // Its answer to the second is lost with the line.
  say(wire::encode(wire::ack{first.stream, 1}));
  tell(a, "two");
  EXPECT_EQ(last<wire::live>().number, 2u);
  cut = true;
  hang_up();
  EXPECT_EQ(a.log.count("cluster-peer-lost"), 1);
  tell(a, "three");
  pass(3s);
  tell(a, "four");
  cut = false;
  pick_up();
  mail.clear();
  welcome(a, elder, {first.stream, 2});
  ASSERT_EQ(count("live"), 2) << "the second had arrived";
  EXPECT_EQ(last<wire::live>(1).said.events.at(0).id, "three");
  EXPECT_EQ(last<wire::live>(1).number, 3u);
  EXPECT_GT(last<wire::live>(1).age, 2'000u);
  EXPECT_EQ(last<wire::live>().said.events.at(0).id, "four");
  EXPECT_FALSE(last<wire::live>().gap);
}

TEST_F(ClusterTest, ALineIsMadeAgainWithinASecondOfItsComingBack) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  cut = true;
  hang_up();
  pass(60s);
  mail.clear();
  cut = false;
  pick_up();
  pass(1'800ms);
  EXPECT_EQ(count("hello"), 1);
  EXPECT_EQ(a.log.count("cluster-peer-not-reached"), 1) << "the same reason is said once";
}

TEST_F(ClusterTest, WhatIsTooMuchToKeepBecomesAGap) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  tell(a, "one");
  const auto stream = last<wire::live>().stream;
  cut = true;
  hang_up();
  for (int i = 0; i < 200; ++i)
    tell(a, "big", 200'000);
  EXPECT_LT(std::stoll(facts(a)["queued_bytes"]), 33 * 1024 * 1024);
  EXPECT_GE(a.log.count("cluster-peer-too-slow"), 1);
  cut = false;
  pick_up();
  mail.clear();
  welcome(a, elder, {stream, 1});
  ASSERT_GE(count("live"), 1);
  const auto first = last<wire::live>(static_cast<std::size_t>(count("live") - 1));
  EXPECT_TRUE(first.gap);
  EXPECT_EQ(first.number, 2u);
}

TEST_F(ClusterTest, OneThatHasForgottenUsIsToldOfAGapAndNotTheSameAgain) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  tell(a, "one");
  hang_up();
  pick_up();
  mail.clear();
  welcome(a, elder, {"", 0});
  ASSERT_EQ(count("live"), 1);
  EXPECT_TRUE(last<wire::live>().gap);
  EXPECT_EQ(last<wire::live>().number, 1u);
  EXPECT_TRUE(last<wire::live>().said.events.empty());
}

TEST_F(ClusterTest, WhatComesTwiceIsToldOnceAndWhatIsMissingIsAskedForAgain) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  const auto message = [](std::uint64_t number, const std::string& id) {
    return wire::encode(wire::live{"s", number, false, 0, {batch(id).events, {}, {}}});
  };
  say(message(1, "one"));
  say(message(1, "one"));
  EXPECT_EQ(last<wire::ack>().number, 1u);
  EXPECT_EQ(a.hub.ids, ids{"one"});
  say(message(3, "three"));
  EXPECT_EQ(a.hub.ids, ids{"one"});
  EXPECT_EQ(a.log.count("cluster-peer-lost"), 1);
  welcome(a, elder);
  EXPECT_EQ(last<wire::resume>().stream, "s");
  EXPECT_EQ(last<wire::resume>().received, 1u);
}

TEST_F(ClusterTest, AGapThatIsToldResyncs) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  say(wire::encode(wire::live{"s", 1, true, 3'000, {batch("late").events, {}, {}}}));
  EXPECT_EQ(a.hub.resyncs, 1);
  EXPECT_EQ(a.hub.ids, ids{"late"});
  EXPECT_EQ(a.hub.ages, std::vector{3'000ms});
}

TEST_F(ClusterTest, OnlyWhatIsNotAnsweredFillsTheWire) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  for (int i = 0; i < 30; ++i)
    tell(a, "big", 200'000);
  const auto flying = count("live");
  EXPECT_GT(flying, 5);
  EXPECT_LT(flying, 20);
  say(wire::encode(wire::ack{last<wire::live>().stream, 5}));
  EXPECT_EQ(count("live"), flying + 5);
}

TEST_F(ClusterTest, OneThatDoesNotAnswerIsCalledAgain) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  tell(a, "x");
  pass(8s);
  EXPECT_GE(a.log.count("does not acknowledge"), 1);
  EXPECT_GE(count("reset"), 1) << "the other one may think that all is well";
  EXPECT_GE(count("hello"), 2);
}

TEST_F(ClusterTest, ACallerOfAnotherProtocolVersionIsRefused) {
  auto& a = start("a");
  list_played(elder);
  pass(2s); // It is called, so that the test knows whom to answer.
  say(wire::encode(wire::hello{wire::protocol + 1, "blue", "newer", "ffffffff", "n"}));
  EXPECT_NE(last<wire::refusal>().why.find("version"), std::string::npos);
  EXPECT_EQ(a.log.count("cluster-peer-refused peer=newer"), 1);
}

TEST_F(ClusterTest, NothingIsHeardFromThoseWhoHaveNotProvedThemselves) {
  auto& a = start("a");
  list_played(elder);
  pass(2s);
  const auto message = wire::encode(wire::live{"s", 1, false, 0, {batch("forged").events, {}, {}}});
  say(message);
  EXPECT_EQ(count("reset"), 1);
  say(wire::encode(wire::hello{wire::protocol, "blue", "played", "fff", "n"}));
  say(wire::encode(wire::confirm{"not a proof"}));
  EXPECT_NE(last<wire::refusal>().why.find("live.app_secret"), std::string::npos);
  say(message);
  EXPECT_EQ(a.hub.ids, ids{});
}

TEST_F(ClusterTest, WhatIsMalformedOrUnknownDoesNoHarm) {
  auto& a = start("a");
  list_played(elder);
  welcome(a, elder);
  for (const auto* junk : {"", "junk", "1 ", "9 live x", "1 nonsense body"})
    caf::anon_send(a.cluster, std::string{junk});
  say("1 nonsense body");
  say("9 live x");
  EXPECT_EQ(facts(a)["peers_up"], "1");
  say("1 live x");
  EXPECT_EQ(a.log.count("malformed"), 1);
  EXPECT_EQ(a.hub.ids, ids{});
}

TEST(PeerAddressTest, NamesAndAddressesWithAPort) {
  EXPECT_EQ(parse_peer_address("node1.internal:6002")->host, "node1.internal");
  EXPECT_EQ(parse_peer_address("[fe80::1]:6002")->host, "fe80::1");
  EXPECT_EQ(parse_peer_address("[fe80::1]:6002")->port, 6002);
  for (const auto* text : {"", ":1", "host", "host:", "host:0", "host:65536", "host:x", "fe80::1:6002", "[]:1", "[a:1"})
    EXPECT_FALSE(parse_peer_address(text)) << text;
}

} // namespace

} // namespace carillon
