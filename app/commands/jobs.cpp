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
  std::string queue;
  std::string workspace;
  std::string tenant;
  std::string error;
  int limit = 50;
  bool as_json = false;
};

struct one_options {
  std::string id;
  bool as_json = false;
};

struct action_options {
  std::string id;
  bool all = false;
  std::vector<std::string> where;
  bool yes = false;
  bool as_json = false;
};

struct control_options {
  std::string scope;
  std::string name;
};

/// What an action is called, and what has been done by it.
struct action_words {
  job_action what;
  const char* name;
  const char* past;
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

void print_json(const json& value) {
  std::cout << value.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
}

/// Which jobs the command line names.
struct selection {
  job_filter filter;
  std::optional<tenant_id> tenant;
  bool is_empty = true;

  scope who() const {
    return tenant ? scope::tenant(*tenant) : operator_scope();
  }
};

/// What is wrong with `value`; empty when it was taken.
std::string narrow(selection& out, const std::string& key, const std::string& value) {
  auto& filter = out.filter;
  out.is_empty = false;
  if (value.empty())
    return key + " needs a value";
  if (key == "kind") {
    filter.kind = value;
  } else if (key == "queue") {
    filter.queue = value;
  } else if (key == "error") {
    filter.error = value;
  } else if (key == "state") {
    filter.state = parse_job_state(value);
    if (!filter.state)
      return "there is no state " + value + "; one of available, retrying, succeeded, discarded, cancelled";
  } else if (key == "workspace") {
    filter.workspace = workspace_id::parse(value);
    if (!filter.workspace)
      return value + " is no workspace id (a UUID)";
  } else if (key == "tenant") {
    out.tenant = tenant_id::parse(value);
    if (!out.tenant)
      return value + " is no tenant id (a UUID)";
  } else {
    return "there is no key " + key + "; one of kind, queue, workspace, tenant, state, error";
  }
  return {};
}

int list(const command_input& input, const list_options& options) {
  selection wanted;
  const std::initializer_list<std::pair<const char*, const std::string*>> given{
    {"state", &options.state},         {"kind", &options.kind},     {"queue", &options.queue},
    {"workspace", &options.workspace}, {"tenant", &options.tenant}, {"error", &options.error}};
  for (const auto& [key, value] : given)
    if (!value->empty())
      if (const auto wrong = narrow(wanted, key, *value); !wrong.empty())
        return refuse(wrong);
  wanted.filter.limit = options.limit;
  job_access jobs{input.settings()};
  const auto found = (*jobs).list(wanted.who(), wanted.filter);
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

// -- stats ------------------------------------------------------------------------

std::string duration_text(std::chrono::milliseconds age) {
  const auto seconds = age.count() / 1'000;
  if (seconds == 0)
    return age.count() == 0 ? "" : "<1s";
  if (seconds < 120)
    return std::to_string(seconds) + "s";
  if (seconds < 7'200)
    return std::to_string(seconds / 60) + "min";
  return std::to_string(seconds / 3'600) + "h";
}

void print_counts(const std::vector<job_count>& counts) {
  constexpr int state = 12;
  constexpr int kind = 32;
  constexpr int queue = 20;
  constexpr int number = 12;
  std::cout << std::left << std::setw(state) << "STATE" << std::setw(kind) << "KIND" << std::setw(queue) << "QUEUE"
            << std::right << std::setw(number) << "COUNT" << std::setw(number) << "OLDEST DUE" << '\n';
  for (const auto& row : counts)
    std::cout << std::left << std::setw(state) << row.state << std::setw(kind) << row.kind << std::setw(queue)
              << row.queue << std::right << std::setw(number) << row.count << std::setw(number)
              << duration_text(row.oldest_due) << '\n';
}

void print_workspaces(const std::vector<workspace_job_count>& workspaces) {
  constexpr int id = 38;
  constexpr int number = 12;
  std::cout << '\n'
            << std::left << std::setw(id) << "WORKSPACE" << std::setw(id) << "TENANT" << std::right
            << std::setw(number) << "LIVE" << std::setw(number) << "DUE" << '\n';
  for (const auto& row : workspaces)
    std::cout << std::left << std::setw(id) << to_string(row.workspace) << std::setw(id) << to_string(row.tenant)
              << std::right << std::setw(number) << row.live << std::setw(number) << row.due << '\n';
}

int stats(const command_input& input, bool as_json) {
  constexpr int top = 10;
  job_access jobs{input.settings()};
  const auto counts = (*jobs).count(operator_scope());
  if (!counts)
    return report_failure("count the jobs", counts.error(), input.settings());
  const auto workspaces = (*jobs).count_workspaces(operator_scope(), top);
  if (!workspaces)
    return report_failure("count the jobs", workspaces.error(), input.settings());
  if (as_json) {
    json out{{"counts", json::array()}, {"workspaces", json::array()}};
    for (const auto& row : *counts)
      out["counts"].push_back({{"state", row.state},
                               {"kind", row.kind},
                               {"queue", row.queue},
                               {"count", row.count},
                               {"oldest_due_ms", row.oldest_due.count()}});
    for (const auto& row : *workspaces)
      out["workspaces"].push_back({{"workspace_id", to_string(row.workspace)},
                                   {"tenant_id", to_string(row.tenant)},
                                   {"live", row.live},
                                   {"due", row.due}});
    print_json(out);
  } else if (counts->empty()) {
    std::cout << "No jobs.\n";
  } else {
    print_counts(*counts);
    if (!workspaces->empty())
      print_workspaces(*workspaces);
  }
  return exit_ok;
}

// -- actions on many --------------------------------------------------------------

result<std::int64_t> act_on_batch(job_store& jobs, job_action what, const selection& wanted, int limit) {
  switch (what) {
    case job_action::retry:
      return jobs.retry_all(wanted.who(), command_line, wanted.filter, limit);
    case job_action::cancel:
      return jobs.cancel_all(wanted.who(), command_line, wanted.filter, limit);
    case job_action::discard:
      break;
  }
  return jobs.discard_all(wanted.who(), command_line, wanted.filter, limit);
}

bool is_confirmed(const action_words& words, std::int64_t count) {
  std::cerr << "This would " << words.name << ' ' << count << (count == 1 ? " job" : " jobs") << ". Go on? [y/N] "
            << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int act_on_all(const command_input& input, const action_options& options, const action_words& words) {
  constexpr int batch = 1'000;
  selection wanted;
  bool everything = false;
  for (const auto& text : options.where) {
    if (text == "all") {
      everything = true;
      continue;
    }
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return refuse("--where " + text + " is not KEY=VALUE, nor all");
    if (const auto wrong = narrow(wanted, text.substr(0, equals), text.substr(equals + 1)); !wrong.empty())
      return refuse(wrong);
  }
  if (wanted.is_empty && !everything)
    return refuse("--all needs --where KEY=VALUE; every job is meant by --where all");
  if (!wanted.is_empty && everything)
    return refuse("--where all does not go with a filter");

  job_access jobs{input.settings()};
  const auto doing = std::string{words.name} + " the jobs";
  if (!options.yes) {
    const auto count = (*jobs).count_affected(wanted.who(), wanted.filter, words.what);
    if (!count)
      return report_failure(doing, count.error(), input.settings());
    if (*count > 0 && !is_confirmed(words, *count)) {
      std::cerr << "Nothing was changed.\n";
      return exit_failure;
    }
  }
  // Batch by batch: each is a short transaction, and what was done stays
  // done when the next one fails.
  std::int64_t changed = 0;
  for (std::int64_t last = batch; last >= batch;) {
    const auto done_now = act_on_batch(*jobs, words.what, wanted, batch);
    if (!done_now) {
      if (changed > 0)
        std::cerr << "carillon: " << changed << " jobs were " << words.past << " before this:\n";
      return report_failure(doing, done_now.error(), input.settings());
    }
    last = *done_now;
    changed += last;
  }
  if (options.as_json)
    print_json({{"count", changed}});
  else
    std::cout << changed << (changed == 1 ? " job was " : " jobs were ") << words.past << ".\n";
  return exit_ok;
}

int act_as_named(const command_input& input, const action_options& options, const action_words& words,
                 const one_action& one) {
  if (options.all == !options.id.empty())
    return refuse(std::string{"name one job, or --all and --where: carillon jobs "} + words.name + " --help");
  if (options.all)
    return act_on_all(input, options, words);
  if (!options.where.empty())
    return refuse("--where goes with --all");
  return act(input, {options.id, options.as_json}, one, std::string{words.name} + " the job",
             words.what == job_action::retry ? "runs again now" : std::string{"is "} + words.past);
}

// -- explain, controls --------------------------------------------------------------

int explain(const command_input& input, const one_options& options) {
  const auto id = job_id::parse(options.id);
  if (!id)
    return refuse(options.id + " is no job id (a UUID); `carillon jobs list` shows them");
  job_access jobs{input.settings()};
  const auto reasons = (*jobs).explain(operator_scope(), *id);
  if (!reasons) {
    if (reasons.error().code != errc::not_found)
      return report_failure("explain the job", reasons.error(), input.settings());
    std::cerr << "carillon: there is no job " << options.id << "; `carillon jobs list` shows them\n";
    return exit_failure;
  }
  if (options.as_json)
    print_json({{"id", to_string(*id)}, {"explanation", *reasons}});
  else
    for (const auto& reason : *reasons)
      std::cout << reason << '\n';
  return exit_ok;
}

int set_paused(const command_input& input, const control_options& options, bool paused) {
  constexpr std::size_t longest_name = 100;
  const auto about = parse_control_scope(options.scope);
  if (!about)
    return refuse("there is no " + options.scope + " to pause; one of kind, queue, workspace");
  auto name = options.name;
  if (name.empty() || name.size() > longest_name)
    return refuse("the name of a " + options.scope + " has 1 to 100 characters");
  if (*about == job_control::about::workspace) {
    const auto id = workspace_id::parse(name);
    if (!id)
      return refuse(name + " is no workspace id (a UUID)");
    name = to_string(*id);
  }
  job_access jobs{input.settings()};
  const auto doing = std::string{paused ? "pause " : "resume "} + options.scope + ' ' + name;
  const auto controls = (*jobs).load_controls();
  if (!controls)
    return report_failure(doing, controls.error(), input.settings());
  job_control control;
  control.scope = *about;
  control.name = name;
  // Weight and limits stay.
  for (const auto& known : *controls)
    if (known.scope == control.scope && known.name == control.name)
      control = known;
  control.paused = paused;
  if (const auto set = (*jobs).set_control(command_line, control); !set)
    return report_failure(doing, set.error(), input.settings());
  std::cout << (paused ? "Paused " : "Resumed ") << options.scope << ' ' << name << ".\n";
  return exit_ok;
}

void add_stats(CLI::App& parent, chosen_command& chosen) {
  auto as_json = std::make_shared<bool>(false);
  auto* command = parent.add_subcommand("stats", "How many jobs there are, by state, kind, queue and workspace");
  command->add_flag("--json", *as_json, "For machines");
  command->callback([&chosen, as_json] {
    chosen.run = [as_json](const command_input& input) { return stats(input, *as_json); };
  });
}

void add_action(CLI::App& parent, chosen_command& chosen, const action_words& words, const std::string& help,
                one_action one) {
  auto options = std::make_shared<action_options>();
  auto* command = parent.add_subcommand(words.name, help);
  command->add_option("id", options->id, "The job")->type_name("UUID");
  command->add_flag("--all", options->all, "All that --where matches, instead of one");
  command->add_option("--where", options->where,
                      "kind=, queue=, workspace=, tenant=, state= or error=; all: no filter")
    ->type_name("KEY=VALUE");
  command->add_flag("--yes", options->yes, "Do not ask");
  command->add_flag("--json", options->as_json, "For machines");
  command->callback([&chosen, options, words, one] {
    chosen.run = [=](const command_input& input) { return act_as_named(input, *options, words, one); };
  });
}

void add_explain(CLI::App& parent, chosen_command& chosen) {
  auto options = std::make_shared<one_options>();
  auto* command = parent.add_subcommand("explain", "Why a job does not run, the decisive reason first");
  command->add_option("id", options->id, "The job")->required()->type_name("UUID");
  command->add_flag("--json", options->as_json, "For machines");
  command->callback([&chosen, options] {
    chosen.run = [options](const command_input& input) { return explain(input, *options); };
  });
}

void add_pause(CLI::App& parent, chosen_command& chosen, bool paused) {
  auto options = std::make_shared<control_options>();
  auto* command = parent.add_subcommand(paused ? "pause" : "resume",
                                        paused ? "Start no more jobs of a kind, a queue or a workspace"
                                               : "Take a pause back");
  command->add_option("scope", options->scope, "kind, queue or workspace")->required();
  command->add_option("name", options->name, "Which one; a workspace by its id")->required();
  command->callback([&chosen, options, paused] {
    chosen.run = [=](const command_input& input) { return set_paused(input, *options, paused); };
  });
}

void add_list(CLI::App& parent, chosen_command& chosen) {
  auto options = std::make_shared<list_options>();
  auto* command = parent.add_subcommand("list", "Live and concluded jobs, newest first");
  command->add_option("--state", options->state,
                      "Only these: available, retrying, succeeded, discarded, cancelled");
  command->add_option("--kind", options->kind, "Only of this kind, such as publish_post");
  command->add_option("--workspace", options->workspace, "Only of this workspace")
    ->type_name("UUID");
  command->add_option("--queue", options->queue, "Only of this queue");
  command->add_option("--tenant", options->tenant, "Only of this tenant")->type_name("UUID");
  command->add_option("--error", options->error, "Only those with this text in one of their errors");
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
                  "  carillon jobs stats\n"
                  "  carillon jobs list --state discarded\n"
                  "  carillon jobs show 0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00\n"
                  "  carillon jobs explain 0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00\n"
                  "  carillon jobs retry --all --where kind=publish_post --where state=discarded\n"
                  "  carillon jobs pause queue notifications\n"
                  "  carillon jobs list --json | jq -r '.[].id'\n");
  add_list(*command, chosen);
  add_schedule_command(*command, chosen);
  add_one(*command, chosen, "show", "Everything about one job",
          [](job_store& jobs, job_id id) { return jobs.find(operator_scope(), id); },
          "show the job", {});
  add_stats(*command, chosen);
  add_explain(*command, chosen);
  add_action(*command, chosen, {job_action::retry, "retry", "retried"},
             "Run a dead letter, a cancelled or a waiting job now, with all its tries",
             [](job_store& jobs, job_id id) { return jobs.retry(operator_scope(), command_line, id); });
  add_action(*command, chosen, {job_action::cancel, "cancel", "cancelled"},
             "Give up a job that has not concluded; what already runs is told to stop",
             [](job_store& jobs, job_id id) { return jobs.cancel(operator_scope(), command_line, id); });
  add_action(*command, chosen, {job_action::discard, "discard", "discarded"},
             "Make a job that has not concluded a dead letter, without a notice",
             [](job_store& jobs, job_id id) { return jobs.discard(operator_scope(), command_line, id); });
  add_pause(*command, chosen, true);
  add_pause(*command, chosen, false);
}

} // namespace carillon::app
