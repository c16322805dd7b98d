// What makes two texts the same post. The rule that everything here serves:
// normalise_text(t) equals normalise_text(what a network shows for t). A
// miss would count a public post as absent and send it a second time, so
// where in doubt both sides lose the same detail.
//
// Removing mark-up and decoding entities repeats until nothing changes: one
// round turns a network's HTML back into the text that was sent, and from
// there both sides run through the same rounds, also when the text itself
// holds `<b>` or `&amp;`.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "domain/ports/social_gateway.hpp"

namespace carillon {

namespace {

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_alnum(char c) {
  return is_alpha(c) || (c >= '0' && c <= '9');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool starts_with_no_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size()
         && lowered(text.substr(0, prefix.size())) == prefix;
}

// -- characters -----------------------------------------------------------------

void append_utf8(std::string& out, std::uint32_t c) {
  auto put = [&out](std::uint32_t byte) {
    out += static_cast<char>(byte);
  };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6));
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3f));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

/// The length in bytes of the white space or invisible filler that `text`
/// begins with, 0 when it begins with anything else.
std::size_t blank_at(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first <= 0x20 || first == 0x7f)
    return 1;
  // NEL, no-break space, ogham space, the spaces of U+2000 to U+200B, line and
  // paragraph separator, narrow and mathematical space, word joiner,
  // ideographic space, byte order mark.
  constexpr std::string_view others[] = {
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
    "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000",
    "\ufeff",
  };
  if (first < 0xc2)
    return 0;
  for (auto blank : others)
    if (text.starts_with(blank))
      return blank.size();
  return 0;
}

