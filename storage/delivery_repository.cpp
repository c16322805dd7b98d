#include "storage/delivery_repository.hpp"

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/channel_delivery.hpp"
#include "storage/failure_notice.hpp"
#include "storage/fence.hpp"
#include "storage/job_writer.hpp"
#include "storage/notification_repository.hpp"
#include "storage/notification_writer.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr std::size_t max_reason = 255;

constexpr auto count_try_sql = R"(
UPDATE carillon.notification_deliveries
SET attempts = attempts + 1, attempted_at = clock_timestamp(), state = 'queued', reason = NULL, deferred_until = NULL,
    updated_at = now()
WHERE notification_id = $1::uuid AND channel = 'email' AND tenant_id = $2::uuid
)";

constexpr auto note_deferral_sql = R"(
UPDATE carillon.notification_deliveries
SET state = 'deferred', reason = $3::text, deferred_until = $4::timestamptz, updated_at = now()
WHERE notification_id = $1::uuid AND channel = 'email' AND tenant_id = $2::uuid AND state IN ('queued', 'deferred')
)";

constexpr auto suppress_sql = R"(
INSERT INTO carillon.mail_suppressions (tenant_id, address, reason) VALUES ($1::uuid, lower($2::text), $3::text)
ON CONFLICT DO NOTHING
)";

constexpr auto find_composed_sql = R"(
SELECT id FROM carillon.notification_digests
WHERE job_key = $1::text AND tenant_id = $2::uuid AND state = 'composed' FOR UPDATE
)";

constexpr auto compose_sql = R"(
INSERT INTO carillon.notification_digests (id, tenant_id, user_id, category, job_key)
SELECT carillon.uuid_v7(), u.tenant_id, u.id, $3::text, $4::text
FROM carillon.users u WHERE u.id = $2::uuid AND u.tenant_id = $1::uuid
RETURNING id
)";

// Decided anew: a type may have been switched off while it waited.
constexpr auto take_waiting_sql = R"(
WITH waiting AS (
  SELECT d.notification_id, n.type
  FROM carillon.notification_deliveries d JOIN carillon.notifications n ON n.id = d.notification_id
  WHERE d.digest_key = $2::uuid || ':' || $3::text AND d.state = 'deferred' AND d.deferred_until <= $4::timestamptz
    AND d.tenant_id = $1::uuid AND d.channel = 'email' AND n.user_id = $2::uuid
  FOR UPDATE OF d
), decided AS (
  SELECT t.type, e.state, e.reason
  FROM (SELECT DISTINCT type FROM waiting) t
  CROSS JOIN LATERAL carillon.delivery_facts($1::uuid, ARRAY[$2::uuid], t.type, now()) f
  CROSS JOIN LATERAL carillon.decide_channels(
    f.is_urgent, f.overrides, false, f.in_app, f.email, f.push, f.sms,
    f.email_obstacle, f.push_obstacle, f.sms_obstacle, NULL, NULL, NULL, NULL) e
  WHERE e.channel = 'email'
), marked AS (
  UPDATE carillon.notification_deliveries d
  SET state = e.state, reason = coalesce(e.reason, 'in a digest'), deferred_until = NULL, updated_at = now(),
      digest_id = CASE WHEN e.state = 'queued' THEN $5::uuid END
  FROM waiting w JOIN decided e USING (type)
  WHERE d.notification_id = w.notification_id AND d.channel = 'email'
  RETURNING d.state
)
SELECT count(*) FROM marked WHERE state = 'queued'
)";

constexpr auto drop_empty_sql = "DELETE FROM carillon.notification_digests WHERE id = $1::uuid";

constexpr auto count_digest_try_sql = R"(
WITH tried AS (
  UPDATE carillon.notification_digests SET attempts = attempts + 1 WHERE id = $1::uuid RETURNING id
)
UPDATE carillon.notification_deliveries d
SET attempts = attempts + 1, attempted_at = clock_timestamp(), updated_at = now()
FROM tried WHERE d.digest_id = tried.id
)";

