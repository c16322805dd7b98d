// What is asked before a gateway calls anyone.
#pragma once

#include <chrono>

#include "outbound/social/host_circuits.hpp"
#include "outbound/social/rate_budgets.hpp"

namespace carillon::outbound {

/// May `post` go out: its server is not known to be down, and its account's
/// and host's rates allow `costs`. errc::cancelled with when to come back. A
/// server that is down refuses before anything of the rates is taken; what is
/// let through may be the probe of its circuit, with the time until `deadline`.
result<rate_budgets::permit> admit_post(const social_http& http, rate_budgets& rates, const outgoing_post& post,
                                        const rate_budgets::cost& costs,
                                        std::chrono::steady_clock::time_point deadline);

/// The same for a file that could also go with its post: a part of each rate
/// is left for posts that are due.
result<rate_budgets::permit> admit_early(const social_http& http, rate_budgets& rates, const early_upload& what,
                                         rate_budgets::cost costs);

} // namespace carillon::outbound
