#include "http/multipart.hpp"

#include <algorithm>

#include "domain/text.hpp"

namespace carillon::http {

namespace {

constexpr std::size_t longest_boundary = 70;
constexpr std::size_t longest_head = 4 * 1024;
constexpr std::size_t longest_preamble = 4 * 1024;
/// Blanks that may stand behind a boundary (RFC 2046 §5.1.1).
constexpr std::size_t longest_padding = 64;
constexpr int most_parts = 32;

failure malformed_form(const char* why) {
  return {errc::invalid_argument, why, {{"body", "The form is malformed."}}, {}};
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size()
         && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view without_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// `; name=value` and `; name="value"` behind the first word of a header.
std::optional<std::string> parameter_of(std::string_view header, std::string_view wanted) {
  auto at = header.find(';');
  while (at != std::string_view::npos) {
    header.remove_prefix(at + 1);
    const auto equals = header.find_first_of("=;");
    if (equals == std::string_view::npos)
      return std::nullopt;
    if (header[equals] == ';') {
      at = equals;
      continue;
    }
    const auto name = without_blanks(header.substr(0, equals));
    header.remove_prefix(equals + 1);
    header.remove_prefix(std::min(header.find_first_not_of(" \t"), header.size()));
    std::string value;
    if (header.starts_with('"')) {
      std::size_t i = 1;
      for (; i < header.size() && header[i] != '"'; ++i) {
        // A backslash stands for itself unless it hides a quote or another:
        // file names of Windows come with bare ones.
        if (header[i] == '\\' && i + 1 < header.size() && (header[i + 1] == '"' || header[i + 1] == '\\'))
          ++i;
        value += header[i];
      }
      if (i >= header.size())
        return std::nullopt;
      header.remove_prefix(i + 1);
    } else {
      value = without_blanks(header.substr(0, header.find(';')));
    }
    if (equal_ignoring_case(name, wanted))
      return value;
    at = header.find(';');
  }
  return std::nullopt;
}

std::string_view first_word_of(std::string_view header) {
  return without_blanks(header.substr(0, header.find(';')));
}

/// Of the characters that RFC 2046 §5.1.1 allows, and no blank at its end.
bool is_boundary(std::string_view text) {
  return !text.empty() && text.size() <= longest_boundary && text.back() != ' '
         && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                     || std::string_view{"'()+_,-./:=? "}.find(c) != std::string_view::npos;
            });
}

/// Nothing when the lines are no head of a form's part.
std::optional<part_head> parse_part_head(std::string_view lines) {
  part_head out;
  bool has_name = false;
  while (!lines.empty()) {
    const auto end = lines.find("\r\n");
    const auto line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      return std::nullopt;
    const auto name = line.substr(0, colon);
    const auto value = without_blanks(line.substr(colon + 1));
    if (equal_ignoring_case(name, "content-type")) {
      out.content_type = value;
    } else if (equal_ignoring_case(name, "content-disposition")) {
      if (has_name || !equal_ignoring_case(first_word_of(value), "form-data"))
        return std::nullopt;
      auto field = parameter_of(value, "name");
      if (!field)
        return std::nullopt;
      out.name = std::move(*field);
      out.file_name = parameter_of(value, "filename");
      has_name = true;
    }
  }
  if (!has_name || !is_valid_utf8(out.name) || !is_valid_utf8(out.content_type)
      || !is_valid_utf8(out.file_name.value_or("")))
    return std::nullopt;
  return out;
}

} // namespace

multipart_reader::multipart_reader(std::string delimiter, part_events events)
  : delimiter_(std::move(delimiter)), events_(std::move(events)),
    // The first boundary may stand at the very beginning.
    held_("\r\n") {
}

std::optional<multipart_reader> multipart_reader::from(std::string_view content_type, part_events events) {
  if (!equal_ignoring_case(first_word_of(content_type), "multipart/form-data"))
    return std::nullopt;
  const auto boundary = parameter_of(content_type, "boundary");
  if (!boundary || !is_boundary(*boundary))
    return std::nullopt;
  return multipart_reader{"\r\n--" + *boundary, std::move(events)};
}

std::optional<failure> multipart_reader::feed(std::string_view bytes) {
  if (place_ == place::epilogue)
    return std::nullopt; // To be ignored (RFC 2046 §5.1.1).
  held_ += bytes;
  for (;;) {
    auto went_on = step();
    if (!went_on)
      return std::move(went_on).error();
    if (!*went_on)
      return std::nullopt;
  }
}

std::optional<failure> multipart_reader::finish() {
  if (place_ != place::epilogue)
    return malformed_form("the form has no end");
  return std::nullopt;
}

result<bool> multipart_reader::step() {
  switch (place_) {
    case place::preamble:
    case place::content:
      return read_content();
    case place::delimiter:
      return read_delimiter();
    case place::head:
      return read_head();
    case place::epilogue:
      held_.clear();
      return false;
  }
  return false;
}

result<bool> multipart_reader::read_content() {
  const auto at = held_.find(delimiter_);
  const bool found = at != std::string::npos;
  // The last bytes may be the beginning of a delimiter.
  const auto decided = found ? at : held_.size() - std::min(held_.size(), delimiter_.size() - 1);
  if (place_ == place::preamble) {
    before_first_ += decided;
    if (before_first_ > longest_preamble)
      return malformed_form("no boundary");
  } else if (decided > 0) {
    if (auto refused = events_.on_bytes(std::string_view{held_}.substr(0, decided)))
      return std::move(*refused);
  }
  held_.erase(0, decided + (found ? delimiter_.size() : 0));
  if (!found)
    return false;
  if (place_ == place::content)
    if (auto refused = events_.on_part_end())
      return std::move(*refused);
  place_ = place::delimiter;
  return true;
}

result<bool> multipart_reader::read_delimiter() {
  if (held_.size() < 2)
    return false;
  if (held_.starts_with("--")) {
    place_ = place::epilogue;
    return true;
  }
  const auto end = held_.find_first_not_of(" \t");
  if (end == std::string::npos || end > longest_padding || held_.size() < end + 2) {
    if (std::min(end, held_.size()) > longest_padding)
      return malformed_form("a boundary has no end");
    return false;
  }
  if (held_.compare(end, 2, "\r\n") != 0)
    return malformed_form("a boundary has no end");
  // The line's end stays: a head may be empty, and then ends at once.
  held_.erase(0, end);
  place_ = place::head;
  return true;
}

result<bool> multipart_reader::read_head() {
  const auto end = held_.find("\r\n\r\n");
  if (std::min(end, held_.size()) > longest_head)
    return malformed_form("a part's head is too long");
  if (end == std::string::npos)
    return false;
  if (++parts_ > most_parts)
    return malformed_form("too many parts");
  const auto lines = end < 2 ? std::string_view{} : std::string_view{held_}.substr(2, end - 2);
  const auto head = parse_part_head(lines);
  if (!head)
    return malformed_form("a part's head cannot be read");
  // What follows may begin with a delimiter, whose CRLF is not the head's.
  held_.erase(0, end + 4);
  if (auto refused = events_.on_part(*head))
    return std::move(*refused);
  place_ = place::content;
  return true;
}

} // namespace carillon::http
