#include "http/media_link.hpp"

#include <algorithm>
#include <cstdint>

#include "domain/base64url.hpp"
#include "domain/media_content.hpp"
#include "http/hmac.hpp"
#include "http/token.hpp"

namespace carillon::http {

namespace {

constexpr std::size_t link_head_size = 16 + 16 + 8;
constexpr std::size_t link_signature_size = 32;
constexpr std::size_t longest_linked_path = 1'000;
/// What that makes in base64url, with its signature.
constexpr std::size_t longest_media_token = 1'500;

void append_big_endian(std::string& out, std::int64_t seconds) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint64_t>(seconds) >> shift & 255U);
}

std::int64_t read_big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes)
    out = out << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(out);
}

struct token_parts {
  std::string payload;
  std::string signature;
};

std::optional<token_parts> split_token(std::string_view token) {
  const auto dot = token.find('.');
  if (token.size() > longest_media_token || dot == token.npos)
    return std::nullopt;
  auto payload = decode_base64url(token.substr(0, dot));
  auto signature = decode_base64url(token.substr(dot + 1));
  if (!payload || !signature || payload->size() <= link_head_size || signature->size() != link_signature_size)
    return std::nullopt;
  return token_parts{std::move(*payload), std::move(*signature)};
}

template <class Id>
void append_link_id(std::string& out, const Id& id) {
  out.append(reinterpret_cast<const char*>(id.value.bytes.data()), id.value.bytes.size());
}

template <class Id>
Id read_link_id(std::string_view bytes) {
  Id id;
  std::copy_n(bytes.begin(), id.value.bytes.size(), id.value.bytes.begin());
  return id;
}

} // namespace

media_links::media_links(std::vector<std::string> keys, std::chrono::seconds lifetime)
  : keys_(std::move(keys)), lifetime_(lifetime) {
}

std::string media_links::make(const media_link& file, instant now) const {
  if (keys_.empty() || file.path.size() > longest_linked_path)
    return {};
  const auto ends = std::chrono::ceil<std::chrono::hours>(now + lifetime_);
  std::string payload;
  append_link_id(payload, file.tenant);
  append_link_id(payload, file.workspace);
  append_big_endian(payload, std::chrono::seconds{ends.time_since_epoch()}.count());
  payload += file.path;
  return encode_base64url(payload) + "." + encode_base64url(hmac_sha256(keys_.front(), payload));
}

std::optional<media_links::valid_link> media_links::read(std::string_view token, instant now) const {
  const auto parts = split_token(token);
  if (!parts)
    return std::nullopt;
  const bool genuine = std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) {
    return equal_in_constant_time(hmac_sha256(key, parts->payload), parts->signature);
  });
  if (!genuine)
    return std::nullopt;
  const std::string_view bytes{parts->payload};
  valid_link out{{read_link_id<tenant_id>(bytes), read_link_id<workspace_id>(bytes.substr(16)),
                  std::string{bytes.substr(link_head_size)}},
                 instant{std::chrono::seconds{read_big_endian(bytes.substr(32, 8))}}};
  if (out.ends <= now || !is_object_path(out.file.path))
    return std::nullopt;
  return out;
}

bool looks_like_media_token(std::string_view text) {
  return split_token(text).has_value();
}

std::string media_link_key(std::string_view secret) {
  return hmac_sha256(secret, "carillon media links");
}

} // namespace carillon::http
