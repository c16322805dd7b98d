#include "http/handlers/notifications/push.hpp"

#include <array>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "domain/base64url.hpp"
#include "domain/push_endpoint.hpp"

namespace carillon::http {

namespace {

constexpr std::size_t point_size = 65;
constexpr std::size_t auth_size = 16;
/// Of base64url, padding included.
constexpr std::size_t longest_key = 100;

/// A key that is not on the curve would fail with every message.
bool is_on_curve(const std::string& point) {
  if (point.size() != point_size || point.front() != '\x04')
    return false;
  std::string bytes = point;
  std::array<char, 11> group{"prime256v1"};
  std::array<OSSL_PARAM, 3> params{
    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes.data(), bytes.size()),
    OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context{
    EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), EVP_PKEY_CTX_free};
  EVP_PKEY* key = nullptr;
  const bool good = context && EVP_PKEY_fromdata_init(context.get()) == 1
                    && EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.data()) == 1;
  EVP_PKEY_free(key);
  ERR_clear_error();
  return good;
}

json render(const push_subscription& s) {
  return {{"id", to_string(s.id)},
          {"endpoint", s.endpoint},
          {"created_at", format_api_time(s.created_at)},
          {"last_success_at", s.last_success_at ? json(format_api_time(*s.last_success_at)) : json()},
          {"failures", s.failures}};
}

failure no_push() {
  return {errc::not_found, "push is not set up", {}, {}};
}

result<reply> run_public_key(const push_settings& settings) {
  if (settings.public_key.empty())
    return no_push();
  return ok({{"public_key", settings.public_key}});
}

result<reply> run_list(call& c) {
  const auto all = c.db.pushes().list(c.tenant_scope(), c.who.user);
  if (!all)
    return all.error();
  auto out = json::array();
  for (const auto& one : *all)
    out.push_back(render(one));
  return ok(std::move(out));
}

result<reply> run_subscribe(call& c, const push_settings& settings) {
  if (settings.public_key.empty())
    return no_push();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto address = notifications::parse_subscription(*body, settings.trusted_hosts);
  if (!address)
    return address.error();
  const auto made = c.db.pushes().subscribe(c.tenant_scope(), c.who.user, *address,
                                            settings.max_subscriptions_per_user);
  if (!made && made.error().code == errc::conflict)
    return invalid("endpoint", "No more than " + std::to_string(settings.max_subscriptions_per_user)
                                 + " browsers can be subscribed.");
  if (!made)
    return made.error();
  return created(render(*made), "Browser subscribed");
}

result<reply> run_unsubscribe(call& c) {
  auto endpoint = c.req.query_value("endpoint");
  if (endpoint.empty()) {
    const auto body = c.body();
    if (!body)
      return body.error();
    const auto given = body->find("endpoint");
    if (given == body->end() || !given->is_string() || given->get_ref<const std::string&>().empty())
      return invalid("endpoint", "The endpoint field is required.");
    endpoint = given->get<std::string>();
  }
  if (auto gone = c.db.pushes().unsubscribe(c.tenant_scope(), c.who.user, endpoint); !gone)
    return std::move(gone).error();
  return ok(nullptr, "Browser unsubscribed");
}

} // namespace

result<push_address> notifications::parse_subscription(const json& body,
                                                       const std::vector<std::string>& trusted_hosts) {
  push_address out;
  failure bad{errc::invalid_argument, "the subscription is not valid", {}, {}};
  const auto refuse = [&bad](const std::string& field, const std::string& reason) {
    bad.fields.push_back({field, "The " + field + " field " + reason});
  };
  const auto endpoint = body.find("endpoint");
  if (endpoint == body.end() || endpoint->is_null()) {
    refuse("endpoint", "is required.");
  } else if (!endpoint->is_string()) {
    refuse("endpoint", "must be text.");
  } else {
    auto parsed = parse_push_endpoint(endpoint->get_ref<const std::string&>(), trusted_hosts);
    if (parsed)
      out.endpoint = std::move(parsed->url);
    else
      refuse("endpoint", parsed.error().detail);
  }
  const auto keys = body.find("keys");
  const auto key = [&](const char* name) -> std::optional<std::string> {
    const auto field = std::string{"keys."} + name;
    if (keys == body.end() || !keys->is_object() || !keys->contains(name)) {
      refuse(field, "is required.");
      return std::nullopt;
    }
    const auto* text = (*keys)[name].get_ptr<const std::string*>();
    auto bytes = text && text->size() <= longest_key ? decode_base64url(*text) : std::nullopt;
    if (!bytes)
      refuse(field, "must be base64url.");
    return bytes;
  };
  if (auto p256dh = key("p256dh")) {
    if (is_on_curve(*p256dh))
      out.p256dh = std::move(*p256dh);
    else
      refuse("keys.p256dh", "must be a key on the curve P-256.");
  }
  if (auto auth = key("auth")) {
    if (auth->size() == auth_size)
      out.auth = std::move(*auth);
    else
      refuse("keys.auth", "must have 16 bytes.");
  }
  if (!bad.fields.empty())
    return bad;
  return out;
}

std::vector<route> push_routes(const push_settings& settings) {
  const std::string base = "/api/v1/notifications/push";
  return {
    {"GET", base + "/public-key", access::token, [settings](call&) { return run_public_key(settings); }},
    {"GET", base + "/subscriptions", access::token, run_list},
    {"POST", base + "/subscriptions", access::token, [settings](call& c) { return run_subscribe(c, settings); }},
    {"DELETE", base + "/subscriptions", access::token, run_unsubscribe},
  };
}

} // namespace carillon::http
