#include "http/json_text.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"

namespace carillon::http {

namespace {

bool is_plain_json_character(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

void append_escaped_character(std::string& out, char c) {
  static constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20) {
    out += c;
    return;
  }
  out += "\\u00";
  out += digits[byte >> 4];
  out += digits[byte & 0xf];
}

} // namespace

void append_json_text(std::string& out, std::string_view text) {
  auto plain_end = std::find_if_not(text.begin(), text.end(), is_plain_json_character);
  if (plain_end != text.end() && !is_valid_utf8(text)) {
    out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return;
  }
  out += '"';
  out.append(text.begin(), plain_end);
  for (; plain_end != text.end(); ++plain_end)
    append_escaped_character(out, *plain_end);
  out += '"';
}

} // namespace carillon::http
