#include "http/password_hasher.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace carillon::http {

namespace {

/// What bcrypt reads; the rest is cut, as crypt(3) refuses more than 512.
constexpr std::size_t significant_bytes = 72;

std::string crypt_with(const std::string& password,
                       const std::string& setting) {
  auto key = password.substr(0, significant_bytes);
  // 32 KiB: not on the stack.
  auto data = std::make_unique<crypt_data>();
  const char* const out = crypt_r(key.c_str(), setting.c_str(), data.get());
  // libxcrypt answers `*0` or `*1` for what it cannot do.
  std::string hash = out == nullptr || out[0] == '*' ? "" : out;
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(data.get(), sizeof(crypt_data));
  return hash;
}

} // namespace

std::string hash_password(const std::string& password, int bcrypt_cost) {
  std::array<char, 16> random{};
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()),
                 static_cast<int>(random.size()))
      != 1)
    throw std::runtime_error{"no randomness for a password hash"};
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  if (crypt_gensalt_rn("$2b$", static_cast<unsigned long>(bcrypt_cost),
                       random.data(), static_cast<int>(random.size()),
                       setting.data(), static_cast<int>(setting.size()))
      == nullptr)
    throw std::runtime_error{"bcrypt cannot use cost "
                             + std::to_string(bcrypt_cost)};
  auto hash = crypt_with(password, setting.data());
  if (hash.empty())
    throw std::runtime_error{"bcrypt is not available"};
  return hash;
}

bool verify_password(const std::string& password, const std::string& hash) {
  if (hash.empty())
    return false;
  const auto computed = crypt_with(password, hash);
  return !computed.empty() && computed.size() == hash.size()
         && CRYPTO_memcmp(computed.data(), hash.data(), hash.size()) == 0;
}

struct password_hasher::impl {
  struct work {
    std::string password;
    std::string hash;
    callback then;
  };

  impl(password_options o, logger& l)
    : options(o), log(l), decoy(hash_password("", o.bcrypt_cost)) {}

  void run() {
    for (;;) {
      work next;
      {
        std::unique_lock lock{mutex};
        changed.wait(lock, [this] { return stopping || !queue.empty(); });
        if (stopping)
          return;
        next = std::move(queue.front());
        queue.pop_front();
      }
      const bool known = !next.hash.empty();
      const bool equal
        = verify_password(next.password, known ? next.hash : decoy);
      OPENSSL_cleanse(next.password.data(), next.password.size());
      try {
        next.then(known && equal);
      } catch (const std::exception& e) {
        log.error("password-callback-failed", {{"error", e.what()}});
      }
    }
  }

  password_options options;
  logger& log;
  std::string decoy;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<work> queue;
  bool stopping = false;
  std::thread thread;
};

password_hasher::password_hasher(password_options options, logger& log)
  : impl_(std::make_unique<impl>(options, log)) {
  impl_->thread = std::thread{[this] { impl_->run(); }};
}

password_hasher::~password_hasher() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

bool password_hasher::verify(std::string password, std::string hash,
                             callback then) {
  {
    std::lock_guard lock{impl_->mutex};
    if (impl_->queue.size() >= impl_->options.max_queue)
      return false;
    impl_->queue.push_back(
      {std::move(password), std::move(hash), std::move(then)});
  }
  impl_->changed.notify_one();
  return true;
}

} // namespace carillon::http
