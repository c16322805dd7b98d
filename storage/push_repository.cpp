#include "storage/push_repository.hpp"

#include "domain/base64url.hpp"
#include "domain/text.hpp"
#include "storage/channel_delivery.hpp"
#include "storage/fence.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr std::size_t max_failure_text = 255;

constexpr auto list_subscriptions_sql = R"(
SELECT id, endpoint, created_at, last_success_at, failures FROM carillon.push_subscriptions
WHERE tenant_id = $1::uuid AND user_id = $2::uuid ORDER BY created_at DESC, id DESC
)";

// One subscriber at a time of each user, so that the limit holds.
constexpr auto lock_user_sql = R"(
SELECT 1 FROM carillon.users
WHERE tenant_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL FOR NO KEY UPDATE
)";

// Across tenants: a browser knows no tenants.
constexpr auto take_over_sql = R"(
DELETE FROM carillon.push_subscriptions
WHERE endpoint = $1::text AND p256dh = $2::text AND user_id <> $3::uuid
)";

constexpr auto find_sql = R"(
SELECT id FROM carillon.push_subscriptions
WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND endpoint = $3::text
)";

constexpr auto count_subscriptions_sql = R"(
SELECT count(*) FROM carillon.push_subscriptions WHERE tenant_id = $1::uuid AND user_id = $2::uuid
)";

constexpr auto subscribe_sql = R"(
INSERT INTO carillon.push_subscriptions (id, tenant_id, user_id, endpoint, p256dh, auth_encrypted)
VALUES ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text)
ON CONFLICT (user_id, endpoint) DO UPDATE
SET p256dh = EXCLUDED.p256dh, auth_encrypted = EXCLUDED.auth_encrypted, failures = 0, last_failure = NULL,
    updated_at = now()
RETURNING id, endpoint, created_at, last_success_at, failures
)";

constexpr auto unsubscribe_sql = R"(
DELETE FROM carillon.push_subscriptions
WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND endpoint = $3::text
)";

constexpr auto targets_sql = R"(
SELECT s.id, s.endpoint, s.p256dh, s.auth_encrypted, r.subscription_id IS NOT NULL AS had_it
FROM carillon.push_subscriptions s
LEFT JOIN carillon.push_receipts r ON r.subscription_id = s.id AND r.notification_id = $3::uuid
WHERE s.tenant_id = $1::uuid AND s.user_id = $2::uuid ORDER BY s.created_at, s.id
)";

constexpr auto note_success_sql = R"(
UPDATE carillon.push_subscriptions
SET last_success_at = now(), failures = 0, last_failure = NULL, updated_at = now()
WHERE tenant_id = $1::uuid AND id = $2::uuid
)";

constexpr auto remove_sql = R"(
DELETE FROM carillon.push_subscriptions WHERE tenant_id = $1::uuid AND id = $2::uuid
)";

// Nobody reads there any more: a browser that is only away is not the push
// service's failure.
constexpr auto note_failure_sql = R"(
WITH hopeless AS (
  DELETE FROM carillon.push_subscriptions
  WHERE tenant_id = $1::uuid AND id = $2::uuid AND failures >= 19
    AND COALESCE(last_success_at, created_at) < now() - interval '7 days'
  RETURNING id
)
UPDATE carillon.push_subscriptions
SET failures = failures + 1, last_failure = $3::text, updated_at = now()
WHERE tenant_id = $1::uuid AND id = $2::uuid AND NOT EXISTS (SELECT FROM hopeless)
)";

constexpr auto note_receipt_sql = R"(
INSERT INTO carillon.push_receipts (notification_id, subscription_id, tenant_id)
SELECT n.id, s.id, n.tenant_id
FROM carillon.notifications n JOIN carillon.push_subscriptions s ON s.tenant_id = n.tenant_id
WHERE n.tenant_id = $1::uuid AND n.id = $2::uuid AND s.id = $3::uuid
ON CONFLICT DO NOTHING
)";

constexpr auto offer_secret_sql = R"(
INSERT INTO carillon.platform_secrets (name, value_encrypted) VALUES ($1::text, $2::text) ON CONFLICT DO NOTHING
)";

constexpr auto read_secret_sql = R"(
SELECT value_encrypted FROM carillon.platform_secrets WHERE name = $1::text
)";

/// What an encrypted secret belongs to (docs/adr/0001-token-encryption-in-storage.md).
std::string auth_of(push_subscription_id id) {
  return "push_subscriptions:" + to_string(id) + ":auth";
}
std::string secret_of(const std::string& name) {
  return "platform_secrets:" + name;
}

push_subscription subscription_from_row(const pqxx::row& row) {
  push_subscription out;
  out.id = read_id<push_subscription_id>(row["id"]);
  out.endpoint = text_or_empty(row["endpoint"]);
  out.created_at = read_instant(row["created_at"]);
  out.last_success_at = read_nullable_instant(row["last_success_at"]);
  out.failures = row["failures"].as<int>();
  return out;
}

/// The gateway's reasons quote push services in printable ASCII.
std::string short_text(const std::string& text) {
  return is_valid_utf8(text) ? std::string{first_characters(text, max_failure_text)} : "unreadable";
}

