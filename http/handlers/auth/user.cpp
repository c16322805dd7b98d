#include "http/handlers/auth/user.hpp"

namespace carillon::http {

namespace {

json text_or_null(const std::optional<std::string>& text) {
  return text ? json(*text) : json();
}

} // namespace

json render_user(const account& who) {
  return {
    {"id", to_string(who.id)},
    {"name", who.name},
    {"email", who.email},
    {"avatar_url", text_or_null(who.avatar_url)},
    {"timezone", text_or_null(who.timezone)},
    {"status", std::string{to_string(who.status)}},
    {"role_in_tenant", std::string{to_string(who.role)}},
    {"email_verified_at", who.email_verified_at
                            ? json(format_api_time(*who.email_verified_at))
                            : json()},
    {"created_at", format_api_time(who.created_at)},
  };
}

result<reply> current_user::run(call& c) {
  auto who = c.db.auth().load_account(c.tenant_scope(), c.who.user);
  if (!who)
    return std::move(who).error();
  return ok(render_user(*who));
}

} // namespace carillon::http
