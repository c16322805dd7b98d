#include "storage/channel_delivery.hpp"

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/connection.hpp"
#include "storage/failure_notice.hpp"
#include "storage/job_writer.hpp"

namespace carillon::storage {

namespace {

constexpr std::size_t max_channel_reason = 255;

// A preference row that is missing means the defaults: both channels are off.
constexpr auto load_order_sql = R"(
SELECT n.id, n.user_id, n.type, n.title, n.message, n.action_url, n.created_at,
       u.id IS NOT NULL AS user_is_active,
       COALESCE(CASE $3::text WHEN 'push' THEN p.push_enabled ELSE p.sms_enabled END, false) AS enabled,
       d.state, d.reason
FROM carillon.notifications n
LEFT JOIN carillon.users u
  ON u.id = n.user_id AND u.tenant_id = n.tenant_id AND u.status = 'active' AND u.deleted_at IS NULL
LEFT JOIN carillon.notification_preferences p
  ON p.user_id = n.user_id AND p.tenant_id = n.tenant_id AND p.notification_type = n.type
LEFT JOIN carillon.notification_deliveries d ON d.notification_id = n.id AND d.channel = $3::text
WHERE n.id = $2::uuid AND n.tenant_id = $1::uuid
)";

constexpr auto write_delivery_sql = R"(
INSERT INTO carillon.notification_deliveries AS d
  (notification_id, channel, tenant_id, state, reason, attempts, attempted_at, sent_at)
SELECT n.id, $3::text, n.tenant_id, $4::text, $5::text, CASE WHEN $4::text = 'skipped' THEN 0 ELSE 1 END,
       CASE WHEN $4::text <> 'skipped' THEN now() END, CASE WHEN $4::text = 'sent' THEN now() END
FROM carillon.notifications n WHERE n.id = $2::uuid AND n.tenant_id = $1::uuid
ON CONFLICT (notification_id, channel) DO UPDATE
SET state = EXCLUDED.state, reason = EXCLUDED.reason, attempts = d.attempts + EXCLUDED.attempts,
    attempted_at = COALESCE(EXCLUDED.attempted_at, d.attempted_at), sent_at = EXCLUDED.sent_at, updated_at = now()
WHERE d.state <> 'sent'
)";

std::string state_of(delivery_outcome::kind how) {
  switch (how) {
    case delivery_outcome::kind::sent:
      return "sent";
    case delivery_outcome::kind::failed:
      return "failed";
    case delivery_outcome::kind::skipped:
      return "skipped";
  }
  return "failed";
}

/// What PostgreSQL can store: reasons quote what servers on the other side
/// say.
std::string storable(std::string_view text) {
  std::string out{text};
  const bool whole = is_valid_utf8(text);
  for (char& c : out)
    if (c == '\0' || (!whole && static_cast<unsigned char>(c) >= 0x80))
      c = '?';
  return std::string{first_characters(out, max_channel_reason)};
}

} // namespace

std::optional<notification_id> notification_of(const job& work) {
  const auto payload = nlohmann::json::parse(work.payload, nullptr, false);
  if (!payload.is_object())
    return std::nullopt;
  const auto i = payload.find("notification_id");
  if (i == payload.end() || !i->is_string())
    return std::nullopt;
  return notification_id::parse(i->get<std::string>());
}

std::optional<channel_order> load_channel_order(pqxx::transaction_base& tx, const tenant_id& tenant,
                                                const notification_id& id, notification_channel channel) {
  const auto rows
    = exec_planned(tx, load_order_sql, to_string(tenant), to_string(id), std::string{to_string(channel)});
  if (rows.empty())
    return std::nullopt;
  const auto row = rows[0];
  channel_order out;
  out.item.id = id;
  out.item.tenant = tenant;
  out.item.user = read_id<user_id>(row["user_id"]);
  out.item.type = parse<notification_type>(text_or_empty(row["type"])).value_or(notification_type::system_announcement);
  out.item.title = text_or_empty(row["title"]);
  out.item.message = text_or_empty(row["message"]);
  out.item.action_url = text_or_empty(row["action_url"]);
  out.item.created_at = read_instant(row["created_at"]);
  out.user_is_active = row["user_is_active"].as<bool>();
  out.enabled = row["enabled"].as<bool>();
  const auto state = text_or_empty(row["state"]);
  using kind = delivery_outcome::kind;
  if (state == "sent")
    out.settled = {kind::sent, {}};
  else if (state == "skipped")
    out.settled = {kind::skipped, text_or_empty(row["reason"])};
  else if (!out.user_is_active)
    out.settled = {kind::skipped, "the user is gone"};
  else if (!out.enabled)
    out.settled = {kind::skipped, "off by preference"};
  return out;
}

void conclude_channel(pqxx::transaction_base& tx, const job& work, notification_channel channel,
                      const delivery_outcome& outcome) {
  const auto reason = storable(outcome.reason);
  if (const auto id = notification_of(work))
    exec_planned(tx, write_delivery_sql, to_string(work.tenant), to_string(*id), std::string{to_string(channel)},
                   state_of(outcome.how),
                   outcome.how == delivery_outcome::kind::sent ? std::nullopt : null_if_empty(reason));
  const bool failed = outcome.how == delivery_outcome::kind::failed;
  hints in_app_only;
  if (failed) {
    append_job_error(tx, work.id, reason);
    tell_admins(tx, work, reason, in_app_only);
  }
  conclude_run(tx, work, failed ? job_state::discarded : job_state::succeeded);
}

} // namespace carillon::storage
