#include "http/sandbox/form.hpp"

#include "http/target.hpp"

#include <algorithm>

namespace carillon::http::sandbox {

namespace {

constexpr std::size_t most_parts = 32;
constexpr std::size_t most_fields = 64;
constexpr std::size_t most_boundary_bytes = 70; // RFC 2046 §5.1.1

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The parameter of `form-data; name="file"; filename="a \"b\".png"`.
std::optional<std::string> parameter(std::string_view header,
                                     std::string_view wanted) {
  auto at = header.find(';');
  while (at != std::string_view::npos) {
    auto rest = header.substr(at + 1);
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos)
      return std::nullopt;
    const auto name = lower_case(trimmed(rest.substr(0, equals)));
    const auto offset = at + 1 + equals + 1;
    rest = header.substr(offset);
    std::string value;
    std::size_t used = 0;
    if (rest.starts_with('"')) {
      for (used = 1; used < rest.size() && rest[used] != '"'; ++used) {
        if (rest[used] == '\\' && used + 1 < rest.size()
            && (rest[used + 1] == '"' || rest[used + 1] == '\\'))
          ++used;
        value += rest[used];
      }
    } else {
      used = std::min(rest.find(';'), rest.size());
      value = trimmed(rest.substr(0, used));
    }
    if (name == wanted)
      return value;
    at = header.find(';', offset + used);
  }
  return std::nullopt;
}

/// The headers of a part; false when one is malformed.
bool read_headers(std::string_view lines, form_part& out) {
  bool named = false;
  while (!lines.empty()) {
    const auto end = std::min(lines.find("\r\n"), lines.size());
    const auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      return false;
    const auto name = lower_case(trimmed(line.substr(0, colon)));
    const auto value = trimmed(line.substr(colon + 1));
    if (name == "content-type") {
      out.content_type = lower_case(trimmed(value.substr(0, value.find(';'))));
    } else if (name == "content-disposition") {
      const auto field = parameter(value, "name");
      if (!field)
        return false;
      out.name = *field;
      out.file_name = parameter(value, "filename");
      named = true;
    }
  }
  return named;
}

} // namespace

std::optional<std::vector<form_part>>
parse_multipart(std::string_view content_type, std::string_view body) {
  if (!lower_case(content_type).starts_with("multipart/form-data"))
    return std::nullopt;
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > most_boundary_bytes)
    return std::nullopt;
  const auto opening = "--" + *boundary;
  const auto delimiter = "\r\n" + opening;
  if (!body.starts_with(opening))
    return std::nullopt;
  body.remove_prefix(opening.size());
  std::vector<form_part> out;
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n") || out.size() == most_parts)
      return std::nullopt;
    body.remove_prefix(2);
    const auto head = body.find("\r\n\r\n");
    if (head == std::string_view::npos)
      return std::nullopt;
    form_part part;
    if (!read_headers(body.substr(0, head), part))
      return std::nullopt;
    body.remove_prefix(head + 4);
    const auto end = body.find(delimiter);
    if (end == std::string_view::npos)
      return std::nullopt;
    part.content = body.substr(0, end);
    body.remove_prefix(end + delimiter.size());
    out.push_back(std::move(part));
  }
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>>
parse_fields(std::string_view body) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!body.empty()) {
    const auto end = std::min(body.find('&'), body.size());
    const auto one = parse_query(body.substr(0, end));
    body.remove_prefix(std::min(end + 1, body.size()));
    if (!one || out.size() + one->size() > most_fields)
      return std::nullopt;
    for (const auto& [name, value] : *one)
      out.emplace_back(name, value);
  }
  return out;
}

} // namespace carillon::http::sandbox
