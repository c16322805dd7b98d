// Reads the configuration file and the environment into `settings`, says
// where each value came from, and reports every violation at once.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "domain/ports/operations_store.hpp"

namespace carillon::config {

/// Where the configuration is read from, again at a reload.
struct source {
  /// Empty: defaults and environment only.
  std::filesystem::path file;
  /// Of the process's environment, what starts with `CARILLON_`.
  std::map<std::string, std::string> environment;
};

/// `file` and the `CARILLON_` variables of this process.
source make_source(std::filesystem::path file);

struct violation {
  std::string where;   ///< `carillon.toml:12`, or `environment`.
  std::string key;     ///< `section.name` or the variable's name.
  std::string message; ///< With what is allowed.
  bool operator==(const violation&) const = default;
};

/// `carillon.toml:12: http.port: is 70000, must be an integer from 0 to 65535`
std::string to_string(const violation& v);

struct loaded {
  settings values;
  /// By key: `default`, `carillon.toml:12` or `environment`.
  std::map<std::string, std::string> origins;
};

/// One of the two is filled.
struct load_outcome {
  std::optional<loaded> value;
  std::vector<violation> violations;
};

/// Precedence: environment, file, default. Every violation of both is
/// reported: unknown sections and keys (with the likeliest meant one), wrong
/// types, values out of range, and rules between keys. A file that is not
/// TOML is one violation. Never throws.
load_outcome load(const source& from);

/// What `carillon serve` needs beyond valid values: `secrets.token_key`.
std::vector<violation> missing_for_serve(const settings& s);

struct reload_outcome {
  /// Not empty: nothing changed, go on with what runs.
  std::vector<violation> violations;
  /// `running` with the hot keys' new values.
  settings next;
  /// Hot keys whose values differ, secrets masked.
  std::vector<config_change> changes;
  /// Cold keys whose values differ: they wait for the next start.
  std::vector<std::string> needs_restart;
  std::map<std::string, std::string> origins;
};

/// Reads `from` again and compares it with what runs.
reload_outcome reload(const source& from, const settings& running);

/// One key as `carillon config` and GET /internal/config show it.
struct described_value {
  std::string key;
  std::string value;         ///< Masked when secret; TOML notation.
  std::string default_value; ///< Masked likewise.
  std::string origin;
  std::string allowed; ///< "an integer from 0 to 65535".
  std::string help;
  bool hot = false;
  bool secret = false;
};

/// Every key, in the order of the schema. A key without an origin counts as
/// default.
std::vector<described_value>
describe(const settings& values, const std::map<std::string, std::string>& origins);

} // namespace carillon::config
