// `carillon COMMAND`: parses the command line and runs one command.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace carillon::app {

/// Returns the process's exit code (app/exit_code.hpp). Never throws.
int run_command_line(int argc, const char* const* argv);

/// The configuration file: `given`, else $CARILLON_CONFIG, else
/// config/carillon.toml under the working directory, else
/// /etc/carillon/carillon.toml, else none. The first two need not exist: that
/// is reported as a mistake, not passed over.
std::filesystem::path find_configuration_file(const std::string& given,
                                              const std::map<std::string, std::string>& environment);

} // namespace carillon::app
