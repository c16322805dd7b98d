#include "app/command_line.hpp"

#include <array>
#include <exception>
#include <iostream>
#include <string_view>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"

namespace carillon::app {

namespace {

constexpr auto version = "carillon 0.1.0";

constexpr auto examples = R"(Start here:
  scripts/run                        everything at once, on a fresh checkout
  carillon migrate                   prepare the database
  carillon demo-data                 fill it with a company to try things on
  carillon serve                     run the server
  carillon sandbox-network           run a social network to try it with
  carillon config http               what is in force for [http], and why
  carillon jobs list --state discarded

The configuration is --config FILE, else $CARILLON_CONFIG, else
./config/carillon.toml, else /etc/carillon/carillon.toml. Every key can also
be set by environment: CARILLON_DATABASE__URL is [database] url.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration.
)";

/// The first word that is neither an option nor a command; null when the
/// command line begins well.
const char* unknown_command(const CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word{argv[i]};
    if (word == "--config")
      ++i;
    else if (!word.starts_with('-'))
      return app.get_subcommands([&](const CLI::App* command) {
                  return command->check_name(std::string{word});
                }).empty()
               ? argv[i]
               : nullptr;
  }
  return nullptr;
}

int run(int argc, const char* const* argv) {
  CLI::App app{"Carillon publishes social-media posts on time and exactly once, "
               "and tells people about it.",
               "carillon"};
  std::string file;
  chosen_command chosen;
  app.add_option("--config", file, "The configuration file")->type_name("FILE");
  app.set_version_flag("--version", version);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(examples);
  add_serve_command(app, chosen);
  add_migrate_command(app, chosen);
  add_demo_data_command(app, chosen);
  add_sandbox_network_command(app, chosen);
  add_config_command(app, chosen);
  add_jobs_command(app, chosen);
  add_token_command(app, chosen);

  if (argc < 2) {
    std::cerr << app.help();
    return exit_usage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& e) {
    if (const auto* word = unknown_command(app, argc, argv)) {
      std::cerr << "carillon: there is no command " << word << "; `carillon --help` lists them\n";
      return exit_usage;
    }
    app.exit(e);
    return exit_usage;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_ok : exit_usage;
  }

  command_input input;
  input.source = config::make_source({});
  if (chosen.reads_configuration) {
    input.source.file = find_configuration_file(file, input.source.environment);
    auto outcome = config::load(input.source);
    if (!outcome.value)
      return report_violations(outcome.violations);
    input.configuration = std::move(*outcome.value);
  }
  return chosen.run(input);
}

} // namespace

std::filesystem::path find_configuration_file(
  const std::string& given, const std::map<std::string, std::string>& environment) {
  if (!given.empty())
    return given;
  const auto named = environment.find("CARILLON_CONFIG");
  if (named != environment.end() && !named->second.empty())
    return named->second;
  constexpr std::array<const char*, 2> usual
    = {"config/carillon.toml", "/etc/carillon/carillon.toml"};
  std::error_code ignored;
  for (const auto* path : usual)
    if (std::filesystem::exists(path, ignored))
      return path;
  return {};
}

int run_command_line(int argc, const char* const* argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "carillon: " << e.what() << '\n';
  } catch (...) {
    std::cerr << "carillon: failed for an unknown reason\n";
  }
  return exit_failure;
}

} // namespace carillon::app
