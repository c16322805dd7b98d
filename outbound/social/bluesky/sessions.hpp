// Sessions of accounts at their PDS. The account's own secret (an app
// password, encrypted in storage) makes one; its tokens live in memory only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/social/host_circuits.hpp"
#include "outbound/social/bluesky/bluesky_answer.hpp"

namespace carillon::outbound::bluesky {

/// Only the loop's thread touches it; held by the calls that use it.
///
/// https://docs.bsky.app/docs/api/com-atproto-server-create-session and
/// https://docs.bsky.app/docs/api/com-atproto-server-refresh-session.
/// createSession is limited to 30 in 5 minutes and 300 a day for an account
/// (https://docs.bsky.app/docs/advanced-guides/rate-limits), so calls that come
/// at once share one, and a session is refreshed as long as it can be.
class sessions : public std::enable_shared_from_this<sessions> {
public:
  using callback = std::function<void(result<session>)>;

  sessions(social_http http, const clock_port& clock) : http_(std::move(http)), clock_(clock) {
  }

  /// A session whose access token is not known to be over, within `timeout`
  /// whoever asked first and for how long. Failures: unauthorized (the password is refused), throttled,
  /// transient, permanent.
  void ask(const account_credentials& account, std::chrono::milliseconds timeout, callback done);

  /// The PDS refuses this access token: the next one who asks gets another.
  void forget_access(const account_credentials& account, const std::string& access_token);

private:
  using time_point = std::chrono::steady_clock::time_point;

  struct waiter {
    callback done; ///< Null once it was called.
    time_point deadline{};
  };
  struct entry {
    session current;
    bool is_usable = false;
    bool is_asking = false;
    time_point asks_until{};
    bool is_cut_short = false; ///< Nobody who waited had time for a whole request.
    std::vector<std::shared_ptr<waiter>> waiting;
  };
  static constexpr std::size_t most_entries = 50'000;

  void make(const account_credentials& account, entry& known);
  void refresh(const account_credentials& account, time_point deadline);
  void create(const account_credentials& account, time_point deadline);
  void finish(const account_credentials& account, result<session> outcome);
  void make_room();

  social_http http_;
  const clock_port& clock_;
  /// By PDS, account and digest of the password: whoever has another password
  /// gets nothing of what this one has opened.
  std::map<std::string, entry> entries_;
};

} // namespace carillon::outbound::bluesky
