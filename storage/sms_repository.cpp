#include "storage/sms_repository.hpp"

#include "domain/phone_number.hpp"
#include "storage/channel_delivery.hpp"
#include "storage/fence.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr auto phone_sql = R"(
SELECT phone FROM carillon.users WHERE tenant_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
)";

constexpr auto set_phone_sql = R"(
UPDATE carillon.users SET phone = $3::text, updated_at = now()
WHERE tenant_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
)";

constexpr auto find_send_sql = R"(
SELECT call_began_at FROM carillon.sms_sends WHERE notification_id = $1::uuid AND tenant_id = $2::uuid
)";

// No row comes back when the cap is reached: the row's lock makes concurrent
// senders wait for each other.
constexpr auto count_one_sql = R"(
INSERT INTO carillon.sms_daily_counts AS c (tenant_id, day, sent)
VALUES ($1::uuid, (now() AT TIME ZONE 'UTC')::date, 1)
ON CONFLICT (tenant_id, day) DO UPDATE SET sent = c.sent + 1 WHERE $2::int = 0 OR c.sent < $2::int
RETURNING sent
)";

constexpr auto forget_counts_sql = R"(
DELETE FROM carillon.sms_daily_counts
WHERE tenant_id = $1::uuid AND day < (now() AT TIME ZONE 'UTC')::date - 31
)";

constexpr auto open_call_sql = R"(
INSERT INTO carillon.sms_sends (notification_id, tenant_id, call_began_at) VALUES ($1::uuid, $2::uuid, now())
ON CONFLICT (notification_id) DO UPDATE SET call_began_at = now(), updated_at = now()
)";

constexpr auto close_call_sql = R"(
UPDATE carillon.sms_sends
SET call_began_at = NULL, provider_id = COALESCE($3::text, provider_id), updated_at = now()
WHERE notification_id = $1::uuid AND tenant_id = $2::uuid
)";

constexpr std::size_t max_provider_id = 255;

/// What a provider calls a message: visible ASCII, or it is not kept.
std::optional<std::string> provider_id_param(const std::string& id) {
  for (const char c : id)
    if (c <= 0x20 || c >= 0x7f)
      return std::nullopt;
  return null_if_empty(id.substr(0, max_provider_id));
}

} // namespace

result<std::string> sms_repository::phone(const scope& s, user_id user) {
  return db_.transact("phone", [&](pqxx::work& tx) -> result<std::string> {
    const auto rows = tx.exec_params(phone_sql, tenant_param(s), to_string(user));
    if (rows.empty())
      return failure{errc::not_found, "no such user", {}, {}};
    return text_or_empty(rows[0][0]);
  });
}

result<done> sms_repository::set_phone(const scope& s, user_id user, const std::string& phone) {
  return db_.transact("set-phone", [&](pqxx::work& tx) -> result<done> {
    if (tx.exec_params(set_phone_sql, tenant_param(s), to_string(user), null_if_empty(phone)).affected_rows() == 0)
      return failure{errc::not_found, "no such user", {}, {}};
    return done{};
  });
}

result<sms_order> sms_repository::open_call(const node_identity& me, const job& work, int daily_cap) {
  const auto id = notification_of(work);
  if (!id)
    return invalid("notification_id", "is missing from the job's payload");
  return db_.transact("open-sms-call", [&](pqxx::work& tx) -> result<sms_order> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    auto order = load_channel_order(tx, work.tenant, *id, notification_channel::sms);
    if (!order)
      return failure{errc::not_found, "no such notification", {}, {}};
    const auto tenant = to_string(work.tenant);
    sms_order out;
    out.item = std::move(order->item);
    out.settled = std::move(order->settled);
    if (out.settled)
      return out;
    using kind = delivery_outcome::kind;
    const auto send = tx.exec_params(find_send_sql, to_string(*id), tenant);
    if (!send.empty() && !send[0][0].is_null()) {
      out.settled = {kind::failed, "an earlier call to the provider was cut short: the text may have been sent"};
      return out;
    }
    const auto phone = tx.exec_params(phone_sql, tenant, to_string(out.item.user));
    out.phone = phone.empty() ? std::string{} : text_or_empty(phone[0][0]);
    if (!is_e164(out.phone)) {
      out.settled = {kind::skipped, "no phone number"};
      return out;
    }
    if (send.empty()) {
      const auto counted = tx.exec_params(count_one_sql, tenant, daily_cap);
      if (counted.empty()) {
        out.settled = {kind::skipped, "the daily cap of " + std::to_string(daily_cap) + " texts is reached"};
        return out;
      }
      if (counted[0][0].as<int>() == 1)
        tx.exec_params(forget_counts_sql, tenant);
    }
    tx.exec_params(open_call_sql, to_string(*id), tenant);
    return out;
  });
}

result<done> sms_repository::close_call(const node_identity& me, const job& work) {
  return db_.transact("close-sms-call", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (const auto id = notification_of(work))
      tx.exec_params(close_call_sql, to_string(*id), to_string(work.tenant), std::optional<std::string>{});
    return done{};
  });
}

result<done> sms_repository::conclude(const node_identity& me, const job& work, const delivery_outcome& outcome,
                                      const std::string& provider_id) {
  return db_.transact("conclude-sms", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (const auto id = notification_of(work))
      tx.exec_params(close_call_sql, to_string(*id), to_string(work.tenant), provider_id_param(provider_id));
    conclude_channel(tx, work, notification_channel::sms, outcome);
    return done{};
  });
}

} // namespace carillon::storage
