#include <gtest/gtest.h>

#include "domain/workspace_schedule.hpp"
#include "storage/job_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/schedule_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

const std::string nightly{kinds::cleanup_old_notifications};

class ScheduleStoreTest : public ::testing::Test {
protected:
  ScheduleStoreTest() {
    EXPECT_TRUE(ownership.take_free(me, 256));
  }

  static shard_list all_shards() {
    shard_list out;
    for (int i = 0; i < shard_count; ++i)
      out.push_back(static_cast<shard_id>(i));
    return out;
  }

  schedule_changes reconcile(int limit = 500) {
    auto out = schedule.reconcile(me, all_shards(), {nightly}, limit);
    EXPECT_TRUE(out) << out.error().detail;
    return out.value_or(schedule_changes{});
  }

  schedule_page load(const std::optional<workspace_id>& after = {}, int limit = 500) {
    auto out = schedule.load(me, all_shards(), {nightly}, after, limit);
    EXPECT_TRUE(out) << out.error().detail;
    return out.value_or(schedule_page{});
  }

  schedule_entry only_entry() {
    const auto page = load();
    EXPECT_EQ(page.entries.size(), 1u);
    return page.entries.empty() ? schedule_entry{} : page.entries[0];
  }

  static planned_run run_of(const schedule_entry& entry, bool starts = true) {
    return {entry.workspace, entry.last_run_at, entry.last_run_at + 24h, entry.last_run_at + 48h, starts};
  }

  started_runs start(const std::vector<planned_run>& runs) {
    auto out = schedule.start_runs(me, nightly, runs);
    EXPECT_TRUE(out) << out.error().detail;
    return out.value_or(started_runs{});
  }

  std::string jobs() {
    return db.exec("SELECT count(*) FROM carillon.jobs");
  }

  void set_zone(const std::string& table, const std::string& zone) {
    db.exec("UPDATE carillon." + table + " SET settings = jsonb_build_object('timezone', " + test::sql_literal(zone) + ")");
  }

  test::test_database db;
  test::seed data{db};
  storage::schedule_repository schedule{db.connection()};
  storage::ownership_repository ownership{db.connection()};
  node_identity me = *ownership.start_incarnation("n1", 30s);
};

TEST_F(ScheduleStoreTest, AnActiveWorkspaceGetsItsRowOnceAndNothingOfThePastIsDue) {
  const auto first = reconcile();
  ASSERT_EQ(first.entries.size(), 1u);
  EXPECT_EQ(first.entries[0].workspace, data.workspace);
  EXPECT_EQ(first.entries[0].zone, "UTC");
  EXPECT_EQ(first.entries[0].last_run_at, first.now);
  EXPECT_GT(first.entries[0].next_run_at.value(), first.now);
  EXPECT_TRUE(first.complete);
  EXPECT_TRUE(reconcile().entries.empty());
  const auto row = only_entry();
  EXPECT_EQ(row.last_run_at, first.now);
  EXPECT_EQ(row.next_run_at, first.entries[0].next_run_at);
}

TEST_F(ScheduleStoreTest, OnlyShardsThatAreAskedForGetRows) {
  shard_list others;
  for (const auto shard : all_shards())
    if (shard != shard_of(data.workspace))
      others.push_back(shard);
  EXPECT_TRUE(schedule.reconcile(me, others, {nightly}, 500).value().entries.empty());
  EXPECT_TRUE(schedule.load(me, others, {nightly}, {}, 500).value().entries.empty());
}

TEST_F(ScheduleStoreTest, TheWorkspacesZoneWinsOverItsTenantsAndThatOverUtc) {
  set_zone("tenants", "Europe/Berlin");
  EXPECT_EQ(reconcile().entries.at(0).zone, "Europe/Berlin");
  set_zone("workspaces", "Asia/Tokyo");
  EXPECT_EQ(reconcile().entries.at(0).zone, "Asia/Tokyo");
  set_zone("workspaces", "");
  EXPECT_EQ(reconcile().entries.at(0).zone, "Europe/Berlin");
}

TEST_F(ScheduleStoreTest, SettingsOfAnyFormAreReadWithoutHarm) {
  for (const auto* settings : {"null", "[1, 2]", "\"text\"", "17", "{\"timezone\": {\"a\": 1}}",
                               "{\"timezone\": \"x\\\"y\\\\z {,} \"}"}) {
    db.exec("UPDATE carillon.workspaces SET settings = " + test::sql_literal(std::string{settings}) + "::jsonb");
    reconcile();
    EXPECT_TRUE(reconcile().entries.empty()) << settings;
    EXPECT_GT(only_entry().next_run_at.value(), only_entry().last_run_at) << settings;
  }
  db.exec("UPDATE carillon.workspaces SET settings = jsonb_build_object('timezone', repeat('x', 100000))");
  EXPECT_EQ(reconcile().entries.at(0).zone.size(), 64u);
}

