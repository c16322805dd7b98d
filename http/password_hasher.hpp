// Password hashes of crypt(3), computed on a thread of their own.
#pragma once

#include "domain/ports/log.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace carillon::http {

struct password_options {
  int bcrypt_cost = 12; ///< 4 to 31; each step doubles the time.
  /// Checks that may wait; one more is refused.
  std::size_t max_queue = 64;
};

/// `$2b$` with the given cost; blocks for as long as the cost says. Throws
/// std::runtime_error when the system cannot (bad cost, no randomness).
std::string hash_password(const std::string& password, int bcrypt_cost = 12);

/// Any scheme of libxcrypt, `$2y$` among them; false for a hash that is none.
/// Blocks. As in the predecessor, bcrypt looks at the first 72 bytes only.
bool verify_password(const std::string& password, const std::string& hash);

/// One thread that verifies passwords, so that nothing else waits for them.
class password_hasher {
public:
  using callback = std::function<void(bool matches)>;

  /// Blocks for one hash: the one that unknown users are compared with.
  password_hasher(password_options options, logger& log);
  /// Forgets what waits: those callbacks are destroyed, never called.
  ~password_hasher();
  password_hasher(const password_hasher&) = delete;
  password_hasher& operator=(const password_hasher&) = delete;

  /// Calls `then` on the hasher's thread. An empty hash never matches but
  /// costs the time of one that does. False when the queue is full.
  bool verify(std::string password, std::string hash, callback then);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon::http
