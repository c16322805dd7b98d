// What the platform's own staff may do (contract §3.6): their log-in, and the
// operator API of the job engine, of mail and of publishing.
#pragma once

#include <chrono>
#include <vector>

#include "http/handlers/auth/routes.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// `passwords` must outlive every request that was served. A post that is
/// accepted more than `late_after` after its instant is late.
std::vector<route> admin_routes(password_hasher& passwords, const auth_settings& settings,
                                std::chrono::milliseconds late_after);

} // namespace carillon::http
