// POST /auth/logout and POST /auth/refresh.
#pragma once

#include "http/handlers/auth/routes.hpp"

namespace carillon::http::session_end {

/// Removes the presented token, and no other.
result<reply> run(call& c);

} // namespace carillon::http::session_end

namespace carillon::http::session_refresh {

/// Removes every token of the caller and issues one.
result<reply> run(call& c, const auth_settings& settings);

} // namespace carillon::http::session_refresh
