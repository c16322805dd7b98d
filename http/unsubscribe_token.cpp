#include "http/unsubscribe_token.hpp"

#include <algorithm>

#include "domain/base64url.hpp"
#include "http/hmac.hpp"
#include "http/token.hpp"

namespace carillon::http {

namespace {

constexpr std::size_t ids_size = 32;
constexpr std::size_t longest_about = 50;
constexpr std::size_t longest_token = 400;

void append(std::string& out, const uuid& id) {
  out.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

uuid read_id_at(std::string_view bytes, std::size_t from) {
  uuid id;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), id.bytes.size(), id.bytes.begin());
  return id;
}

} // namespace

std::string make_unsubscribe_token(const std::string& key, const unsubscribe_link& link) {
  std::string payload;
  append(payload, link.tenant.value);
  append(payload, link.user.value);
  payload += link.about;
  return encode_base64url(payload) + "." + encode_base64url(hmac_sha256(key, payload));
}

std::optional<unsubscribe_link> read_unsubscribe_token(const std::vector<std::string>& keys, std::string_view token) {
  const auto dot = token.find('.');
  if (token.size() > longest_token || dot == token.npos)
    return std::nullopt;
  const auto payload = decode_base64url(token.substr(0, dot));
  const auto signature = decode_base64url(token.substr(dot + 1));
  if (!payload || !signature || payload->size() <= ids_size || payload->size() > ids_size + longest_about)
    return std::nullopt;
  const bool genuine = std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    return equal_in_constant_time(hmac_sha256(key, *payload), *signature);
  });
  if (!genuine)
    return std::nullopt;
  return unsubscribe_link{{read_id_at(*payload, 0)}, {read_id_at(*payload, 16)}, payload->substr(ids_size)};
}

std::vector<notification_type> types_about(std::string_view about) {
  std::vector<notification_type> out;
  for (const auto type : values_of<notification_type>())
    if (to_string(type) == about || to_string(category(type)) == about)
      out.push_back(type);
  return out;
}

std::string unsubscribe_key(std::string_view secret) {
  return hmac_sha256(secret, "carillon unsubscribe links");
}

} // namespace carillon::http
