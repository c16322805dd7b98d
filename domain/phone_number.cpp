#include "domain/phone_number.hpp"

#include <algorithm>

namespace carillon {

namespace {

constexpr std::size_t fewest_digits = 7;
constexpr std::size_t most_digits = 15;

} // namespace

bool is_e164(std::string_view text) noexcept {
  if (!text.starts_with('+'))
    return false;
  text.remove_prefix(1);
  return text.size() >= fewest_digits && text.size() <= most_digits && text.front() != '0'
         && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::string> parse_phone_number(std::string_view text) {
  constexpr std::string_view separators = " -./()";
  std::string out;
  for (const char c : text)
    if (separators.find(c) == separators.npos)
      out += c;
  if (out.starts_with("00"))
    out.replace(0, 2, "+");
  if (!is_e164(out))
    return std::nullopt;
  return out;
}

} // namespace carillon
