#include <algorithm>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/commands/command.hpp"
#include "storage/job_repository.hpp"

namespace carillon::app {

namespace {

using json = nlohmann::ordered_json;

struct list_options {
  std::string state;
  std::string kind;
  std::string workspace;
  int limit = 50;
  bool as_json = false;
};

struct one_options {
  std::string id;
  bool as_json = false;
};

/// A connection of this command and the job store on it.
class job_access {
public:
  explicit job_access(const config::settings& s)
    : db_{session_options_of(s, "carillon-jobs"), log_},
      jobs_{db_} {
  }

  job_store& operator*() noexcept {
    return jobs_;
  }

private:
  quiet_log log_;
  storage::connection db_;
  storage::job_repository jobs_;
};

scope operator_scope() {
  return scope::maintenance("operator at the command line");
}

const operator_identity command_line{std::nullopt, {}, "command-line"};

json errors_of(const job& j) {
  auto errors = json::parse(j.errors, nullptr, false);
  return errors.is_array() ? errors : json::array();
}

std::string last_error(const job& j) {
  const auto errors = errors_of(j);
  if (errors.empty() || !errors.back().is_object())
    return {};
  return errors.back().value("error", std::string{});
}

json to_json(const job& j) {
  auto payload = json::parse(j.payload, nullptr, false);
  return {{"id", to_string(j.id)},
          {"kind", j.kind},
          {"queue", j.queue},
          {"state", std::string{to_string(j.state)}},
          {"tenant_id", to_string(j.tenant)},
          {"workspace_id", to_string(j.workspace)},
          {"priority", j.priority},
          {"attempt", j.attempt},
          {"max_attempts", j.max_attempts},
          {"crashes", j.crashes},
          {"suspicion", j.suspicion},
          {"run_at", format_api_time(j.run_at)},
          {"created_at", format_api_time(j.created_at)},
          {"concluded_at", j.concluded_at ? json(format_api_time(*j.concluded_at)) : json(nullptr)},
          {"unique_key", j.unique_key.empty() ? json(nullptr) : json(j.unique_key)},
          {"correlation_id", j.correlation_id.empty() ? json(nullptr) : json(j.correlation_id)},
          {"payload", payload.is_discarded() ? json(j.payload) : payload},
          {"errors", errors_of(j)}};
}

/// One line of a terminal: no line breaks, not endless.
std::string shortened(std::string text, std::size_t limit) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > limit) {
    text.resize(limit - 3);
    text += "...";
  }
  return text;
}

void print_table(const std::vector<job>& jobs) {
  constexpr int id = 38;
  constexpr int kind = 26;
  constexpr int state = 11;
  constexpr int tries = 7;
  constexpr int time = 27;
  std::cout << std::left << std::setw(id) << "ID" << std::setw(kind) << "KIND" << std::setw(state)
            << "STATE" << std::setw(tries) << "TRIES" << std::setw(time) << "RUN AT"
            << "LAST ERROR\n";
  for (const auto& j : jobs)
    std::cout << std::setw(id) << to_string(j.id) << std::setw(kind) << j.kind << std::setw(state)
              << to_string(j.state) << std::setw(tries)
              << std::to_string(j.attempt) + '/' + std::to_string(j.max_attempts)
              << std::setw(time) << format_api_time(j.run_at) << shortened(last_error(j), 80)
              << '\n';
}

void print_one(const job& j) {
  const auto line = [](std::string_view name, const std::string& text) {
    std::cout << std::left << std::setw(16) << name << text << '\n';
  };
  line("id", to_string(j.id));
  line("kind", j.kind + " (queue " + j.queue + ", priority " + std::to_string(j.priority) + ')');
  line("state", std::string{to_string(j.state)});
  line("tries", std::to_string(j.attempt) + " of " + std::to_string(j.max_attempts));
  if (j.crashes > 0)
    line("crashes", std::to_string(j.crashes));
  if (j.suspicion > 0)
    line("suspect", "yes: found in a dead node's hands, runs alone next time");
  line("tenant", to_string(j.tenant));
  line("workspace", to_string(j.workspace));
  line("created", format_api_time(j.created_at));
  line("run at", format_api_time(j.run_at));
  if (j.concluded_at)
    line("concluded", format_api_time(*j.concluded_at));
  if (!j.unique_key.empty())
    line("unique key", j.unique_key);
  if (!j.correlation_id.empty())
    line("correlation id", j.correlation_id);
  line("payload", j.payload);
  for (const auto& error : errors_of(j))
    line("error", error.is_object() ? error.value("at", std::string{}) + "  "
                                        + error.value("error", std::string{})
                                    : error.dump());
}

int refuse(const std::string& text) {
  std::cerr << "carillon: " << text << '\n';
  return exit_usage;
}