constexpr auto digest_recipient_sql = R"(
SELECT u.name, CASE WHEN u.deleted_at IS NULL THEN u.email END AS email, u.language, g.created_at,
       CASE WHEN s.address IS NOT NULL THEN 'address suppressed after bounce' END AS obstacle,
       (SELECT count(*) FROM carillon.notification_deliveries d WHERE d.digest_id = g.id) AS items
FROM carillon.notification_digests g
JOIN carillon.users u ON u.id = g.user_id AND u.tenant_id = g.tenant_id
LEFT JOIN carillon.mail_suppressions s ON s.tenant_id = u.tenant_id AND s.address = lower(u.email)
WHERE g.id = $1::uuid
)";

constexpr auto digest_items_sql = R"(
SELECT n.id, n.type, n.title, n.message, n.action_url, n.created_at
FROM carillon.notification_deliveries d JOIN carillon.notifications n ON n.id = d.notification_id
WHERE d.digest_id = $1::uuid ORDER BY n.created_at, n.id LIMIT $2::int
)";

constexpr auto conclude_digest_sql = R"(
WITH concluded AS (
  UPDATE carillon.notification_digests
  SET state = $2::text, reason = $3::text, concluded_at = now()
  WHERE id = $1::uuid AND state = 'composed' RETURNING id
), delivered AS (
  UPDATE carillon.notification_deliveries d
  SET state = $2::text, reason = coalesce($3::text, 'in a digest'), updated_at = now(),
      sent_at = CASE WHEN $2::text = 'sent' THEN now() END
  FROM concluded WHERE d.digest_id = concluded.id
  RETURNING d.notification_id
)
UPDATE carillon.notifications n
SET sent_at = CASE WHEN $2::text = 'sent' THEN now() END,
    failed_at = CASE WHEN $2::text = 'failed' THEN now() END,
    failure_reason = $3::text, updated_at = now()
FROM delivered WHERE n.id = delivered.notification_id AND n.sent_at IS NULL
)";

json payload_of(const job& job) {
  return json::parse(job.payload, nullptr, false);
}

std::string text_in(const json& payload, const char* name) {
  if (!payload.is_object())
    return {};
  const auto i = payload.find(name);
  return i == payload.end() || !i->is_string() ? std::string{} : i->get<std::string>();
}

std::string_view state_of(email_outcome::kind how) {
  switch (how) {
    case email_outcome::kind::sent:
      return "sent";
    case email_outcome::kind::skipped:
      return "skipped";
    case email_outcome::kind::failed:
      break;
  }
  return "failed";
}

void suppress(pqxx::transaction_base& tx, const tenant_id& tenant, const email_outcome& outcome) {
  if (!outcome.refused_address.empty() && is_valid_utf8(outcome.reason))
    exec_planned(tx, suppress_sql, to_string(tenant), outcome.refused_address,
                   std::string{first_characters(outcome.reason, max_reason)});
}

/// A mail that failed for good is the tenant's admins' to know.
void conclude_mail_job(pqxx::transaction_base& tx, const job& job, const email_outcome& outcome) {
  const bool failed = outcome.how == email_outcome::kind::failed;
  hints in_app_only;
  if (failed) {
    append_job_error(tx, job.id, outcome.reason);
    tell_admins(tx, job, outcome.reason, in_app_only);
  }
  conclude_run(tx, job, failed ? job_state::discarded : job_state::succeeded);
}

/// Of this job; nil when nothing waits.
std::string compose(pqxx::transaction_base& tx, const job& job, const std::string& user, const std::string& category,
                    const std::string& until) {
  const auto tenant = to_string(job.tenant);
  const auto made = exec_planned(tx, compose_sql, tenant, user, category, job.unique_key);
  if (made.empty())
    return {};
  auto id = made[0][0].as<std::string>();
  const auto taken = exec_planned(tx, take_waiting_sql, tenant, user, category, until, id);
  if (taken[0][0].as<std::int64_t>() > 0)
    return id;
  exec_planned(tx, drop_empty_sql, id);
  return {};
}

} // namespace

