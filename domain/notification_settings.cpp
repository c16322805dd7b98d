#include "domain/notification_settings.hpp"

#include <array>
#include <cstdio>

namespace carillon {

namespace {

constexpr std::array<std::string_view, 3> period_texts{"off", "hourly", "daily"};

std::optional<int> two_digits(std::string_view text) noexcept {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 2 || !is_digit(text[0]) || !is_digit(text[1]))
    return std::nullopt;
  return (text[0] - '0') * 10 + (text[1] - '0');
}

} // namespace

std::string_view to_string(digest_period value) noexcept {
  return period_texts[static_cast<std::size_t>(value)];
}

template <>
std::optional<digest_period> parse<digest_period>(std::string_view text) noexcept {
  for (std::size_t i = 0; i < period_texts.size(); ++i)
    if (period_texts[i] == text)
      return static_cast<digest_period>(i);
  return std::nullopt;
}

std::string format_time_of_day(time_of_day t) {
  char text[16];
  std::snprintf(text, sizeof text, "%02d:%02d", static_cast<int>(t.count() / 60), static_cast<int>(t.count() % 60));
  return text;
}

std::optional<time_of_day> parse_time_of_day(std::string_view text) noexcept {
  if (text.size() != 5 || text[2] != ':')
    return std::nullopt;
  const auto hour = two_digits(text.substr(0, 2));
  const auto minute = two_digits(text.substr(3));
  if (!hour || !minute || *hour > 23 || *minute > 59)
    return std::nullopt;
  return time_of_day{*hour * 60 + *minute};
}

} // namespace carillon
