// What each network still allows, so that a call which it would refuse is not
// made, and a burst does not arrive as one.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

/// What an answer's headers speak of. Uploads have a smaller number of calls
/// than the rest on Mastodon, and used up they hinder no post without a file
/// (https://docs.joinmastodon.org/api/rate-limits/#media). Bluesky counts
/// records by account and everything else by the caller's address
/// (https://docs.bsky.app/docs/advanced-guides/rate-limits): the budget of this
/// program at that host.
enum class rate_scope : std::uint8_t { account, uploads, host };

struct budget_options {
  /// Posts of an account that go out at once before they are spread.
  int burst = 30;
  /// The last of a burst goes out within this: the rest of the minute that is
  /// promised is for the way there.
  std::chrono::milliseconds spread{45'000};
  /// A shorter wait is not worth to be remembered by others.
  std::chrono::milliseconds shortest_remembered{5'000};
};

/// Budgets of hosts, accounts and workspaces, known from nothing but answers:
/// a server that sends no such headers is not held to any. A budget is what
/// was left at the last answer, less what has been let through since, until
/// its window ends. Safe from any thread.
class rate_budgets : public std::enable_shared_from_this<rate_budgets> {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What a post may come to use up, in the network's own units; 0 where it
  /// uses nothing.
  struct cost {
    std::int64_t account = 1;
    std::int64_t uploads = 0;
    std::int64_t host = 0;
    /// It could also go later: a quarter of each limit is left for posts that
    /// are due meanwhile.
    bool is_early = false;
  };

  /// Held by a call while it runs: what it may still use up is nobody else's.
  using permit = std::shared_ptr<void>;

  explicit rate_budgets(budget_options options = {}) : options_(options) {
  }

  /// Judges by what answers have told, and by `post.known_rates` where that is
  /// less or nothing. errc::cancelled with when to come back:
  /// - a network has asked this account to wait, or a window is used up: at
  ///   its end. A post that costs more than a whole window waits for a fresh
  ///   one.
  /// - what is left may be used up by calls that are running: soon.
  /// - others of the same account came before it in this burst: at the
  ///   instant that is kept for `post` (by its key), when it gets its permit.
  /// - `post`'s workspace has had its share of a host that is running short:
  ///   at the window's end.
  result<permit> admit(const outgoing_post& post, const cost& costs,
                       time_point now = std::chrono::steady_clock::now());

  /// From a 429 (Retry-After, X-RateLimit-Reset, RateLimit-Reset), and from the
  /// Limit, Remaining and Reset of any other answer. `wall` dates what the
  /// answer says when it has no Date header.
  void learn(const account_credentials& account, rate_scope scope, const http_response& response, instant wall,
             time_point now = std::chrono::steady_clock::now());

  /// A wait that was learned in another way.
  void close(const account_credentials& account, rate_scope scope, std::chrono::milliseconds wait,
             time_point now = std::chrono::steady_clock::now());

  /// As social_gateway::take_learned_rates. What a host asked is this node's
  /// own: another one calls from another address.
  account_rates take_learned_rates(const account_credentials& account,
                                   time_point now = std::chrono::steady_clock::now());

private:
  struct promise {
    time_point at{};
    std::int64_t cost = 1;
  };
  struct budget {
    std::int64_t limit = 0; ///< 0: not told.
    std::optional<std::int64_t> remaining{};
    time_point ends{}; ///< `remaining` counts until then.
    time_point closed_until{};
    time_point taken_until{}; ///< How far take_learned_rates has told it.
    std::optional<std::int64_t> taken_left{}; ///< What it told of this window.
    std::int64_t held = 0;

    time_point next_slot{};
    std::map<std::string, promise> promises{}; ///< By key.
    std::int64_t promised = 0;

    std::map<workspace_id, std::int64_t> used{}; ///< In this window.

    bool is_known(time_point now) const {
      return remaining && now < ends;
    }
  };
  using budget_map = std::map<std::string, budget>;
  static constexpr std::size_t most_budgets = 100'000;

  budget* find_or_make(const std::string& key, time_point now);
  void remind(budget& b, const std::optional<rate_window>& known, time_point now) const;
  std::optional<failure> refusal(budget& b, const outgoing_post& post, std::int64_t cost, rate_scope scope,
                                 bool is_early, time_point now) const;
  std::optional<failure> spread_out(budget& b, const outgoing_post& post, std::int64_t cost, time_point now) const;
  void give_back(const std::string& key, std::int64_t cost);

  const budget_options options_;
  std::mutex mutex_;
  budget_map budgets_;
};

} // namespace carillon::outbound
