#include "outbound/social/rate_budgets.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "outbound/retry_after.hpp"
#include "outbound/social/call.hpp"

namespace carillon::outbound {

namespace {

using std::chrono::milliseconds;

/// When only running calls stand in the way.
constexpr milliseconds until_they_end{2'000};
/// Clocks differ a little between the one that keeps a slot and the one that
/// wakes the post.
constexpr milliseconds slot_tolerance{100};
/// A post that has not come by then has been cancelled or is another's now.
constexpr std::chrono::seconds promise_lifetime{60};
/// Two answers that speak of the same window may round its end differently.
constexpr std::chrono::seconds same_window{2};

std::string budget_key(const account_credentials& account, rate_scope scope) {
  switch (scope) {
    case rate_scope::host:
      return "host\n" + account.instance_url;
    case rate_scope::uploads:
      return "uploads\n" + account.instance_url + '\n' + account.platform_account_id;
    case rate_scope::account:
      break;
  }
  return "account\n" + account.instance_url + '\n' + account.platform_account_id;
}

/// `300`, and the first of `300, 300;w=60`
/// (draft-polli-ratelimit-headers-02, section 3.1).
std::optional<std::int64_t> leading_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end == text.data() || out < 0)
    return std::nullopt;
  return out;
}

struct told_window {
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  milliseconds left{};
};

std::optional<told_window> window_of(const http_response& response, instant wall) {
  if (auto date = parse_http_date(response.header("date")))
    wall = *date;
  for (const std::string prefix : {"x-ratelimit-", "ratelimit-"}) {
    const auto remaining = leading_number(response.header(prefix + "remaining"));
    const auto left = parse_rate_limit_reset(response.header(prefix + "reset"), wall);
    if (remaining && left)
      return told_window{leading_number(response.header(prefix + "limit")).value_or(0), *remaining, *left};
  }
  return std::nullopt;
}

bool is_same_window(rate_budgets::time_point a, rate_budgets::time_point b) {
  return a < b + same_window && b < a + same_window;
}

failure come_back(const char* why, rate_budgets::time_point at, rate_budgets::time_point now) {
  return {errc::cancelled, why, {}, std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(at - now))};
}

} // namespace

result<rate_budgets::permit> rate_budgets::admit(const outgoing_post& post, const cost& costs, time_point now) {
  const std::pair<rate_scope, std::int64_t> wanted[]{
    {rate_scope::host, costs.host}, {rate_scope::uploads, costs.uploads}, {rate_scope::account, costs.account}};
  std::vector<std::pair<std::string, std::int64_t>> held;
  {
    std::lock_guard lock{mutex_};
    for (const auto& [scope, amount] : wanted) {
      if (amount <= 0)
        continue;
      auto key = budget_key(post.account, scope);
      auto* b = find_or_make(key, now);
      if (b == nullptr)
        continue;
      if (scope != rate_scope::host)
        remind(*b, scope == rate_scope::account ? post.known_rates.calls : post.known_rates.uploads, now);
      if (auto f = refusal(*b, post, amount, scope, costs.is_early, now))
        return std::move(*f);
      // The last to be asked: only it changes anything.
      if (scope == rate_scope::account)
        if (auto f = spread_out(*b, post, amount, now))
          return std::move(*f);
      held.emplace_back(std::move(key), amount);
    }
    for (const auto& [key, amount] : held) {
      auto& b = budgets_[key];
      b.held += amount;
      b.used[post.workspace] += amount;
    }
  }
  return permit{nullptr, [self = shared_from_this(), held = std::move(held)](void*) {
                  for (const auto& [key, amount] : held)
                    self->give_back(key, amount);
                }};
}

std::optional<failure> rate_budgets::refusal(budget& b, const outgoing_post& post, std::int64_t cost,
                                             rate_scope scope, bool is_early, time_point now) const {
  if (b.closed_until > now)
    return come_back("not sent: the network asked this account to wait", b.closed_until, now);
  std::erase_if(b.promises, [&](const auto& e) {
    const bool over = e.second.at + promise_lifetime < now;
    b.promised -= over ? e.second.cost : 0;
    return over;
  });
  if (!b.is_known(now)) {
    b.used.clear();
    return std::nullopt;
  }
  const auto spare = is_early ? b.limit / 4 : 0;
  const auto needed = spare + (b.limit > 0 ? std::min(cost, b.limit) : cost);
  const auto own = b.promises.find(post.idempotency_key);
  const auto others = b.promised - (own == b.promises.end() ? 0 : own->second.cost);
  if (*b.remaining - others < needed)
    return come_back("not sent: the network's limit is used up for now", b.ends, now);
  if (*b.remaining - others - b.held < needed)
    return come_back("not sent: other calls may use up the network's limit", now + until_they_end, now);
  if (scope == rate_scope::host && b.limit > 0 && *b.remaining < b.limit / 2 && b.used.size() > 1) {
    const auto used = b.used.find(post.workspace);
    const auto share = b.limit / static_cast<std::int64_t>(b.used.size());
    if (used != b.used.end() && used->second + cost > std::max(share, cost))
      return come_back("not sent: the rest of the network's limit is for other workspaces", b.ends, now);
  }
  return std::nullopt;
}

