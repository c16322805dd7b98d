#include "http/handlers/auth/login.hpp"

#include "domain/ports/auth_store.hpp"
#include "domain/text.hpp"
#include "http/envelope.hpp"
#include "http/handlers/auth/user.hpp"
#include "http/password_hasher.hpp"
#include "http/token.hpp"
#include "http/validation.hpp"

#include <optional>

namespace carillon::http::login {

namespace {

constexpr std::size_t longest_email = 255;

/// One @ with something on both sides, no white space or control characters.
bool is_email(std::string_view text) noexcept {
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()
      || text.find('@', at + 1) != std::string_view::npos)
    return false;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f)
      return false;
  }
  return true;
}

std::string read_text(const json& body, const char* field, const char* label,
                      std::vector<field_error>& errors) {
  const auto i = body.find(field);
  if (i == body.end() || i->is_null() || *i == "") {
    errors.push_back({field, std::string{label} + " is required."});
    return {};
  }
  if (!i->is_string()) {
    errors.push_back({field, std::string{label} + " must be a text."});
    return {};
  }
  return i->get<std::string>();
}

failure wrong_credentials() {
  return invalid("email", "The e-mail address or the password is wrong.");
}

struct signed_in {
  issued_token token;
  account who;
};

/// What is carried from step to step.
struct attempt {
  std::shared_ptr<exchange> x;
  input in;
  std::chrono::seconds lifetime;
};
using attempt_ptr = std::shared_ptr<attempt>;

reply render(const signed_in& session, std::chrono::seconds lifetime) {
  return ok({{"user", render_user(session.who)},
             {"token", session.token.plain},
             {"token_type", "Bearer"},
             {"expires_in", lifetime.count()}},
            "Logged in");
}

void issue(const attempt_ptr& a, const account& who) {
  a->x->ask_database<signed_in>(
    "issue token",
    [a, who](store& db) -> result<signed_in> {
      const auto s = scope::tenant(who.tenant);
      auto token
        = issue_token(db.auth(), s, who.id, issue_reason::login, a->lifetime);
      if (!token)
        return std::move(token).error();
      return signed_in{std::move(*token), who};
    },
    [a](result<signed_in> session) {
      if (session)
        a->x->answer(render(*session, a->lifetime));
      else if (session.error().code == errc::not_found)
        a->x->answer(wrong_credentials());
      else
        a->x->answer(session.error());
    });
}

/// The password is right: only now may an answer tell anything more.
void admit(const attempt_ptr& a, const credentials& known) {
  if (known.who.status != user_status::active)
    return a->x->answer(invalid("email", "This account is not active."));
  if (known.mfa_enabled)
    return a->x->answer(invalid(
      "email", "This account needs a second factor, which this server does "
               "not offer yet."));
  issue(a, known.who);
}

void verify(const attempt_ptr& a, std::optional<credentials> known,
            password_hasher& passwords) {
  auto hash = known ? known->password_hash : std::string{};
  const bool accepted
    = passwords.verify(a->in.password, std::move(hash),
                       [a, known = std::move(known)](bool matches) {
                         if (!matches || !known)
                           a->x->answer(wrong_credentials());
                         else
                           admit(a, *known);
                       });
  if (!accepted)
    a->x->answer(failure{
      errc::transient, "password queue is full", {}, std::chrono::seconds{1}});
}

} // namespace

result<input> parse(std::string_view text) {
  auto body = parse_json_object(text);
  if (!body)
    return std::move(body).error();
  input out;
  std::vector<field_error> errors;
  out.email = read_text(*body, "email", "The e-mail address", errors);
  if (!out.email.empty()
      && (!is_email(out.email) || character_count(out.email) > longest_email))
    errors.push_back({"email", "This is not an e-mail address."});
  out.password = read_text(*body, "password", "The password", errors);
  if (const auto i = body->find("remember");
      i != body->end() && !i->is_null()) {
    if (const auto value = read_boolean(*i))
      out.remember = *value;
    else
      errors.push_back({"remember", "This must be true or false."});
  }
  if (!errors.empty())
    return failure{
      errc::invalid_argument, "bad login input", std::move(errors), {}};
  return out;
}

std::function<void(std::shared_ptr<exchange>)>
start_with(password_hasher& passwords, auth_settings settings) {
  return [&passwords, settings](std::shared_ptr<exchange> x) {
    auto in = parse(x->req().body);
    if (!in)
      return x->answer(in.error());
    auto a = std::make_shared<attempt>();
    a->lifetime
      = in->remember ? settings.remembered_lifetime : settings.token_lifetime;
    a->in = std::move(*in);
    a->x = x;
    x->ask_database<std::optional<credentials>>(
      "find credentials",
      [a](store& db) {
        return db.auth().find_credentials(
          scope::maintenance("log in by e-mail"), a->in.email);
      },
      [a, &passwords](result<std::optional<credentials>> known) {
        if (known)
          verify(a, std::move(*known), passwords);
        else
          a->x->answer(known.error());
      });
  };
}

} // namespace carillon::http::login
