// The parts of notification_repository about when and whether a user wants
// to hear.
#include <nlohmann/json.hpp>

#include "storage/notification_repository.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr auto settings_sql = R"(
SELECT coalesce(q.quiet_enabled, false), to_char(coalesce(q.quiet_start, '22:00'), 'HH24:MI'),
       to_char(coalesce(q.quiet_end, '07:00'), 'HH24:MI'), coalesce(q.digests, '{}'), coalesce(q.digest_hour, 8),
       carillon.first_time_zone(u.timezone, t.settings ->> 'timezone')
FROM carillon.users u
JOIN carillon.tenants t ON t.id = u.tenant_id
LEFT JOIN carillon.notification_settings q ON q.user_id = u.id AND q.tenant_id = u.tenant_id
WHERE u.tenant_id = $1::uuid AND u.id = $2::uuid AND u.deleted_at IS NULL
)";

constexpr auto make_settings_sql = R"(
INSERT INTO carillon.notification_settings (user_id, tenant_id)
SELECT id, tenant_id FROM carillon.users WHERE tenant_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
ON CONFLICT (user_id) DO UPDATE SET updated_at = now()
)";

constexpr auto update_settings_sql = R"(
UPDATE carillon.notification_settings
SET quiet_enabled = $3::boolean, quiet_start = $4::time, quiet_end = $5::time, digests = $6::jsonb,
    digest_hour = $7::smallint, updated_at = now()
WHERE tenant_id = $1::uuid AND user_id = $2::uuid
)";

constexpr auto email_off_sql = R"(
INSERT INTO carillon.notification_preferences (id, tenant_id, user_id, notification_type, email_enabled)
SELECT carillon.uuid_v7(), u.tenant_id, u.id, t.type, false
FROM carillon.users u CROSS JOIN carillon.notification_types t
WHERE u.tenant_id = $1::uuid AND u.id = $2::uuid AND u.deleted_at IS NULL
  AND t.type = ANY ($3::text[])
ORDER BY t.type
ON CONFLICT (user_id, notification_type) DO UPDATE SET email_enabled = false, updated_at = now()
)";

failure settings_owner_missing() {
  return {errc::not_found, "no such user in this tenant", {}, {}};
}

std::optional<notification_settings> read_settings(pqxx::transaction_base& tx, const std::optional<std::string>& tenant,
                                                   user_id user) {
  const auto rows = tx.exec_params(settings_sql, tenant, to_string(user));
  if (rows.empty())
    return std::nullopt;
  const auto& row = rows[0];
  notification_settings out;
  out.quiet_enabled = row[0].as<bool>();
  out.quiet_start = parse_time_of_day(row[1].as<std::string>()).value_or(out.quiet_start);
  out.quiet_end = parse_time_of_day(row[2].as<std::string>()).value_or(out.quiet_end);
  const auto digests = json::parse(row[3].as<std::string>(), nullptr, false);
  for (const auto name : {"content", "engagement", "team", "billing", "social", "support", "data", "system"}) {
    auto period = digest_period::off;
    if (const auto stored = digests.find(name); stored != digests.end() && stored->is_string())
      period = parse<digest_period>(stored->get<std::string>()).value_or(digest_period::off);
    out.digests[*parse<notification_category>(name)] = period;
  }
  out.digest_hour = row[4].as<int>();
  out.time_zone = row[5].as<std::string>();
  return out;
}

} // namespace

result<notification_settings> notification_repository::settings(const scope& s, user_id user) {
  return db_.transact("notification-settings", [&](pqxx::work& tx) -> result<notification_settings> {
    auto found = read_settings(tx, tenant_param(s), user);
    if (!found)
      return settings_owner_missing();
    return *found;
  });
}

result<notification_settings> notification_repository::update_settings(const scope& s, user_id user,
                                                                       const settings_change& change) {
  return db_.transact("update-notification-settings", [&](pqxx::work& tx) -> result<notification_settings> {
    const auto tenant = tenant_param(s);
    // Also locks the row: two changes at once both count.
    if (tx.exec_params(make_settings_sql, tenant, to_string(user)).affected_rows() == 0)
      return settings_owner_missing();
    auto next = read_settings(tx, tenant, user);
    if (!next)
      return settings_owner_missing();
    next->quiet_enabled = change.quiet_enabled.value_or(next->quiet_enabled);
    next->quiet_start = change.quiet_start.value_or(next->quiet_start);
    next->quiet_end = change.quiet_end.value_or(next->quiet_end);
    next->digest_hour = change.digest_hour.value_or(next->digest_hour);
    for (const auto& [category, period] : change.digests)
      next->digests[category] = period;
    if (next->quiet_start == next->quiet_end)
      return invalid("quiet_hours.end", "The quiet_hours.end field must differ from the start.");
    json digests = json::object();
    for (const auto& [category, period] : next->digests)
      if (period != digest_period::off)
        digests[std::string{to_string(category)}] = to_string(period);
    tx.exec_params(update_settings_sql, tenant, to_string(user), next->quiet_enabled,
                   format_time_of_day(next->quiet_start), format_time_of_day(next->quiet_end), digests.dump(),
                   next->digest_hour);
    return *next;
  });
}

result<done> notification_repository::unsubscribe_email(const scope& s, user_id user,
                                                        const std::vector<notification_type>& types) {
  return db_.transact("unsubscribe-email", [&](pqxx::work& tx) -> result<done> {
    // Names of types need no quoting in an array literal.
    std::string names = "{";
    for (const auto type : types) {
      if (names.size() > 1)
        names += ',';
      names += to_string(type);
    }
    if (tx.exec_params(email_off_sql, tenant_param(s), to_string(user), names + '}').affected_rows() == 0)
      return settings_owner_missing();
    return done{};
  });
}

} // namespace carillon::storage
