// The scheduler in virtual time, with a schedule store that the test looks
// into.
#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <utility>

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

#include "actors/jobs/scheduler.hpp"
#include "domain/ports/schedule_store.hpp"
#include "domain/workspace_schedule.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class schedule_in_memory final : public schedule_store {
public:
  result<schedule_changes> reconcile(const node_identity&, const shard_list&, const std::vector<std::string>&,
                                     int) override {
    ++reconciled;
    if (broken)
      return failure{errc::transient, "no database", {}, {}};
    schedule_changes out;
    out.now = now();
    out.gone = std::exchange(gone, {});
    for (const auto& id : out.gone)
      rows.erase(id);
    out.entries = std::exchange(changed, {});
    for (const auto& entry : out.entries)
      rows[entry.workspace] = entry;
    return out;
  }

  result<schedule_page> load(const node_identity&, const shard_list& shards, const std::vector<std::string>&,
                             const std::optional<workspace_id>&, int) override {
    schedule_page out;
    out.now = now();
    for (const auto& [id, entry] : rows)
      if (std::find(shards.begin(), shards.end(), shard_of(id)) != shards.end())
        out.entries.push_back(entry);
    return out;
  }

  result<started_runs> start_runs(const node_identity&, const std::string&,
                                  const std::vector<planned_run>& runs) override {
    if (broken)
      return failure{errc::transient, "no database", {}, {}};
    started_runs out;
    for (const auto& run : runs) {
      const auto row = rows.find(run.workspace);
      if (row == rows.end() || row->second.last_run_at != run.last_run_at) {
        out.stale.push_back(run.workspace);
        continue;
      }
      row->second.last_run_at = run.moves_to;
      started[run.workspace].push_back(now());
      ++out.enqueued;
    }
    return out;
  }

  result<std::vector<schedule_summary>> summaries(const scope&) override { not_used(); }
  result<std::vector<schedule_entry>> upcoming(const scope&, int) override { not_used(); }
  result<workspace_schedule> find_workspace(const scope&, workspace_id) override { not_used(); }
  result<runs_by_hand> run_now(const scope&, const std::string&, const std::optional<workspace_id>&,
                               std::optional<workspace_id>&, int) override {
    not_used();
  }

  std::function<instant()> now;
  std::map<workspace_id, schedule_entry> rows;
  std::vector<schedule_entry> changed;
  std::vector<workspace_id> gone;
  std::map<workspace_id, std::vector<instant>> started;
  int reconciled = 0;
  bool broken = false;

private:
  [[noreturn]] static void not_used() {
    throw std::logic_error{"not used by the scheduler"};
  }
};

class schedule_alone final : public test::store_without_ports {
public:
  explicit schedule_alone(schedule_store& schedules) : schedules_(schedules) {
  }
  schedule_store& schedules() override { return schedules_; }

private:
  schedule_store& schedules_;
};

class silent final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

