// The parts of notification_repository that tell many: whole tenants, and
// what other programs ask for.
#include <set>

#include <nlohmann/json.hpp>

#include "storage/fence.hpp"
#include "storage/live_notes.hpp"
#include "storage/notification_repository.hpp"
#include "storage/notification_writer.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr auto start_broadcast_sql = R"(
SELECT carillon.start_broadcast($1::uuid, $2::text, $3::text, $4::text, $5::jsonb, $6::text, $7::uuid, $8::text),
       (SELECT count(*) FROM carillon.users u
        WHERE u.tenant_id = $1::uuid AND u.status = 'active' AND u.deleted_at IS NULL)
)";

constexpr auto continue_broadcast_sql = R"(
SELECT state, written, delivered FROM carillon.continue_broadcast($1::uuid, $2::uuid, $3::int)
)";

constexpr auto written_before_sql = R"(
SELECT written FROM carillon.notification_broadcasts WHERE id = $2::uuid AND tenant_id = $1::uuid FOR UPDATE
)";

constexpr auto unread_of_chunk_sql = R"(
SELECT id, user_id, type, title, message, action_url, created_at FROM carillon.notifications
WHERE id > carillon.broadcast_item($2::uuid, $3::int) AND id <= carillon.broadcast_item($2::uuid, $4::int)
  AND tenant_id = $1::uuid AND read_at IS NULL
)";

constexpr auto tenant_exists_sql = "SELECT FROM carillon.tenants WHERE id = $1::uuid";
constexpr auto workspace_exists_sql
  = "SELECT FROM carillon.workspaces WHERE id = $2::uuid AND tenant_id = $1::uuid AND deleted_at IS NULL";
constexpr auto find_receivers_sql = R"(
SELECT id FROM carillon.users WHERE tenant_id = $1::uuid AND id = ANY($2::uuid[]) AND deleted_at IS NULL
)";

// Waits for a transaction that is writing the same key.
constexpr auto claim_key_sql = R"(
INSERT INTO carillon.notification_requests (tenant_id, idempotency_key, fingerprint, answer)
VALUES ($1::uuid, $2::text, $3::text, '{}') ON CONFLICT DO NOTHING
)";
constexpr auto known_key_sql = R"(
SELECT fingerprint, answer FROM carillon.notification_requests WHERE tenant_id = $1::uuid AND idempotency_key = $2::text
)";
constexpr auto keep_answer_sql = R"(
UPDATE carillon.notification_requests SET answer = $3::jsonb WHERE tenant_id = $1::uuid AND idempotency_key = $2::text
)";

std::optional<uuid> broadcast_of(const job& work) {
  const auto payload = json::parse(work.payload, nullptr, false);
  if (!payload.is_object())
    return std::nullopt;
  const auto id = payload.find("broadcast_id");
  if (id == payload.end() || !id->is_string())
    return std::nullopt;
  return parse_uuid(id->get<std::string>());
}

tenant_broadcast start_broadcast(pqxx::transaction_base& tx, const new_notification& wanted, hints& wake) {
  const auto message = made_storable(wanted);
  const auto home = message.workspace.value.is_nil() ? root_workspace(message.tenant) : message.workspace;
  const auto row = tx.exec_params(start_broadcast_sql, to_string(message.tenant), std::string{to_string(message.type)},
                                  message.title, message.message, null_if_empty(message.data),
                                  null_if_empty(message.action_url), to_string(home),
                                  null_if_empty(message.correlation_id))[0];
  wake.push_back({hint::subject::job_ready, home, {}});
  return {read_uuid(row[0]), row[1].as<std::int64_t>()};
}

void note_chunk(pqxx::transaction_base& tx, const std::string& tenant, const std::string& broadcast, int from, int to) {
  for (const auto& row : tx.exec_params(unread_of_chunk_sql, tenant, broadcast, from, to)) {
    notification n;
    n.id = read_id<notification_id>(row[0]);
    n.user = read_id<user_id>(row[1]);
    n.type = parse<notification_type>(text_or_empty(row[2])).value_or(notification_type::system_announcement);
    n.title = text_or_empty(row[3]);
    n.message = text_or_empty(row[4]);
    n.action_url = text_or_empty(row[5]);
    n.created_at = read_instant(row[6]);
    note_notification(n);
  }
}

/// Nothing when all that the request names is the tenant's.
std::optional<failure> find_strangers(pqxx::transaction_base& tx, const std::string& tenant,
                                      const notification_request& request) {
  if (tx.exec_params(tenant_exists_sql, tenant).empty())
    return failure{errc::not_found, "no such tenant", {}, {}};
  const auto& home = request.message.workspace;
  if (!home.value.is_nil() && home != root_workspace(request.message.tenant)
      && tx.exec_params(workspace_exists_sql, tenant, to_string(home)).empty())
    return invalid("workspace_id", "The workspace_id field names no workspace of the tenant.");
  std::set<user_id> known;
  for (const auto& row : tx.exec_params(find_receivers_sql, tenant, uuid_array(request.users)))
    known.insert(read_id<user_id>(row[0]));
  failure strangers{errc::invalid_argument, "a user is not the tenant's", {}, {}};
  for (std::size_t i = 0; i < request.users.size() && strangers.fields.size() < 100; ++i)
    if (!known.contains(request.users[i])) {
      const auto field = "user_ids." + std::to_string(i);
      strangers.fields.push_back({field, "The " + field + " field names no user of the tenant."});
    }
  if (strangers.fields.empty())
    return std::nullopt;
  return strangers;
}

