// The eight notification routes (spec §10, contract §3.1).
#pragma once

#include <vector>

#include "http/route.hpp"

namespace carillon::http {

std::vector<route> notification_routes();

} // namespace carillon::http
