#include "storage/notification_writer.hpp"

#include <stdexcept>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/connection.hpp"
#include "storage/job_writer.hpp"

namespace carillon::storage {

namespace {

constexpr std::size_t max_title = 200;
constexpr std::size_t max_short_text = 255;

// One statement: preferences read, row and deliveries written. No preference
// row means the default channels (contract §6.1).
constexpr auto insert_notification_sql = R"(
WITH wanted AS (
  SELECT u.id AS user_id,
         COALESCE(p.in_app_enabled, true) AS in_app,
         COALESCE(p.email_enabled, true) AND NOT $9::boolean AS email,
         COALESCE(p.push_enabled, false) AND NOT $9::boolean AS push,
         COALESCE(p.sms_enabled, false) AND NOT $9::boolean AS sms
  FROM carillon.users u
  LEFT JOIN carillon.notification_preferences p
    ON p.user_id = u.id AND p.tenant_id = u.tenant_id
   AND p.notification_type = $4::text
  WHERE u.tenant_id = $2::uuid AND u.id = $3::uuid
), stored AS (
  INSERT INTO carillon.notifications
    (id, tenant_id, user_id, type, channel, title, message, data, action_url,
     read_at)
  SELECT $1::uuid, $2::uuid, user_id, $4::text, 'in_app', $5::text, $6::text,
         $7::jsonb, $8::text,
         CASE WHEN in_app THEN NULL ELSE now() END
  FROM wanted
  RETURNING read_at, created_at
), delivered AS (
  INSERT INTO carillon.notification_deliveries
    (notification_id, channel, tenant_id, state, reason)
  SELECT $1::uuid, d.channel, $2::uuid, d.state, d.reason
  FROM wanted CROSS JOIN LATERAL (VALUES
    ('in_app', CASE WHEN in_app THEN 'sent' ELSE 'skipped' END,
     CASE WHEN NOT in_app THEN 'off by preference' END),
    ('email', CASE WHEN email THEN 'queued' ELSE 'skipped' END,
     CASE WHEN NOT email THEN CASE WHEN $9::boolean THEN 'in-app notice' ELSE 'off by preference' END END),
    ('push', CASE WHEN push THEN 'skipped' END,
     'not available in this version'),
    ('sms', CASE WHEN sms THEN 'skipped' END,
     'not available in this version')
  ) AS d (channel, state, reason)
  WHERE d.state IS NOT NULL
)
SELECT w.email, s.read_at, s.created_at FROM wanted w CROSS JOIN stored s
)";

// What was sent stays sent, whatever a second try says.
constexpr auto record_email_sql = R"(
WITH noted AS (
  UPDATE carillon.notifications
  SET sent_at = CASE WHEN $3::text = 'sent' THEN now() END,
      failed_at = CASE WHEN $3::text = 'failed' THEN now() END,
      failure_reason = $4::text,
      updated_at = now()
  WHERE id = $1::uuid AND tenant_id = $2::uuid AND sent_at IS NULL
  RETURNING id
)
INSERT INTO carillon.notification_deliveries
  (notification_id, channel, tenant_id, state, reason)
SELECT id, 'email', $2::uuid, $3::text, $4::text FROM noted
ON CONFLICT (notification_id, channel) DO UPDATE
SET state = EXCLUDED.state, reason = EXCLUDED.reason, updated_at = now()
)";

/// Valid UTF-8 without U+0000: what PostgreSQL can store.
std::string storable(std::string_view text) {
  if (is_valid_utf8(text) && text.find('\0') == std::string_view::npos)
    return std::string{text};
  std::string out;
  while (!text.empty()) {
    std::size_t length = 1;
    while (length <= 4 && length <= text.size()
           && !is_valid_utf8(text.substr(0, length)))
      ++length;
    if (length > 4 || length > text.size()) {
      out += "\xef\xbf\xbd"; // U+FFFD
      length = 1;
    } else if (text.front() != '\0') {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

void make_storable(nlohmann::json& value) {
  if (value.is_string())
    value = storable(value.get_ref<const std::string&>());
  else if (value.is_structured())
    for (auto& element : value)
      make_storable(element);
}

std::optional<std::string> storable_data(const std::string& text) {
  if (text.empty())
    return std::nullopt;
  auto data = nlohmann::json::parse(storable(text), nullptr, false);
  if (!data.is_object())
    throw std::invalid_argument{"a notification's data is a JSON object"};
  make_storable(data);
  return data.dump();
}

/// The client appends anything else to its current path, and `//host` would
/// lead away from it (contract §7, D-14).
bool is_client_path(std::string_view url) {
  return url.starts_with('/') && !url.starts_with("//")
         && character_count(url) <= max_short_text;
}

std::string_view delivery_state(email_outcome::kind how) {
  switch (how) {
    case email_outcome::kind::sent:
      return "sent";
    case email_outcome::kind::failed:
      return "failed";
    case email_outcome::kind::skipped:
      return "skipped";
  }
  return "failed";
}

} // namespace

notification write_notification(pqxx::transaction_base& tx,
                                const new_notification& message, hints& out) {
  notification n;
  n.id = notification_id::make();
  n.tenant = message.tenant;
  n.user = message.user;
  n.type = message.type;
  n.title = first_characters(storable(message.title), max_title);
  n.message = storable(message.message);
  const auto data = storable_data(message.data);
  n.data = data.value_or("");
  if (auto url = storable(message.action_url); is_client_path(url))
    n.action_url = std::move(url);

  const auto rows = tx.exec_params(
    insert_notification_sql, to_string(n.id), to_string(n.tenant),
    to_string(n.user), std::string{to_string(n.type)}, n.title, n.message, data,
    null_if_empty(n.action_url), message.in_app_only);
  if (rows.empty())
    throw std::invalid_argument{"user " + to_string(n.user)
                                + " does not belong to tenant "
                                + to_string(n.tenant)};
  n.read_at = read_nullable_instant(rows[0][1]);
  n.created_at = read_instant(rows[0][2]);
  if (!rows[0][0].as<bool>())
    return n;

  new_job mail;
  mail.kind = kinds::send_notification_email;
  mail.tenant = n.tenant;
  mail.workspace = message.workspace.value.is_nil() ? root_workspace(n.tenant)
                                                    : message.workspace;
  mail.payload
    = nlohmann::json{{"v", 1}, {"notification_id", to_string(n.id)}}.dump();
  mail.unique_key = "notification-email-" + to_string(n.id);
  mail.correlation_id = message.correlation_id;
  insert_job(tx, mail);
  out.push_back({hint::subject::job_ready, mail.workspace, n.created_at});
  return n;
}

bool record_email_outcome(pqxx::transaction_base& tx, const tenant_id& tenant,
                          const notification_id& id,
                          const email_outcome& outcome) {
  std::optional<std::string> reason;
  if (outcome.how != email_outcome::kind::sent)
    reason = std::string{
      first_characters(storable(outcome.reason), max_short_text)};
  return tx
           .exec_params(record_email_sql, to_string(id), to_string(tenant),
                        std::string{delivery_state(outcome.how)}, reason)
           .affected_rows()
         > 0;
}

} // namespace carillon::storage