int list(const command_input& input, const list_options& options) {
  job_filter filter;
  filter.kind = options.kind;
  filter.limit = options.limit;
  if (!options.state.empty()) {
    filter.state = parse_job_state(options.state);
    if (!filter.state)
      return refuse("there is no state " + options.state
                    + "; one of available, retrying, succeeded, discarded, cancelled");
  }
  if (!options.workspace.empty()) {
    filter.workspace = workspace_id::parse(options.workspace);
    if (!filter.workspace)
      return refuse(options.workspace + " is no workspace id (a UUID)");
  }
  job_access jobs{input.settings()};
  const auto found = (*jobs).list(operator_scope(), filter);
  if (!found)
    return report_failure("list the jobs", found.error(), input.settings());
  if (options.as_json) {
    auto all = json::array();
    for (const auto& j : *found)
      all.push_back(to_json(j));
    std::cout << all.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else if (found->empty()) {
    std::cout << "No jobs.\n";
  } else {
    print_table(*found);
    if (static_cast<int>(found->size()) == options.limit)
      std::cout << "(the newest " << options.limit << "; more with --limit)\n";
  }
  return exit_ok;
}

using one_action = std::function<result<job>(job_store&, job_id)>;

int act(const command_input& input, const one_options& options, one_action action,
        std::string_view doing, std::string_view done_text) {
  const auto id = job_id::parse(options.id);
  if (!id)
    return refuse(options.id + " is no job id (a UUID); `carillon jobs list` shows them");
  job_access jobs{input.settings()};
  const auto found = action(*jobs, *id);
  if (!found) {
    if (found.error().code == errc::not_found) {
      std::cerr << "carillon: there is no job " << options.id
                << "; `carillon jobs list` shows them\n";
      return exit_failure;
    }
    return report_failure(doing, found.error(), input.settings());
  }
  if (options.as_json)
    std::cout << to_json(*found).dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  else if (done_text.empty())
    print_one(*found);
  else
    std::cout << "Job " << options.id << ' ' << done_text << ".\n";
  return exit_ok;
}

void add_list(CLI::App& parent, chosen_command& chosen) {
  auto options = std::make_shared<list_options>();
  auto* command = parent.add_subcommand("list", "Live and concluded jobs, newest first");
  command->add_option("--state", options->state,
                      "Only these: available, retrying, succeeded, discarded, cancelled");
  command->add_option("--kind", options->kind, "Only of this kind, such as publish_post");
  command->add_option("--workspace", options->workspace, "Only of this workspace")
    ->type_name("UUID");
  command->add_option("--limit", options->limit, "At most so many")
    ->check(CLI::Range(1, 10'000))
    ->capture_default_str();
  command->add_flag("--json", options->as_json, "For machines");
  command->callback([&chosen, options] {
    chosen.run = [options](const command_input& input) { return list(input, *options); };
  });
}

void add_one(CLI::App& parent, chosen_command& chosen, const std::string& name,
             const std::string& help, one_action action, std::string_view doing,
             std::string_view done_text) {
  auto options = std::make_shared<one_options>();
  auto* command = parent.add_subcommand(name, help);
  command->add_option("id", options->id, "The job")->required()->type_name("UUID");
  command->add_flag("--json", options->as_json, "For machines");
  command->callback([&chosen, options, action, doing, done_text] {
    chosen.run = [=](const command_input& input) {
      return act(input, *options, action, doing, done_text);
    };
  });
}

} // namespace

void add_jobs_command(CLI::App& app, chosen_command& chosen) {
  auto* command = app.add_subcommand("jobs", "Look at background jobs, run them again, give them up");
  command->require_subcommand(1);
  command->fallthrough();
  command->footer("Works on the database directly, also while the server runs: it notices within\n"
                  "a second. A discarded job is a dead letter; its errors say why.\n\n"
                  "Examples:\n"
                  "  carillon jobs list --state discarded\n"
                  "  carillon jobs show 0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00\n"
                  "  carillon jobs list --json | jq -r '.[].id'\n");
  add_list(*command, chosen);
  add_one(*command, chosen, "show", "Everything about one job",
          [](job_store& jobs, job_id id) { return jobs.find(operator_scope(), id); },
          "show the job", {});
  add_one(*command, chosen, "retry",
          "Run a dead letter, a cancelled or a waiting job now, with all its tries",
          [](job_store& jobs, job_id id) { return jobs.retry(operator_scope(), command_line, id); }, "retry the job", "runs again now");
  add_one(*command, chosen, "cancel",
          "Give up a job that has not concluded; what already runs is not interrupted",
          [](job_store& jobs, job_id id) { return jobs.cancel(operator_scope(), command_line, id); }, "cancel the job", "is cancelled");
}

} // namespace carillon::app
