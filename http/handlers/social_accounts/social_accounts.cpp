#include "http/handlers/social_accounts/social_accounts.hpp"

#include "http/envelope.hpp"

namespace carillon::http::social_accounts {

namespace {

constexpr int default_per_page = 15;

json text_or_null(const std::optional<std::string>& text) {
  return text ? json(*text) : json(nullptr);
}

/// A code that this build does not know is shown as the newer networks are.
std::string shown_code(const social_account& a, bool compat_platform_codes) {
  if (!compat_platform_codes)
    return a.platform_code;
  return std::string{to_string(compat(a.platform.value_or(network::mastodon)))};
}

} // namespace

social_account_filter parse_filter(const request& req) {
  social_account_filter f;
  f.status = parse<social_account_status>(req.query_value("status"));
  f.platform = parse<network>(req.query_value("platform"));
  const auto connected = req.query_value("connected");
  f.connected_only = connected == "true" || connected == "1";
  const auto page = read_page(req, default_per_page);
  f.page = page.page;
  f.per_page = page.per_page;
  return f;
}

json render(const social_account& a, bool compat_platform_codes) {
  using enum social_account_status;
  const bool healthy = a.status == connected;
  return {
    {"id", to_string(a.id)},
    {"workspace_id", to_string(a.workspace)},
    {"platform", shown_code(a, compat_platform_codes)},
    {"network", a.platform ? json(to_string(*a.platform)) : json(nullptr)},
    {"platform_account_id", a.platform_account_id},
    {"account_name", a.account_name},
    {"account_username", text_or_null(a.account_username)},
    {"profile_image_url", text_or_null(a.profile_image_url)},
    {"status", to_string(a.status)},
    {"is_healthy", healthy},
    {"can_publish", healthy},
    {"requires_reconnect", a.status == token_expired || a.status == revoked},
    {"token_expires_at", time_or_null(a.token_expires_at)},
    {"connected_at", format_api_time(a.connected_at)},
    {"last_refreshed_at", time_or_null(a.last_refreshed_at)},
  };
}

result<reply> run_list(call& c) {
  const auto filter = parse_filter(c.req);
  auto page = c.db.social_accounts().list(c.tenant_scope(), c.workspace->id,
                                          filter);
  if (!page)
    return std::move(page).error();
  auto items = json::array();
  for (const auto& a : page->items)
    items.push_back(render(a, c.settings.compat_platform_codes));
  return paginated(c.req, std::move(items), {filter.page, filter.per_page},
                   page->total);
}

result<reply> run_get(call& c) {
  auto id = c.path_id<social_account_id>("socialAccount");
  if (!id)
    return std::move(id).error();
  auto a
    = c.db.social_accounts().load(c.tenant_scope(), c.workspace->id, *id);
  if (!a)
    return std::move(a).error();
  return ok(render(*a, c.settings.compat_platform_codes));
}

} // namespace carillon::http::social_accounts
