// Two thousand concurrent changes on one user leave badge, list and database
// in agreement.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "domain/ports/notification_store.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

constexpr int workers = 8;
constexpr int steps = 250;

TEST(NotificationRaceTest, ConcurrentReadsAndArrivalsLeaveBadgeListAndDatabaseInAgreement) {
  test::test_database db;
  const auto acme = test::add_tenant(db, "acme");
  const auto olga = test::add_user(db, acme, "olga");
  const auto here = scope::tenant(acme);
  std::atomic<int> sent{0};
  std::atomic<std::int64_t> marked{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers; ++worker)
    threads.emplace_back([&, worker] {
      auto mine = make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
      auto& store = mine->notifications();
      std::vector<notification_id> seen;
      for (int step = 0; step < steps; ++step) {
        const auto turn = (step * workers + worker) % 10;
        if (turn < 5) {
          new_notification m;
          m.tenant = acme;
          m.user = olga;
          m.title = "t";
          m.message = "m";
          hints unused;
          const auto n = store.send(here, m, unused);
          if (n) {
            ++sent;
            seen.push_back(n->id);
          } else {
            ++refused;
          }
        } else if (turn < 8 && !seen.empty()) {
          // Whether it was unread then cannot be told from the answer.
          if (!store.mark_as_read(here, olga, seen[static_cast<std::size_t>(step) % seen.size()]))
            ++refused;
        } else if (turn == 8) {
          const std::vector<notification_id> some{seen.rbegin(), seen.rbegin() + std::min<std::ptrdiff_t>(5, std::ssize(seen))};
          if (const auto count = store.mark_multiple_as_read(here, olga, some))
            marked += *count;
          else
            ++refused;
        } else if (const auto count = store.mark_all_as_read(here, olga)) {
          marked += *count;
        } else {
          ++refused;
        }
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(refused, 0);

  auto all = make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
  auto& store = all->notifications();
  const auto unread = *store.unread_count(here, olga);
  notification_filter filter;
  filter.is_read = false;
  EXPECT_EQ(store.list(here, olga, filter)->total, unread);
  filter.is_read = true;
  EXPECT_EQ(store.list(here, olga, filter)->total, sent - unread);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications WHERE read_at IS NULL"), std::to_string(unread));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications"), std::to_string(sent));
  EXPECT_LE(marked, sent - unread);
  EXPECT_EQ(store.mark_all_as_read(here, olga).value_or(-1), unread);
  EXPECT_EQ(*store.unread_count(here, olga), 0);
}

} // namespace

} // namespace carillon::storage
