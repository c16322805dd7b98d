// Our cron against other people's: tests/unit/domain/cron_oracle.py asks
// croniter when the expressions of cron_oracle.txt run, and Python's zoneinfo
// which instants that are, in every zone of the IANA database.
#include "domain/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace carillon {
namespace {

const std::string folder
  = std::string{CARILLON_SOURCE_DIR} + "/tests/unit/domain";

struct table_row {
  std::string zones;
  std::string rule;
  int days = 0;
  std::string text;
};

std::vector<table_row> read_table() {
  std::ifstream in{folder + "/cron_oracle.txt"};
  std::vector<table_row> out;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#')
      continue;
    std::istringstream words{line};
    table_row row;
    words >> row.zones >> row.rule >> row.days >> std::ws;
    std::getline(words, row.text);
    out.push_back(row);
  }
  return out;
}

/// Debian's python, with Debian's croniter; another may come first in PATH.
std::string ask_oracle(const std::string& arguments) {
  const auto command = "/usr/bin/python3 '" + folder + "/cron_oracle.py' '"
                       + folder + "/cron_oracle.txt' " + arguments;
  std::string out;
  auto* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error{"cannot run " + command};
  std::array<char, 65536> buffer{};
  while (const auto n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    out.append(buffer.data(), n);
  if (pclose(pipe) != 0)
    throw std::runtime_error{
      "failed; is python3-croniter installed (scripts/setup)? " + command};
  return out;
}

constexpr std::chrono::sys_days new_year{std::chrono::year{2026} / 1 / 1};

cron_expression parsed(const table_row& row) {
  auto cron = parse_cron(row.text);
  if (!cron)
    throw std::runtime_error{row.text + ": " + cron.error().detail};
  return *cron;
}

std::vector<std::int64_t> wall_runs(const table_row& row) {
  const auto cron = parsed(row);
  local_minute from{new_year.time_since_epoch()};
  const auto until = from + std::chrono::days{row.days};
  std::vector<std::int64_t> out;
  while (const auto run = cron.next(from, until)) {
    out.push_back(run->time_since_epoch().count());
    from = *run + std::chrono::minutes{1};
  }
  return out;
}

/// The first run of the year on the zone's clock and those after it, `count`
/// in all, in seconds.
std::vector<std::int64_t> zone_runs(const table_row& row, time_zone zone,
                                    std::size_t count) {
  const auto cron = parsed(row);
  const std::chrono::local_time<std::chrono::microseconds> start{
    new_year.time_since_epoch()};
  instant at{new_year - std::chrono::days{2}};
  std::vector<std::int64_t> out;
  while (out.size() < count) {
    const auto run = next_run(cron, zone, at);
    if (!run)
      break;
    at = *run;
    if (!out.empty() || zone.local(at) >= start)
      out.push_back(std::chrono::floor<std::chrono::seconds>(at)
                      .time_since_epoch()
                      .count());
  }
  return out;
}

std::uint64_t digest(const std::vector<std::int64_t>& runs) {
  std::uint64_t value = 0;
  for (const auto run : runs)
    value = (value ^ static_cast<std::uint64_t>(run)) * 0x100000001b3 + 1;
  return value;
}

/// Where two sequences part; empty when they do not.
std::string first_difference(const std::vector<std::int64_t>& ours,
                             const std::vector<std::int64_t>& theirs) {
  const auto show = [](const std::vector<std::int64_t>& runs, std::size_t i) {
    return i < runs.size() ? std::to_string(runs[i]) : std::string{"nothing"};
  };
  for (std::size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i)
    if (show(ours, i) != show(theirs, i))
      return "run " + std::to_string(i) + " of " + std::to_string(theirs.size())
             + ": " + show(ours, i) + " is ours, " + show(theirs, i)
             + " the oracle's";
  return {};
}

std::vector<std::vector<std::int64_t>> read_runs(const std::string& text,
                                                 std::size_t rows) {
  std::vector<std::vector<std::int64_t>> out(rows);
  std::istringstream in{text};
  std::string word;
  std::size_t index = 0;
  std::int64_t run = 0;
  while (in >> word >> index >> run)
    out.at(index).push_back(run);
  return out;
}

TEST(CronOracle, AgreesOnTheWallClocksTimes) {
  const auto table = read_table();
  ASSERT_GE(table.size(), 25u);
  const auto expected = read_runs(ask_oracle("wall"), table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    ASSERT_FALSE(expected[i].empty()) << table[i].text;
    EXPECT_EQ(first_difference(wall_runs(table[i]), expected[i]), "")
      << table[i].text;
  }
}

TEST(CronOracle, AgreesOnTheInstantsOfAYearInEveryZone) {
  const auto table = read_table();
  for (const auto& row : table)
    EXPECT_EQ(follows_elapsed_time(parsed(row)), row.rule == "elapsed")
      << row.text;

  std::istringstream lines{ask_oracle("zones")};
  std::string word;
  std::size_t index = 0;
  std::string name;
  std::size_t count = 0;
  std::uint64_t expected = 0;
  std::vector<std::size_t> zones(table.size());
  int differences = 0;
  while (lines >> word >> index >> name >> count >> expected) {
    ++zones.at(index);
    const auto zone = find_time_zone(name);
    ASSERT_TRUE(zone.has_value()) << name;
    const auto ours = zone_runs(table[index], *zone, count);
    if (digest(ours) == expected)
      continue;
    const auto theirs = read_runs(
      ask_oracle("list " + std::to_string(index) + " '" + name + "'"),
      table.size());
    ADD_FAILURE() << table[index].text << " in " << name << ": "
                  << first_difference(ours, theirs[index]);
    ASSERT_LT(++differences, 20) << "the rest is not listed";
  }
  for (std::size_t i = 0; i < table.size(); ++i)
    EXPECT_GE(zones[i], table[i].zones == "every"      ? 400u
                        : table[i].zones == "distinct" ? 40u
                                                       : 0u)
      << table[i].text;
}

} // namespace
} // namespace carillon
