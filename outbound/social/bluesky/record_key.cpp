#include "outbound/social/bluesky/record_key.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <openssl/sha.h>

namespace carillon::outbound::bluesky {

namespace {

constexpr std::string_view tid_digits = "234567abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t tid_length = 13;

} // namespace

std::string record_key(instant made_at, std::string_view key, std::size_t part) {
  const auto seed = std::string{key} + '\n' + std::to_string(part);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(seed.data()), seed.size(), hash.data());
  std::uint64_t random = 0;
  for (std::size_t i = 0; i < 8; ++i)
    random = random << 8 | hash[i];
  // Before 1970 or after 2255 there is no TID: clamped, as no post is made then.
  const auto seconds = std::clamp<std::int64_t>(
    std::chrono::floor<std::chrono::seconds>(made_at.time_since_epoch()).count(), 0, 9'007'199'253);
  const auto microseconds = static_cast<std::uint64_t>(seconds) * 1'000'000 + (random >> 10) % 1'000'000;
  auto value = microseconds << 10 | (random & 0x3ff);
  std::string out(tid_length, tid_digits[0]);
  for (auto i = tid_length; i-- > 0; value >>= 5)
    out[i] = tid_digits[value & 31];
  return out;
}

bool is_tid(std::string_view text) noexcept {
  return text.size() == tid_length && tid_digits.substr(0, 16).find(text[0]) != std::string_view::npos
         && text.find_first_not_of(tid_digits) == std::string_view::npos;
}

} // namespace carillon::outbound::bluesky
