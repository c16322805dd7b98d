// The one declared schema of every tunable: type, unit, range, default,
// help, hot or cold, secret. Everything that reads, checks, prints or
// documents the configuration walks this list.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.hpp"

namespace carillon::config {

/// A value on its way between text and `settings`. Choices travel as text.
using value
  = std::variant<std::string, std::int64_t, double, bool,
                 std::chrono::milliseconds, std::vector<std::string>,
                 std::vector<std::chrono::milliseconds>>;

enum class value_type : std::uint8_t {
  text,
  choice,
  integer,
  number,
  boolean,
  duration,
  text_list,
  duration_list,
};

enum class secrecy : std::uint8_t {
  none,
  password_in_url, ///< Only the password of the URL is hidden.
  whole,
};

struct text_rule {
  std::string_view allowed; ///< "an IPv4 or IPv6 address".
  bool (*holds)(std::string_view text);
};

struct key_schema {
  std::string_view section;
  std::string_view name;
  value_type type = value_type::text;
  std::string_view unit; ///< "bytes", "connections"; empty for none.
  std::string_view help; ///< Whole sentences.
  /// Inclusive; milliseconds for durations, per element for lists.
  std::int64_t minimum = INT64_MIN;
  std::int64_t maximum = INT64_MAX;
  double minimum_number = 0;
  double maximum_number = 0;
  std::span<const std::string_view> choices;
  bool hot = false;
  secrecy secret = secrecy::none;
  bool whole_seconds = false; ///< Durations finer than a second are refused.
  const text_rule* rule = nullptr; ///< For a text and each text of a list.
  value (*read)(const settings& from) = nullptr;
  void (*write)(settings& to, const value& v) = nullptr;

  /// `section.name`.
  std::string key() const {
    return std::string{section} + '.' + std::string{name};
  }
};

struct section_schema {
  std::string_view name;
  std::string_view help;
};

/// In the order of the example file.
std::span<const section_schema> sections() noexcept;
std::span<const key_schema> schema() noexcept;

/// Null when there is no such key.
const key_schema* find_key(std::string_view section,
                           std::string_view name) noexcept;

/// "an integer from 1 to 64", "one of file, smtp", "a duration from 1s to 1h".
std::string describe_allowed(const key_schema& key);

/// `500ms`, `10s`, `5min`, `2h`, `1d`; nothing for any other text, also for
/// a negative or a fractional number.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// In the largest unit that loses nothing: `90s`, `5min`, `0s`.
std::string format_duration(std::chrono::milliseconds d);

/// As it would stand in the file: `"10s"`, `4`, `["60s", "120s"]`.
std::string format_toml(const value& v);

/// The value of `key` as people may see it: secrets are masked.
std::string format_for_people(const key_schema& key, const value& v);

/// `postgresql://user:***@host/db`; also `password=***`.
std::string mask_password(std::string_view url);

/// config/carillon.toml: every key, documented, commented out at its default.
std::string render_example_file();

/// docs/config.md.
std::string render_reference();

} // namespace carillon::config