result<email_order> delivery_repository::begin_email(const job& job) {
  const auto id = notification_of(job);
  if (!id)
    return invalid("notification_id", "is missing from the job's payload");
  auto mail = notification_repository{db_}.load_email(scope::tenant(job.tenant), *id);
  if (!mail)
    return std::move(mail).error();
  auto decision = decide_email(*mail);
  if (decision.step == email_step::send) {
    auto counted = db_.transact("count-email-try", [&](pqxx::work& tx) -> result<done> {
      exec_planned(tx, count_try_sql, to_string(*id), to_string(job.tenant));
      return done{};
    });
    if (!counted)
      return std::move(counted).error();
  }
  return email_order{std::move(*mail), std::move(decision)};
}

result<done> delivery_repository::conclude_email(const node_identity& me, const job& job,
                                                 const email_outcome& outcome) {
  return db_.transact("conclude-email", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (const auto id = notification_of(job))
      record_email_outcome(tx, job.tenant, *id, outcome);
    suppress(tx, job.tenant, outcome);
    conclude_mail_job(tx, job, outcome);
    return done{};
  });
}

result<done> delivery_repository::note_deferral(const job& job, instant until, const std::string& reason) {
  return db_.transact("note-deferral", [&](pqxx::work& tx) -> result<done> {
    if (const auto id = notification_of(job))
      exec_planned(tx, note_deferral_sql, to_string(*id), to_string(job.tenant), reason, param(until));
    return done{};
  });
}

result<digest_order> delivery_repository::begin_digest(const node_identity& me, const job& job) {
  const auto payload = payload_of(job);
  const auto user = user_id::parse(text_in(payload, "user_id"));
  const auto category = parse<notification_category>(text_in(payload, "category"));
  const auto until = parse_time(text_in(payload, "until"));
  if (!user || !category || !until || job.unique_key.empty())
    return invalid("user_id", "the job's payload names no digest");
  return db_.transact("begin-digest", [&](pqxx::work& tx) -> result<digest_order> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    digest_order order;
    order.category = *category;
    const auto composed = exec_planned(tx, find_composed_sql, job.unique_key, to_string(job.tenant));
    const auto id = composed.empty() ? compose(tx, job, to_string(*user), std::string{to_string(*category)}, param(*until))
                                     : composed[0][0].as<std::string>();
    if (id.empty())
      return order;
    exec_planned(tx, count_digest_try_sql, id);
    const auto recipient = exec_planned(tx, digest_recipient_sql, id)[0];
    order.id = parse_uuid(id).value_or(uuid{});
    order.recipient_name = text_or_empty(recipient["name"]);
    order.recipient_address = text_or_empty(recipient["email"]);
    order.language = text_or_empty(recipient["language"]);
    order.obstacle = text_or_empty(recipient["obstacle"]);
    order.composed_at = read_instant(recipient["created_at"]);
    order.count = recipient["items"].as<std::int64_t>();
    for (const auto& row : exec_planned(tx, digest_items_sql, id, digest_items)) {
      auto& n = order.items.emplace_back();
      n.id = read_id<notification_id>(row[0]);
      n.tenant = job.tenant;
      n.user = *user;
      n.type = parse<notification_type>(text_or_empty(row[1])).value_or(notification_type::system_announcement);
      n.title = text_or_empty(row[2]);
      n.message = text_or_empty(row[3]);
      n.action_url = text_or_empty(row[4]);
      n.created_at = read_instant(row[5]);
    }
    return order;
  });
}

result<done> delivery_repository::conclude_digest(const node_identity& me, const job& job, const digest_order& digest,
                                                  const email_outcome& outcome) {
  return db_.transact("conclude-digest", [&](pqxx::work& tx) -> result<done> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    if (!digest.id.is_nil()) {
      std::optional<std::string> reason;
      if (outcome.how != email_outcome::kind::sent)
        reason = std::string{first_characters(is_valid_utf8(outcome.reason) ? outcome.reason : "no readable reason", max_reason)};
      exec_planned(tx, conclude_digest_sql, to_string(digest.id), std::string{state_of(outcome.how)}, reason);
    }
    suppress(tx, job.tenant, outcome);
    conclude_mail_job(tx, job, outcome);
    return done{};
  });
}

} // namespace carillon::storage
