// Structured logging as a port; app/ provides the sink.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace carillon {

enum class log_level : std::uint8_t { debug, info, warn, error };

/// One `key=value` of a line. Never a secret, a token or a mail body.
struct log_field {
  std::string_view key;
  std::string value;
};

class logger {
public:
  virtual ~logger() = default;

  /// `event` is a stable kebab-case id ("shard-taken"), made for grep. Safe
  /// from any thread, never throws.
  virtual void write(log_level level, std::string_view event,
                     std::initializer_list<log_field> fields) noexcept
    = 0;

  void debug(std::string_view e, std::initializer_list<log_field> f = {}) noexcept {
    write(log_level::debug, e, f);
  }
  void info(std::string_view e, std::initializer_list<log_field> f = {}) noexcept {
    write(log_level::info, e, f);
  }
  void warn(std::string_view e, std::initializer_list<log_field> f = {}) noexcept {
    write(log_level::warn, e, f);
  }
  void error(std::string_view e, std::initializer_list<log_field> f = {}) noexcept {
    write(log_level::error, e, f);
  }
};

} // namespace carillon
