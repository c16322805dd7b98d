// What each network said of its limits, so that a call which it would refuse
// is not made.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

/// What a network counts apart from each other: uploads have a smaller number
/// of calls than the rest, and used up they hinder no post without a file
/// (https://docs.joinmastodon.org/api/rate-limits/#media).
enum class rate_kind { general, media };

/// By account and kind, for as long as the network asked. Only the loop's thread
/// touches it.
class rate_memory {
public:
  /// errc::cancelled with what is left of the wait; nothing when the account
  /// may be called.
  std::optional<failure> refusal(const account_credentials& account, rate_kind kind = rate_kind::general) const;

  /// A 429, or an answer that used up the last call of the window
  /// (X-RateLimit-Remaining or RateLimit-Remaining: 0). Servers that send no
  /// such headers teach nothing.
  void learn(const account_credentials& account, const http_response& response, instant now,
             rate_kind kind = rate_kind::general);

private:
  static constexpr std::size_t most_accounts = 100'000;

  std::map<std::string, std::chrono::steady_clock::time_point> closed_until_;
};

} // namespace carillon::outbound
