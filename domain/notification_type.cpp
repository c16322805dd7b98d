#include "domain/notification_type.hpp"

namespace carillon {

namespace {

struct type_entry {
  std::string_view text;
  std::string_view label;
  notification_category category;
  std::string_view icon;
  bool urgent;
};

#define CARILLON_NOTIFICATION_ENTRY(name, label, category, icon, urgent)       \
  type_entry{#name, label, notification_category::category, icon, urgent},
constexpr type_entry type_entries[] = {
  CARILLON_NOTIFICATION_TYPES(CARILLON_NOTIFICATION_ENTRY)};

const type_entry& type_entry_of(notification_type value) noexcept {
  return type_entries[static_cast<std::size_t>(value)];
}

constexpr std::string_view categories[]
  = {"content", "engagement", "team", "billing",
     "social",  "support",    "data", "system"};

} // namespace

std::string_view to_string(notification_category value) noexcept {
  return categories[static_cast<std::size_t>(value)];
}

template <>
std::optional<notification_category>
parse<notification_category>(std::string_view text) noexcept {
  for (std::size_t i = 0; i < std::size(categories); ++i)
    if (categories[i] == text)
      return static_cast<notification_category>(i);
  return std::nullopt;
}

std::string_view to_string(notification_type value) noexcept {
  return type_entry_of(value).text;
}

std::string_view label(notification_type value) noexcept {
  return type_entry_of(value).label;
}

notification_category category(notification_type value) noexcept {
  return type_entry_of(value).category;
}

std::string_view default_icon(notification_type value) noexcept {
  return type_entry_of(value).icon;
}

bool is_urgent(notification_type value) noexcept {
  return type_entry_of(value).urgent;
}

template <>
std::optional<notification_type>
parse<notification_type>(std::string_view text) noexcept {
  for (auto value : values_of<notification_type>())
    if (to_string(value) == text)
      return value;
  return std::nullopt;
}

template <>
std::span<const notification_type> values_of<notification_type>() noexcept {
  using enum notification_type;
  static constexpr notification_type values[]
    = {CARILLON_NOTIFICATION_TYPES(CARILLON_NOTIFICATION_NAME)};
  return values;
}

} // namespace carillon
