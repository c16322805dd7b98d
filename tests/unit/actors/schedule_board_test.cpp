#include <gtest/gtest.h>

#include "actors/jobs/schedule_board.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

instant at(std::string_view text) {
  return parse_time(text).value();
}

class ScheduleBoardTest : public ::testing::Test {
protected:
  static schedule_entry entry(const workspace_id& workspace, const std::string& zone, std::string_view last) {
    schedule_entry out;
    out.workspace = workspace;
    out.kind = kinds::cleanup_old_notifications;
    out.zone = zone;
    out.last_run_at = at(last);
    return out;
  }

  std::chrono::milliseconds turn_of(const workspace_id& workspace) const {
    return cadence_calendar{*nightly}.turn_of(workspace);
  }

  const cadence* nightly = find_cadence("cleanup_old_notifications");
  schedule_board board{{nightly}};
  workspace_id workspace = workspace_id::make();
};

TEST_F(ScheduleBoardTest, AWorkspaceIsDueAtItsTurnAfterTwoOClockOfItsZoneAndNotBefore) {
  board.put(entry(workspace, "Europe/Berlin", "2026-01-10T12:00:00Z"));
  const auto turn = at("2026-01-11T01:00:00Z") + turn_of(workspace);
  EXPECT_EQ(board.next_turn(), turn);
  EXPECT_TRUE(board.take_due(turn - 1ms, 500).empty());
  const auto due = board.take_due(turn, 500);
  ASSERT_EQ(due.size(), 1u);
  ASSERT_EQ(due[0].runs.size(), 1u);
  EXPECT_TRUE(due[0].runs[0].starts);
  EXPECT_EQ(due[0].runs[0].moves_to, at("2026-01-11T01:00:00Z"));
  EXPECT_EQ(due[0].runs[0].next_run_at, at("2026-01-12T01:00:00Z") + turn_of(workspace));
  EXPECT_EQ(due[0].missed, 0u);
  EXPECT_TRUE(board.take_due(turn + 1h, 500).empty()) << "it is taken already";
  board.moved(due[0], {});
  EXPECT_EQ(board.next_turn(), at("2026-01-12T01:00:00Z") + turn_of(workspace));
}

TEST_F(ScheduleBoardTest, WhatCouldNotBeStartedIsDueAsBefore) {
  board.put(entry(workspace, "UTC", "2026-01-10T12:00:00Z"));
  const auto now = at("2026-01-11T03:00:00Z");
  const auto due = board.take_due(now, 500);
  ASSERT_EQ(due.size(), 1u);
  board.put_back(due[0]);
  const auto again = board.take_due(now, 500);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].runs[0].last_run_at, due[0].runs[0].last_run_at);
}

TEST_F(ScheduleBoardTest, AStaleEntryIsForgotten) {
  board.put(entry(workspace, "UTC", "2026-01-10T12:00:00Z"));
  const auto due = board.take_due(at("2026-01-11T03:00:00Z"), 500);
  ASSERT_EQ(due.size(), 1u);
  board.moved(due[0], {workspace});
  EXPECT_EQ(board.entries(), 0u);
  EXPECT_EQ(board.zones(), 0u);
  EXPECT_FALSE(board.next_turn());
}

TEST_F(ScheduleBoardTest, FiveMissedNightsAreOneRunThatCountsAsMissed) {
  board.put(entry(workspace, "UTC", "2026-01-10T02:00:00Z"));
  const auto due = board.take_due(at("2026-01-15T12:00:00Z"), 500);
  ASSERT_EQ(due.size(), 1u);
  ASSERT_EQ(due[0].runs.size(), 1u);
  EXPECT_EQ(due[0].missed, 1u);
  EXPECT_EQ(due[0].runs[0].moves_to, at("2026-01-15T02:00:00Z"));
  board.moved(due[0], {});
  EXPECT_EQ(board.next_turn(), at("2026-01-16T02:00:00Z") + turn_of(workspace));
}

