// The schedule from outside: a real node and a workspace whose night has
// passed while nobody was there.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class ScheduleTest : public ::testing::Test {
protected:
  void add_notification(const std::string& title, const std::string& age) {
    db.exec("INSERT INTO carillon.notifications (id, tenant_id, user_id, type, title, message, created_at) VALUES ("
            "gen_random_uuid(), " + test::sql_literal(data.tenant) + ", " + test::sql_literal(data.author)
            + ", 'post_published', " + test::sql_literal(title) + ", 'text', now() - interval " + test::sql_literal(age) + ")");
  }

  nlohmann::json schedule(const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"jobs", "schedule"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.emplace_back("--json");
    return nlohmann::json::parse(
      test::run_carillon(all, test::carillon_node::defaults(db.url(), folder.path()), folder.path()));
  }

  std::string titles() {
    return db.exec("SELECT coalesce(string_agg(title, ' ' ORDER BY title), '') FROM carillon.notifications");
  }

  static constexpr auto patience = std::chrono::seconds{60};

  test::test_database db;
  test::seed data{db};
  test::scratch_folder folder;
};

TEST_F(ScheduleTest, ANightThatWasMissedIsMadeUpForOnceWhenANodeStarts) {
  add_notification("expired", "91 days");
  add_notification("kept", "89 days");
  db.exec("INSERT INTO carillon.schedule_entries (workspace_id, kind, tenant_id, time_zone, last_run_at, next_run_at) "
          "VALUES (" + test::sql_literal(data.workspace) + ", 'cleanup_old_notifications', " + test::sql_literal(data.tenant)
          + ", 'UTC', now() - interval '3 days', now() - interval '2 days')");
  test::carillon_node node{db.url(), folder.path()};
  EXPECT_TRUE(test::eventually([&] { return titles() == "kept"; }, patience)) << titles();
  EXPECT_TRUE(test::eventually([&] {
    return db.exec("SELECT count(*) FROM carillon.job_history WHERE kind = 'cleanup_old_notifications' "
                   "AND state = 'succeeded'") == "1";
  }, patience));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
  EXPECT_EQ(db.exec("SELECT next_run_at > now() FROM carillon.schedule_entries"), "t");
}

TEST_F(ScheduleTest, AWorkspaceIsScheduledInItsZoneAndACommandRunsItByHand) {
  db.exec("UPDATE carillon.workspaces SET settings = '{\"timezone\": \"Asia/Tokyo\"}'");
  add_notification("expired", "91 days");
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([&] { return db.exec("SELECT count(*) FROM carillon.schedule_entries") == "1"; },
                               patience));
  EXPECT_EQ(titles(), "expired") << "a new workspace has missed nothing";

  const auto next = schedule({"next", "--workspace", to_string(data.workspace), "--count", "3"});
  ASSERT_EQ(next.size(), 3u);
  for (const auto& run : next) {
    EXPECT_EQ(run["kind"], "cleanup_old_notifications");
    EXPECT_EQ(run["time_zone"], "Asia/Tokyo");
    EXPECT_EQ(run["local_time"].get<std::string>().substr(11, 3), "02:");
  }
  EXPECT_EQ(schedule({"next"}).at(0)["run_at"], next[0]["run_at"]);
  for (const auto& cadence : schedule({"list"}))
    EXPECT_EQ(cadence["workspaces"], cadence["name"] == "cleanup_old_notifications" ? 1 : 0);

  EXPECT_EQ(schedule({"run", "cleanup_old_notifications"})["enqueued"], 1);
  EXPECT_TRUE(test::eventually([&] { return titles().empty(); }, patience));
}

} // namespace

} // namespace carillon
