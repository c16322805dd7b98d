#include "storage/notification_writer.hpp"

#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/connection.hpp"
#include "storage/live_notes.hpp"

namespace carillon::storage {

namespace {

constexpr std::size_t max_title = 200;
constexpr std::size_t max_short_text = 255;

// Decides and writes everything (migration 0003): other programs reach the
// same by carillon.notify.
constexpr auto write_notifications_sql = R"(
SELECT id, user_id, read_at, created_at, due
FROM carillon.write_notifications($1::uuid, $2::uuid[], $3::text, $4::text, $5::text, $6::jsonb, $7::text,
                                  $8::uuid, $9::text, $10::boolean)
)";

// data and correlation ids come as text, '' for none.
constexpr auto write_notices_sql = R"(
SELECT n, id, read_at, created_at, due
FROM carillon.write_notices($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[],
                            ARRAY(SELECT nullif(d, '')::jsonb FROM unnest($7::text[]) WITH ORDINALITY AS w (d, n) ORDER BY n),
                            $8::text[],
                            ARRAY(SELECT nullif(c, '') FROM unnest($9::text[]) WITH ORDINALITY AS w (c, n) ORDER BY n))
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
  (notification_id, channel, tenant_id, state, reason, sent_at)
SELECT id, 'email', $2::uuid, $3::text, $4::text, CASE WHEN $3::text = 'sent' THEN now() END FROM noted
ON CONFLICT (notification_id, channel) DO UPDATE
SET state = EXCLUDED.state, reason = EXCLUDED.reason, sent_at = EXCLUDED.sent_at, deferred_until = NULL,
    updated_at = now()
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

/// As it will be stored, without what the database says of it.
notification unwritten(const new_notification& message) {
  notification n;
  n.tenant = message.tenant;
  n.user = message.user;
  n.type = message.type;
  n.title = message.title;
  n.message = message.message;
  n.data = message.data;
  n.action_url = message.action_url;
  return n;
}

std::string_view outcome_text(email_outcome::kind how) {
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

new_notification made_storable(new_notification message) {
  message.title = first_characters(storable(message.title), max_title);
  message.message = storable(message.message);
  message.data = storable_data(message.data).value_or("");
  auto url = storable(message.action_url);
  message.action_url = is_client_path(url) ? std::move(url) : std::string{};
  return message;
}

std::vector<notification> write_notifications(pqxx::transaction_base& tx, const new_notification& wanted,
                                              const std::vector<user_id>& users, hints& out) {
  const auto message = made_storable(wanted);
  auto n = unwritten(message);
  const auto home = message.workspace.value.is_nil() ? root_workspace(n.tenant) : message.workspace;

  const auto rows = exec_planned(tx, write_notifications_sql, to_string(n.tenant), uuid_array(users),
                                   std::string{to_string(n.type)}, n.title, n.message, null_if_empty(n.data),
                                   null_if_empty(n.action_url), to_string(home),
                                   null_if_empty(message.correlation_id), message.in_app_only);
  std::vector<notification> written;
  written.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    n.id = read_id<notification_id>(row[0]);
    n.user = read_id<user_id>(row[1]);
    n.read_at = read_nullable_instant(row[2]);
    n.created_at = read_instant(row[3]);
    note_notification(n);
    written.push_back(n);
  }
  if (!rows.empty() && rows[0][4].as<bool>())
    out.push_back({hint::subject::job_ready, home, n.created_at});
  return written;
}

void write_notices(pqxx::transaction_base& tx, const std::vector<new_notification>& messages, hints& out) {
  if (messages.empty())
    return;
  std::vector<notification> written;
  std::vector<tenant_id> tenants;
  std::vector<workspace_id> homes;
  std::vector<user_id> users;
  std::vector<std::string> types, titles, texts, data, urls, correlations;
  for (const auto& one : messages) {
    auto message = made_storable(one);
    written.push_back(unwritten(message));
    tenants.push_back(message.tenant);
    homes.push_back(message.workspace.value.is_nil() ? root_workspace(message.tenant) : message.workspace);
    users.push_back(message.user);
    types.emplace_back(to_string(message.type));
    titles.push_back(std::move(message.title));
    texts.push_back(std::move(message.message));
    data.push_back(std::move(message.data));
    urls.push_back(std::move(message.action_url));
    correlations.push_back(std::move(message.correlation_id));
  }
  const auto rows = exec_planned(tx, write_notices_sql, uuid_array(tenants), uuid_array(homes), text_array(types),
                                 uuid_array(users), text_array(titles), text_array(texts), text_array(data),
                                 text_array(urls), text_array(correlations));
  if (static_cast<std::size_t>(rows.size()) != written.size())
    throw std::invalid_argument{"a notice is for a user who does not belong to its tenant"};
  std::set<workspace_id> due;
  for (const auto& row : rows) {
    const auto i = row[0].as<std::size_t>() - 1;
    auto& n = written.at(i);
    n.id = read_id<notification_id>(row[1]);
    n.read_at = read_nullable_instant(row[2]);
    n.created_at = read_instant(row[3]);
    note_notification(n);
    if (row[4].as<bool>() && due.insert(homes[i]).second)
      out.push_back({hint::subject::job_ready, homes[i], n.created_at});
  }
}

notification write_notification(pqxx::transaction_base& tx, const new_notification& message, hints& out) {
  auto written = write_notifications(tx, message, {message.user}, out);
  if (written.empty())
    throw std::invalid_argument{"user " + to_string(message.user) + " does not belong to tenant "
                                + to_string(message.tenant)};
  return std::move(written.front());
}

bool record_email_outcome(pqxx::transaction_base& tx, const tenant_id& tenant,
                          const notification_id& id,
                          const email_outcome& outcome) {
  std::optional<std::string> reason;
  if (outcome.how != email_outcome::kind::sent)
    reason = std::string{
      first_characters(storable(outcome.reason), max_short_text)};
  return exec_planned(tx, record_email_sql, to_string(id), to_string(tenant),
                        std::string{outcome_text(outcome.how)}, reason)
           .affected_rows()
         > 0;
}

} // namespace carillon::storage
