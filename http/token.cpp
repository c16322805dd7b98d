#include "http/token.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace carillon::http {

namespace {

constexpr std::size_t random_characters = 40;
/// No secret of ours is longer; a longer one costs no hashing.
constexpr std::size_t longest_presented = 512;
constexpr std::string_view alphabet
  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view hex_digits = "0123456789abcdef";

/// CRC-32 of IEEE 802.3, as eight hex digits.
std::string crc32_hex(std::string_view text) {
  std::uint32_t crc = 0xffffffffU;
  for (char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  crc = ~crc;
  std::string out;
  for (int shift = 28; shift >= 0; shift -= 4)
    out += hex_digits[(crc >> shift) & 0xfU];
  return out;
}

} // namespace

std::optional<presented_token> parse_bearer(std::string_view header) {
  constexpr std::string_view scheme = "bearer ";
  if (header.size() <= scheme.size() || header.size() > longest_presented)
    return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = header[i];
    const char lower
      = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != scheme[i])
      return std::nullopt;
  }
  header.remove_prefix(scheme.size());
  while (header.starts_with(' '))
    header.remove_prefix(1);
  const auto bar = header.find('|');
  if (bar == std::string_view::npos) {
    if (header.empty())
      return std::nullopt;
    return presented_token{std::nullopt, std::string{header}};
  }
  std::int64_t id = 0;
  const auto* const end = header.data() + bar;
  const auto [stop, ec] = std::from_chars(header.data(), end, id);
  if (ec != std::errc{} || stop != end || id <= 0 || bar + 1 == header.size())
    return std::nullopt;
  return presented_token{id, std::string{header.substr(bar + 1)}};
}

std::string make_token_secret() {
  // The largest multiple of 62 below 256 keeps every character equally likely.
  constexpr unsigned char fair_below = 248;
  std::string out;
  std::array<unsigned char, 64> bytes{};
  while (out.size() < random_characters) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
      throw std::runtime_error{"no randomness for a token"};
    for (auto byte : bytes)
      if (byte < fair_below && out.size() < random_characters)
        out += alphabet[byte % alphabet.size()];
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return out + crc32_hex(out);
}

std::string hash_token_secret(std::string_view secret) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(secret.data(), secret.size(), digest.data(), &length,
                 EVP_sha256(), nullptr)
      != 1)
    throw std::runtime_error{"SHA-256 is not available"};
  std::string out;
  for (unsigned int i = 0; i < length; ++i) {
    out += hex_digits[digest[i] >> 4];
    out += hex_digits[digest[i] & 0xf];
  }
  return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size()
         && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

result<issued_token> issue_token(auth_store& store, const scope& s,
                                 user_id user, issue_reason reason,
                                 std::chrono::seconds lifetime,
                                 std::string name) {
  const auto secret = make_token_secret();
  const new_token token{std::move(name), hash_token_secret(secret), lifetime};
  const auto id
    = reason == issue_reason::refresh
        ? store.replace_tokens(s, user, token)
        : store.add_token(s, user, token, reason == issue_reason::login);
  if (!id)
    return id.error();
  return issued_token{*id, std::to_string(*id) + "|" + secret};
}

} // namespace carillon::http
