#include "domain/node_message.hpp"

#include <algorithm>
#include <charconv>

namespace carillon {

std::string encode(const node_message& m) {
  return std::to_string(m.version) + ' ' + m.type + ' ' + m.body;
}

std::optional<node_message> decode_node_message(std::string_view text) {
  node_message out;
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out.version);
  if (error != std::errc{} || out.version < 1 || at == end || *at != ' ')
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
  const auto blank = text.find(' ');
  if (blank == text.npos || blank == 0
      || !std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(blank),
                      [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; }))
    return std::nullopt;
  out.type = text.substr(0, blank);
  out.body = text.substr(blank + 1);
  return out;
}

} // namespace carillon
