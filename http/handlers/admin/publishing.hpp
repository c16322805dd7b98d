// How late posts leave, for operators: across all tenants.
#pragma once

#include <chrono>

#include "http/route.hpp"

namespace carillon::http::admin_publishing {

/// Workspaces and networks, most late posts first. Filters `tenant_id`,
/// `workspace_id`, `network`, `hours` and `limit`; late is what was accepted
/// more than `late_after` after its instant.
result<reply> run_lateness(call& c, std::chrono::milliseconds late_after);

} // namespace carillon::http::admin_publishing