caf::actor_system_config& with_test_coordinator(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

class SchedulerTest : public ::testing::Test {
protected:
  SchedulerTest() {
    memory.now = [this] { return begin + std::chrono::duration_cast<std::chrono::microseconds>(clock().now() - started_at); };
    auto context = std::make_shared<engine_context>();
    context->log = &log;
    context->settings.database_timeout = 5s;
    database
      = caf::actor_cast<database_actor>(system.spawn([this](caf::event_based_actor*) -> caf::behavior {
          return {[this](atom::run, const db_task_ptr& task) {
                    schedule_alone db{memory};
                    task->run(db);
                    return atom::done_v;
                  },
                  [](atom::report) { return actor_report{}; }};
        }));
    context->databases.background = database;
    feed = caf::actor_cast<job_feed_actor>(system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](atom::hint, std::int64_t) { ++hints; }};
    }));
    scheduler = spawn_scheduler(system, context, feed);
    run();
  }

  ~SchedulerTest() override {
    caf::anon_send_exit(scheduler, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(feed, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(database, caf::exit_reason::user_shutdown);
    run();
  }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  caf::actor_clock& clock() {
    return system.scheduler().clock();
  }
  void run() {
    while (coordinator().has_job())
      coordinator().run_once();
  }
  void pass(std::chrono::minutes time) {
    for (auto left = std::chrono::seconds{time}; left > 0s; left -= 1s) {
      coordinator().advance_time(1s);
      run();
    }
  }

  schedule_entry row(const workspace_id& workspace, const std::string& zone, instant last) {
    schedule_entry out;
    out.workspace = workspace;
    out.kind = kinds::cleanup_old_notifications;
    out.zone = zone;
    out.last_run_at = last;
    return out;
  }
  void gain(const workspace_id& of) {
    caf::anon_send(scheduler, atom::gained_v, node_identity{"n1", 1}, shard_list{shard_of(of)});
    run();
  }
  std::chrono::milliseconds turn_of(const workspace_id& of) {
    return cadence_calendar{*find_cadence("cleanup_old_notifications")}.turn_of(of);
  }

  instant begin = parse_time("2026-01-10T01:00:00Z").value();
  caf::actor_system_config config;
  caf::actor_system system{with_test_coordinator(config)};
  caf::actor_clock::time_point started_at = clock().now();
  silent log;
  schedule_in_memory memory;
  database_actor database;
  job_feed_actor feed;
  scheduler_actor scheduler;
  int hints = 0;
  workspace_id workspace = workspace_id::make();
};

TEST_F(SchedulerTest, ARunStartsOnceWithinASecondOfItsTurnAndTheFeedIsTold) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  EXPECT_TRUE(memory.started.empty());
  pass(120min);
  ASSERT_EQ(memory.started[workspace].size(), 1u);
  const auto turn = parse_time("2026-01-10T02:00:00Z").value() + turn_of(workspace);
  EXPECT_GE(memory.started[workspace][0], turn);
  EXPECT_LE(memory.started[workspace][0], turn + 2s);
  EXPECT_EQ(hints, 1);
}

TEST_F(SchedulerTest, NothingStartsForShardsThatAreNotOurs) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  pass(30min);
  EXPECT_EQ(memory.reconciled, 0);
  gain(workspace);
  EXPECT_GT(memory.reconciled, 0);
  caf::anon_send(scheduler, atom::drain_v, shard_list{shard_of(workspace)});
  pass(120min);
  EXPECT_TRUE(memory.started.empty());
}

TEST_F(SchedulerTest, AfterTheLeaseIsLostNothingStartsUntilTheShardIsOursAgain) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  caf::anon_send(scheduler, atom::lost_v);
  pass(120min);
  EXPECT_TRUE(memory.started.empty());
  caf::anon_send(scheduler, atom::gained_v, node_identity{"n1", 2}, shard_list{shard_of(workspace)});
  pass(1min);
  EXPECT_EQ(memory.started[workspace].size(), 1u);
}

TEST_F(SchedulerTest, WhatFailsIsTriedAgainUntilItSucceedsAndStartsOnce) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  memory.broken = true;
  pass(120min);
  EXPECT_TRUE(memory.started.empty());
  memory.broken = false;
  pass(2min);
  EXPECT_EQ(memory.started[workspace].size(), 1u);
}

TEST_F(SchedulerTest, AHintBringsAChangedZoneInAtOnceAndTheSweepWithinAMinute) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  const auto before = memory.reconciled;
  memory.changed = {row(workspace, "Asia/Tokyo", begin)};
  caf::anon_send(scheduler, atom::hint_v);
  run();
  EXPECT_EQ(memory.reconciled, before + 1);
  pass(120min);
  EXPECT_TRUE(memory.started.empty()) << "two o'clock in Tokyo is 17:00 UTC";
  EXPECT_GE(memory.reconciled, before + 100);
}

TEST_F(SchedulerTest, AnEntryThatAnotherMovedIsReadAgainAndNotStartedTwice) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  memory.rows[workspace].last_run_at = parse_time("2026-01-10T02:00:00Z").value();
  pass(120min);
  EXPECT_TRUE(memory.started.empty());
  pass(24h);
  EXPECT_EQ(memory.started[workspace].size(), 1u) << "the next night's";
}

TEST_F(SchedulerTest, AWorkspaceThatIsGoneIsScheduledNoMore) {
  memory.rows[workspace] = row(workspace, "UTC", begin);
  gain(workspace);
  memory.gone = {workspace};
  pass(120min);
  EXPECT_TRUE(memory.started.empty());
}

} // namespace

} // namespace carillon
