#include "app/log.hpp"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "domain/clock.hpp"

namespace carillon::app {

namespace {

constexpr std::array<std::string_view, 4> reserved = {"ts", "level", "event", "node"};

bool is_reserved(std::string_view key) {
  for (auto name : reserved)
    if (key == name)
      return true;
  return false;
}

std::string timestamp() {
  auto text = format_precise_time(system_clock{}.now());
  text.replace(text.size() - std::string_view{"+00:00"}.size(), std::string::npos, "Z");
  return text;
}

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Bare when nothing in it could be mistaken for the line's own structure.
std::string for_people(const std::string& text) {
  const auto plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '=';
  });
  return plain ? text : json_text(text);
}

} // namespace

std::string_view to_string(log_level level) noexcept {
  constexpr std::array<std::string_view, 4> names = {"debug", "info", "warn", "error"};
  return names[static_cast<std::size_t>(level)];
}

std::string format_json_line(std::string_view now, log_level level, std::string_view event,
                             std::string_view node, std::initializer_list<log_field> fields) {
  std::string out = "{\"ts\":" + json_text(now) + ",\"level\":" + json_text(to_string(level))
                    + ",\"event\":" + json_text(event);
  if (!node.empty())
    out += ",\"node\":" + json_text(node);
  for (const auto& field : fields) {
    out += ',';
    out += is_reserved(field.key) ? json_text("field_" + std::string{field.key}) : json_text(field.key);
    out += ':' + json_text(field.value);
  }
  return out += '}';
}

std::string format_text_line(std::string_view now, log_level level, std::string_view event,
                             std::initializer_list<log_field> fields) {
  std::string out{now};
  auto name = std::string{to_string(level)};
  name.resize(5, ' ');
  out += ' ' + name + ' ' + std::string{event};
  for (const auto& field : fields)
    out += ' ' + std::string{field.key} + '=' + for_people(field.value);
  return out;
}

stderr_log::stderr_log(log_options options)
  : options_(std::move(options)), level_(options_.level) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink_ = std::make_shared<spdlog::logger>("carillon", std::move(sink));
  sink_->set_pattern("%v", spdlog::pattern_time_type::utc);
  sink_->set_level(spdlog::level::trace);
  sink_->flush_on(spdlog::level::trace);
  // A full disk or a closed pipe must not take the program down, nor fill
  // the pipe with complaints about itself.
  sink_->set_error_handler([](const std::string&) {});
}

stderr_log::~stderr_log() = default;

void stderr_log::write(log_level level, std::string_view event,
                       std::initializer_list<log_field> fields) noexcept {
  if (level < level_.load(std::memory_order_relaxed))
    return;
  try {
    const auto now = timestamp();
    const auto line = options_.format == config::log_format::json
                        ? format_json_line(now, level, event, options_.node, fields)
                        : format_text_line(now, level, event, fields);
    sink_->log(spdlog::level::critical, "{}", line);
  } catch (...) {
    // Out of memory: the program matters more than its log.
  }
}

} // namespace carillon::app
