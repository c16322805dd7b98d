#include "domain/cadences.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace carillon {
namespace {

using namespace std::chrono_literals;

struct cadence_case {
  std::string_view name;
  std::string_view cron;
  cadence_scope scope;
};

void PrintTo(const cadence_case& c, std::ostream* out) {
  *out << c.name;
}

class Cadence : public testing::TestWithParam<cadence_case> {};

TEST_P(Cadence, RunsWhenTheContractSays) {
  const auto* entry = find_cadence(GetParam().name);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(to_string(entry->cron), GetParam().cron);
  EXPECT_EQ(entry->scope, GetParam().scope);
  EXPECT_EQ(entry->kind, entry->name);
}

INSTANTIATE_TEST_SUITE_P(
  OfTheContract, Cadence,
  testing::Values(
    cadence_case{"publish_scheduled_posts", "* * * * *", cadence_scope::owner},
    cadence_case{"sync_inbox", "*/15 * * * *", cadence_scope::workspace},
    cadence_case{"fetch_post_metrics", "0 */6 * * *", cadence_scope::workspace},
    cadence_case{"cleanup_old_notifications", "0 2 * * *",
                 cadence_scope::workspace},
    cadence_case{"refresh_expiring_tokens", "0 3 * * *",
                 cadence_scope::workspace},
    cadence_case{"archive_old_inbox_items", "0 4 * * 0",
                 cadence_scope::workspace}));

TEST(Cadences, AreSixAndHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const auto& entry : cadences())
    names.insert(entry.name);
  EXPECT_EQ(cadences().size(), 6u);
  EXPECT_EQ(names.size(), 6u);
  EXPECT_EQ(find_cadence("defragment_the_moon"), nullptr);
}

TEST(Cadences, ThePageOfTheScheduleListsThemAsTheyAre) {
  const std::regex row{
    R"(\| `([a-z_]+)` \| `([^`]+)`.*\| ([a-z ]+) \| (.+) \|)"};
  std::ifstream page{std::string{CARILLON_SOURCE_DIR} + "/docs/schedule.md"};
  std::set<std::string> listed;
  for (std::string line; std::getline(page, line);) {
    std::smatch cells;
    if (!std::regex_match(line, cells, row))
      continue;
    const auto* entry = find_cadence(cells[1].str());
    ASSERT_NE(entry, nullptr) << line;
    listed.insert(cells[1].str());
    const auto expression = parse_cron(cells[2].str());
    ASSERT_TRUE(expression.has_value()) << line;
    EXPECT_EQ(*expression, entry->cron) << line;
    EXPECT_EQ(cells[3].str(),
              entry->missed == missed_policy::skip ? "skipped" : "one run")
      << line;
    const auto spread = entry->spread.count();
    EXPECT_EQ(cells[4].str(), spread == 0 ? "–"
                              : spread % 60 == 0
                                ? std::to_string(spread / 60) + " h"
                                : std::to_string(spread) + " min")
      << line;
  }
  EXPECT_EQ(listed.size(), cadences().size());
}

TEST(Cadences, EachWorkspacesTurnEndsBeforeTheNextRun) {
  for (const auto& entry : cadences()) {
    instant t{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}};
    for (int i = 0; i < 200; ++i) {
      const auto next = next_run(entry.cron, {}, t);
      const auto after = next_run(entry.cron, {}, next.value());
      ASSERT_LT(entry.spread, *after - *next) << entry.name;
      t = *next;
    }
  }
}

TEST(Cadences, NightlyWorkStaysWithinItsLocalHour) {
  for (const auto* name :
       {"cleanup_old_notifications", "refresh_expiring_tokens",
        "archive_old_inbox_items"})
    EXPECT_LT(find_cadence(name)->spread, 1h) << name;
}

TEST(Cadences, AnEntryIsActiveOnceItsKindHasLanded) {
  const auto& cleanup = *find_cadence("cleanup_old_notifications");
  EXPECT_FALSE(is_active(cleanup, {}));
  job_policy landed[1]{};
  landed[0].kind = cleanup.kind;
  EXPECT_TRUE(is_active(cleanup, landed));
  EXPECT_FALSE(is_active(*find_cadence("archive_old_inbox_items"), landed));
  for (const auto& entry : cadences())
    EXPECT_EQ(is_active(entry), entry.scope == cadence_scope::owner
                                  || find_job_policy(entry.kind) != nullptr)
      << entry.name;
}

TEST(Cadences, TheOwnersSweepIsAlwaysActive) {
  EXPECT_TRUE(is_active(*find_cadence("publish_scheduled_posts"), {}));
}

} // namespace
} // namespace carillon
