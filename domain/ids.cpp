#include "domain/ids.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <random>
#include <utility>

namespace carillon {

namespace {

/// By character; -1: no digit.
constexpr auto hex_values = [] {
  std::array<std::int8_t, 256> out{};
  out.fill(-1);
  for (int i = 0; i < 10; ++i)
    out[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i)
    out[static_cast<std::size_t>('a' + i)] = out[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  return out;
}();

int hex_value(char c) noexcept {
  return hex_values[static_cast<unsigned char>(c)];
}

std::uint64_t unix_milliseconds() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
    duration_cast<milliseconds>(system_clock::now().time_since_epoch())
      .count());
}

} // namespace

// RFC 9562 §5.7 with the monotonic counter of §6.2 method 1: 12 bits of
// rand_a count within a millisecond and carry into the time when they
// overflow. The last byte stays random: it is the shard of a workspace.
uuid make_uuid_v7() {
  static std::mutex mutex;
  static std::mt19937_64 random{[] {
    std::random_device seed;
    std::seed_seq sequence{seed(), seed(), seed(), seed()};
    return std::mt19937_64{sequence};
  }()};
  static std::uint64_t last_stamp = 0; // 48 bits of time, 12 of counter

  std::lock_guard lock{mutex};
  const auto fresh = (unix_milliseconds() << 12) | (random() & 0x3ff);
  last_stamp = fresh > last_stamp ? fresh : last_stamp + 1;
  const auto tail = random();

  uuid id;
  const auto milliseconds = last_stamp >> 12;
  for (int i = 0; i < 6; ++i)
    id.bytes[i] = static_cast<std::uint8_t>(milliseconds >> (40 - 8 * i));
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | ((last_stamp >> 8) & 0x0f));
  id.bytes[7] = static_cast<std::uint8_t>(last_stamp & 0xff);
  for (int i = 0; i < 8; ++i)
    id.bytes[8 + i] = static_cast<std::uint8_t>(tail >> (56 - 8 * i));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));
  return id;
}

std::optional<uuid> parse_uuid_digits(std::string_view text) noexcept {
  uuid id;
  if (text.size() != 2 * id.bytes.size())
    return std::nullopt;
  for (std::size_t byte = 0; byte < id.bytes.size(); ++byte) {
    const auto high = hex_value(text[2 * byte]);
    const auto low = hex_value(text[2 * byte + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    id.bytes[byte] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return id;
}

std::optional<uuid> parse_uuid(std::string_view text) noexcept {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
    return std::nullopt;
  std::array<char, 32> digits;
  auto* out = digits.data();
  for (const auto& [from, count] : {std::pair{0, 8}, {9, 4}, {14, 4}, {19, 4}, {24, 12}})
    out = std::copy_n(text.data() + from, count, out);
  return parse_uuid_digits({digits.data(), digits.size()});
}

std::string to_string(const uuid& id) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      out += '-';
    out += digits[id.bytes[i] >> 4];
    out += digits[id.bytes[i] & 0x0f];
  }
  return out;
}

} // namespace carillon
