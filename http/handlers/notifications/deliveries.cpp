#include "http/handlers/notifications/deliveries.hpp"

#include "http/envelope.hpp"

namespace carillon::http::notifications {

json render(const notification_delivery& d) {
  return {
    {"channel", to_string(d.channel)},
    {"state", to_string(d.state)},
    {"reason", d.reason.empty() ? json(nullptr) : json(d.reason)},
    {"deferred_until", time_or_null(d.deferred_until)},
    {"attempts", d.attempts},
    {"last_attempt_at", time_or_null(d.attempted_at)},
    {"sent_at", time_or_null(d.sent_at)},
    {"updated_at", format_api_time(d.updated_at)},
  };
}

result<reply> run_deliveries(call& c) {
  auto id = c.path_id<notification_id>("notification");
  if (!id)
    return std::move(id).error();
  auto all = c.db.notifications().deliveries(c.tenant_scope(), c.who.user, *id);
  if (!all)
    return std::move(all).error();
  auto out = json::array();
  for (const auto& d : *all)
    out.push_back(render(d));
  return ok(std::move(out));
}

} // namespace carillon::http::notifications
