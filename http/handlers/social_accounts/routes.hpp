// Reading a workspace's social accounts (contract §3.4).
#pragma once

#include <vector>

#include "http/route.hpp"

namespace carillon::http {

std::vector<route> social_account_routes();

} // namespace carillon::http
