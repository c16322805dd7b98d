#include "http/handlers/workspaces/workspaces.hpp"

#include "domain/text.hpp"
#include "http/validation.hpp"

namespace carillon::http::workspaces {

namespace {

constexpr int default_per_page = 15;
constexpr std::size_t max_search = 255;
constexpr std::size_t max_name = 100;
constexpr std::size_t max_description = 500;
constexpr std::size_t max_icon = 50;
constexpr std::size_t max_color = 20;

json parse_settings(const std::string& text) {
  auto settings = json::parse(text, nullptr, false);
  return settings.is_object() ? settings : json::object();
}

/// A text inside the settings, or null.
json setting(const json& settings, const json::json_pointer& path) {
  const auto value = settings.value(path, json{});
  return value.is_string() ? value : json(nullptr);
}

} // namespace

workspace_filter parse_filter(const request& req) {
  workspace_filter f;
  f.status = parse<workspace_status>(req.query_value("status"));
  f.search = first_characters(req.query_value("search"), max_search);
  const auto page = read_page(req, default_per_page);
  f.page = page.page;
  f.per_page = page.per_page;
  return f;
}

json render(const workspace& w) {
  auto settings = parse_settings(w.settings);
  return {
    {"id", to_string(w.id)},
    {"tenant_id", to_string(w.tenant)},
    {"name", w.name},
    {"slug", w.slug},
    {"description", w.description ? json(*w.description) : json(nullptr)},
    {"status", to_string(w.status)},
    {"icon", setting(settings, json::json_pointer{"/icon"})},
    {"color", setting(settings, json::json_pointer{"/color"})},
    {"settings", settings},
    {"member_count", w.member_count},
    {"current_user_role", w.role ? json(to_string(*w.role)) : json(nullptr)},
    {"created_at", format_api_time(w.created_at)},
  };
}

json render(const tenant& t) {
  auto settings = parse_settings(t.settings);
  return {
    {"id", to_string(t.id)},
    {"name", t.name},
    {"slug", t.slug},
    {"type", to_string(t.type)},
    {"status", to_string(t.status)},
    {"logo_url", setting(settings, json::json_pointer{"/branding/logo_url"})},
    {"website", t.website.empty() ? json(nullptr) : json(t.website)},
    {"timezone", setting(settings, json::json_pointer{"/timezone"})},
    {"settings", settings},
    {"created_at", format_api_time(t.created_at)},
  };
}

result<reply> run_list(call& c) {
  const auto filter = parse_filter(c.req);
  auto page = c.db.workspaces().list_workspaces(c.tenant_scope(), c.who.user,
                                                filter);
  if (!page)
    return std::move(page).error();
  auto items = json::array();
  for (const auto& w : page->items)
    items.push_back(render(w));
  return paginated(c.req, std::move(items), {filter.page, filter.per_page},
                   page->total);
}

result<reply> run_create(call& c) {
  if (!c.who.is_tenant_admin())
    return failure{errc::forbidden, {}, {}, {}};
  const auto body = c.body();
  if (!body)
    return body.error();
  body_reader in{*body};
  new_workspace wanted;
  wanted.name = in.text("name", max_name, presence::required).value_or("");
  wanted.description = in.text("description", max_description);
  wanted.icon = in.text("icon", max_icon);
  wanted.color = in.text("color", max_color);
  if (auto bad = in.problems())
    return std::move(*bad);
  auto made = c.db.workspaces().create_workspace(c.tenant_scope(), {c.who.user, c.who.name, c.req.correlation_id},
                                                 wanted);
  if (!made)
    return std::move(made).error();
  return created(render(*made), "Workspace created");
}

result<reply> run_get(call& c) {
  auto w = c.db.workspaces().load_workspace(c.tenant_scope(), c.workspace->id,
                                            c.who.user);
  if (!w)
    return std::move(w).error();
  return ok(render(*w));
}

result<reply> run_current_tenant(call& c) {
  auto t = c.db.workspaces().load_tenant(c.tenant_scope());
  if (!t)
    return std::move(t).error();
  return ok(render(*t));
}

} // namespace carillon::http::workspaces
