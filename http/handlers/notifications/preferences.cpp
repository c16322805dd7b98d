#include "http/handlers/notifications/preferences.hpp"

#include "http/handlers/notifications/notification_json.hpp"

namespace carillon::http::notifications {

namespace {

constexpr std::size_t max_changes = 100;

/// Contract §1.5: JSON booleans, 1 and 0, and these words.
std::optional<bool> read_bool(const json& value) {
  if (value.is_boolean())
    return value.get<bool>();
  if (value == 1 || value == "1" || value == "true")
    return true;
  if (value == 0 || value == "0" || value == "false")
    return false;
  return std::nullopt;
}

/// Reads one change; what is wrong with it goes to `bad` under `prefix`.
preference_change read_change(const json& item, const std::string& prefix,
                              failure& bad) {
  preference_change change;
  auto refuse = [&](const std::string& name, const std::string& reason) {
    const auto field = prefix + name;
    bad.fields.push_back({field, "The " + field + " field " + reason});
  };
  const auto type = item.find("notification_type");
  if (type == item.end() || type->is_null()) {
    refuse("notification_type", "is required.");
  } else {
    std::optional<notification_type> known;
    if (const auto text = type->get_ptr<const std::string*>())
      known = parse<notification_type>(*text);
    if (known)
      change.type = *known;
    else
      refuse("notification_type", "is no notification type.");
  }
  auto flag = [&](const char* name, std::optional<bool>& to) {
    const auto value = item.find(name);
    if (value == item.end())
      return;
    to = read_bool(*value);
    if (!to)
      refuse(name, "must be true or false.");
  };
  flag("in_app_enabled", change.in_app);
  flag("email_enabled", change.email);
  flag("push_enabled", change.push);
  flag("sms_enabled", change.sms);
  return change;
}

void set_default(std::optional<bool>& flag, bool value) {
  flag = flag.value_or(value);
}

} // namespace

result<preferences_input> parse_preferences(const json& body) {
  constexpr channel_preferences defaults;
  preferences_input in;
  failure bad{errc::invalid_argument, "the preferences are not valid", {}, {}};
  const auto list = body.find("preferences");
  in.bulk = list != body.end();
  if (!in.bulk) {
    in.changes.push_back(read_change(body, "", bad));
    set_default(in.changes.front().push, defaults.push);
    set_default(in.changes.front().sms, defaults.sms);
  } else if (!list->is_array()) {
    return invalid("preferences", "The preferences field must be an array.");
  } else if (list->empty() || list->size() > max_changes) {
    return invalid("preferences",
                   "The preferences field must have 1 to 100 items.");
  } else {
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto field = "preferences." + std::to_string(i);
      const auto& item = (*list)[i];
      if (item.is_object())
        in.changes.push_back(read_change(item, field + '.', bad));
      else
        bad.fields.push_back(
          {field, "The " + field + " field must be an object."});
    }
  }
  if (!bad.fields.empty())
    return bad;
  for (auto& change : in.changes) {
    set_default(change.in_app, defaults.in_app);
    set_default(change.email, defaults.email);
  }
  return in;
}

result<reply> run_preferences(call& c) {
  auto all = c.db.notifications().preferences(c.tenant_scope(), c.who.user);
  if (!all)
    return std::move(all).error();
  return ok(render(*all));
}

result<reply> run_update_preferences(call& c) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  auto in = parse_preferences(*body);
  if (!in)
    return std::move(in).error();
  auto& store = c.db.notifications();
  constexpr auto message = "Preferences updated";
  if (in->bulk) {
    auto all
      = store.update_preferences(c.tenant_scope(), c.who.user, in->changes);
    if (!all)
      return std::move(all).error();
    return ok(render(*all), message);
  }
  auto one = store.update_preference(c.tenant_scope(), c.who.user,
                                     in->changes.front());
  if (!one)
    return std::move(one).error();
  return ok(render(*one), message);
}

} // namespace carillon::http::notifications
