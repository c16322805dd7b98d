#include "domain/enums.hpp"

#include <array>

namespace carillon {

namespace {

/// A trailing underscore only keeps a name from being a C++ keyword.
constexpr std::string_view wire_text(std::string_view name) {
  if (name.ends_with('_'))
    name.remove_suffix(1);
  return name;
}

} // namespace

#define CARILLON_TEXT(name, label) wire_text(#name),
#define CARILLON_LABEL(name, label) label,
#define CARILLON_DEFINE_ENUM(type, list)                                       \
  std::string_view to_string(type value) noexcept {                            \
    constexpr std::string_view texts[] = {list(CARILLON_TEXT)};                \
    return texts[static_cast<std::size_t>(value)];                             \
  }                                                                            \
  std::string_view label(type value) noexcept {                                \
    constexpr std::string_view labels[] = {list(CARILLON_LABEL)};              \
    return labels[static_cast<std::size_t>(value)];                            \
  }                                                                            \
  template <>                                                                  \
  std::span<const type> values_of<type>() noexcept {                           \
    using enum type;                                                           \
    static constexpr type values[] = {list(CARILLON_ENUMERATOR)};              \
    return values;                                                             \
  }                                                                            \
  template <>                                                                  \
  std::optional<type> parse<type>(std::string_view text) noexcept {            \
    for (auto value : values_of<type>())                                       \
      if (to_string(value) == text)                                            \
        return value;                                                          \
    return std::nullopt;                                                       \
  }

CARILLON_ENUMS(CARILLON_DEFINE_ENUM)

} // namespace carillon
