// What each instance allows, read once an hour and only when it matters.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/social/host_circuits.hpp"
#include "outbound/social/mastodon/mastodon_answer.hpp"

namespace carillon::outbound::mastodon {

/// Only the loop's thread touches it.
class limits_cache {
public:
  using callback = std::function<void(result<instance_limits>)>;

  limits_cache(const clock_port& clock, std::chrono::seconds lifetime) : clock_(clock), lifetime_(lifetime) {
  }

  /// From GET /api/v2/instance, or Mastodon's defaults with `is_known` false
  /// when the instance has no such answer to give (404 and other refusals in
  /// the API's words, an answer that names no limits). A failure (transient,
  /// throttled; as of the address: permanent) says that asking again may end
  /// otherwise: a text divided by guesses would not be recognised later.
  /// Unless known, the next call asks again. The cache must outlive the call.
  void ask(const social_http& http, const account_credentials& account, std::chrono::milliseconds timeout, callback done);

private:
  struct entry {
    instance_limits limits;
    std::chrono::steady_clock::time_point until;
  };
  static constexpr std::size_t most_instances = 10'000;

  const clock_port& clock_;
  std::chrono::seconds lifetime_;
  std::map<std::string, entry> by_instance_;
};

/// As Mastodon counts: an address is always `per_url`, and of a mention of
/// another server's account only the name counts.
/// https://docs.joinmastodon.org/user/posting/#text
std::size_t text_length(std::string_view text, std::size_t per_url,
                        const std::function<std::size_t(std::string_view)>& count);

} // namespace carillon::outbound::mastodon
