#include "outbound/delivery/web_push/vapid.hpp"

#include <nlohmann/json.hpp>

#include "domain/base64url.hpp"

namespace carillon::outbound {

namespace {

/// At most 24 hours (RFC 8292 §2); less, for clocks that differ.
constexpr std::chrono::hours token_life{12};

} // namespace

result<std::string> make_vapid_key() {
  const auto key = p256_key::generate();
  if (!key)
    return key.error();
  return encode_base64url(key->scalar());
}

vapid_signer::vapid_signer(p256_key key, std::string subject)
  : key_(std::move(key)), subject_(std::move(subject)), public_key_(encode_base64url(key_.point())) {
}

result<vapid_signer> vapid_signer::from(std::string_view private_key, std::string subject) {
  const auto scalar = decode_base64url(private_key);
  if (!scalar)
    return failure{errc::invalid_argument, "a VAPID key is base64url of 32 bytes", {}, {}};
  auto key = p256_key::from_scalar(*scalar);
  if (!key)
    return std::move(key).error();
  return vapid_signer{std::move(*key), std::move(subject)};
}

result<std::string> vapid_signer::authorization(std::string_view origin, instant now) const {
  using nlohmann::json;
  const auto expires = std::chrono::floor<std::chrono::seconds>((now + token_life).time_since_epoch()).count();
  const json header{{"alg", "ES256"}, {"typ", "JWT"}};
  const json claims{{"aud", origin}, {"exp", expires}, {"sub", subject_}};
  auto token = encode_base64url(header.dump()) + '.' + encode_base64url(claims.dump());
  const auto signature = key_.sign(token);
  if (!signature)
    return signature.error();
  token += '.' + encode_base64url(*signature);
  return "vapid t=" + token + ", k=" + public_key_;
}

} // namespace carillon::outbound
