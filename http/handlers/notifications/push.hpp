// /notifications/push: the sender's public key and a user's browsers.
#pragma once

#include <string>
#include <vector>

#include "domain/ports/push_store.hpp"
#include "http/route.hpp"

namespace carillon::http {

struct push_settings {
  std::string public_key; ///< base64url; empty: no push on this node.
  std::vector<std::string> trusted_hosts;
  int max_subscriptions_per_user = 10;
};

namespace notifications {

/// A browser's PushSubscription as its toJSON gives it: `endpoint` and `keys`
/// with `p256dh` and `auth`; what else it holds is passed over.
/// errc::invalid_argument names every bad field.
result<push_address> parse_subscription(const json& body, const std::vector<std::string>& trusted_hosts);

} // namespace notifications

/// Access as for the notifications themselves.
std::vector<route> push_routes(const push_settings& settings);

} // namespace carillon::http
