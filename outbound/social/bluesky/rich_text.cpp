#include "outbound/social/bluesky/rich_text.hpp"

#include <algorithm>

#include "outbound/social/graphemes.hpp"

namespace carillon::outbound::bluesky {

namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::size_t most_tag_graphemes = 64;
constexpr std::size_t most_tag_bytes = 640;
constexpr std::size_t most_handle_bytes = 253;

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// The word without the punctuation at its end; a bracket stays when the word
/// opened it.
std::string_view trimmed_word(std::string_view word) {
  while (!word.empty()) {
    const char last = word.back();
    if (last == ')' && std::count(word.begin(), word.end(), '(') >= std::count(word.begin(), word.end(), ')'))
      break;
    if (std::string_view{".,;:!?'\")]}"}.find(last) == std::string_view::npos)
      break;
    word.remove_suffix(1);
  }
  return word;
}

std::string_view word_at(std::string_view text, std::size_t at) {
  const auto rest = text.substr(at);
  return trimmed_word(rest.substr(0, rest.find_first_of(blanks)));
}

bool begins_word(std::string_view text, std::size_t at) {
  return at == 0 || blanks.find(text[at - 1]) != std::string_view::npos || text[at - 1] == '(';
}

/// As much of `text` as can be a handle: labels of letters, digits and
/// hyphens, at least two.
std::string_view handle_in(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_letter_or_digit(text[end]) || text[end] == '-' || text[end] == '.'))
    ++end;
  auto out = trimmed_word(text.substr(0, end));
  const auto dot = out.rfind('.');
  if (out.size() > most_handle_bytes || dot == std::string_view::npos || dot == 0 || dot + 1 == out.size()
      || out.find("..") != std::string_view::npos || (out[dot + 1] >= '0' && out[dot + 1] <= '9'))
    return {};
  return out;
}

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= most_tag_bytes && tag.find('#') == std::string_view::npos
         && tag.find_first_not_of("0123456789") != std::string_view::npos && count_graphemes(tag) <= most_tag_graphemes;
}

} // namespace

std::vector<facet> find_facets(std::string_view text) {
  std::vector<facet> out;
  for (std::size_t i = 0; i < text.size();) {
    if (!begins_word(text, i)) {
      ++i;
      continue;
    }
    const auto word = word_at(text, i);
    facet found;
    found.begin = i;
    if ((word.starts_with("https://") && word.size() > 8) || (word.starts_with("http://") && word.size() > 7)) {
      found.what = facet::kind::link;
      found.value = word;
      found.end = i + word.size();
    } else if (word.starts_with('#') && is_tag(word.substr(1))) {
      found.what = facet::kind::tag;
      found.value = word.substr(1);
      found.end = i + word.size();
    } else if (word.starts_with('@')) {
      if (const auto handle = handle_in(word.substr(1)); !handle.empty()) {
        found.what = facet::kind::mention;
        found.value = handle;
        found.end = i + 1 + handle.size();
      }
    }
    if (found.end > found.begin) {
      i = found.end;
      out.push_back(std::move(found));
    } else {
      ++i;
    }
  }
  return out;
}

} // namespace carillon::outbound::bluesky
