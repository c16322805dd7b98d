// Login, logout, refresh and the caller's own account (contract §2.1, §2.2).
#pragma once

#include "http/route.hpp"

#include <chrono>
#include <vector>

namespace carillon::http {

class password_hasher;

struct auth_settings {
  std::chrono::seconds token_lifetime{86'400};
  std::chrono::seconds remembered_lifetime{2'592'000}; ///< `remember=true`.
};

/// `passwords` must outlive every request that was served.
std::vector<route> auth_routes(password_hasher& passwords,
                               auth_settings settings);

} // namespace carillon::http