std::string collapse_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool gap = false;
  while (!text.empty()) {
    if (auto n = blank_at(text)) {
      gap = true;
      text.remove_prefix(n);
      continue;
    }
    if (gap && !out.empty())
      out += ' ';
    gap = false;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

// -- entities -------------------------------------------------------------------

struct named_entity {
  std::string_view name;
  std::uint32_t character;
};

constexpr named_entity named_entities[] = {
  {"amp", '&'},       {"lt", '<'},        {"gt", '>'},
  {"quot", '"'},      {"apos", '\''},     {"nbsp", 0xa0},
  {"iexcl", 0xa1},    {"cent", 0xa2},     {"pound", 0xa3},
  {"yen", 0xa5},      {"sect", 0xa7},     {"copy", 0xa9},
  {"laquo", 0xab},    {"shy", 0xad},      {"reg", 0xae},
  {"deg", 0xb0},      {"plusmn", 0xb1},   {"sup2", 0xb2},
  {"sup3", 0xb3},     {"acute", 0xb4},    {"micro", 0xb5},
  {"para", 0xb6},     {"middot", 0xb7},   {"raquo", 0xbb},
  {"frac14", 0xbc},   {"frac12", 0xbd},   {"frac34", 0xbe},
  {"iquest", 0xbf},   {"Agrave", 0xc0},   {"Aacute", 0xc1},
  {"Acirc", 0xc2},    {"Atilde", 0xc3},   {"Auml", 0xc4},
  {"Aring", 0xc5},    {"AElig", 0xc6},    {"Ccedil", 0xc7},
  {"Egrave", 0xc8},   {"Eacute", 0xc9},   {"Ecirc", 0xca},
  {"Euml", 0xcb},     {"Ntilde", 0xd1},   {"Oacute", 0xd3},
  {"Ouml", 0xd6},     {"times", 0xd7},    {"Oslash", 0xd8},
  {"Uacute", 0xda},   {"Uuml", 0xdc},     {"szlig", 0xdf},
  {"agrave", 0xe0},   {"aacute", 0xe1},   {"acirc", 0xe2},
  {"atilde", 0xe3},   {"auml", 0xe4},     {"aring", 0xe5},
  {"aelig", 0xe6},    {"ccedil", 0xe7},   {"egrave", 0xe8},
  {"eacute", 0xe9},   {"ecirc", 0xea},    {"euml", 0xeb},
  {"igrave", 0xec},   {"iacute", 0xed},   {"icirc", 0xee},
  {"iuml", 0xef},     {"ntilde", 0xf1},   {"ograve", 0xf2},
  {"oacute", 0xf3},   {"ocirc", 0xf4},    {"otilde", 0xf5},
  {"ouml", 0xf6},     {"divide", 0xf7},   {"oslash", 0xf8},
  {"ugrave", 0xf9},   {"uacute", 0xfa},   {"ucirc", 0xfb},
  {"uuml", 0xfc},     {"ndash", 0x2013},  {"mdash", 0x2014},
  {"lsquo", 0x2018},  {"rsquo", 0x2019},  {"sbquo", 0x201a},
  {"ldquo", 0x201c},  {"rdquo", 0x201d},  {"bdquo", 0x201e},
  {"bull", 0x2022},   {"hellip", 0x2026}, {"prime", 0x2032},
  {"lsaquo", 0x2039}, {"rsaquo", 0x203a}, {"euro", 0x20ac},
  {"trade", 0x2122},  {"larr", 0x2190},   {"uarr", 0x2191},
  {"rarr", 0x2192},   {"darr", 0x2193},   {"ensp", 0x2002},
  {"emsp", 0x2003},   {"thinsp", 0x2009}, {"zwnj", 0x200c},
  {"zwj", 0x200d},
};

std::optional<std::uint32_t> character_of(std::string_view reference) {
  if (!reference.starts_with('#')) {
    for (auto& e : named_entities)
      if (e.name == reference)
        return e.character;
    return std::nullopt;
  }
  reference.remove_prefix(1);
  int base = 10;
  if (reference.starts_with('x') || reference.starts_with('X')) {
    base = 16;
    reference.remove_prefix(1);
  }
  std::uint32_t value = 0;
  const auto* end = reference.data() + reference.size();
  auto [at, error] = std::from_chars(reference.data(), end, value, base);
  if (reference.empty() || at != end || error != std::errc{})
    return std::nullopt;
  if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
    return std::nullopt;
  return value;
}

/// Decodes the reference that `text` begins with and removes it from `text`;
/// false, and nothing done, when there is none.
bool take_entity(std::string_view& text, std::string& out) {
  const auto end = text.substr(0, 12).find(';');
  if (!text.starts_with('&') || end == text.npos)
    return false;
  auto c = character_of(text.substr(1, end - 1));
  if (!c)
    return false;
  append_utf8(out, *c);
  text.remove_prefix(end + 1);
  return true;
}

std::string decode_entities(std::string_view text) {
  std::string out;
  while (!text.empty())
    if (!take_entity(text, out)) {
      out += text.front();
      text.remove_prefix(1);
    }
  return out;
}

// -- links ----------------------------------------------------------------------

/// Removes what networks leave out when they show an address.
std::string_view without_scheme(std::string_view url) {
  for (auto scheme : {"https://", "http://"})
    if (starts_with_no_case(url, scheme)) {
      url.remove_prefix(std::string_view{scheme}.size());
      break;
    }
  if (starts_with_no_case(url, "www."))
    url.remove_prefix(4);
  return url;
}

/// The text of a link: the whole address when the network cut it short.
std::string shown_link(std::string_view shown, std::string_view href) {
  auto head = shown;
  for (auto ellipsis : {"\u2026", "..."})
    if (head.ends_with(ellipsis)) {
      head.remove_suffix(std::string_view{ellipsis}.size());
      break;
    }
  const auto reduced = without_scheme(head);
  const bool cut = head.size() < shown.size() && !reduced.empty()
                   && without_scheme(href).starts_with(reduced);
  return std::string{cut ? href : shown};
}

bool ends_address(char c) {
  constexpr std::string_view enders = " <>\"";
  return enders.find(c) != enders.npos;
}

/// `https://www.Example.com/` and `example.com` agree afterwards.
void append_reduced_address(std::string& out, std::string_view url) {
  url = without_scheme(url);
  const auto host_end = std::min(url.find_first_of("/?#"), url.size());
  out += lowered(url.substr(0, host_end));
  url.remove_prefix(host_end);
  if (url.ends_with('/'))
    url.remove_suffix(1);
  out += url;
}

bool is_name_char(char c) {
  return is_alnum(c) || c == '_' || c == '.' || c == '-';
}

/// The length of the `@name` of a `@name@server` that `text` begins with,
/// with in `whole` the length of all of it; 0 for anything else.
std::size_t mention_at(std::string_view text, std::size_t& whole) {
  auto name_end = [text](std::size_t from) {
    auto i = from;
    while (i < text.size() && is_name_char(text[i]))
      ++i;
    while (i > from && !is_alnum(text[i - 1]) && text[i - 1] != '_')
      --i; // a full stop ends a sentence, not a name
    return i;
  };
  const auto name = name_end(1);
  if (name == 1 || name >= text.size() || text[name] != '@')
    return 0;
  whole = name_end(name + 1);
  return whole == name + 1 ? 0 : name;
}

/// Networks show `@name@server` as `@name`, and addresses without scheme.
std::string reduce_links(std::string_view text) {
  std::string out;
  bool in_word = false;
  while (!text.empty()) {
    std::size_t whole = 0;
    if (!in_word && text.front() == '@') {
      if (auto name = mention_at(text, whole)) {
        out += text.substr(0, name);
        text.remove_prefix(whole);
        in_word = true;
        continue;
      }
    }
    if (!in_word
        && (starts_with_no_case(text, "https://")
            || starts_with_no_case(text, "http://")
            || starts_with_no_case(text, "www."))) {
      const auto end = std::find_if(text.begin(), text.end(), ends_address);
      const auto length = static_cast<std::size_t>(end - text.begin());
      append_reduced_address(out, text.substr(0, length));
      text.remove_prefix(length);
      in_word = true;
      continue;
    }
    in_word = is_alnum(text.front()) || text.front() == '_';
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

// -- mark-up --------------------------------------------------------------------

struct tag {
  std::string name; ///< Lower case, with its slash when it closes.
  std::string href;
  std::size_t length = 0;
};

/// Reads one attribute at `at`, moves `at` behind it.
void read_attribute(std::string_view text, std::size_t& at, tag& into) {
  const auto name_from = at;
  while (at < text.size() && text[at] != '=' && text[at] != '>'
         && text[at] != '/' && blank_at(text.substr(at)) == 0)
    ++at;
  const auto name = text.substr(name_from, at - name_from);
  if (at >= text.size() || text[at] != '=')
    return;
  ++at;
  std::string_view value;
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
    const auto end = text.find(text[at], at + 1);
    value = text.substr(at + 1, end == text.npos ? end : end - at - 1);
    at = end == text.npos ? text.size() : end + 1;
  } else {
    const auto from = at;
    while (at < text.size() && text[at] != '>'
           && blank_at(text.substr(at)) == 0)
      ++at;
    value = text.substr(from, at - from);
  }
  if (lowered(name) == "href")
    into.href = decode_entities(value);
}

/// The tag that `text` begins with. `a < b` and `<3` are none, nor is
/// `<https://…>`. None reaches beyond the next `<`: reading them all takes no
/// longer than the text is.
std::optional<tag> read_tag(std::string_view text) {
  tag out;
  text = text.substr(0, text.find('<', 1));
  std::size_t at = 1;
  if (at < text.size() && text[at] == '/')
    ++at;
  if (at >= text.size() || !is_alpha(text[at]))
    return std::nullopt;
  while (at < text.size() && (is_alnum(text[at]) || text[at] == '-'))
    ++at;
  out.name = lowered(text.substr(1, at - 1));
  if (at >= text.size()
      || (text[at] != '>' && text[at] != '/'
          && blank_at(text.substr(at)) == 0))
    return std::nullopt;
  while (at < text.size() && text[at] != '>') {
    if (text[at] == '/')
      ++at;
    else if (auto n = blank_at(text.substr(at)))
      at += n;
    else if (text[at] == '=')
      ++at;
    else
      read_attribute(text, at, out);
  }
  if (at >= text.size())
    return std::nullopt;
  out.length = at + 1;
  return out;
}

bool breaks_line(std::string_view name) {
  constexpr std::string_view blocks[] = {
    "p",  "br", "div", "li", "ul", "ol",         "dl",  "dt",
    "dd", "h1", "h2",  "h3", "h4", "h5",         "h6",  "hr",
    "tr", "td", "th",  "table",    "blockquote", "pre", "section",
  };
  if (name.starts_with('/'))
    name.remove_prefix(1);
  return std::find(std::begin(blocks), std::end(blocks), name)
         != std::end(blocks);
}

/// One round: tags out, entities decoded.
std::string remove_mark_up(std::string_view text) {
  std::string out;
  std::string href;
  std::size_t link_from = std::string::npos;
  bool comments_end = true;
  while (!text.empty()) {
    if (comments_end && text.starts_with("<!--")) {
      const auto end = text.find("-->", 4);
      comments_end = end != text.npos;
      if (comments_end) {
        text.remove_prefix(end + 3);
        continue;
      }
    }
    if (text.front() == '<') {
      if (auto t = read_tag(text)) {
        text.remove_prefix(t->length);
        if (breaks_line(t->name))
          out += ' ';
        if (t->name == "a") {
          href = t->href;
          link_from = out.size();
        } else if (t->name == "/a" && link_from != std::string::npos) {
          auto shown = shown_link(std::string_view{out}.substr(link_from),
                                  href);
          out.replace(link_from, std::string::npos, shown);
          link_from = std::string::npos;
        }
        continue;
      }
    }
    if (take_entity(text, out))
      continue;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

/// Whoever writes a text chooses how deep it nests, so there is an end. What is
/// still not stable then comes from nobody who means to be read.
template <class Step>
std::string until_stable(std::string text, int most_rounds, Step step) {
  for (int i = 0; i < most_rounds; ++i) {
    auto next = step(text);
    if (next == text)
      break;
    text = std::move(next);
  }
  return text;
}

} // namespace

std::string normalise_text(std::string_view text) {
  return until_stable(std::string{text}, 4, [](std::string_view round) {
    auto plain = until_stable(
      collapse_blanks(round), 8,
      [](std::string_view t) { return collapse_blanks(remove_mark_up(t)); });
    return until_stable(std::move(plain), 8, [](std::string_view t) {
      return reduce_links(t);
    });
  });
}

} // namespace carillon
