// What the sandbox network tells and takes from whoever runs it: everything
// under /sandbox/. Faults never touch these routes.
#pragma once

#include "http/sandbox/world.hpp"

#include <vector>

namespace carillon::http::sandbox {

/// `w` outlives the routes.
std::vector<route> operator_routes(world& w);

} // namespace carillon::http::sandbox
