#include "http/target.hpp"

#include "domain/text.hpp"

#include <utility>

namespace carillon::http {

namespace {

enum class decoding { path, query };

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode(std::string_view text, decoding kind) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' && kind == decoding::query) {
      out += ' ';
    } else if (c != '%') {
      out += c;
    } else {
      if (i + 2 >= text.size())
        return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0)
        return std::nullopt;
      const char decoded = static_cast<char>(high * 16 + low);
      // A decoded slash would move the borders between segments.
      if (decoded == '/' && kind == decoding::path)
        out += "%2F";
      else
        out += decoded;
      i += 2;
    }
    if (out.back() == '\0')
      return std::nullopt;
  }
  if (!is_valid_utf8(out))
    return std::nullopt;
  return out;
}

} // namespace

std::optional<std::map<std::string, std::string>>
parse_query(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty())
      continue;
    const auto equals = pair.find('=');
    auto name = decode(pair.substr(0, equals), decoding::query);
    auto value = equals == std::string_view::npos
                   ? std::optional<std::string>{std::string{}}
                   : decode(pair.substr(equals + 1), decoding::query);
    if (!name || !value)
      return std::nullopt;
    out.insert_or_assign(std::move(*name), std::move(*value));
  }
  return out;
}

std::optional<target> parse_target(std::string_view text) {
  if (text == "*")
    return target{"*", {}};
  if (!text.starts_with('/')) {
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos
        || (text.substr(0, scheme_end) != "http"
            && text.substr(0, scheme_end) != "https"))
      return std::nullopt;
    text.remove_prefix(scheme_end + 3);
    const auto authority_end = text.find_first_of("/?");
    text.remove_prefix(authority_end == std::string_view::npos ? text.size()
                                                               : authority_end);
  }
  text = text.substr(0, text.find('#'));
  const auto question = text.find('?');
  auto path = decode(text.substr(0, question), decoding::path);
  auto query = question == std::string_view::npos
                 ? std::optional<std::map<std::string, std::string>>{std::map<
                   std::string, std::string>{}}
                 : parse_query(text.substr(question + 1));
  if (!path || !query)
    return std::nullopt;
  if (path->empty())
    *path = "/";
  return target{std::move(*path), std::move(*query)};
}

std::string percent_encode(std::string_view text, std::string_view also_kept) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9') || c == '-' || c == '.'
                            || c == '_' || c == '~';
    if (unreserved || also_kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 0xf];
    }
  }
  return out;
}

} // namespace carillon::http
