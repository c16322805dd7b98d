#include "domain/post_text.hpp"

#include <algorithm>

namespace carillon {

namespace {

constexpr std::string_view white_space = " \t\r\n";

std::string_view without_outer_space(std::string_view text) {
  const auto begin = text.find_first_not_of(white_space);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(white_space) + 1 - begin);
}

/// Where the characters of `text` begin, and its end.
std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80)
      out.push_back(i);
  out.push_back(text.size());
  return out;
}

/// The longest beginning that fits, at least one character.
std::size_t longest_fit(std::string_view text, std::size_t limit,
                        const std::function<std::size_t(std::string_view)>& length) {
  const auto starts = character_starts(text);
  std::size_t fits = 1;
  std::size_t too_long = starts.size();
  while (fits + 1 < too_long) {
    const auto middle = fits + (too_long - fits) / 2;
    (length(text.substr(0, starts[middle])) <= limit ? fits : too_long) = middle;
  }
  return starts[std::min(fits, starts.size() - 1)];
}

/// Where to cut within `text`, all of which fits; `next` follows it.
std::size_t best_cut(std::string_view text, char next) {
  if (white_space.find(next) != std::string_view::npos)
    return text.size();
  const auto half = text.size() / 2;
  const auto after_last = [&](std::string_view mark) {
    const auto at = text.rfind(mark);
    return at == std::string_view::npos || at < half ? std::size_t{0} : at + mark.size();
  };
  if (const auto paragraph = after_last("\n\n"))
    return paragraph;
  std::size_t sentence = 0;
  for (const auto* mark : {"\n", ". ", "! ", "? ", "\u3002"})
    sentence = std::max(sentence, after_last(mark));
  if (sentence > 0)
    return sentence;
  const auto word = text.find_last_of(white_space);
  return word == std::string_view::npos || word == 0 ? text.size() : word;
}

} // namespace

std::vector<std::string> split_post_text(std::string_view text, std::size_t limit,
                                         const std::function<std::size_t(std::string_view)>& length) {
  std::vector<std::string> out;
  auto rest = without_outer_space(text);
  while (!rest.empty() && length(rest) > limit) {
    const auto fit = longest_fit(rest, limit, length);
    const auto cut = fit < rest.size() ? best_cut(rest.substr(0, fit), rest[fit]) : fit;
    out.emplace_back(without_outer_space(rest.substr(0, cut)));
    rest = without_outer_space(rest.substr(cut));
  }
  if (!rest.empty() || out.empty())
    out.emplace_back(rest);
  return out;
}

std::string compose_post_text(std::string_view text, const std::vector<std::string>& hashtags,
                              std::string_view link) {
  std::string out{text};
  std::string tags;
  for (const auto& hashtag : hashtags) {
    const auto tag = hashtag.starts_with('#') ? hashtag : '#' + hashtag;
    if (tag.size() > 1 && text.find(tag) == std::string_view::npos)
      tags += (tags.empty() ? "" : " ") + tag;
  }
  auto add_line = [&out](std::string_view line) {
    if (line.empty())
      return;
    if (!out.empty())
      out += "\n\n";
    out += line;
  };
  add_line(tags);
  if (text.find(link) == std::string_view::npos)
    add_line(link);
  return out;
}

} // namespace carillon
