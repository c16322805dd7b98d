#include "http/handlers/admin/session.hpp"

#include <optional>
#include <string>
#include <utility>

#include "domain/ports/auth_store.hpp"
#include "http/handlers/auth/login.hpp"
#include "http/token.hpp"

namespace carillon::http::admin_session {

namespace {

scope everywhere() {
  return scope::maintenance("log a super-admin in");
}

failure wrong_credentials() {
  return invalid("email", "The e-mail address or the password is wrong.");
}

json render(const std::string& id, const std::string& name, const std::string& email, super_admin_role role) {
  return {{"id", id}, {"name", name}, {"email", email}, {"role", std::string{to_string(role)}}};
}

struct attempt {
  std::shared_ptr<exchange> x;
  login::input in;
  std::chrono::seconds lifetime;
};
using attempt_ptr = std::shared_ptr<attempt>;

void issue(const attempt_ptr& a, const admin_account& who) {
  a->x->ask_database<std::string>(
    "issue admin token",
    [a, who](store& db) -> result<std::string> {
      const auto secret = make_token_secret();
      const auto id = db.auth().replace_admin_tokens(everywhere(), who.id,
                                                     {"auth-token", hash_token_secret(secret), a->lifetime});
      if (!id)
        return id.error();
      return std::to_string(*id) + "|" + secret;
    },
    [a, who](result<std::string> token) {
      if (token)
        a->x->answer(ok({{"admin", render(to_string(who.id), who.name, who.email, who.role)},
                         {"token", *token},
                         {"expires_in", a->lifetime.count()}},
                        "Logged in"));
      else if (token.error().code == errc::not_found)
        a->x->answer(wrong_credentials());
      else
        a->x->answer(token.error());
    });
}

/// The password is right: only now may an answer tell anything more.
void admit(const attempt_ptr& a, const admin_credentials& known) {
  if (known.who.status != super_admin_status::ACTIVE)
    return a->x->answer(invalid("email", "This account is not active."));
  if (known.mfa_enabled)
    return a->x->answer(invalid("email", "This account needs a second factor, which this server does not offer yet."));
  issue(a, known.who);
}

void verify(const attempt_ptr& a, std::optional<admin_credentials> known, password_hasher& passwords) {
  auto hash = known ? known->password_hash : std::string{};
  const bool accepted
    = passwords.verify(a->in.password, std::move(hash), [a, known = std::move(known)](bool matches) {
        if (!matches || !known)
          a->x->answer(wrong_credentials());
        else
          admit(a, *known);
      });
  if (!accepted)
    a->x->answer(failure{errc::transient, "password queue is full", {}, std::chrono::seconds{1}});
}

} // namespace

std::function<void(std::shared_ptr<exchange>)> start_login(password_hasher& passwords,
                                                           std::chrono::seconds lifetime) {
  return [&passwords, lifetime](std::shared_ptr<exchange> x) {
    auto in = login::parse(x->req().body);
    if (!in)
      return x->answer(in.error());
    auto a = std::make_shared<attempt>();
    a->x = x;
    a->in = std::move(*in);
    a->lifetime = lifetime;
    x->ask_database<std::optional<admin_credentials>>(
      "find admin credentials",
      [a](store& db) { return db.auth().find_admin_credentials(everywhere(), a->in.email); },
      [a, &passwords](result<std::optional<admin_credentials>> known) {
        if (known)
          verify(a, std::move(*known), passwords);
        else
          a->x->answer(known.error());
      });
  };
}

result<reply> run_logout(call& c) {
  auto revoked = c.db.auth().revoke_admin_token(scope::maintenance("log a super-admin out"),
                                                super_admin_id{c.who.admin->id}, c.who.token_id);
  if (!revoked)
    return std::move(revoked).error();
  return ok(nullptr, "Logged out");
}

result<reply> run_me(call& c) {
  const auto& who = *c.who.admin;
  auto out = render(to_string(who.id), who.name, who.email, who.role);
  out["last_login_at"] = who.last_login_at ? json(format_api_time(*who.last_login_at)) : json(nullptr);
  return ok(std::move(out));
}

} // namespace carillon::http::admin_session
