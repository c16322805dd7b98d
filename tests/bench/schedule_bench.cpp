// What the schedule costs its owner: a day of one cadence for many workspaces,
// in virtual time, as the scheduler lives it (a tick a second at most, 500
// runs a tick). Prints one JSON line. No database is involved.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <random>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "actors/jobs/schedule_board.hpp"

namespace {

using namespace carillon;
using namespace std::chrono_literals;

/// Of this thread.
double cpu_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

/// `count` names of the system's database.
std::vector<std::string> zone_names(std::size_t count) {
  std::vector<std::string> out;
  // Cities of all offsets, and their aliases: zones are told apart by name.
  static constexpr std::string_view areas[] = {
    "Africa",     "America",   "Antarctica", "Asia",   "Atlantic",
    "Australia",  "Europe",    "Indian",     "Pacific"};
  std::vector<std::string> found;
  for (const auto area : areas)
    for (const auto& file : std::filesystem::recursive_directory_iterator{"/usr/share/zoneinfo/" + std::string{area}})
      if (file.is_regular_file())
        found.push_back(file.path().lexically_relative("/usr/share/zoneinfo").string());
  std::sort(found.begin(), found.end());
  for (const auto& name : found)
    if (out.size() < count && find_time_zone(name))
      out.push_back(name);
  return out;
}

struct day {
  double load_cpu_ms = 0;
  double tick_cpu_ms_max = 0;
  double tick_cpu_ms_mean = 0;
  std::size_t ticks = 0;
  std::size_t runs = 0;
  std::size_t peak_jobs_per_second = 0;
  std::size_t zones = 0;
};

day live(const cadence& entry, std::size_t workspaces, const std::vector<std::string>& zones, instant from,
         std::chrono::hours down) {
  schedule_board board{{&entry}};
  std::mt19937_64 random{17};
  std::vector<schedule_entry> rows(workspaces);
  for (std::size_t i = 0; i < workspaces; ++i) {
    for (auto& byte : rows[i].workspace.value.bytes)
      byte = static_cast<std::uint8_t>(random());
    rows[i].kind = entry.kind;
    rows[i].zone = zones[i % zones.size()];
    rows[i].last_run_at = from - down;
  }
  day out;
  const auto begin = cpu_ms();
  for (const auto& row : rows)
    board.put(row);
  out.load_cpu_ms = cpu_ms() - begin;
  out.zones = board.zones();

  double total = 0;
  for (auto now = from; now < from + 24h; now += 1s) {
    const auto before = cpu_ms();
    const auto due = board.take_due(now, 500);
    std::size_t runs = 0;
    for (const auto& one : due) {
      runs += one.runs.size();
      board.moved(one, {});
    }
    const auto used = cpu_ms() - before;
    total += used;
    ++out.ticks;
    out.tick_cpu_ms_max = std::max(out.tick_cpu_ms_max, used);
    out.runs += runs;
    out.peak_jobs_per_second = std::max(out.peak_jobs_per_second, runs);
  }
  out.tick_cpu_ms_mean = total / static_cast<double>(out.ticks);
  return out;
}

nlohmann::ordered_json to_json(const day& d) {
  return {{"runs", d.runs},
          {"tick_cpu_ms", d.tick_cpu_ms_max},
          {"tick_cpu_ms_mean", d.tick_cpu_ms_mean},
          {"peak_jobs_per_second", d.peak_jobs_per_second},
          {"load_cpu_ms", d.load_cpu_ms}};
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a day of the schedule costs its owner"};
  std::size_t workspaces = 100'000;
  std::size_t zones = 400;
  std::string name = "cleanup_old_notifications";
  app.add_option("--workspaces", workspaces)->check(CLI::Range(1, 10'000'000))->capture_default_str();
  app.add_option("--zones", zones)->check(CLI::Range(1, 500))->capture_default_str();
  app.add_option("--cadence", name)->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const auto* entry = find_cadence(name);
  if (!entry) {
    std::cerr << "schedule_bench: there is no cadence " << name << '\n';
    return 2;
  }
  const auto names = zone_names(zones);
  if (names.size() < zones) {
    std::cerr << "schedule_bench: the system has only " << names.size() << " such zones\n";
    return 2;
  }
  // The day on which Europe's clocks go forward.
  const auto from = parse_time("2026-03-29T00:00:00Z").value();
  const auto usual = live(*entry, workspaces, names, from, 0h);
  const auto one_zone = live(*entry, workspaces, {"Europe/Berlin"}, from, 0h);
  const auto after_outage = live(*entry, workspaces, names, from, 72h);
  const nlohmann::ordered_json out{{"cadence", name},
                                   {"workspaces", workspaces},
                                   {"zones", usual.zones},
                                   {"tick_cpu_ms", std::max({usual.tick_cpu_ms_max, one_zone.tick_cpu_ms_max,
                                                             after_outage.tick_cpu_ms_max})},
                                   {"peak_jobs_per_second", usual.peak_jobs_per_second},
                                   {"usual_day", to_json(usual)},
                                   {"all_in_one_zone", to_json(one_zone)},
                                   {"after_three_days_down", to_json(after_outage)}};
  std::cout << out.dump() << '\n';
  return 0;
}