TEST_F(ScheduleStoreTest, AZoneChangeStartsTheScheduleAnewInTheNewZone) {
  set_zone("workspaces", "Asia/Tokyo");
  reconcile();
  db.exec("UPDATE carillon.schedule_entries SET last_run_at = now() - interval '3 days'");
  const auto before = only_entry();
  set_zone("workspaces", "America/Los_Angeles");
  const auto changed = reconcile();
  ASSERT_EQ(changed.entries.size(), 1u);
  const auto after = only_entry();
  EXPECT_EQ(after.zone, "America/Los_Angeles");
  EXPECT_EQ(after.last_run_at, changed.now) << "what was missed in the old zone is not made up for";
  cadence_calendar calendar{*find_cadence(nightly)};
  EXPECT_EQ(after.next_run_at,
            calendar.next_turn(zone_or_utc("America/Los_Angeles"), calendar.turn_of(data.workspace), changed.now));
  EXPECT_NE(after.next_run_at, before.next_run_at);
}

TEST_F(ScheduleStoreTest, ADeletedOrSuspendedWorkspaceIsNotScheduledAndComesBackAnew) {
  const std::pair<const char*, const char*> ways[] = {
    {"workspaces SET status = 'deleted'", "workspaces SET status = 'active'"},
    {"workspaces SET deleted_at = now()", "workspaces SET deleted_at = NULL"},
    {"workspaces SET status = 'suspended'", "workspaces SET status = 'active'"},
    {"tenants SET status = 'suspended'", "tenants SET status = 'active'"},
    {"tenants SET status = 'terminated'", "tenants SET status = 'active'"},
    {"tenants SET deleted_at = now()", "tenants SET deleted_at = NULL"}};
  reconcile();
  for (const auto& [away, back] : ways) {
    const auto entry = only_entry();
    db.exec(std::string{"UPDATE carillon."} + away);
    // Also before its owner has heard of it.
    EXPECT_EQ(start({run_of(entry)}).stale, std::vector{data.workspace}) << away;
    EXPECT_EQ(jobs(), "0") << away;
    EXPECT_EQ(reconcile().gone, std::vector{data.workspace}) << away;
    EXPECT_TRUE(load().entries.empty()) << away;
    EXPECT_TRUE(reconcile().entries.empty()) << away;
    db.exec(std::string{"UPDATE carillon."} + back);
    EXPECT_EQ(reconcile().entries.size(), 1u) << back;
  }
}

TEST_F(ScheduleStoreTest, ADueRunIsEnqueuedOnceWithItsKindsPolicyAndKey) {
  reconcile();
  const auto entry = only_entry();
  const auto first = start({run_of(entry)});
  EXPECT_EQ(first.enqueued, 1);
  EXPECT_EQ(first.overlapping, 0);
  EXPECT_TRUE(first.stale.empty());
  EXPECT_EQ(db.exec("SELECT kind || '|' || queue || '|' || priority || '|' || max_attempts || '|' || unique_key || '|' "
                    "|| tenant_id || '|' || payload FROM carillon.jobs"),
            nightly + "|maintenance|8|3|" + nightly + '-' + to_string(data.workspace) + '|' + to_string(data.tenant)
              + "|{\"v\": 1}");
  EXPECT_EQ(only_entry().last_run_at, entry.last_run_at + 24h);
  EXPECT_EQ(only_entry().next_run_at, entry.last_run_at + 48h);

  // The same run again, as after a lost answer to the commit.
  EXPECT_EQ(start({run_of(entry)}).stale, std::vector{data.workspace});
  EXPECT_EQ(jobs(), "1");
}

TEST_F(ScheduleStoreTest, ARunThatWouldOverlapIsSkippedAndCounted) {
  reconcile();
  start({run_of(only_entry())});
  const auto second = start({run_of(only_entry())});
  EXPECT_EQ(second.enqueued, 0);
  EXPECT_EQ(second.overlapping, 1);
  EXPECT_EQ(jobs(), "1");
  db.exec("DELETE FROM carillon.jobs");
  EXPECT_EQ(start({run_of(only_entry())}).enqueued, 1) << "the next one after it ended";
}

