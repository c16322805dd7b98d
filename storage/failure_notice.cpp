#include "storage/failure_notice.hpp"

#include <vector>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/connection.hpp"
#include "storage/notification_writer.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr auto count_failure = R"sql(
  INSERT INTO carillon.failure_notices AS f (tenant_id, cause, hour)
  SELECT id, encode(sha256(convert_to($2, 'UTF8')), 'hex'), date_trunc('hour', now())
  FROM carillon.tenants WHERE id = $1
  ON CONFLICT (tenant_id, cause, hour) DO UPDATE SET count = f.count + 1
  RETURNING count, hour, cause, notification_ids
)sql";

constexpr auto select_admins = R"sql(
  SELECT id FROM carillon.users
  WHERE tenant_id = $1 AND role_in_tenant IN ('owner', 'admin') AND status = 'active' AND deleted_at IS NULL
    AND ($2::uuid IS NULL OR id <> $2::uuid)
  ORDER BY id LIMIT 100
)sql";

constexpr auto remember_notices = R"sql(
  UPDATE carillon.failure_notices SET notification_ids = $4::uuid[]
  WHERE tenant_id = $1 AND cause = $2 AND hour = $3::timestamptz
)sql";

constexpr auto raise_count = R"sql(
  UPDATE carillon.notifications
  SET message = $3, data = data || jsonb_build_object('count', $4::int), updated_at = now()
  WHERE tenant_id = $1 AND id = ANY($2::uuid[])
)sql";

std::string message_for(const job& dead, const std::string& error, int count) {
  const std::string reason{first_characters(error, 300)};
  if (count == 1)
    return "A background job (" + dead.kind + ") was given up after its last attempt: " + reason;
  return std::to_string(count) + " background jobs (" + dead.kind
         + ") were given up within this hour. The last error: " + reason;
}

} // namespace

std::string cause_of(const job& dead, const std::string& error) {
  std::string out = dead.kind + '\n';
  bool in_number = false;
  for (const char c : error.substr(0, error.find('\n'))) {
    const bool is_number = (c >= '0' && c <= '9');
    if (!is_number)
      out += c;
    else if (!in_number)
      out += '#';
    in_number = is_number;
  }
  return out;
}

void tell_admins(pqxx::transaction_base& tx, const job& dead, const std::string& error, hints& out,
                 const std::string& except) {
  const auto tenant = to_string(dead.tenant);
  const auto counted = tx.exec_params(count_failure, tenant, cause_of(dead, error));
  if (counted.empty())
    return;
  const auto count = counted[0][0].as<int>();
  const auto message_text = message_for(dead, error, count);
  if (count > 1) {
    tx.exec_params(raise_count, tenant, counted[0][3].as<std::string>(), message_text, count);
    return;
  }
  std::vector<notification_id> told;
  for (const auto& row : tx.exec_params(select_admins, tenant, null_if_empty(except))) {
    new_notification message;
    message.tenant = dead.tenant;
    message.user = read_id<user_id>(row[0]);
    message.workspace = dead.workspace;
    message.type = dead.kind == kinds::publish_post ? notification_type::post_failed
                                                    : notification_type::system_announcement;
    message.title = dead.kind == kinds::publish_post ? "Publishing failed" : "A background job failed";
    message.message = message_text;
    message.data = json{{"job", dead.kind},
                        {"job_id", to_string(dead.id)},
                        {"workspace_id", to_string(dead.workspace)},
                        {"attempts", dead.attempt + 1},
                        {"error", std::string{first_characters(error, 500)}},
                        {"count", 1}}
                     .dump(-1, ' ', false, json::error_handler_t::replace);
    message.correlation_id = dead.correlation_id;
    // Mail about mail that fails would fail as well.
    message.in_app_only = dead.kind == kinds::send_notification_email
                          || dead.kind == kinds::send_notification_digest || dead.kind == kinds::send_notification_push
                          || dead.kind == kinds::send_notification_sms;
    told.push_back(write_notification(tx, message, out).id);
  }
  tx.exec_params(remember_notices, tenant, counted[0][2].as<std::string>(), counted[0][1].as<std::string>(),
                 uuid_array(told));
}

} // namespace carillon::storage
