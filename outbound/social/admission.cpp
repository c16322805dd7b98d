#include "outbound/social/admission.hpp"

#include "outbound/social/call.hpp"

namespace carillon::outbound {

result<rate_budgets::permit> admit_post(const social_http& http, rate_budgets& rates, const outgoing_post& post,
                                        const rate_budgets::cost& costs,
                                        std::chrono::steady_clock::time_point deadline) {
  const auto& url = post.account.instance_url;
  if (!post.has_waited_enough)
    if (auto down = http.circuits().standing_refusal(url))
      return std::move(*down);
  auto permit = rates.admit(post, costs);
  if (!permit || post.has_waited_enough)
    return permit;
  if (auto down = http.circuits().refusal(url, time_left(deadline)))
    return std::move(*down);
  return permit;
}

result<rate_budgets::permit> admit_early(const social_http& http, rate_budgets& rates, const early_upload& what,
                                         rate_budgets::cost costs) {
  if (auto down = http.circuits().standing_refusal(what.account.instance_url))
    return std::move(*down);
  outgoing_post asks;
  asks.account = what.account;
  asks.workspace = what.workspace;
  asks.known_rates = what.known_rates;
  costs.is_early = true;
  return rates.admit(asks, costs);
}

} // namespace carillon::outbound
