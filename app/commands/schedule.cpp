#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/commands/command.hpp"
#include "domain/workspace_schedule.hpp"
#include "storage/schedule_repository.hpp"

namespace carillon::app {

namespace {

using json = nlohmann::ordered_json;

constexpr int run_chunk = 1'000;

struct list_options {
  bool as_json = false;
};

struct next_options {
  std::string workspace;
  int count = 10;
  bool as_json = false;
};

struct run_options {
  std::string kind;
  std::string workspace;
  bool as_json = false;
};

/// A connection of this command and the schedule on it.
class schedule_access {
public:
  explicit schedule_access(const config::settings& s)
    : db_{session_options_of(s, "carillon-schedule"), log_},
      schedule_{db_} {
  }

  schedule_store* operator->() noexcept {
    return &schedule_;
  }

private:
  quiet_log log_;
  storage::connection db_;
  storage::schedule_repository schedule_;
};

scope operator_scope() {
  return scope::maintenance("operator at the command line");
}

int refuse(const std::string& text) {
  std::cerr << "carillon: " << text << '\n';
  return exit_usage;
}

void print(const json& value) {
  std::cout << value.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
}

json time_or_null(const std::optional<instant>& t) {
  return t ? json(format_api_time(*t)) : json(nullptr);
}

/// What a clock in the zone shows, to the minute.
std::string wall_time(time_zone zone, instant t) {
  auto text = format_api_time(instant{zone.local(t).time_since_epoch()}).substr(0, 16);
  std::replace(text.begin(), text.end(), 'T', ' ');
  return text;
}

// -- list -----------------------------------------------------------------------------

int list(const command_input& input, const list_options& options) {
  schedule_access schedule{input.settings()};
  const auto summaries = schedule->summaries(operator_scope());
  if (!summaries)
    return report_failure("list the schedule", summaries.error(), input.settings());
  auto all = json::array();
  for (const auto& entry : cadences()) {
    const auto found = std::find_if(summaries->begin(), summaries->end(),
                                    [&](const schedule_summary& s) { return s.kind == entry.kind; });
    const bool any = found != summaries->end();
    all.push_back({{"name", std::string{entry.name}},
                   {"expression", to_string(entry.cron)},
                   {"scope", entry.scope == cadence_scope::owner ? "node" : "workspace"},
                   {"active", is_active(entry)},
                   {"missed_runs", std::string{to_string(entry.missed)}},
                   {"spread_minutes", entry.spread.count()},
                   {"workspaces", any ? found->workspaces : 0},
                   {"zones", any ? found->zones : 0},
                   {"last_run_at", any ? time_or_null(found->last_run_at) : json(nullptr)},
                   {"next_run_at", any ? time_or_null(found->next_run_at) : json(nullptr)}});
  }
  if (options.as_json) {
    print(all);
    return exit_ok;
  }
  std::cout << std::left << std::setw(27) << "CADENCE" << std::setw(14) << "EXPRESSION" << std::setw(8) << "ACTIVE"
            << std::setw(10) << "MISSED" << std::setw(12) << "WORKSPACES" << std::setw(7) << "ZONES"
            << "NEXT TURN\n";
  for (const auto& one : all)
    std::cout << std::setw(27) << one["name"].get<std::string>() << std::setw(14)
              << one["expression"].get<std::string>() << std::setw(8) << (one["active"].get<bool>() ? "yes" : "no")
              << std::setw(10) << one["missed_runs"].get<std::string>() << std::setw(12)
              << (one["scope"] == "node" ? "(by node)" : one["workspaces"].dump()) << std::setw(7)
              << one["zones"].dump() << (one["next_run_at"].is_null() ? "-" : one["next_run_at"].get<std::string>())
              << '\n';
  return exit_ok;
}

// -- next -----------------------------------------------------------------------------

struct upcoming_run {
  std::string kind;
  workspace_id workspace;
  std::string zone;
  instant at{};
};

/// The turns of one workspace to come, of all cadences.
std::vector<upcoming_run> turns_of(const workspace_id& workspace, const workspace_schedule& found, int count) {
  std::vector<upcoming_run> out;
  if (!found.active)
    return out;
  const auto zone = zone_or_utc(found.zone);
  for (const auto& entry : cadences()) {
    if (entry.scope != cadence_scope::workspace || !is_active(entry))
      continue;
    cadence_calendar calendar{entry};
    const auto turn = calendar.turn_of(workspace);
    auto last = found.now;
    // A zone that its owner has not seen yet starts anew.
    for (const auto& row : found.entries)
      if (row.kind == entry.kind && row.zone == found.zone)
        last = std::max(row.last_run_at, found.now - turn - entry.grace);
    for (int i = 0; i < count; ++i) {
      const auto at = calendar.next_turn(zone, turn, last);
      if (!at)
        break;
      out.push_back({std::string{entry.kind}, workspace, found.zone, *at});
      last = *at - turn;
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  if (out.size() > static_cast<std::size_t>(count))
    out.resize(static_cast<std::size_t>(count));
  return out;
}

int next(const command_input& input, const next_options& options) {
  schedule_access schedule{input.settings()};
  std::vector<upcoming_run> runs;
  if (options.workspace.empty()) {
    const auto found = schedule->upcoming(operator_scope(), options.count);
    if (!found)
      return report_failure("list the next runs", found.error(), input.settings());
    for (const auto& entry : *found)
      runs.push_back({entry.kind, entry.workspace, entry.zone, entry.next_run_at.value_or(instant{})});
  } else {
    const auto workspace = workspace_id::parse(options.workspace);
    if (!workspace)
      return refuse(options.workspace + " is no workspace id (a UUID)");
    const auto found = schedule->find_workspace(operator_scope(), *workspace);
    if (!found && found.error().code == errc::not_found) {
      std::cerr << "carillon: there is no workspace " << options.workspace << '\n';
      return exit_failure;
    }
    if (!found)
      return report_failure("find the workspace", found.error(), input.settings());
    runs = turns_of(*workspace, *found, options.count);
  }
  if (options.as_json) {
    auto all = json::array();
    for (const auto& run : runs)
      all.push_back({{"kind", run.kind},
                     {"workspace_id", to_string(run.workspace)},
                     {"time_zone", run.zone},
                     {"run_at", format_api_time(run.at)},
                     {"local_time", wall_time(zone_or_utc(run.zone), run.at)}});
    print(all);
    return exit_ok;
  }
  if (runs.empty()) {
    std::cout << "Nothing is scheduled.\n";
    return exit_ok;
  }
  std::cout << std::left << std::setw(27) << "RUN AT" << std::setw(18) << "LOCAL TIME" << std::setw(24) << "ZONE"
            << std::setw(28) << "KIND" << "WORKSPACE\n";
  for (const auto& run : runs)
    std::cout << std::setw(27) << format_api_time(run.at) << std::setw(18)
              << wall_time(zone_or_utc(run.zone), run.at) << std::setw(24)
              << (is_time_zone(run.zone) ? run.zone : run.zone + " (UTC)") << std::setw(28) << run.kind
              << to_string(run.workspace) << '\n';
  return exit_ok;
}

// -- run ------------------------------------------------------------------------------

int run(const command_input& input, const run_options& options) {
  const auto all = cadences();
  const auto entry = std::find_if(all.begin(), all.end(), [&](const cadence& c) { return c.kind == options.kind; });
  if (entry == all.end() || entry->scope != cadence_scope::workspace || !is_active(*entry)) {
    std::string known;
    for (const auto& c : all)
      if (c.scope == cadence_scope::workspace && is_active(c))
        known += (known.empty() ? "" : ", ") + std::string{c.kind};
    return refuse("no workspace's schedule has " + options.kind + "; one of " + known);
  }
  std::optional<workspace_id> workspace;
  if (!options.workspace.empty()) {
    workspace = workspace_id::parse(options.workspace);
    if (!workspace)
      return refuse(options.workspace + " is no workspace id (a UUID)");
  }
  schedule_access schedule{input.settings()};
  runs_by_hand total;
  std::optional<workspace_id> after;
  do {
    const auto chunk = schedule->run_now(operator_scope(), options.kind, workspace, after, run_chunk);
    if (!chunk && chunk.error().code == errc::not_found) {
      std::cerr << "carillon: there is no active workspace " << options.workspace << '\n';
      return exit_failure;
    }
    if (!chunk)
      return report_failure("enqueue the runs", chunk.error(), input.settings());
    total.enqueued += chunk->enqueued;
    total.overlapping += chunk->overlapping;
  } while (after);
  if (options.as_json) {
    print({{"kind", options.kind}, {"enqueued", total.enqueued}, {"overlapping", total.overlapping}});
  } else {
    std::cout << total.enqueued << " enqueued";
    if (total.overlapping > 0)
      std::cout << ", " << total.overlapping << " not: the run before is not over";
    std::cout << ".\n";
  }
  return exit_ok;
}

} // namespace

void add_schedule_command(CLI::App& jobs, chosen_command& chosen) {
  auto* command = jobs.add_subcommand("schedule", "What runs regularly, and when");
  command->require_subcommand(1);
  command->fallthrough();
  command->footer("Examples:\n"
                  "  carillon jobs schedule list\n"
                  "  carillon jobs schedule next --workspace 0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00 --count 5\n"
                  "  carillon jobs schedule run cleanup_old_notifications\n");

  auto listing = std::make_shared<list_options>();
  auto* list_command = command->add_subcommand("list", "Every cadence, and how many workspaces follow it");
  list_command->add_flag("--json", listing->as_json, "For machines");
  list_command->callback([&chosen, listing] {
    chosen.run = [listing](const command_input& input) { return list(input, *listing); };
  });

  auto coming = std::make_shared<next_options>();
  auto* next_command = command->add_subcommand("next", "The next runs, of all workspaces or of one");
  next_command->add_option("--workspace", coming->workspace, "Only of this workspace")->type_name("UUID");
  next_command->add_option("--count", coming->count, "At most so many")
    ->check(CLI::Range(1, 1'000))
    ->capture_default_str();
  next_command->add_flag("--json", coming->as_json, "For machines");
  next_command->callback([&chosen, coming] {
    chosen.run = [coming](const command_input& input) { return next(input, *coming); };
  });

  auto running = std::make_shared<run_options>();
  auto* run_command = command->add_subcommand("run", "Enqueue a run now, beside the schedule");
  run_command->add_option("kind", running->kind, "The kind of job")->required();
  run_command->add_option("--workspace", running->workspace, "Only of this workspace; else of every active one")
    ->type_name("UUID");
  run_command->add_flag("--json", running->as_json, "For machines");
  run_command->callback([&chosen, running] {
    chosen.run = [running](const command_input& input) { return run(input, *running); };
  });
}

} // namespace carillon::app
