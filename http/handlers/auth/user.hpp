// GET /user and GET /auth/me, and the User schema of the contract.
#pragma once

#include "domain/ports/auth_store.hpp"
#include "http/route.hpp"

namespace carillon::http {

json render_user(const account& who);

} // namespace carillon::http

namespace carillon::http::current_user {

result<reply> run(call& c);

} // namespace carillon::http::current_user
