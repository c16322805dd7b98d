#include <array>

#include "domain/ports/job_store.hpp"

namespace carillon {

namespace {

constexpr std::array<std::string_view, 3> scope_texts{"kind", "queue", "workspace"};

} // namespace

std::string_view to_string(job_control::about scope) noexcept {
  return scope_texts[static_cast<std::size_t>(scope)];
}

std::optional<job_control::about> parse_control_scope(std::string_view text) noexcept {
  for (std::size_t i = 0; i < scope_texts.size(); ++i)
    if (scope_texts[i] == text)
      return static_cast<job_control::about>(i);
  return std::nullopt;
}

} // namespace carillon
