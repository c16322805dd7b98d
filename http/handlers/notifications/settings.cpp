#include "http/handlers/notifications/settings.hpp"

#include "domain/ports/notification_store.hpp"
#include "domain/text.hpp"
#include "http/validation.hpp"

namespace carillon::http::notifications {

namespace {

class fault_list {
public:
  void add(const std::string& field, const std::string& reason) {
    if (fields_.size() < 100)
      fields_.push_back({field, "The " + field + " field " + reason});
  }
  std::optional<failure> take() {
    if (fields_.empty())
      return std::nullopt;
    return failure{errc::invalid_argument, "the settings are not valid", std::move(fields_), {}};
  }

private:
  std::vector<field_error> fields_;
};

void read_quiet_hours(const json& quiet, settings_change& change, fault_list& faults) {
  if (!quiet.is_object()) {
    faults.add("quiet_hours", "must be an object.");
    return;
  }
  for (const auto& [name, value] : quiet.items()) {
    const auto field = "quiet_hours." + std::string{first_characters(name, 50)};
    if (name == "enabled") {
      change.quiet_enabled = read_boolean(value);
      if (!change.quiet_enabled)
        faults.add(field, "must be true or false.");
    } else if (name == "start" || name == "end") {
      auto& to = name == "start" ? change.quiet_start : change.quiet_end;
      if (value.is_string())
        to = parse_time_of_day(value.get_ref<const std::string&>());
      if (!to)
        faults.add(field, "must be a time between 00:00 and 23:59.");
    } else {
      faults.add(field, "is not known.");
    }
  }
}

void read_digests(const json& digests, settings_change& change, fault_list& faults) {
  if (!digests.is_object()) {
    faults.add("digests", "must be an object.");
    return;
  }
  for (const auto& [name, value] : digests.items()) {
    const auto field = "digests." + std::string{first_characters(name, 50)};
    const auto category = parse<notification_category>(name);
    const auto period = value.is_string() ? parse<digest_period>(value.get_ref<const std::string&>()) : std::nullopt;
    if (!category)
      faults.add(field, "is no category.");
    else if (!period)
      faults.add(field, "must be off, hourly or daily.");
    else
      change.digests[*category] = *period;
  }
}

} // namespace

result<settings_change> parse_settings(const json& body) {
  settings_change change;
  fault_list faults;
  if (const auto quiet = body.find("quiet_hours"); quiet != body.end())
    read_quiet_hours(*quiet, change, faults);
  if (const auto digests = body.find("digests"); digests != body.end())
    read_digests(*digests, change, faults);
  if (const auto hour = body.find("digest_hour"); hour != body.end()) {
    if (hour->is_number_integer() && *hour >= 0 && *hour <= 23)
      change.digest_hour = hour->get<int>();
    else
      faults.add("digest_hour", "must be a number between 0 and 23.");
  }
  if (auto bad = faults.take())
    return *bad;
  return change;
}

json render(const notification_settings& s) {
  auto digests = json::object();
  for (const auto& [category, period] : s.digests)
    digests[std::string{to_string(category)}] = to_string(period);
  return {
    {"time_zone", s.time_zone},
    {"quiet_hours",
     {{"enabled", s.quiet_enabled}, {"start", format_time_of_day(s.quiet_start)}, {"end", format_time_of_day(s.quiet_end)}}},
    {"digests", std::move(digests)},
    {"digest_hour", s.digest_hour},
  };
}

result<reply> run_settings(call& c) {
  auto settings = c.db.notifications().settings(c.tenant_scope(), c.who.user);
  if (!settings)
    return std::move(settings).error();
  return ok(render(*settings));
}

result<reply> run_update_settings(call& c) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  const auto change = parse_settings(*body);
  if (!change)
    return change.error();
  auto settings = c.db.notifications().update_settings(c.tenant_scope(), c.who.user, *change);
  if (!settings)
    return std::move(settings).error();
  return ok(render(*settings), "Settings updated");
}

} // namespace carillon::http::notifications
