#include "http/handlers/auth/session.hpp"

#include "domain/ports/auth_store.hpp"
#include "http/token.hpp"

namespace carillon::http {

result<reply> session_end::run(call& c) {
  auto revoked
    = c.db.auth().revoke_token(c.tenant_scope(), c.who.user, c.who.token_id);
  if (!revoked)
    return std::move(revoked).error();
  return ok(nullptr, "Logged out");
}

result<reply> session_refresh::run(call& c, const auth_settings& settings) {
  auto token = issue_token(c.db.auth(), c.tenant_scope(), c.who.user,
                           issue_reason::refresh, settings.token_lifetime);
  if (!token)
    return std::move(token).error();
  return ok({{"token", token->plain},
             {"token_type", "Bearer"},
             {"expires_in", settings.token_lifetime.count()}},
            "Token refreshed");
}

} // namespace carillon::http
