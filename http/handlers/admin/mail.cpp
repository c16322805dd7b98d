#include "http/handlers/admin/mail.hpp"

#include <algorithm>

#include "domain/ports/delivery_store.hpp"
#include "http/validation.hpp"

namespace carillon::http::admin_mail {

namespace {

constexpr int suppressions_page = 50;
constexpr int largest_suppressions_page = 100;
constexpr std::size_t longest_address = 255;
constexpr std::size_t uuid_size = 36;

json render_suppression(const mail_suppression& s) {
  return {{"tenant_id", to_string(s.tenant)},
          {"address", s.address},
          {"reason", s.reason},
          {"created_at", format_api_time(s.created_at)}};
}

/// `<tenant>:<address>` of the last one that was shown.
std::optional<std::pair<tenant_id, std::string>> read_suppression_cursor(const std::string& text) {
  const auto tenant = tenant_id::parse(std::string_view{text}.substr(0, uuid_size));
  if (!tenant || text.size() < uuid_size + 2 || text[uuid_size] != ':')
    return std::nullopt;
  return std::pair{*tenant, text.substr(uuid_size + 1)};
}

} // namespace

result<reply> run_list_suppressions(call& c) {
  auto query = json::object();
  for (const auto& [name, value] : c.req.query)
    query[name] = value;
  body_reader in{query};
  mail_suppression_filter filter;
  const auto tenant = in.id("tenant_id");
  filter.address = in.text("address", longest_address).value_or("");
  const auto limit = static_cast<int>(in.whole_number("limit", 1, largest_suppressions_page).value_or(suppressions_page));
  if (const auto cursor = in.text("cursor", uuid_size + 1 + longest_address)) {
    filter.after = read_suppression_cursor(*cursor);
    if (!filter.after)
      in.refuse("cursor", "must be what an answer gave as next_cursor.");
  }
  if (auto refused = in.problems())
    return std::move(*refused);
  // One more tells whether there is a next page.
  filter.limit = limit + 1;
  const auto found = c.db.deliveries().suppressions(
    tenant ? scope::tenant({*tenant}) : scope::maintenance("operator API: suppressed addresses"), filter);
  if (!found)
    return found.error();
  const auto shown = std::min<std::size_t>(found->size(), static_cast<std::size_t>(limit));
  auto items = json::array();
  for (std::size_t i = 0; i < shown; ++i)
    items.push_back(render_suppression((*found)[i]));
  auto next = json(nullptr);
  if (found->size() > shown)
    next = to_string((*found)[shown - 1].tenant) + ":" + (*found)[shown - 1].address;
  auto out = ok(std::move(items));
  out.body["meta"] = {{"limit", limit}, {"next_cursor", std::move(next)}};
  return out;
}

result<reply> run_lift_suppression(call& c) {
  const auto body = c.body();
  if (!body)
    return body.error();
  body_reader in{*body};
  const auto tenant = in.id("tenant_id", presence::required);
  const auto address = in.text("address", longest_address, presence::required);
  if (auto refused = in.problems())
    return std::move(*refused);
  const auto lifted = c.db.deliveries().lift_suppression(
    scope::tenant({*tenant}), {c.who.admin->id, c.req.remote_address, c.req.correlation_id}, *address);
  if (!lifted)
    return lifted.error();
  return ok(render_suppression(*lifted));
}

} // namespace carillon::http::admin_mail
