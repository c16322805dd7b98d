#include <iostream>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"
#include "app/serve.hpp"

namespace carillon::app {

void add_serve_command(CLI::App& app, chosen_command& chosen) {
  auto* command = app.add_subcommand("serve", "Run the server");
  command->footer("SIGINT and SIGTERM drain and stop it, SIGHUP re-reads the hot keys of the\n"
                  "configuration. The log goes to standard error, one JSON object a line.\n\n"
                  "Examples:\n"
                  "  carillon serve\n"
                  "  CARILLON_HTTP__PORT=9000 CARILLON_LOG__FORMAT=text carillon serve\n");
  command->callback([&chosen] {
    chosen.run = [](const command_input& input) {
      const auto missing = config::missing_for_serve(input.settings());
      if (!missing.empty())
        return report_violations(missing);
      const auto& log_settings = input.settings().log;
      stderr_log log{{log_settings.level, log_settings.format,
                      config::effective_node_name(input.settings())}};
      return run_serve(input.source, input.configuration, log);
    };
  });
}

} // namespace carillon::app
