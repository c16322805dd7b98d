#include "http/rate_limiter.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace carillon::http {

namespace {

/// Above this many clients the windows that have ended are thrown out.
constexpr std::size_t clients_before_cleaning = 10'000;
/// Above this many live ones a newcomer is refused: an attack.
constexpr std::size_t most_clients = 1'000'000;

} // namespace

rate_limiter::rate_limiter(rate_limit limit) : limit_(limit) {}

void rate_limiter::configure(rate_limit limit) {
  std::lock_guard lock{mutex_};
  limit_ = limit;
}

rate_decision rate_limiter::take(const std::string& client, time_point now) {
  std::lock_guard lock{mutex_};
  if (limit_.requests <= 0)
    return {};
  auto i = windows_.find(client);
  if (i == windows_.end()) {
    if (windows_.size() >= clients_before_cleaning)
      std::erase_if(windows_,
                    [&](const auto& w) { return w.second.ends <= now; });
    if (windows_.size() >= most_clients)
      return {false, limit_.requests, 0, limit_.window};
    i = windows_.emplace(client, window{now + limit_.window, 0}).first;
  }
  auto& w = i->second;
  if (w.ends <= now)
    w = {now + limit_.window, 0};
  if (w.used >= limit_.requests)
    return {false, limit_.requests, 0,
            std::max(std::chrono::seconds{1},
                     std::chrono::ceil<std::chrono::seconds>(w.ends - now))};
  ++w.used;
  return {true, limit_.requests, limit_.requests - w.used, {}};
}

std::string rate_limit_client(const std::string& address) {
  in6_addr parsed{};
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1)
    return address;
  std::fill(std::begin(parsed.s6_addr) + 8, std::end(parsed.s6_addr),
            std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &parsed, text.data(), text.size());
  return std::string{text.data()} + "/64";
}

} // namespace carillon::http
