#include "outbound/delivery/web_push/message_encryption.hpp"

#include "outbound/delivery/web_push/openssl_text.hpp"

#include <array>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace carillon::outbound {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t auth_size = 16;
constexpr std::size_t salt_size = 16;
constexpr std::size_t content_key_size = 16;
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
constexpr std::size_t secret_size = 32;
/// RFC 8188 §2.1: salt, record size, length of the key id, key id.
constexpr std::size_t header_size = salt_size + 4 + 1 + p256_point_size;
constexpr auto record_size = "\x00\x00\x10\x00"sv;
/// Ends the text of the last record, before any padding.
constexpr char last_record = '\x02';

struct kdf_closer {
  void operator()(EVP_KDF* p) const noexcept {
    EVP_KDF_free(p);
  }
  void operator()(EVP_KDF_CTX* p) const noexcept {
    EVP_KDF_CTX_free(p);
  }
  void operator()(EVP_CIPHER_CTX* p) const noexcept {
    EVP_CIPHER_CTX_free(p);
  }
};

/// HKDF with SHA-256 (RFC 5869), extract and expand.
result<std::string> hkdf(std::string_view salt, std::string_view secret, std::string_view info, std::size_t size) {
  const std::unique_ptr<EVP_KDF, kdf_closer> kind{EVP_KDF_fetch(nullptr, "HKDF", nullptr)};
  const std::unique_ptr<EVP_KDF_CTX, kdf_closer> context{kind ? EVP_KDF_CTX_new(kind.get()) : nullptr};
  if (!context)
    return crypto_failure("HKDF");
  std::string digest{"SHA256"}, s{salt}, k{secret}, i{info};
  const std::array<OSSL_PARAM, 5> params{
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, s.data(), s.size()),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, k.data(), k.size()),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, i.data(), i.size()), OSSL_PARAM_construct_end()};
  std::string out(size, '\0');
  if (EVP_KDF_derive(context.get(), bytes_of(out), out.size(), params.data()) != 1)
    return crypto_failure("HKDF");
  return out;
}

struct record_keys {
  std::string content_key;
  std::string nonce;
};

/// RFC 8291 §3.4.
result<record_keys> derive_keys(std::string_view shared, std::string_view auth, std::string_view receiver_point,
                                std::string_view sender_point, std::string_view salt) {
  std::string info{"WebPush: info\0"sv};
  info += receiver_point;
  info += sender_point;
  auto secret = hkdf(auth, shared, info, secret_size);
  if (!secret)
    return std::move(secret).error();
  auto key = hkdf(salt, *secret, "Content-Encoding: aes128gcm\0"sv, content_key_size);
  if (!key)
    return std::move(key).error();
  auto nonce = hkdf(salt, *secret, "Content-Encoding: nonce\0"sv, nonce_size);
  if (!nonce)
    return std::move(nonce).error();
  return record_keys{std::move(*key), std::move(*nonce)};
}

} // namespace

result<std::string> encrypt_push(std::string_view plain, const push_address& to, const p256_key& sender,
                                 std::string_view salt) {
  if (plain.size() > max_push_plain)
    return failure{errc::invalid_argument, "too long for a push message", {}, {}};
  if (to.auth.size() != auth_size || salt.size() != salt_size)
    return failure{errc::invalid_argument, "the auth secret of a subscription has 16 bytes", {}, {}};
  const auto shared = sender.agree(to.p256dh);
  if (!shared)
    return shared.error();
  const auto keys = derive_keys(*shared, to.auth, to.p256dh, sender.point(), salt);
  if (!keys)
    return keys.error();

  std::string record{plain};
  record += last_record;
  std::string out{salt};
  out += record_size;
  out += static_cast<char>(p256_point_size);
  out += sender.point();
  out.resize(header_size + record.size() + tag_size);
  auto* sealed = bytes_of(out) + header_size;
  const std::unique_ptr<EVP_CIPHER_CTX, kdf_closer> context{EVP_CIPHER_CTX_new()};
  int length = 0;
  if (!context
      || EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, bytes_of(std::string_view{keys->content_key}),
                            bytes_of(std::string_view{keys->nonce}))
           != 1
      || EVP_EncryptUpdate(context.get(), sealed, &length, bytes_of(std::string_view{record}),
                           static_cast<int>(record.size()))
           != 1
      || EVP_EncryptFinal_ex(context.get(), sealed + length, &length) != 1
      || EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, sealed + record.size()) != 1)
    return crypto_failure("AES-GCM");
  return out;
}

result<std::string> encrypt_push(std::string_view plain, const push_address& to) {
  std::string salt(salt_size, '\0');
  if (RAND_bytes(bytes_of(salt), salt_size) != 1)
    return crypto_failure("no random bytes");
  const auto sender = p256_key::generate();
  if (!sender)
    return sender.error();
  return encrypt_push(plain, to, *sender, salt);
}

result<std::string> decrypt_push(std::string_view body, const p256_key& receiver, std::string_view auth) {
  const failure unreadable{errc::permanent, "not a push message for this key", {}, {}};
  if (body.size() < header_size + 1 + tag_size || body.substr(salt_size, 4) != record_size
      || static_cast<unsigned char>(body[salt_size + 4]) != p256_point_size)
    return unreadable;
  const auto salt = body.substr(0, salt_size);
  const auto sender_point = body.substr(salt_size + 5, p256_point_size);
  const auto shared = receiver.agree(sender_point);
  if (!shared)
    return shared.error();
  const auto keys = derive_keys(*shared, auth, receiver.point(), sender_point, salt);
  if (!keys)
    return keys.error();
  const auto sealed = body.substr(header_size, body.size() - header_size - tag_size);
  std::string tag{body.substr(body.size() - tag_size)};
  std::string out(sealed.size(), '\0');
  const std::unique_ptr<EVP_CIPHER_CTX, kdf_closer> context{EVP_CIPHER_CTX_new()};
  int length = 0;
  if (!context
      || EVP_DecryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, bytes_of(std::string_view{keys->content_key}),
                            bytes_of(std::string_view{keys->nonce}))
           != 1
      || EVP_DecryptUpdate(context.get(), bytes_of(out), &length, bytes_of(sealed), static_cast<int>(sealed.size()))
           != 1
      || EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) != 1
      || EVP_DecryptFinal_ex(context.get(), bytes_of(out) + length, &length) != 1) {
    ERR_clear_error();
    return unreadable;
  }
  const auto end = out.find_last_not_of('\0');
  if (end == out.npos || out[end] != last_record)
    return unreadable;
  out.resize(end);
  return out;
}

} // namespace carillon::outbound
