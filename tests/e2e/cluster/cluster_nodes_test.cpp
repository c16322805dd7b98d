// Several `carillon serve` on one database: live events reach the sockets of
// each, whichever node they come from.
#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/api/api_suite.hpp"
#include "tests/e2e/cluster/badge_watcher.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon {

namespace {

using namespace test;

constexpr auto shared_secret = "one-secret-for-all-nodes";

carillon_node::environment in_cluster(const carillon_node::environment& more = {}) {
  auto out = more;
  for (const auto& [key, value] : carillon_node::environment{{"CARILLON_CLUSTER__ENABLED", "true"},
                                                             {"CARILLON_CLUSTER__PORT", "0"},
                                                             {"CARILLON_LIVE__APP_SECRET", shared_secret},
                                                             {"CARILLON_LIVE__RECHECK_EVERY", "2s"},
                                                             {"CARILLON_LIVE__MAX_CONNECTIONS_PER_USER", "50"}})
    out.emplace(key, value);
  return out;
}

std::string fact(const web_client& internal, const std::string& actor, const std::string& name) {
  const auto report = internal.get("/internal/actors").json();
  if (!report.is_object() || !report.contains("data"))
    return {}; // Not up yet, or not any more.
  for (const auto& child : report["data"]["children"])
    if (child["name"] == actor)
      return child["facts"].value(name, "");
  return {};
}

/// What the suites share: a post of the editor that is approved on a node
/// tells the editor so.
class cluster_suite : public api_suite {
protected:
  void approve_at(const web_client& node) {
    const auto id = add_post(editor, "submitted", add_account(workspace));
    const auto answer = web_client{node.base_url(), admin.token}.post(base + "/posts/" + id + "/approve");
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  std::unique_ptr<badge_watcher> watch(const web_client& node, const web_client& sign, std::function<void()> enter = [] {}) {
    auto out = std::make_unique<badge_watcher>(watched_node{port_of(node), std::move(enter)},
                                               web_client{sign.base_url(), editor.token}, editor.token, editor.id);
    EXPECT_TRUE(eventually([&] { return out->subscribed() > 0; }));
    return out;
  }
  std::size_t unread() {
    return static_cast<std::size_t>(count("notifications WHERE channel = 'in_app' AND read_at IS NULL AND "
                                          "user_id = " + sql_literal(editor.id)));
  }
  static bool has_peers(const web_client& internal, int number) {
    return eventually([&] { return fact(internal, "cluster", "peers_up") == std::to_string(number); });
  }
  scratch_folder folder;
};

// -- on loopback ----------------------------------------------------------------------

class ClusterNodesTest : public cluster_suite {
public:
  static void SetUpTestSuite() {
    start_node(in_cluster());
  }

protected:
  std::unique_ptr<carillon_node> another(const carillon_node::environment& more = {}) {
    return std::make_unique<carillon_node>(db().url(), folder.path(), in_cluster(more));
  }
};

TEST_F(ClusterNodesTest, WhatAnyNodeTellsReachesASocketOnAnyOtherAlsoAfterOneWasKilled) {
  auto second = another();
  const std::map<std::string, std::string> settings{{"CARILLON_HTTP__PORT", std::to_string(closed_port())},
                                                    {"CARILLON_NODE__NAME", "third"}};
  auto third = another(settings);
  for (const auto& internal : {node().internal(), second->internal(), third->internal()})
    ASSERT_TRUE(has_peers(internal, 2)) << node().self().output() << second->self().output();
  // The signature comes from another node than the socket's: grants cross too.
  const auto on_first = watch(node().web(), second->web());
  const auto on_second = watch(second->web(), third->web());
  const auto on_third = watch(third->web(), node().web());
  const auto all_show = [&](std::size_t badge) {
    return eventually([&] {
      return on_first->badge() == badge && on_second->badge() == badge && on_third->badge() == badge;
    });
  };
  approve_at(node().web());
  approve_at(second->web());
  approve_at(third->web());
  EXPECT_TRUE(all_show(3)) << on_first->badge() << ' ' << on_second->badge() << ' ' << on_third->badge();
  EXPECT_EQ(unread(), 3u);
  EXPECT_EQ(on_first->too_many() + on_second->too_many() + on_third->too_many(), 0);

  third->self().signal(SIGKILL);
  ASSERT_TRUE(third->self().wait());
  approve_at(node().web());
  EXPECT_TRUE(eventually([&] { return on_second->badge() == 4; }));
  third = another(settings);
  ASSERT_TRUE(has_peers(node().internal(), 2));
  // What the dead one had left to tell, nobody knows: the others' clients are
  // told to fetch.
  for (const auto& internal : {node().internal(), second->internal()})
    EXPECT_TRUE(eventually([&] { return fact(internal, "realtime", "resyncs") == "1"; }));
  EXPECT_TRUE(eventually([&] { return on_first->subscribed() == 2 && on_second->subscribed() == 2; }));
  EXPECT_TRUE(all_show(4));
  approve_at(third->web());
  approve_at(second->web());
  EXPECT_TRUE(all_show(6)) << on_first->badge() << ' ' << on_second->badge() << ' ' << on_third->badge();
  EXPECT_EQ(unread(), 6u);

  // A clean end asks nobody to connect again.
  second->self().signal(SIGTERM);
  ASSERT_TRUE(second->self().wait());
  ASSERT_TRUE(has_peers(node().internal(), 1));
  approve_at(third->web());
  EXPECT_TRUE(eventually([&] { return on_first->badge() == 7; }));
  EXPECT_EQ(on_first->subscribed(), 2);
}

TEST_F(ClusterNodesTest, ALogOutOnOneNodeEndsTheSocketOnAnother) {
  auto second = another({{"CARILLON_LIVE__RECHECK_EVERY", "1h"}});
  ASSERT_TRUE(has_peers(second->internal(), 1));
  const auto watcher = watch(second->web(), second->web());
  const auto ended = [&] { return fact(second->internal(), "realtime", "rights_ended"); };
  EXPECT_EQ(ended(), "0");
  EXPECT_EQ(editor.web.post("/api/v1/auth/logout").status, 200);
  EXPECT_TRUE(eventually([&] { return ended() == "1"; })) << "long before its own recheck";
}

TEST_F(ClusterNodesTest, ANodeOfAnotherClusterNameOrSecretIsRefused) {
  const auto green = another({{"CARILLON_CLUSTER__NAME", "green"}});
  const auto unlike = another({{"CARILLON_LIVE__APP_SECRET", "another-secret-than-theirs"}});
  const auto says = [](carillon_node& n, const std::string& text) {
    return eventually([&] {
      const auto log = n.self().output();
      return log.find("cluster-peer-refused") != std::string::npos && log.find(text) != std::string::npos;
    });
  };
  EXPECT_TRUE(says(node(), "its cluster.name is 'green'"));
  EXPECT_TRUE(says(*green, "cluster.name"));
  EXPECT_TRUE(says(node(), "live.app_secret"));
  EXPECT_TRUE(says(*unlike, "live.app_secret"));
  EXPECT_EQ(fact(node().internal(), "cluster", "peers_up"), "0");
  EXPECT_EQ((node().self().output() + unlike->self().output()).find("another-secret"), std::string::npos);
}

TEST_F(ClusterNodesTest, WithoutASharedSecretANodeDoesNotStart) {
  auto settings = carillon_node::defaults(db().url(), folder.path());
  settings["CARILLON_CLUSTER__ENABLED"] = "true";
  process serve{{carillon_binary(), "serve"}, settings, folder.path() / "refused.log"};
  const auto status = serve.wait();
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) != 0);
  EXPECT_NE(serve.output().find("live.app_secret"), std::string::npos) << serve.output();
}

