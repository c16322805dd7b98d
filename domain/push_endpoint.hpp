// The address of a push service, as a browser gave it and a user passed it
// on: a stranger's URL, called by us.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "domain/result.hpp"

namespace carillon {

inline constexpr std::size_t max_push_endpoint = 2'000;

struct push_endpoint {
  std::string url;
  /// Scheme, host and a port that is not the scheme's own, in lower case: the
  /// audience of VAPID (RFC 8292 §2).
  std::string origin;
  /// Of the hosts that may have private addresses and be called without TLS.
  bool trusted = false;
};

/// https, a host name with a dot, at most max_push_endpoint visible ASCII
/// characters, no user, no fragment. A host of `trusted_hosts` (`name` or
/// `name:port`, any case) may also be http, an address or a single word.
/// errc::invalid_argument on `endpoint`; the reason completes "The endpoint
/// field …".
result<push_endpoint> parse_push_endpoint(std::string_view url, const std::vector<std::string>& trusted_hosts);

} // namespace carillon
