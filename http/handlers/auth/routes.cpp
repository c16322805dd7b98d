#include "http/handlers/auth/routes.hpp"

#include "http/handlers/auth/login.hpp"
#include "http/handlers/auth/session.hpp"
#include "http/handlers/auth/user.hpp"

namespace carillon::http {

std::vector<route> auth_routes(password_hasher& passwords,
                               auth_settings settings) {
  std::vector<route> out;
  out.push_back({.method = "POST",
                 .pattern = "/api/v1/auth/login",
                 .need = access::open,
                 .start = login::start_with(passwords, settings),
                 .auth_limited = true});
  out.push_back({.method = "POST",
                 .pattern = "/api/v1/auth/logout",
                 .need = access::identity,
                 .run = session_end::run});
  out.push_back(
    {.method = "POST",
     .pattern = "/api/v1/auth/refresh",
     .need = access::identity,
     .run = [settings](call& c) { return session_refresh::run(c, settings); }});
  for (const char* pattern : {"/api/v1/user", "/api/v1/auth/me"})
    out.push_back({.method = "GET",
                   .pattern = pattern,
                   .need = access::token,
                   .run = current_user::run});
  return out;
}

} // namespace carillon::http
