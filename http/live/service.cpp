#include "http/live/service.hpp"

#include <array>
#include <stdexcept>

#include <openssl/rand.h>

#include "http/hmac.hpp"
#include "http/token.hpp"

namespace carillon::http::live {

namespace {

template <class T>
T random_number() {
  T out{};
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&out), sizeof(out)) != 1)
    throw std::runtime_error{"no randomness for a socket id"};
  return out;
}

std::string hex(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 0xf];
  }
  return out;
}

} // namespace

std::string make_secret() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error{"no randomness for a secret"};
  return hex(bytes.data(), bytes.size());
}

std::string keyed_hash(std::string_view secret, std::string_view text) {
  const auto digest = hmac_sha256(secret, text);
  return hex(reinterpret_cast<const unsigned char*>(digest.data()), digest.size());
}

service::service(service_options options, realtime_link_ptr link, logger& log)
  : options_(std::move(options)), link_(std::move(link)), log_(log), process_(random_number<std::uint32_t>()) {
}

std::string service::make_socket_id() {
  return std::to_string(process_) + '.' + std::to_string(random_number<std::uint64_t>());
}

std::string service::sign(std::string_view socket_id, std::string_view channel) const {
  std::string text{socket_id};
  text += ':';
  text += channel;
  return options_.key + ':' + keyed_hash(options_.secret, text);
}

bool service::is_signed(std::string_view socket_id, std::string_view channel, std::string_view auth) const {
  return equal_in_constant_time(sign(socket_id, channel), auth);
}

registration::registration(service_ptr owner, kind what)
  : service_(std::move(owner)), kind_(what), socket_id_(service_->make_socket_id()) {
  ++count();
}

registration::~registration() {
  --count();
  service_->link().tell(atom::gone_v, socket_id_);
}

std::atomic<std::size_t>& registration::count() const noexcept {
  return kind_ == kind::socket ? service_->link().sockets : service_->link().streams;
}

} // namespace carillon::http::live