// -- in network namespaces ----------------------------------------------------------------

bool run_ip(const std::string& arguments) {
  return std::system(("ip " + arguments + " >/dev/null 2>&1").c_str()) == 0;
}

/// Three machines on one switch, as namespaces; gone with it.
class three_machines {
public:
  three_machines() : prefix_("crl" + std::to_string(::getpid()) + "-"), home_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    works_ = home_ >= 0 && run_ip("netns add " + switch_name()) && run_ip("-n " + switch_name() + " link add br0 type bridge")
             && run_ip("-n " + switch_name() + " link set br0 up");
    for (int i = 1; works_ && i <= 3; ++i) {
      const auto n = std::to_string(i);
      works_ = run_ip("netns add " + name(i)) && run_ip("-n " + name(i) + " link set lo up")
               && run_ip("-n " + switch_name() + " link add port" + n + " type veth peer name up0 netns " + name(i))
               && run_ip("-n " + switch_name() + " link set port" + n + " master br0 up")
               && run_ip("-n " + name(i) + " addr add " + address(i) + "/24 dev up0")
               && run_ip("-n " + name(i) + " link set up0 up");
    }
  }
  ~three_machines() {
    for (int i = 1; i <= 3; ++i)
      run_ip("netns del " + name(i));
    run_ip("netns del " + switch_name());
    ::close(home_);
  }
  three_machines(const three_machines&) = delete;
  three_machines& operator=(const three_machines&) = delete;

  bool works() const {
    return works_;
  }
  std::string address(int i) const {
    return "10.203.7." + std::to_string(i);
  }
  /// Between the first two; both still reach the third. Nothing is told of it:
  /// packets just do not arrive.
  bool cut(bool is_cut) const {
    bool done = true;
    for (const auto* port : {"port1", "port2"})
      done = run_ip("-n " + switch_name() + " link set " + port + " type bridge_slave isolated " + (is_cut ? "on" : "off")) && done;
    return done;
  }
  /// This thread, for good.
  void enter(int i) const {
    move_to("/run/netns/" + name(i));
  }
  /// This thread, for one call.
  template <class F>
  auto at(int i, F call) const {
    struct way_back {
      int home;
      ~way_back() {
        if (::setns(home, CLONE_NEWNET) != 0)
          std::abort();
      }
    } const back{home_};
    enter(i);
    return call();
  }

