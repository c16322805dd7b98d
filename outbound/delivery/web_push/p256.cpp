#include "outbound/delivery/web_push/p256.hpp"

#include "outbound/delivery/web_push/openssl_text.hpp"

#include <array>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/x509.h>

namespace carillon::outbound {

namespace {

template <auto Free>
struct closer {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using key_handle = std::unique_ptr<EVP_PKEY, closer<EVP_PKEY_free>>;
using key_context = std::unique_ptr<EVP_PKEY_CTX, closer<EVP_PKEY_CTX_free>>;
using digest_context = std::unique_ptr<EVP_MD_CTX, closer<EVP_MD_CTX_free>>;
using big_number = std::unique_ptr<BIGNUM, closer<BN_clear_free>>;
using signature_handle = std::unique_ptr<ECDSA_SIG, closer<ECDSA_SIG_free>>;

constexpr auto half = p256_signature_size / 2;

failure no_key(std::string_view what) {
  ERR_clear_error();
  return {errc::invalid_argument, std::string{what}, {}, {}};
}

key_handle import_point(std::string_view point) {
  if (point.size() != p256_point_size || point.front() != '\x04')
    return nullptr;
  std::string copy{point};
  std::array<char, 11> group{"prime256v1"};
  const std::array<OSSL_PARAM, 3> params{
    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(), copy.size()), OSSL_PARAM_construct_end()};
  const key_context context{EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
  EVP_PKEY* key = nullptr;
  auto list = params;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1
      || EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, list.data()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return key_handle{key};
}

} // namespace

result<p256_key> p256_key::of(EVP_PKEY* key) {
  std::string point(p256_point_size, '\0');
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, bytes_of(point), point.size(), &size) != 1
      || size != point.size())
    return crypto_failure("no public key");
  if (EVP_PKEY_up_ref(key) != 1)
    return crypto_failure("no reference");
  return p256_key{std::shared_ptr<EVP_PKEY>{key, EVP_PKEY_free}, std::move(point)};
}

result<p256_key> p256_key::generate() {
  const key_handle key{EVP_EC_gen("P-256")};
  if (!key)
    return crypto_failure("no key was made");
  return of(key.get());
}

result<p256_key> p256_key::from_scalar(std::string_view scalar) {
  if (scalar.size() != p256_scalar_size)
    return no_key("a private key of P-256 has 32 bytes");
  // RFC 5915 without the public key, which the decoder then works out.
  static constexpr std::string_view before{"\x30\x31\x02\x01\x01\x04\x20", 7};
  static constexpr std::string_view after{"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 12};
  std::string der{before};
  der += scalar;
  der += after;
  const auto* in = bytes_of(std::string_view{der});
  const key_handle key{d2i_PrivateKey(EVP_PKEY_EC, nullptr, &in, static_cast<long>(der.size()))};
  OPENSSL_cleanse(der.data(), der.size());
  if (!key)
    return no_key("not a private key of P-256");
  const key_context context{EVP_PKEY_CTX_new(key.get(), nullptr)};
  if (!context || EVP_PKEY_private_check(context.get()) != 1)
    return no_key("not a private key of P-256");
  return of(key.get());
}

std::string p256_key::scalar() const {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1)
    return {};
  const big_number owned{number};
  std::string out(p256_scalar_size, '\0');
  if (BN_bn2binpad(number, bytes_of(out), static_cast<int>(out.size())) != static_cast<int>(out.size()))
    return {};
  return out;
}

result<std::string> p256_key::agree(std::string_view peer_point) const {
  const auto peer = import_point(peer_point);
  if (!peer)
    return no_key("not a point of P-256");
  const key_context context{EVP_PKEY_CTX_new(key_.get(), nullptr)};
  std::string out(p256_scalar_size, '\0');
  auto size = out.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1
      || EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1
      || EVP_PKEY_derive(context.get(), bytes_of(out), &size) != 1 || size != out.size())
    return crypto_failure("ECDH");
  return out;
}

result<std::string> p256_key::sign(std::string_view text) const {
  const digest_context context{EVP_MD_CTX_new()};
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1
      || EVP_DigestSign(context.get(), nullptr, &size, bytes_of(text), text.size()) != 1)
    return crypto_failure("ECDSA");
  std::string der(size, '\0');
  if (EVP_DigestSign(context.get(), bytes_of(der), &size, bytes_of(text), text.size()) != 1)
    return crypto_failure("ECDSA");
  const auto* in = bytes_of(std::string_view{der});
  const signature_handle pair{d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(size))};
  std::string out(p256_signature_size, '\0');
  if (!pair || BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), bytes_of(out), half) != half
      || BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), bytes_of(out) + half, half) != half)
    return crypto_failure("ECDSA");
  return out;
}

bool is_p256_point(std::string_view point) {
  return import_point(point) != nullptr;
}

bool verify_p256(std::string_view point, std::string_view text, std::string_view signature) {
  const auto key = import_point(point);
  if (!key || signature.size() != p256_signature_size)
    return false;
  const signature_handle pair{ECDSA_SIG_new()};
  big_number r{BN_bin2bn(bytes_of(signature), half, nullptr)};
  big_number s{BN_bin2bn(bytes_of(signature) + half, half, nullptr)};
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1)
    return false;
  static_cast<void>(r.release()); // the pair's now
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const auto size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0)
    return false;
  const std::string encoded{reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)};
  OPENSSL_free(der);
  const digest_context context{EVP_MD_CTX_new()};
  const bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1
                    && EVP_DigestVerify(context.get(), bytes_of(std::string_view{encoded}), encoded.size(),
                                        bytes_of(text), text.size())
                         == 1;
  ERR_clear_error();
  return good;
}

} // namespace carillon::outbound
