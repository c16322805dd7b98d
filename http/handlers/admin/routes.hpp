// What the platform's own staff may do (contract §3.6): their log-in, and the
// operator API of the job engine.
#pragma once

#include <vector>

#include "http/handlers/auth/routes.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// `passwords` must outlive every request that was served.
std::vector<route> admin_routes(password_hasher& passwords, const auth_settings& settings);

} // namespace carillon::http