std::optional<failure> rate_budgets::spread_out(budget& b, const outgoing_post& post, std::int64_t cost,
                                                time_point now) const {
  if (const auto own = b.promises.find(post.idempotency_key); own != b.promises.end()) {
    if (own->second.at > now + slot_tolerance)
      return come_back("not sent: spread over the minute", own->second.at, now);
    b.promised -= own->second.cost;
    b.promises.erase(own);
    return std::nullopt;
  }
  if (!b.is_known(now) || *b.remaining <= 0 || post.idempotency_key.empty())
    return std::nullopt;
  // As if all that is left were to go out now: at most one a `step`.
  const auto time = std::min<std::chrono::nanoseconds>(b.ends - now, options_.spread);
  const auto step = time * std::min(cost, *b.remaining) / *b.remaining;
  const auto ahead = step * (options_.burst - 1);
  b.next_slot = std::max(b.next_slot, now);
  const auto slot = b.next_slot - ahead;
  b.next_slot += step;
  if (slot <= now)
    return std::nullopt;
  const auto at = std::min(slot, now + options_.spread);
  b.promises.emplace(post.idempotency_key, promise{at, cost});
  b.promised += cost;
  return come_back("not sent: spread over the minute", at, now);
}

void rate_budgets::learn(const account_credentials& account, rate_scope scope, const http_response& response,
                         instant wall, time_point now) {
  if (!response.answered())
    return;
  if (response.status == 429) {
    if (const auto wait = wait_of(response, wall))
      close(account, scope, *wait, now);
    return;
  }
  const auto told = window_of(response, wall);
  if (!told || told->left <= milliseconds{0})
    return;
  std::lock_guard lock{mutex_};
  auto* b = find_or_make(budget_key(account, scope), now);
  if (b == nullptr)
    return;
  const auto ends = now + told->left;
  // Answers may come in another order than they were made in.
  const bool same = b->is_known(now) && is_same_window(ends, b->ends);
  // Some servers count several windows, and tell the one that a call was in:
  // the tightest counts until it ends.
  if (!same && b->is_known(now) && told->remaining > *b->remaining)
    return;
  b->remaining = same ? std::min(*b->remaining, told->remaining) : told->remaining;
  if (!same) {
    b->used.clear();
    b->taken_left.reset();
  }
  b->limit = told->limit;
  b->ends = ends;
  if (told->remaining == 0)
    b->closed_until = ends;
}

void rate_budgets::close(const account_credentials& account, rate_scope scope, milliseconds wait, time_point now) {
  if (wait <= milliseconds{0})
    return;
  std::lock_guard lock{mutex_};
  if (auto* b = find_or_make(budget_key(account, scope), now))
    b->closed_until = now + wait;
}

account_rates rate_budgets::take_learned_rates(const account_credentials& account, time_point now) {
  std::lock_guard lock{mutex_};
  account_rates out;
  const auto take = [&](rate_scope scope, milliseconds& wait, std::optional<rate_window>& window) {
    const auto found = budgets_.find(budget_key(account, scope));
    if (found == budgets_.end())
      return;
    auto& b = found->second;
    const auto closed_for = std::chrono::ceil<milliseconds>(b.closed_until - now);
    if (closed_for >= options_.shortest_remembered && b.closed_until > b.taken_until + same_window) {
      b.taken_until = b.closed_until;
      wait = closed_for;
    }
    const auto ends_in = std::chrono::ceil<milliseconds>(b.ends - now);
    if (b.is_known(now) && ends_in >= options_.shortest_remembered
        && *b.remaining <= b.taken_left.value_or(b.limit) / 2 && b.taken_left != b.remaining) {
      b.taken_left = b.remaining;
      window = rate_window{b.limit, *b.remaining, ends_in};
    }
  };
  take(rate_scope::account, out.calls_wait, out.calls);
  take(rate_scope::uploads, out.uploads_wait, out.uploads);
  return out;
}

/// What this node has heard itself goes before what is remembered, unless
/// another one has used up more of the same window since.
void rate_budgets::remind(budget& b, const std::optional<rate_window>& known, time_point now) const {
  if (!known || known->ends_in <= milliseconds{0})
    return;
  const auto ends = now + known->ends_in;
  if (!b.is_known(now)) {
    b.limit = known->limit;
    b.remaining = known->left;
    b.taken_left = known->left;
    b.ends = ends;
    b.used.clear();
  } else if (is_same_window(ends, b.ends) && known->left < *b.remaining) {
    b.remaining = known->left;
    b.taken_left = known->left;
  }
}

rate_budgets::budget* rate_budgets::find_or_make(const std::string& key, time_point now) {
  if (const auto found = budgets_.find(key); found != budgets_.end())
    return &found->second;
  if (budgets_.size() >= most_budgets)
    std::erase_if(budgets_, [&](const auto& e) {
      const auto& b = e.second;
      return b.held == 0 && b.promises.empty() && b.ends <= now && b.closed_until <= now;
    });
  return budgets_.size() >= most_budgets ? nullptr : &budgets_[key];
}

void rate_budgets::give_back(const std::string& key, std::int64_t cost) {
  std::lock_guard lock{mutex_};
  if (const auto found = budgets_.find(key); found != budgets_.end())
    found->second.held -= cost;
}

} // namespace carillon::outbound
