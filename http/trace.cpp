#include "http/trace.hpp"

#include "domain/ids.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdint>

namespace carillon::http {

namespace {

constexpr std::size_t version_length = 2;
constexpr std::size_t trace_id_length = 32;
constexpr std::size_t parent_id_length = 16;
constexpr std::size_t flags_length = 2;
constexpr std::size_t whole_length
  = version_length + trace_id_length + parent_id_length + flags_length + 3;

bool is_lower_hex(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_all_zero(std::string_view text) noexcept {
  return text.find_first_not_of('0') == std::string_view::npos;
}

} // namespace

std::optional<std::string> parse_trace_id(std::string_view text) {
  if (text.size() < whole_length)
    return std::nullopt;
  const auto version = text.substr(0, version_length);
  const auto trace = text.substr(3, trace_id_length);
  const auto parent = text.substr(36, parent_id_length);
  const auto flags = text.substr(53, flags_length);
  // A later version may append fields; this one has none.
  const bool right_length = version == "00" ? text.size() == whole_length
                                            : text.size() == whole_length
                                                || text[whole_length] == '-';
  if (!right_length || version == "ff" || text[2] != '-' || text[35] != '-'
      || text[52] != '-' || !is_lower_hex(version) || !is_lower_hex(trace)
      || !is_lower_hex(parent) || !is_lower_hex(flags) || is_all_zero(trace)
      || is_all_zero(parent))
    return std::nullopt;
  return std::string{trace};
}

std::string make_trace_id() {
  std::array<std::uint8_t, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    bytes = make_uuid_v7().bytes; // Unique is enough: this is no secret.
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (auto byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 0xf];
  }
  return out;
}

} // namespace carillon::http
