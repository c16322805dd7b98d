#include "http/handlers/admin/publishing.hpp"

#include <set>

#include "domain/ports/operations_store.hpp"
#include "http/validation.hpp"

namespace carillon::http::admin_publishing {

namespace {

constexpr int lateness_page = 50;
constexpr int largest_lateness_page = 100;
constexpr int usual_hours = 24;
constexpr int most_hours = 7 * 24;

json milliseconds_or_null(const std::optional<std::chrono::milliseconds>& value) {
  return value ? json(value->count()) : json(nullptr);
}

json render_lateness(const workspace_lateness& one) {
  return {{"tenant_id", to_string(one.tenant)},
          {"workspace_id", to_string(one.workspace)},
          {"workspace_name", one.workspace_name},
          {"network", one.platform},
          {"posts", one.posts},
          {"late", one.late},
          {"waiting", one.waiting},
          {"retried", one.retried},
          {"late_share", one.posts == 0 ? 0.0 : static_cast<double>(one.late) / static_cast<double>(one.posts)},
          {"p50_ms", milliseconds_or_null(one.p50)},
          {"p99_ms", milliseconds_or_null(one.p99)},
          {"max_ms", milliseconds_or_null(one.max)}};
}

} // namespace

result<reply> run_lateness(call& c, std::chrono::milliseconds late_after) {
  static const std::set<std::string> known{"tenant_id", "workspace_id", "network", "hours", "limit"};
  auto query = json::object();
  for (const auto& [name, value] : c.req.query)
    query[name] = value;
  body_reader in{query};
  for (const auto& [name, _] : query.items())
    if (!known.contains(name))
      in.refuse(name, "is not known here.");
  const auto tenant = in.id("tenant_id");
  lateness_filter filter;
  filter.late_after = late_after;
  if (const auto workspace = in.id("workspace_id"))
    filter.workspace = workspace_id{*workspace};
  filter.platform = in.choice<network>("network");
  const auto hours = static_cast<int>(in.whole_number("hours", 1, most_hours).value_or(usual_hours));
  filter.within = std::chrono::hours{hours};
  filter.limit = static_cast<int>(in.whole_number("limit", 1, largest_lateness_page).value_or(lateness_page));
  if (auto refused = in.problems())
    return std::move(*refused);
  const auto found = c.db.operations().lateness(
    tenant ? scope::tenant({*tenant}) : scope::maintenance("operator API: lateness of posts"), filter);
  if (!found)
    return found.error();
  auto items = json::array();
  for (const auto& one : found->worst)
    items.push_back(render_lateness(one));
  auto out = ok(std::move(items));
  out.body["meta"] = {{"hours", hours},
                      {"limit", filter.limit},
                      {"late_after_ms", late_after.count()},
                      {"posts", found->posts},
                      {"late", found->late},
                      {"waiting", found->waiting},
                      {"retried", found->retried}};
  return out;
}

} // namespace carillon::http::admin_publishing
