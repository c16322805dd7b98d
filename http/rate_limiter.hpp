// Fixed windows per client, in memory (contract §1.6).
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

namespace carillon::http {

struct rate_limit {
  int requests = 30; ///< 0: no limit.
  std::chrono::seconds window{60};
};

struct rate_decision {
  bool allowed = true;
  int limit = 0;                       ///< 0: no limit.
  int remaining = 0;                   ///< After this request.
  std::chrono::seconds retry_after{0}; ///< When not allowed.
};

/// Safe from any thread. Each process counts by itself.
class rate_limiter {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit rate_limiter(rate_limit limit);

  /// Counts one request of `client`.
  rate_decision take(const std::string& client, time_point now);

  /// Takes effect at once; windows that run go on.
  void configure(rate_limit limit);

private:
  struct window {
    time_point ends;
    int used = 0;
  };

  std::mutex mutex_;
  rate_limit limit_;
  std::unordered_map<std::string, window> windows_;
};

/// Whom an address stands for: itself, or the /64 of an IPv6 address, which
/// is what one customer gets.
std::string rate_limit_client(const std::string& address);

} // namespace carillon::http