TEST_F(ScheduleBoardTest, ARunThatIsSkippedMovesOnWithoutAStart) {
  const auto* often = find_cadence("sync_inbox");
  schedule_board skipping{{often}};
  auto row = entry(workspace, "UTC", "2026-01-10T12:00:00Z");
  row.kind = "sync_inbox";
  skipping.put(row);
  const auto turn = cadence_calendar{*often}.turn_of(workspace);
  // Ten minutes after the newest turn, whose grace is five.
  const auto due = skipping.take_due(at("2026-01-10T15:10:00Z") + turn, 500);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_FALSE(due[0].runs[0].starts);
  EXPECT_EQ(due[0].missed, 1u);
  skipping.moved(due[0], {});
  EXPECT_EQ(skipping.next_turn(), at("2026-01-10T15:15:00Z") + turn);
}

TEST_F(ScheduleBoardTest, AnotherZoneTakesThePlaceOfTheOneBefore) {
  board.put(entry(workspace, "UTC", "2026-01-10T12:00:00Z"));
  board.put(entry(workspace, "America/New_York", "2026-01-10T12:30:00Z"));
  EXPECT_EQ(board.entries(), 1u);
  EXPECT_EQ(board.zones(), 1u);
  EXPECT_EQ(board.next_turn(), at("2026-01-11T07:00:00Z") + turn_of(workspace));
  EXPECT_TRUE(board.take_due(at("2026-01-11T06:59:00Z"), 500).empty()) << "the old zone's turn is void";
}

TEST_F(ScheduleBoardTest, AnUnknownZoneIsReadAsUtcAndToldOnce) {
  board.put(entry(workspace, "Mars/Olympus", "2026-01-10T12:00:00Z"));
  board.put(entry(workspace_id::make(), "Mars/Olympus", "2026-01-10T12:00:00Z"));
  EXPECT_EQ(board.next_turn().value() - at("2026-01-11T02:00:00Z") < 50min, true);
  EXPECT_EQ(board.take_unknown_zones(), std::vector<std::string>{"Mars/Olympus"});
  EXPECT_TRUE(board.take_unknown_zones().empty());
}

TEST_F(ScheduleBoardTest, TheLimitHoldsAndTheRestComesNextOldestFirst) {
  for (int i = 0; i < 1'200; ++i)
    board.put(entry(workspace_id::make(), i % 2 ? "UTC" : "Asia/Tokyo", "2026-01-10T12:00:00Z"));
  const auto now = at("2026-01-11T12:00:00Z");
  std::set<workspace_id> seen;
  instant before = instant::min();
  for (const auto expected : {500u, 500u, 200u}) {
    const auto due = board.take_due(now, 500);
    ASSERT_EQ(due.size(), 1u);
    ASSERT_EQ(due[0].runs.size(), expected);
    for (const auto& run : due[0].runs) {
      seen.insert(run.workspace);
      const auto turn = run.moves_to + turn_of(run.workspace);
      EXPECT_LE(before, turn);
      before = turn;
    }
    board.moved(due[0], {});
  }
  EXPECT_EQ(seen.size(), 1'200u);
  EXPECT_TRUE(board.take_due(now, 500).empty());
}

TEST_F(ScheduleBoardTest, WhatIsGivenAwayIsNeverDueAgainAlsoWhenItWasTaken) {
  const auto other = workspace_id::make();
  board.put(entry(workspace, "UTC", "2026-01-10T12:00:00Z"));
  board.put(entry(other, "UTC", "2026-01-10T12:00:00Z"));
  const auto due = board.take_due(at("2026-01-11T12:00:00Z"), 500);
  board.erase_if([&](const workspace_id& id) { return id == workspace; });
  board.put_back(due[0]);
  EXPECT_EQ(board.entries(), 1u);
  const auto again = board.take_due(at("2026-01-11T12:00:00Z"), 500);
  ASSERT_EQ(again.size(), 1u);
  ASSERT_EQ(again[0].runs.size(), 1u);
  EXPECT_EQ(again[0].runs[0].workspace, other);
}

} // namespace

} // namespace carillon