notification_answer read_answer(const std::string& text) {
  const auto stored = json::parse(text, nullptr, false);
  notification_answer out;
  out.repeated = true;
  if (!stored.is_object())
    return out;
  for (const auto& id : stored.value("ids", json::array()))
    if (const auto parsed = id.is_string() ? notification_id::parse(id.get<std::string>()) : std::nullopt)
      out.ids.push_back(*parsed);
  if (const auto broadcast = stored.find("broadcast"); broadcast != stored.end() && broadcast->is_string())
    out.broadcast = parse_uuid(broadcast->get<std::string>());
  out.recipients = stored.value("recipients", std::int64_t{0});
  return out;
}

std::string write_answer(const notification_answer& answer) {
  json out{{"recipients", answer.recipients}, {"ids", json::array()}};
  for (const auto& id : answer.ids)
    out["ids"].push_back(to_string(id));
  if (answer.broadcast)
    out["broadcast"] = to_string(*answer.broadcast);
  return out.dump();
}

notification_answer carry_out(pqxx::transaction_base& tx, const notification_request& request, hints& wake) {
  notification_answer answer;
  if (request.users.empty()) {
    const auto started = start_broadcast(tx, request.message, wake);
    answer.broadcast = started.id;
    answer.recipients = started.recipients;
    return answer;
  }
  const std::set<user_id> distinct{request.users.begin(), request.users.end()};
  for (const auto& n : write_notifications(tx, request.message, {distinct.begin(), distinct.end()}, wake))
    answer.ids.push_back(n.id);
  answer.recipients = static_cast<std::int64_t>(answer.ids.size());
  return answer;
}

} // namespace

result<tenant_broadcast> notification_repository::send_to_tenant(const scope& s, const new_notification& message,
                                                                 hints& out) {
  if (!s.tenant() || *s.tenant() != message.tenant)
    return failure{errc::not_found, "no such tenant", {}, {}};
  hints wake;
  auto started = db_.transact("send-to-tenant", [&](pqxx::work& tx) -> result<tenant_broadcast> {
    return start_broadcast(tx, message, wake);
  });
  if (started)
    out.insert(out.end(), wake.begin(), wake.end());
  return started;
}

result<broadcast_progress> notification_repository::continue_broadcast(const node_identity& me, const job& work,
                                                                       int most) {
  const auto id = broadcast_of(work);
  if (!id)
    return invalid("broadcast_id", "is missing from the job's payload");
  return db_.transact("continue-broadcast", [&](pqxx::work& tx) -> result<broadcast_progress> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    const auto tenant = to_string(work.tenant);
    const auto broadcast = to_string(*id);
    const auto before = tx.exec_params(written_before_sql, tenant, broadcast);
    const auto rows = tx.exec_params(continue_broadcast_sql, tenant, broadcast, most);
    if (before.empty() || rows.empty())
      return broadcast_progress{true, 0, 0};
    const auto from = before[0][0].as<int>();
    const auto to = rows[0][1].as<int>();
    if (to > from && live_notes::current())
      note_chunk(tx, tenant, broadcast, from, to);
    return broadcast_progress{rows[0][0].as<std::string>() == "done", to, rows[0][2].as<std::int64_t>()};
  });
}

result<notification_answer> notification_repository::send_once(const scope& s, const notification_request& request,
                                                               hints& out) {
  if (!s.tenant() || *s.tenant() != request.message.tenant)
    return failure{errc::not_found, "no such tenant", {}, {}};
  hints wake;
  auto answered = db_.transact("send-once", [&](pqxx::work& tx) -> result<notification_answer> {
    const auto tenant = to_string(request.message.tenant);
    const auto& key = request.idempotency_key;
    const auto given_before = [&]() -> std::optional<result<notification_answer>> {
      const auto known = tx.exec_params(known_key_sql, tenant, key);
      if (known.empty())
        return std::nullopt;
      if (known[0][0].as<std::string>() != request.fingerprint)
        return invalid("idempotency_key", "The idempotency key was used for another request.");
      return read_answer(known[0][1].as<std::string>());
    };
    // A repeat is answered as the first was, also when a user it names has
    // been deleted since.
    if (!key.empty())
      if (auto before = given_before())
        return std::move(*before);
    if (auto strangers = find_strangers(tx, tenant, request))
      return *strangers;
    if (!key.empty() && tx.exec_params(claim_key_sql, tenant, key, request.fingerprint).affected_rows() == 0) {
      if (auto before = given_before())
        return std::move(*before);
      return invalid("idempotency_key", "The idempotency key was used for another request.");
    }
    auto answer = carry_out(tx, request, wake);
    if (!key.empty())
      tx.exec_params(keep_answer_sql, tenant, key, write_answer(answer));
    return answer;
  });
  if (answered)
    out.insert(out.end(), wake.begin(), wake.end());
  return answered;
}

} // namespace carillon::storage
