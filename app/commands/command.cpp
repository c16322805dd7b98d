#include "app/commands/command.hpp"

#include <iostream>

#include "config/schema.hpp"

namespace carillon::app {

storage::session_options session_options_of(const config::settings& s,
                                            std::string application_name) {
  storage::session_options out;
  out.url = s.database.url;
  out.application_name = std::move(application_name);
  out.connect_timeout = s.database.connect_timeout;
  out.statement_timeout = s.database.statement_timeout;
  return out;
}

int report_failure(std::string_view doing, const failure& f, const config::settings& s) {
  std::cerr << "carillon: cannot " << doing << ": " << config::mask_password(f.detail);
  if (!f.detail.ends_with('\n'))
    std::cerr << '\n';
  if (f.code == errc::transient)
    std::cerr << "The database is " << config::mask_password(s.database.url) << ".\n"
              << "Is it running? `scripts/postgres start DIR` starts a private one and "
                 "prints its URL.\nAnother one is named with CARILLON_DATABASE__URL or "
                 "with [database] url in the configuration file.\n";
  // 3F000 and 42P01: there is no schema, or no such table.
  else if (f.detail.find("[3F000]") != std::string::npos
           || f.detail.find("[42P01]") != std::string::npos)
    std::cerr << "The database " << config::mask_password(s.database.url)
              << " has not been prepared yet: run `carillon migrate`.\n";
  return exit_failure;
}

int report_violations(const std::vector<config::violation>& violations) {
  std::cerr << "carillon: the configuration has "
            << (violations.size() == 1 ? "a mistake" : std::to_string(violations.size()) + " mistakes")
            << ":\n";
  for (const auto& v : violations)
    std::cerr << "  " << config::to_string(v) << '\n';
  std::cerr << "Nothing was started. Every key is explained by "
               "`carillon config --print-example`.\n";
  return exit_configuration;
}

} // namespace carillon::app
