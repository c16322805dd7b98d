// What every command of the command line has in common.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "app/exit_code.hpp"
#include "config/load.hpp"
#include "domain/ports/log.hpp"
#include "domain/result.hpp"
#include "storage/connection.hpp"

namespace CLI {
class App;
}

namespace carillon::app {

/// What a command is run with, beside its own options.
struct command_input {
  config::source source;
  config::loaded configuration; ///< Defaults for a command that reads none.

  const config::settings& settings() const noexcept {
    return configuration.values;
  }
};

/// The command that the command line named. Its `run` returns the exit code.
struct chosen_command {
  std::function<int(const command_input&)> run;
  /// A mistake in the configuration keeps `run` from being called.
  bool reads_configuration = true;
};

// One per file in app/commands/: adds a subcommand that sets `chosen`.
void add_serve_command(CLI::App& app, chosen_command& chosen);
void add_migrate_command(CLI::App& app, chosen_command& chosen);
void add_demo_data_command(CLI::App& app, chosen_command& chosen);
void add_sandbox_network_command(CLI::App& app, chosen_command& chosen);
void add_config_command(CLI::App& app, chosen_command& chosen);
void add_jobs_command(CLI::App& app, chosen_command& chosen);
void add_token_command(CLI::App& app, chosen_command& chosen);
/// Below `jobs`.
void add_schedule_command(CLI::App& jobs, chosen_command& chosen);

/// For commands that report a failure themselves, once, for people.
class quiet_log final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

/// For one short-lived connection of a command.
storage::session_options session_options_of(const config::settings& s,
                                            std::string application_name);

/// Tells on standard error what failed and what to do next; returns
/// exit_failure. `doing` completes "cannot …".
int report_failure(std::string_view doing, const failure& f, const config::settings& s);

/// Every violation on standard error, with a closing hint; returns
/// exit_configuration.
int report_violations(const std::vector<config::violation>& violations);

} // namespace carillon::app
