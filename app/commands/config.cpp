#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/commands/command.hpp"
#include "config/schema.hpp"

namespace carillon::app {

namespace {

struct config_options {
  std::string prefix;
  bool as_json = false;
  bool example = false;
  bool reference = false;
};

/// `http` names a section, `http.port` a key.
bool is_wanted(const std::string& key, const std::string& prefix) {
  return prefix.empty() || key == prefix || key.starts_with(prefix + '.');
}

nlohmann::ordered_json to_json(const config::described_value& one) {
  return {{"key", one.key},         {"value", one.value},
          {"default", one.default_value}, {"origin", one.origin},
          {"allowed", one.allowed}, {"hot", one.hot},
          {"secret", one.secret},   {"help", one.help}};
}

void print_for_people(const config::described_value& one) {
  std::cout << one.key << " = " << one.value;
  if (one.origin != "default")
    std::cout << "   # from " << one.origin << "; the default is " << one.default_value;
  std::cout << '\n'
            << "    " << one.help << '\n'
            << "    Allowed: " << one.allowed << (one.hot ? "; hot" : "")
            << (one.secret ? "; secret" : "") << ".\n";
}

int show(const command_input& input, const config_options& options) {
  if (options.example) {
    std::cout << config::render_example_file();
    return exit_ok;
  }
  if (options.reference) {
    std::cout << config::render_reference();
    return exit_ok;
  }
  auto all = nlohmann::ordered_json::array();
  std::size_t shown = 0;
  for (const auto& one : config::describe(input.settings(), input.configuration.origins)) {
    if (!is_wanted(one.key, options.prefix))
      continue;
    if (options.as_json)
      all.push_back(to_json(one));
    else
      print_for_people(one);
    ++shown;
  }
  if (shown == 0) {
    std::cerr << "carillon: there is no section or key " << options.prefix
              << "; `carillon config` lists them all\n";
    return exit_usage;
  }
  if (options.as_json)
    std::cout << all.dump(2) << '\n';
  return exit_ok;
}

} // namespace

void add_config_command(CLI::App& app, chosen_command& chosen) {
  auto options = std::make_shared<config_options>();
  auto* command = app.add_subcommand(
    "config", "Show every configuration value, where it comes from and what is allowed");
  command->add_option("key", options->prefix, "A section or a key; all when left out")
    ->type_name("SECTION[.KEY]");
  command->add_flag("--json", options->as_json, "For machines");
  command->add_flag("--print-example", options->example,
                    "Print config/carillon.toml with every key at its default");
  command->add_flag("--print-reference", options->reference, "Print docs/config.md");
  command->footer("Checks the configuration too: every mistake is listed, and the exit code is 3.\n"
                  "Secrets are masked.\n\n"
                  "Examples:\n"
                  "  carillon config\n"
                  "  carillon config http.port\n"
                  "  carillon config --print-example > /etc/carillon/carillon.toml\n");
  command->callback([&chosen, options] {
    chosen.reads_configuration = !options->example && !options->reference;
    chosen.run = [options](const command_input& input) { return show(input, *options); };
  });
}

} // namespace carillon::app
