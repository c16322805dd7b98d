// The log: one line an event on standard error, as JSON or for people.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "config/settings.hpp"
#include "domain/ports/log.hpp"

namespace spdlog {
class logger;
}

namespace carillon::app {

struct log_options {
  log_level level = log_level::info;
  config::log_format format = config::log_format::json;
  std::string node; ///< Named in every line; empty for none.
};

/// A line has `ts`, `level`, `event` and `node`, then its fields in their
/// order; a field that bears one of those names is prefixed with `field_`.
/// Bytes that are no UTF-8 are shown as U+FFFD. A line that cannot be written
/// is dropped. Safe from any thread.
class stderr_log final : public logger {
public:
  explicit stderr_log(log_options options);
  ~stderr_log() override;

  void write(log_level level, std::string_view event,
             std::initializer_list<log_field> fields) noexcept override;

  /// Lines below `level` are left out from now on. Safe from any thread.
  void set_level(log_level level) noexcept {
    level_.store(level, std::memory_order_relaxed);
  }

private:
  log_options options_;
  std::atomic<log_level> level_;
  std::shared_ptr<spdlog::logger> sink_;
};

std::string_view to_string(log_level level) noexcept;

/// The line without its end; pure. `now` is `2026-02-07T10:00:00.123456Z`.
std::string format_json_line(std::string_view now, log_level level, std::string_view event,
                             std::string_view node, std::initializer_list<log_field> fields);
std::string format_text_line(std::string_view now, log_level level, std::string_view event,
                             std::initializer_list<log_field> fields);

} // namespace carillon::app