void apply(pqxx::transaction_base& tx, const job& work, const std::vector<push_receipt>& receipts) {
  const auto tenant = to_string(work.tenant);
  for (const auto& receipt : receipts) {
    const auto id = to_string(receipt.id);
    switch (receipt.how) {
      case push_receipt::kind::taken:
        tx.exec_params(note_success_sql, tenant, id);
        break;
      case push_receipt::kind::gone:
        tx.exec_params(remove_sql, tenant, id);
        break;
      case push_receipt::kind::failed:
        tx.exec_params(note_failure_sql, tenant, id, short_text(receipt.error));
        break;
    }
  }
}

} // namespace

result<std::vector<push_subscription>> push_repository::list(const scope& s, user_id user) {
  return db_.transact("list-push-subscriptions", [&](pqxx::work& tx) -> result<std::vector<push_subscription>> {
    std::vector<push_subscription> out;
    for (const auto& row : tx.exec_params(list_subscriptions_sql, tenant_param(s), to_string(user)))
      out.push_back(subscription_from_row(row));
    return out;
  });
}

result<push_subscription> push_repository::subscribe(const scope& s, user_id user, const push_address& address,
                                                     int limit) {
  return db_.transact("subscribe-push", [&](pqxx::work& tx) -> result<push_subscription> {
    const auto tenant = tenant_param(s);
    const auto who = to_string(user);
    if (tx.exec_params(lock_user_sql, tenant, who).empty())
      return failure{errc::not_found, "no such user", {}, {}};
    const auto key = encode_base64url(address.p256dh);
    tx.exec_params(take_over_sql, address.endpoint, key, who);
    auto id = push_subscription_id::make();
    const auto known = tx.exec_params(find_sql, tenant, who, address.endpoint);
    if (!known.empty())
      id = read_id<push_subscription_id>(known[0][0]);
    else if (tx.exec_params(count_subscriptions_sql, tenant, who)[0][0].as<int>() >= limit)
      return failure{errc::conflict, "A user can subscribe " + std::to_string(limit) + " browsers at most", {}, {}};
    const auto auth = cipher_.encrypt(address.auth, auth_of(id));
    if (!auth)
      return auth.error();
    return subscription_from_row(tx.exec_params(subscribe_sql, to_string(id), tenant, who, address.endpoint, key, *auth)[0]);
  });
}

result<done> push_repository::unsubscribe(const scope& s, user_id user, const std::string& endpoint) {
  return db_.transact("unsubscribe-push", [&](pqxx::work& tx) -> result<done> {
    if (tx.exec_params(unsubscribe_sql, tenant_param(s), to_string(user), endpoint).affected_rows() == 0)
      return failure{errc::not_found, "no such subscription", {}, {}};
    return done{};
  });
}

result<push_order> push_repository::load_order(const job& work) {
  const auto id = notification_of(work);
  if (!id)
    return invalid("notification_id", "is missing from the job's payload");
  return db_.transact("load-push", [&](pqxx::work& tx) -> result<push_order> {
    auto order = load_channel_order(tx, work.tenant, *id, notification_channel::push);
    if (!order)
      return failure{errc::not_found, "no such notification", {}, {}};
    push_order out;
    out.item = std::move(order->item);
    out.settled = std::move(order->settled);
    if (out.settled)
      return out;
    bool unreadable = false;
    for (const auto& row :
         tx.exec_params(targets_sql, to_string(work.tenant), to_string(out.item.user), to_string(*id))) {
      if (row["had_it"].as<bool>()) {
        out.had_one = true;
        continue;
      }
      push_target target;
      target.id = read_id<push_subscription_id>(row["id"]);
      target.address.endpoint = text_or_empty(row["endpoint"]);
      target.address.p256dh = decode_base64url(text_or_empty(row["p256dh"])).value_or("");
      auto auth = cipher_.decrypt(text_or_empty(row["auth_encrypted"]), auth_of(target.id));
      if (!auth) {
        unreadable = true;
        continue;
      }
      target.address.auth = std::move(*auth);
      out.targets.push_back(std::move(target));
    }
    using kind = delivery_outcome::kind;
    if (!out.targets.empty())
      return out;
    if (out.had_one)
      out.settled = {kind::sent, {}};
    else if (unreadable)
      out.settled = {kind::failed, "no configured key decrypts the subscription"};
    else
      out.settled = {kind::skipped, "no browser is subscribed"};
    return out;
  });
}

result<done> push_repository::record_receipts(const node_identity& me, const job& work,
                                              const std::vector<push_receipt>& receipts) {
  return db_.transact("record-push-receipts", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    apply(tx, work, receipts);
    if (const auto id = notification_of(work))
      for (const auto& receipt : receipts)
        if (receipt.how == push_receipt::kind::taken)
          tx.exec_params(note_receipt_sql, to_string(work.tenant), to_string(*id), to_string(receipt.id));
    return done{};
  });
}

result<done> push_repository::conclude(const node_identity& me, const job& work,
                                       const std::vector<push_receipt>& receipts, const delivery_outcome& outcome) {
  return db_.transact("conclude-push", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    apply(tx, work, receipts);
    conclude_channel(tx, work, notification_channel::push, outcome);
    return done{};
  });
}

result<std::string> push_repository::share_secret(const std::string& name, const std::string& candidate) {
  const auto offered = cipher_.encrypt(candidate, secret_of(name));
  if (!offered)
    return offered.error();
  return db_.transact("share-secret", [&](pqxx::work& tx) -> result<std::string> {
    tx.exec_params(offer_secret_sql, name, *offered);
    return cipher_.decrypt(text_or_empty(tx.exec_params(read_secret_sql, name)[0][0]), secret_of(name));
  });
}

} // namespace carillon::storage
