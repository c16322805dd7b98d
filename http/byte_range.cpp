#include "http/byte_range.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace carillon::http {

namespace {

constexpr std::string_view range_unit = "bytes=";

/// Digits only; what is larger than a number can be is the largest.
std::optional<std::uint64_t> read_position(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  std::uint64_t out = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), out).ec != std::errc{})
    return std::numeric_limits<std::uint64_t>::max();
  return out;
}

bool is_bytes_unit(std::string_view header) {
  return header.size() > range_unit.size()
         && std::equal(range_unit.begin(), range_unit.end(), header.begin(),
                       [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

} // namespace

wanted_range read_range(std::string_view header, std::uint64_t size) {
  if (!is_bytes_unit(header))
    return {};
  header.remove_prefix(range_unit.size());
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!header.empty() && is_space(header.front()))
    header.remove_prefix(1);
  while (!header.empty() && is_space(header.back()))
    header.remove_suffix(1);
  const auto dash = header.find('-');
  if (dash == header.npos)
    return {};
  const auto first_text = header.substr(0, dash);
  const auto last_text = header.substr(dash + 1);
  const auto last = read_position(last_text);
  if (first_text.empty()) {
    if (!last)
      return {};
    const auto count = std::min(*last, size);
    if (count == 0)
      return {true, std::nullopt};
    return {true, byte_range{size - count, count}};
  }
  const auto first = read_position(first_text);
  if (!first || (!last_text.empty() && (!last || *last < *first)))
    return {};
  if (*first >= size)
    return {true, std::nullopt};
  const auto end = last ? std::min(*last, size - 1) : size - 1;
  return {true, byte_range{*first, end - *first + 1}};
}

} // namespace carillon::http
