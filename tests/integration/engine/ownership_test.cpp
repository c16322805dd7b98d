#include <future>

#include <gtest/gtest.h>

#include "storage/fence.hpp"
#include "storage/ownership_repository.hpp"
#include "tests/support/test_database.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using storage::ownership_repository;

class OwnershipTest : public ::testing::Test {
protected:
  /// As if the node had died: its lease is over.
  void expire(const node_identity& node) {
    db.exec("UPDATE carillon.node_leases SET expires_at = now() - interval '1 second' WHERE incarnation = "
            + std::to_string(node.incarnation));
  }

  test::test_database db;
  ownership_repository ownership{db.connection()};
};

TEST_F(OwnershipTest, OneNodeTakesAllShards) {
  const auto me = *ownership.start_incarnation("a", 10s);
  EXPECT_EQ(ownership.take_free(me, 256)->size(), 256u);
  const auto view = ownership.renew(me, 10s);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->mine.size(), 256u);
  EXPECT_TRUE(view->free.empty());
  EXPECT_EQ(view->live_nodes, 1);
}

TEST_F(OwnershipTest, ALiveNodesShardsAreNotTaken) {
  const auto first = *ownership.start_incarnation("a", 10s);
  ASSERT_TRUE(ownership.take_free(first, 256));
  const auto second = *ownership.start_incarnation("b", 10s);
  EXPECT_EQ(*ownership.end_expired(), 0);
  EXPECT_TRUE(ownership.take_free(second, 256)->empty());
}

TEST_F(OwnershipTest, GivenBackShardsCanBeTakenAndTheEpochGrows) {
  const auto first = *ownership.start_incarnation("a", 10s);
  ASSERT_TRUE(ownership.take_free(first, 256));
  ASSERT_TRUE(ownership.give_back(first, {7, 8}));
  const auto second = *ownership.start_incarnation("b", 10s);
  EXPECT_EQ(*ownership.take_free(second, 256), (shard_list{7, 8}));
  EXPECT_EQ(db.exec("SELECT epoch FROM carillon.shard_leases WHERE shard = 7"), "2");
  EXPECT_EQ(**ownership.owner_of(7), "b");
}

TEST_F(OwnershipTest, AnExpiredNodeIsEndedAndCanNeitherRenewNorTake) {
  const auto dead = *ownership.start_incarnation("a", 10s);
  ASSERT_TRUE(ownership.take_free(dead, 256));
  expire(dead);
  EXPECT_EQ(*ownership.end_expired(), 1);
  EXPECT_EQ(ownership.renew(dead, 10s).error().code, errc::conflict);
  EXPECT_EQ(ownership.take_free(dead, 1).error().code, errc::cancelled);
  EXPECT_EQ(ownership.give_back(dead, {1}).error().code, errc::cancelled);
  const auto next = *ownership.start_incarnation("b", 10s);
  EXPECT_EQ(ownership.take_free(next, 256)->size(), 256u);
}

TEST_F(OwnershipTest, ALeaseThatIsOverIsNotRenewedEvenBeforeAnybodyEndedIt) {
  const auto me = *ownership.start_incarnation("a", 10s);
  expire(me);
  EXPECT_EQ(ownership.renew(me, 10s).error().code, errc::conflict);
}

TEST_F(OwnershipTest, ACleanEndFreesShardsAndLeavesNoManifest) {
  const auto me = *ownership.start_incarnation("a", 10s);
  ASSERT_TRUE(ownership.take_free(me, 256));
  db.exec("INSERT INTO carillon.job_manifests (incarnation, batch, job_ids) VALUES ("
          + std::to_string(me.incarnation) + ", 1, ARRAY[gen_random_uuid()])");
  ASSERT_TRUE(ownership.end_own(me));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.shard_leases WHERE incarnation IS NOT NULL"), "0");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "0");
}

// The fence of "Ownership, exactly": a take-over waits for a fenced
// transaction that runs, and one that comes later is refused. Without FOR
// SHARE in hold_fence the take-over would not wait and this test fails.
TEST_F(OwnershipTest, ATakeOverWaitsForARunningFencedTransaction) {
  const auto old = *ownership.start_incarnation("a", 10s);
  ASSERT_TRUE(ownership.take_free(old, 256));
  expire(old);

  auto other = db.connect();
  std::promise<void> holds_fence;
  std::promise<void> may_commit;
  auto fenced = std::async(std::launch::async, [&] {
    return other->transact("fenced-work", [&](pqxx::work& tx) -> result<bool> {
      const bool held = storage::hold_fence(tx, old);
      holds_fence.set_value();
      may_commit.get_future().wait();
      return held;
    });
  });
  holds_fence.get_future().wait();

  auto third = db.connect();
  auto take_over = std::async(std::launch::async, [&] { return ownership_repository{*third}.end_expired(); });
  // It is waiting for the lock, not through: PostgreSQL says so.
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  bool waiting = false;
  while (!waiting && take_over.wait_for(0s) != std::future_status::ready
         && std::chrono::steady_clock::now() < deadline)
    waiting = db.exec("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                      "AND wait_event_type = 'Lock'") != "0";
  EXPECT_TRUE(waiting) << "the take-over went through beside a fenced transaction";
  may_commit.set_value();
  EXPECT_TRUE(*fenced.get());
  EXPECT_EQ(*take_over.get(), 1);

  const auto late = db.connection().transact("late-work", [&](pqxx::work& tx) -> result<bool> {
    return storage::hold_fence(tx, old);
  });
  EXPECT_FALSE(*late) << "a fenced-out incarnation still holds its fence";
}

} // namespace

} // namespace carillon
