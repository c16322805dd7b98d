// Workspaces, their members and dashboard, and /tenants/current (contract
// §2.6).
#pragma once

#include <vector>

#include "http/route.hpp"

namespace carillon::http {

std::vector<route> workspace_routes();

} // namespace carillon::http
