#include "storage/token_cipher.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace carillon::storage {

namespace {

constexpr std::string_view version = "v1";
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
constexpr std::size_t key_id_size = 8;

using bytes = std::vector<std::uint8_t>;
using context
  = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const std::uint8_t* data_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

failure broken(std::string_view why) {
  return {errc::permanent, "token encryption: " + std::string{why}, {}, {}};
}

std::string encode_base64(const bytes& in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
  const auto length
    = EVP_EncodeBlock(reinterpret_cast<std::uint8_t*>(out.data()), in.data(),
                      static_cast<int>(in.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::optional<bytes> decode_base64(std::string_view in) {
  if (in.empty() || in.size() % 4 != 0)
    return std::nullopt;
  bytes out(in.size() / 4 * 3);
  if (EVP_DecodeBlock(out.data(), data_of(in), static_cast<int>(in.size())) < 0)
    return std::nullopt;
  // OpenSSL counts the padding as bytes.
  const std::size_t padding = in.ends_with("==") ? 2 : in.ends_with('=') ? 1 : 0;
  out.resize(out.size() - padding);
  // RFC 4648 §3.5: only the canonical text. OpenSSL ignores the bits that the
  // last character has too many, and white space around.
  if (encode_base64(out) != in)
    return std::nullopt;
  return out;
}

std::string id_of(std::string_view key) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(key.data(), key.size(), digest.data(), &length, EVP_sha256(),
                 nullptr)
      != 1)
    throw std::runtime_error{"SHA-256 is not available"};
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < key_id_size / 2; ++i) {
    out += hex[digest[i] >> 4];
    out += hex[digest[i] & 0x0f];
  }
  return out;
}

} // namespace

result<std::string> parse_token_key(std::string_view text) {
  const failure bad{
    errc::invalid_argument, "must be 64 hexadecimal digits", {}, {}};
  if (text.size() != 2 * token_cipher::key_size)
    return bad;
  std::string out;
  out.reserve(token_cipher::key_size);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const auto end = text.data() + i + 2;
    const auto read = std::from_chars(text.data() + i, end, byte, 16);
    if (read.ec != std::errc{} || read.ptr != end)
      return bad;
    out += static_cast<char>(byte);
  }
  return out;
}

token_cipher::token_cipher(std::string_view current,
                           const std::vector<std::string>& former) {
  auto add = [this](std::string_view text) {
    if (text.size() != key_size)
      throw std::invalid_argument{"a token key has 32 bytes"};
    key k{id_of(text), {}};
    std::copy(text.begin(), text.end(), k.bytes.begin());
    keys_.push_back(k);
    OPENSSL_cleanse(k.bytes.data(), k.bytes.size());
  };
  keys_.reserve(former.size() + 1);
  add(current);
  for (const auto& text : former)
    add(text);
}

token_cipher::~token_cipher() {
  for (auto& k : keys_)
    OPENSSL_cleanse(k.bytes.data(), k.bytes.size());
}

result<std::string> token_cipher::encrypt(std::string_view plain,
                                          std::string_view associated) const {
  bytes out(nonce_size + plain.size() + tag_size);
  const auto nonce = out.data();
  const auto text = nonce + nonce_size;
  const auto tag = text + plain.size();
  context ctx{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
  int length = 0;
  const bool ok
    = ctx && RAND_bytes(nonce, nonce_size) == 1
      && EVP_EncryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr,
                            keys_.front().bytes.data(), nonce)
           == 1
      && EVP_EncryptUpdate(ctx.get(), nullptr, &length, data_of(associated),
                           static_cast<int>(associated.size()))
           == 1
      && EVP_EncryptUpdate(ctx.get(), text, &length, data_of(plain),
                           static_cast<int>(plain.size()))
           == 1
      && EVP_EncryptFinal_ex(ctx.get(), text + length, &length) == 1
      && EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_GET_TAG, tag_size, tag)
           == 1;
  if (!ok)
    return broken("the crypto library failed");
  return std::string{version} + ':' + key_id() + ':' + encode_base64(out);
}

result<std::string> token_cipher::decrypt(std::string_view stored,
                                          std::string_view associated) const {
  const auto prefix = version.size() + 1 + key_id_size + 1;
  if (stored.size() < prefix || !stored.starts_with(version)
      || stored[version.size()] != ':' || stored[prefix - 1] != ':')
    return broken("not a v1 text");
  const auto id = stored.substr(version.size() + 1, key_id_size);
  const auto k = std::find_if(keys_.begin(), keys_.end(),
                              [&](const key& it) { return it.id == id; });
  if (k == keys_.end())
    return broken("key " + std::string{id} + " is not configured");
  auto in = decode_base64(stored.substr(prefix));
  if (!in || in->size() < nonce_size + tag_size)
    return broken("not a v1 text");

  const auto size = in->size() - nonce_size - tag_size;
  const auto nonce = in->data();
  const auto text = nonce + nonce_size;
  const auto tag = text + size;
  // One spare byte: an empty secret still needs an address.
  std::string out(size + 1, '\0');
  const auto plain = reinterpret_cast<std::uint8_t*>(out.data());
  context ctx{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
  int length = 0;
  const bool ok
    = ctx
      && EVP_DecryptInit_ex(ctx.get(), EVP_aes_256_gcm(), nullptr,
                            k->bytes.data(), nonce)
           == 1
      && EVP_DecryptUpdate(ctx.get(), nullptr, &length, data_of(associated),
                           static_cast<int>(associated.size()))
           == 1
      && EVP_DecryptUpdate(ctx.get(), plain, &length, text,
                           static_cast<int>(size))
           == 1
      && EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_GCM_SET_TAG, tag_size, tag)
           == 1
      && EVP_DecryptFinal_ex(ctx.get(), plain + length, &length) == 1;
  if (!ok) {
    OPENSSL_cleanse(out.data(), out.size());
    return broken("not authentic");
  }
  out.resize(size);
  return out;
}

} // namespace carillon::storage