private:
  std::string name(int i) const {
    return prefix_ + std::to_string(i);
  }
  std::string switch_name() const {
    return prefix_ + "switch";
  }
  static void move_to(const std::string& path) {
    const int there = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (there < 0 || ::setns(there, CLONE_NEWNET) != 0)
      std::abort();
    ::close(there);
  }

  std::string prefix_;
  int home_ = -1;
  bool works_ = false;
};

class CutClusterTest : public cluster_suite {};

TEST_F(CutClusterTest, AfterACutBetweenTwoNodesLiveDeliveryResumesAndNoBadgeIsWrong) {
  if (::geteuid() != 0)
    GTEST_SKIP() << "network namespaces need root";
  if (!run_ip("-V"))
    GTEST_SKIP() << "there is no ip (iproute2)";
  const three_machines machines;
  if (!machines.works())
    GTEST_SKIP() << "this machine gives no network namespaces with a bridge";
  // Children live in the namespace in which they are started.
  std::vector<std::unique_ptr<carillon_node>> nodes;
  for (int i = 1; i <= 3; ++i)
    nodes.push_back(machines.at(i, [&] {
      return std::make_unique<carillon_node>(db().url(), folder.path(),
                                             in_cluster({{"CARILLON_CLUSTER__ADDRESS", machines.address(i)}}));
    }));
  const auto web = [&](int i) { return nodes[static_cast<std::size_t>(i - 1)]->web(); };
  const auto peers_up = [&](int i) {
    return machines.at(i, [&] { return fact(nodes[static_cast<std::size_t>(i - 1)]->internal(), "cluster", "peers_up"); });
  };
  for (int i = 1; i <= 3; ++i)
    ASSERT_TRUE(eventually([&] { return peers_up(i) == "2"; })) << i << nodes[0]->self().output();
  const auto watch_at = [&](int i) { return watch(web(i), web(i), [&machines, i] { machines.enter(i); }); };
  const auto approve_on = [&](int i) { machines.at(i, [&] { approve_at(web(i)); }); };
  const auto on_first = watch_at(1);
  const auto on_second = watch_at(2);
  const auto on_third = watch_at(3);
  const auto show = [&](std::size_t first, std::size_t second, std::size_t third) {
    return eventually([&] {
      return on_first->badge() == first && on_second->badge() == second && on_third->badge() == third;
    });
  };
  approve_on(1);
  ASSERT_TRUE(show(1, 1, 1));
  // Of those who came within a second of what comes late nobody knows whether
  // they have read it: they are told to connect again.
  const auto a_second_later = [] {
    const auto since = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually([since] { return std::chrono::steady_clock::now() - since > std::chrono::milliseconds{1'200}; }));
  };
  a_second_later();

  ASSERT_TRUE(machines.cut(true));
  approve_on(1);
  approve_on(2);
  EXPECT_TRUE(eventually([&] { return on_third->badge() == 3; })) << "it still hears both";
  ASSERT_TRUE(eventually([&] { return peers_up(1) == "1" && peers_up(2) == "1"; })) << "both have noticed";
  approve_on(1);
  EXPECT_TRUE(eventually([&] { return on_third->badge() == 4; }));
  a_second_later();
  // Who comes now fetches what the others have yet to hear.
  const auto newcomer = watch_at(2);
  EXPECT_EQ(newcomer->badge(), 4u);

  ASSERT_TRUE(machines.cut(false));
  const auto healed = std::chrono::steady_clock::now();
  EXPECT_TRUE(show(4, 4, 4)) << on_first->badge() << ' ' << on_second->badge() << ' ' << on_third->badge();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - healed);
  RecordProperty("resumed_after_ms", static_cast<int>(took.count()));
  std::printf("live delivery resumed %lld ms after the cut healed\n", static_cast<long long>(took.count()));
  approve_on(2);
  EXPECT_TRUE(show(5, 5, 5));
  EXPECT_TRUE(eventually([&] { return newcomer->badge() == 5; }));
  EXPECT_EQ(unread(), 5u);
  for (const auto* watcher : {&on_first, &on_second, &on_third, &newcomer}) {
    EXPECT_EQ((*watcher)->too_many(), 0);
    EXPECT_EQ((*watcher)->subscribed(), 1) << "nothing was lost, so nobody had to connect again";
  }
}

} // namespace

} // namespace carillon