TEST_F(ScheduleStoreTest, ARunThatItsPolicyPassesOverMovesTheEntryAndEnqueuesNothing) {
  reconcile();
  const auto entry = only_entry();
  const auto out = start({run_of(entry, false)});
  EXPECT_EQ(out.enqueued + out.overlapping, 0);
  EXPECT_EQ(jobs(), "0");
  EXPECT_EQ(only_entry().last_run_at, entry.last_run_at + 24h);
}

TEST_F(ScheduleStoreTest, AFencedOutNodeEnqueuesNothingAndMovesNothing) {
  reconcile();
  const auto entry = only_entry();
  db.exec("UPDATE carillon.node_leases SET expires_at = now() - interval '1 second'");
  EXPECT_EQ(*ownership.end_expired(), 1);
  const auto late = schedule.start_runs(me, nightly, {run_of(entry)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, errc::cancelled);
  EXPECT_EQ(jobs(), "0");
  EXPECT_EQ(schedule.reconcile(me, all_shards(), {nightly}, 500).error().code, errc::cancelled);
  EXPECT_EQ(schedule.load(me, all_shards(), {nightly}, {}, 500).error().code, errc::cancelled);
  me = *ownership.start_incarnation("n1", 30s);
  EXPECT_EQ(only_entry().last_run_at, entry.last_run_at);
}

TEST_F(ScheduleStoreTest, AKindThatThisBuildCannotRunIsRefused) {
  reconcile();
  const auto out = schedule.start_runs(me, "sync_the_moon", {run_of(only_entry())});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, errc::invalid_argument);
}

TEST_F(ScheduleStoreTest, ManyWorkspacesComeInPartsAndNoneIsLeftOut) {
  for (int i = 0; i < 24; ++i)
    data.add_workspace();
  std::size_t made = 0;
  for (bool complete = false; !complete;) {
    const auto part = reconcile(10);
    EXPECT_LE(part.entries.size(), 10u);
    made += part.entries.size();
    complete = part.complete;
  }
  EXPECT_EQ(made, 25u);
  std::vector<schedule_entry> all;
  std::optional<workspace_id> after;
  do {
    const auto page = load(after, 7);
    all.insert(all.end(), page.entries.begin(), page.entries.end());
    after = page.next;
  } while (after);
  EXPECT_EQ(all.size(), 25u);
  std::vector<planned_run> runs;
  for (const auto& entry : all)
    runs.push_back(run_of(entry));
  EXPECT_EQ(start(runs).enqueued, 25);
  EXPECT_EQ(db.exec("SELECT count(DISTINCT workspace_id) FROM carillon.jobs"), "25");
}

TEST_F(ScheduleStoreTest, OperatorsSeeTheScheduleAndRunItByHandBesideIt) {
  data.add_workspace();
  reconcile();
  const auto who = scope::maintenance("test");
  const auto sums = schedule.summaries(who).value();
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums[0].kind, nightly);
  EXPECT_EQ(sums[0].workspaces, 2);
  EXPECT_EQ(sums[0].zones, 1);
  EXPECT_EQ(schedule.upcoming(who, 10).value().size(), 2u);
  EXPECT_EQ(schedule.upcoming(who, 1).value().size(), 1u);
  EXPECT_EQ(schedule.upcoming(scope::tenant(tenant_id::make()), 10).value().size(), 0u);
  EXPECT_EQ(schedule.summaries(scope::tenant(tenant_id::make())).value().size(), 0u);

  const auto one = schedule.find_workspace(who, data.workspace).value();
  EXPECT_TRUE(one.active);
  EXPECT_EQ(one.entries.size(), 1u);
  EXPECT_EQ(schedule.find_workspace(who, workspace_id::make()).error().code, errc::not_found);
  EXPECT_EQ(schedule.find_workspace(scope::tenant(tenant_id::make()), data.workspace).error().code, errc::not_found);

  const auto before = load().entries;
  std::optional<workspace_id> after;
  std::int64_t enqueued = 0;
  do
    enqueued += schedule.run_now(who, nightly, {}, after, 1).value().enqueued;
  while (after);
  EXPECT_EQ(enqueued, 2);
  EXPECT_EQ(schedule.run_now(who, nightly, data.workspace, after, 10).value().overlapping, 1);
  EXPECT_EQ(load().entries.at(0).last_run_at, before.at(0).last_run_at) << "the schedule goes on as it was";
  EXPECT_EQ(schedule.run_now(who, nightly, workspace_id::make(), after, 10).error().code, errc::not_found);
  EXPECT_EQ(schedule.run_now(who, "sync_the_moon", {}, after, 10).error().code, errc::invalid_argument);
}

} // namespace

} // namespace carillon
