#include "http/handlers/notifications/mark_notifications.hpp"

#include "http/handlers/notifications/notification_json.hpp"

namespace carillon::http::notifications {

namespace {

constexpr std::size_t max_ids = 100;

reply marked(std::int64_t count) {
  return ok({{"marked_count", count}}, "Notifications marked as read");
}

} // namespace

result<std::vector<notification_id>> parse_ids(const json& body) {
  const auto ids = body.find("ids");
  if (ids == body.end() || ids->is_null())
    return invalid("ids", "The ids field is required.");
  if (!ids->is_array())
    return invalid("ids", "The ids field must be an array.");
  if (ids->empty() || ids->size() > max_ids)
    return invalid("ids", "The ids field must have 1 to 100 items.");
  std::vector<notification_id> out;
  failure bad{errc::invalid_argument, "an id is not a UUID", {}, {}};
  for (std::size_t i = 0; i < ids->size(); ++i) {
    std::optional<notification_id> id;
    if (const auto text = (*ids)[i].get_ptr<const std::string*>())
      id = notification_id::parse(*text);
    const auto field = "ids." + std::to_string(i);
    if (id)
      out.push_back(*id);
    else
      bad.fields.push_back({field, "The " + field + " field must be a UUID."});
  }
  if (!bad.fields.empty())
    return bad;
  return out;
}

result<reply> run_mark_one(call& c) {
  auto id = c.path_id<notification_id>("notification");
  if (!id)
    return std::move(id).error();
  auto n
    = c.db.notifications().mark_as_read(c.tenant_scope(), c.who.user, *id);
  if (!n)
    return std::move(n).error();
  return ok(render(*n), "Notification marked as read");
}

result<reply> run_mark_all(call& c) {
  auto count
    = c.db.notifications().mark_all_as_read(c.tenant_scope(), c.who.user);
  if (!count)
    return std::move(count).error();
  return marked(*count);
}

result<reply> run_mark_multiple(call& c) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  auto ids = parse_ids(*body);
  if (!ids)
    return std::move(ids).error();
  auto count = c.db.notifications().mark_multiple_as_read(c.tenant_scope(),
                                                          c.who.user, *ids);
  if (!count)
    return std::move(count).error();
  return marked(*count);
}

} // namespace carillon::http::notifications
