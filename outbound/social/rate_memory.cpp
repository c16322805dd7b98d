#include "outbound/social/rate_memory.hpp"

#include "outbound/retry_after.hpp"
#include "outbound/social/call.hpp"

namespace carillon::outbound {

namespace {

std::string rate_key(const account_credentials& account, rate_kind kind) {
  return (kind == rate_kind::media ? "media\n" : "general\n") + account.instance_url + '\n' + account.platform_account_id;
}

/// Until the window of an answer ends that has used it up.
std::optional<std::chrono::milliseconds> rest_of_window(const http_response& response, instant now) {
  if (auto date = parse_http_date(response.header("date")))
    now = *date;
  for (const auto* prefix : {"x-ratelimit-", "ratelimit-"})
    if (response.header(std::string{prefix} + "remaining") == "0")
      return parse_rate_limit_reset(response.header(std::string{prefix} + "reset"), now);
  return std::nullopt;
}

} // namespace

std::optional<failure> rate_memory::refusal(const account_credentials& account, rate_kind kind) const {
  const auto known = closed_until_.find(rate_key(account, kind));
  if (known == closed_until_.end())
    return std::nullopt;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(known->second - std::chrono::steady_clock::now());
  if (left <= std::chrono::milliseconds{0})
    return std::nullopt;
  return failure{errc::cancelled, "not sent: the network asked this account to wait", {}, left};
}

void rate_memory::learn(const account_credentials& account, const http_response& response, instant now,
                        rate_kind kind) {
  if (!response.answered())
    return;
  const auto wait = response.status == 429 ? wait_of(response, now) : rest_of_window(response, now);
  if (!wait || *wait <= std::chrono::milliseconds{0})
    return;
  const auto steady_now = std::chrono::steady_clock::now();
  if (closed_until_.size() >= most_accounts)
    std::erase_if(closed_until_, [&](const auto& e) { return e.second <= steady_now; });
  if (closed_until_.size() < most_accounts)
    closed_until_[rate_key(account, kind)] = steady_now + *wait;
}

} // namespace carillon::outbound
