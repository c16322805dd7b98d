// The process dies by SIGKILL at each named point with 100 posts under way,
// and is started again: none lost, none doubled, none early.

#include <cctype>
#include <csignal>

#include "domain/crash_point.hpp"
#include "tests/e2e/main_job_fixture.hpp"
#include "tests/support/own_postgres.hpp"

namespace carillon {

namespace {

struct crash_case {
  std::string_view point;
  int visit;
};

class CrashTest : public test::main_job_fixture, public ::testing::WithParamInterface<crash_case> {};

TEST_P(CrashTest, LosesNothingAndDoublesNothing) {
  schedule_posts(100, add_accounts(10), "now() + interval '1 second'");
  network.misbehave({{"latency_ms", 20}});
  {
    const auto where = std::string{GetParam().point} + ":" + std::to_string(GetParam().visit);
    test::carillon_node doomed{db.url(), folder.path(), {{"CARILLON_CRASH_POINT", where}}};
    const auto status = doomed.self().wait();
    ASSERT_TRUE(status) << "the crash point was not reached";
    ASSERT_TRUE(test::process::died_of(*status, SIGKILL));
    ASSERT_NE(doomed.self().output().find("crash point reached: " + std::string{GetParam().point}),
              std::string::npos);
  }
  test::carillon_node successor{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << successor.self().output();
  expect_each_exactly_once(100);
}

/// `after-record` as a test's name: AfterRecord.
std::string name_of(const ::testing::TestParamInfo<crash_case>& info) {
  std::string name;
  bool upper = true;
  for (const char c : info.param.point) {
    if (c != '-')
      name += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = c == '-';
  }
  return name;
}

// Late visits, so that many posts are in every state when it happens. Up to 32
// posts share a transaction.
INSTANTIATE_TEST_SUITE_P(
  AtEveryNamedPoint, CrashTest,
  ::testing::Values(crash_case{crash_points::before_start, 1}, crash_case{crash_points::after_attempt, 3},
                    crash_case{crash_points::after_accept, 30}, crash_case{crash_points::before_record, 3},
                    crash_case{crash_points::after_record, 3}, crash_case{crash_points::in_roll_up, 3}),
  name_of);

using ConnectionLossTest = test::main_job_fixture;

TEST_F(ConnectionLossTest, EveryDatabaseConnectionTerminatedWhileAHundredPostsAreUnderWay) {
  schedule_posts(100, add_accounts(10), "now() + interval '1 second'");
  network.misbehave({{"latency_ms", 200}});
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([this] { return !network.posts().empty(); }));
  for (int storm = 0; storm < 3; ++storm)
    db.exec("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(100);
}

/// The server is there before the database, and goes after it.
class own_server {
protected:
  test::own_postgres postgres;
};

class DatabaseRestartTest : public own_server, public test::main_job_fixture {};

TEST_F(DatabaseRestartTest, PostgresCrashesAndComesBackWhileAHundredPostsAreUnderWay) {
  schedule_posts(100, add_accounts(10), "now() + interval '1 second'");
  network.misbehave({{"latency_ms", 200}});
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([this] { return !network.posts().empty(); }));
  postgres.crash();
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(100);
}

using TakeOverTest = test::main_job_fixture;

TEST_F(TakeOverTest, ASecondProcessTakesOverWhileCallsAreInFlight) {
  schedule_posts(100, add_accounts(10), "now() + interval '1 second'");
  network.misbehave({{"latency_ms", 500}});
  auto first = std::make_unique<test::carillon_node>(db.url(), folder.path());
  ASSERT_TRUE(test::eventually([this] { return count("publish_attempts WHERE state = 'open'") > 0; }));
  test::carillon_node second{db.url(), folder.path()};
  first->self().signal(SIGKILL);
  first->self().wait();
  ASSERT_TRUE(settled()) << second.self().output();
  expect_each_exactly_once(100);
}

TEST_F(TakeOverTest, ASecondNodeIsGivenItsShareByADrainedHandOver) {
  // These posts come without a hint: the sweep finds them.
  const test::carillon_node::environment settings{{"CARILLON_PUBLISHING__SWEEP_EVERY", "1s"}};
  test::carillon_node first{db.url(), folder.path(), settings};
  ASSERT_TRUE(test::eventually([this] { return count("shard_leases WHERE incarnation IS NOT NULL") == 256; }));
  test::carillon_node second{db.url(), folder.path(), settings};
  EXPECT_TRUE(test::eventually([this] {
    return count("shard_leases s WHERE (SELECT count(*) FROM carillon.shard_leases t "
                 "WHERE t.incarnation = s.incarnation) = 128") == 256;
  }));
  schedule_posts(40, add_accounts(4), "now() + interval '1 second'");
  ASSERT_TRUE(settled());
  expect_each_exactly_once(40);
}

TEST_F(TakeOverTest, ADeadNodesShardsAreTakenWithinItsLeaseAndALittle) {
  auto first = std::make_unique<test::carillon_node>(db.url(), folder.path());
  ASSERT_TRUE(test::eventually([this] { return count("shard_leases WHERE incarnation IS NOT NULL") == 256; }));
  test::carillon_node second{db.url(), folder.path()};
  first->self().signal(SIGKILL);
  EXPECT_TRUE(test::eventually([this] {
    return db.exec("SELECT count(DISTINCT incarnation) FROM carillon.shard_leases") == "1"
           && count("node_incarnations WHERE ended_at IS NOT NULL") == 1;
  }));
}

// A process stopped beyond its lease concludes nothing when it wakes.
TEST_F(TakeOverTest, AProcessStoppedBeyondItsLeaseDecidesNothingWhenItWakes) {
  schedule_posts(50, add_accounts(5), "now() + interval '1 second'");
  network.misbehave({{"latency_ms", 300}});
  test::carillon_node first{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([this] { return count("publish_attempts WHERE state = 'open'") > 0; }));
  first.self().signal(SIGSTOP);
  test::carillon_node second{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([this] { return count("node_incarnations WHERE ended_at IS NOT NULL") == 1; }));
  first.self().signal(SIGCONT);
  ASSERT_TRUE(settled()) << second.self().output();
  expect_each_exactly_once(50);
}

} // namespace

} // namespace carillon
