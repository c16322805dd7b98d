#include "domain/sms_text.hpp"

#include "domain/text.hpp"

namespace carillon {

namespace {

constexpr std::string_view ellipsis = "\xe2\x80\xa6";

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    const bool blank = u <= 0x20 || u == 0x7f;
    if (!blank)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.ends_with(' '))
    out.pop_back();
  return out;
}

std::string cut(const std::string& text, std::size_t limit) {
  if (character_count(text) <= limit)
    return text;
  return std::string{first_characters(text, limit - 1)} + std::string{ellipsis};
}

} // namespace

std::string sms_text(std::string_view title, std::string_view message, std::string_view url, std::size_t limit) {
  auto out = one_line(title);
  auto link = std::string{url};
  const auto said = one_line(message);
  const auto length = character_count(out);
  auto link_length = link.empty() ? 0 : character_count(link) + 1;
  if (length + link_length > limit) {
    link.clear();
    link_length = 0;
  }
  if (length > limit)
    return cut(out, limit);
  // A rest of a few characters says nothing.
  constexpr std::size_t least = 10;
  const auto room = limit - length - link_length;
  if (!said.empty() && (room > character_count(said) || room > least))
    out += '\n' + cut(said, room - 1);
  if (!link.empty())
    out += '\n' + link;
  return out;
}

} // namespace carillon
