// The eight notification routes (spec §10, contract §3.1), what a user sets
// beside the preferences, and where mails lead that end their kind.
#pragma once

#include <vector>

#include "http/route.hpp"

namespace carillon::http {

std::vector<route> notification_routes();

} // namespace carillon::http
