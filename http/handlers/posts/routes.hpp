// Posts and approvals of a workspace (contract §3.2).
#pragma once

#include <vector>

#include "http/route.hpp"

namespace carillon::http {

std::vector<route> post_routes();

} // namespace carillon::http
