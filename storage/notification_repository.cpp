#include "storage/notification_repository.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "storage/delivery_facts.hpp"
#include "storage/fence.hpp"
#include "storage/notification_writer.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

// notification_from_row reads them by their number: a name costs a search.
#define CARILLON_NOTIFICATION_COLUMNS                                          \
  "n.id, n.tenant_id, n.user_id, n.type, n.channel, n.title, n.message, "      \
  "n.data, n.action_url, n.icon, n.read_at, n.sent_at, n.failed_at, "          \
  "n.failure_reason, n.created_at"

constexpr auto find_users_sql = R"(
SELECT id FROM carillon.users
WHERE tenant_id = $1::uuid AND id = ANY($2::uuid[]) AND deleted_at IS NULL
)";

constexpr auto mark_read_sql
  = "UPDATE carillon.notifications n SET read_at = now(), updated_at = now() "
    "WHERE n.id = $2::uuid AND n.tenant_id = $1::uuid "
    "AND n.user_id = $3::uuid AND n.read_at IS NULL "
    "RETURNING " CARILLON_NOTIFICATION_COLUMNS;

constexpr auto load_sql
  = "SELECT " CARILLON_NOTIFICATION_COLUMNS " FROM carillon.notifications n "
    "WHERE n.id = $2::uuid AND n.tenant_id = $1::uuid";

// Rows are locked in one order, so that two of these never deadlock.
constexpr auto mark_all_read_sql = R"(
UPDATE carillon.notifications SET read_at = now(), updated_at = now()
WHERE id IN (
  SELECT id FROM carillon.notifications
  WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND read_at IS NULL
  ORDER BY id FOR UPDATE)
)";

constexpr auto mark_many_read_sql = R"(
UPDATE carillon.notifications SET read_at = now(), updated_at = now()
WHERE id IN (
  SELECT id FROM carillon.notifications
  WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND read_at IS NULL
    AND id = ANY($3::uuid[])
  ORDER BY id FOR UPDATE)
)";

constexpr auto existing_sql = R"(
SELECT id FROM carillon.notifications
WHERE tenant_id = $1::uuid AND id = ANY($2::uuid[])
)";

#define CARILLON_NOTIFICATION_FILTER                                           \
  " FROM carillon.notifications n "                                            \
  "WHERE n.tenant_id = $1::uuid AND n.user_id = $2::uuid "                     \
  "AND n.channel = 'in_app' "                                                  \
  "AND ($3::text[] IS NULL OR n.type = ANY($3::text[])) "                      \
  "AND ($4::boolean IS NULL OR (n.read_at IS NOT NULL) = $4::boolean) "        \
  "AND ($5::timestamptz IS NULL OR n.created_at >= $5::timestamptz) "          \
  "AND ($6::timestamptz IS NULL OR n.created_at <= $6::timestamptz) "          \
  "AND ($7::text IS NULL OR n.title ILIKE $7::text "                           \
  "OR n.message ILIKE $7::text)"

constexpr auto count_filtered_sql
  = "SELECT count(*)" CARILLON_NOTIFICATION_FILTER;

constexpr auto list_filtered_sql
  = "SELECT " CARILLON_NOTIFICATION_COLUMNS CARILLON_NOTIFICATION_FILTER;

constexpr auto unread_count_sql = R"(
SELECT count(*) FROM carillon.notifications
WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND channel = 'in_app'
  AND read_at IS NULL
)";

// For many at once. Each is looked for by itself, so that no plan of a join
// can read more than theirs. $1 is NULL for a maintenance scope, and stands
// outside: within, it would make the planner expect too few rows to use their
// order in the index. It also makes the plan for any of them look no dearer than
// one for a few: those would be planned anew each time, which takes longer than
// reading them.
constexpr auto unread_counts_sql = R"(
SELECT a.number, (
  SELECT count(*) FROM carillon.notifications n
  WHERE n.tenant_id = a.tenant_id AND n.user_id = a.user_id AND n.channel = 'in_app'
    AND n.read_at IS NULL)
FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS a (tenant_id, user_id, number)
WHERE $1::uuid IS NULL OR a.tenant_id = $1::uuid
)";

#define CARILLON_MAILBOX_PAGES                                                                     \
  "FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[]) WITH ORDINALITY "                \
  "AS a (tenant_id, user_id, most, skipped, number) "                                              \
  "CROSS JOIN LATERAL (SELECT count(*) AS total FROM carillon.notifications n "                    \
  "WHERE n.tenant_id = a.tenant_id AND n.user_id = a.user_id AND n.channel = 'in_app') c "

// Nobody's mailbox is walked to find that a page is beyond its end.
#define CARILLON_MAILBOX_ROWS                                                                      \
  "FROM carillon.notifications n "                                                                 \
  "WHERE n.tenant_id = a.tenant_id AND n.user_id = a.user_id AND n.channel = 'in_app' "            \
  "ORDER BY n.created_at DESC, n.id DESC "                                                         \
  "LIMIT CASE WHEN a.skipped < c.total THEN a.most ELSE 0 END OFFSET a.skipped"

// xmin, the transaction that wrote a row as it is, changes with every change
// of it. Most of the cost of a list is that values become text, so the rows
// themselves are asked for only by who does not have them, and what says
// whether he has them is one value a page; version_of() writes the same.
constexpr auto newest_sql
  = "SELECT a.number, c.total, p.versions " CARILLON_MAILBOX_PAGES
    "CROSS JOIN LATERAL (SELECT encode(string_agg(uuid_send(n.id) || xidsend(n.version), ''), 'hex') AS versions "
    "FROM (SELECT n.id, n.xmin AS version " CARILLON_MAILBOX_ROWS ") n) p "
    "WHERE $1::uuid IS NULL OR a.tenant_id = $1::uuid";

constexpr auto newest_rows_sql
  = "SELECT a.number, c.total, n.* " CARILLON_MAILBOX_PAGES
    "LEFT JOIN LATERAL (SELECT n.id, n.xmin AS version, n.type, n.channel, n.title, n.message, n.data, n.action_url, "
    "n.icon, n.read_at, n.sent_at, n.created_at " CARILLON_MAILBOX_ROWS ") n ON true "
    "WHERE $1::uuid IS NULL OR a.tenant_id = $1::uuid";

#undef CARILLON_MAILBOX_PAGES
#undef CARILLON_MAILBOX_ROWS

constexpr auto recent_sql
  = "SELECT " CARILLON_NOTIFICATION_COLUMNS " FROM carillon.notifications n "
    "WHERE n.tenant_id = $1::uuid AND n.user_id = $2::uuid "
    "AND n.channel = 'in_app' "
    "ORDER BY n.created_at DESC, n.id DESC LIMIT $3";

// In the order of the channels' declaration.
constexpr auto deliveries_sql = R"(
SELECT channel, state, reason, deferred_until, attempts, attempted_at, sent_at, updated_at
FROM carillon.notification_deliveries
WHERE notification_id = $2::uuid AND tenant_id = $1::uuid
ORDER BY array_position(ARRAY['in_app', 'email', 'push', 'sms'], channel::text)
)";

constexpr auto preferences_sql = R"(
SELECT id, user_id, notification_type, in_app_enabled, email_enabled,
       push_enabled, sms_enabled, created_at, updated_at
FROM carillon.notification_preferences
WHERE tenant_id = $1::uuid AND user_id = $2::uuid
)";

constexpr auto create_preferences_sql = R"(
INSERT INTO carillon.notification_preferences
  (id, tenant_id, user_id, notification_type)
SELECT m.id, u.tenant_id, u.id, m.type
FROM carillon.users u
CROSS JOIN unnest($3::uuid[], $4::text[]) AS m (id, type)
WHERE u.tenant_id = $1::uuid AND u.id = $2::uuid AND u.deleted_at IS NULL
ORDER BY m.type
ON CONFLICT (user_id, notification_type) DO NOTHING
)";

constexpr auto lock_preferences_sql = R"(
SELECT 1 FROM carillon.notification_preferences
WHERE tenant_id = $1::uuid AND user_id = $2::uuid
  AND notification_type = ANY($3::text[])
ORDER BY notification_type FOR UPDATE
)";

constexpr auto update_preferences_sql = R"(
UPDATE carillon.notification_preferences p
SET in_app_enabled = COALESCE(c.in_app, p.in_app_enabled),
    email_enabled = COALESCE(c.email, p.email_enabled),
    push_enabled = COALESCE(c.push, p.push_enabled),
    sms_enabled = COALESCE(c.sms, p.sms_enabled),
    updated_at = now()
FROM unnest($3::text[], $4::boolean[], $5::boolean[], $6::boolean[],
            $7::boolean[]) AS c (type, in_app, email, push, sms)
WHERE p.tenant_id = $1::uuid AND p.user_id = $2::uuid
  AND p.notification_type = c.type
)";

constexpr auto delete_old_of_tenant_sql = R"(
DELETE FROM carillon.notifications WHERE id IN (
  SELECT id FROM carillon.notifications
  WHERE tenant_id = $1::uuid
    AND created_at < now() - make_interval(days => $2::int)
  ORDER BY created_at LIMIT $3::int)
)";

constexpr auto delete_old_of_all_sql = R"(
DELETE FROM carillon.notifications WHERE id IN (
  SELECT id FROM carillon.notifications
  WHERE created_at < now() - make_interval(days => $1::int)
  LIMIT $2::int)
)";
constexpr int delete_chunk = 1000;

constexpr auto delete_expired_sql = R"(
DELETE FROM carillon.notifications WHERE id IN (
  SELECT id FROM carillon.notifications
  WHERE tenant_id = $1::uuid
    AND created_at < now() - make_interval(hours => $2::int)
    AND (read_at IS NULL OR read_at < now() - make_interval(hours => $3::int))
  ORDER BY created_at LIMIT $4::int)
)";

// What only matters for a while goes with them.
constexpr auto forget_requests_sql = R"(
DELETE FROM carillon.notification_requests WHERE tenant_id = $1::uuid AND idempotency_key IN (
  SELECT idempotency_key FROM carillon.notification_requests
  WHERE tenant_id = $1::uuid AND created_at < now() - interval '7 days' LIMIT $2::int)
)";
constexpr auto forget_broadcasts_sql = R"(
DELETE FROM carillon.notification_broadcasts WHERE id IN (
  SELECT id FROM carillon.notification_broadcasts
  WHERE tenant_id = $1::uuid AND state = 'done' AND created_at < now() - make_interval(hours => $2::int)
  LIMIT $3::int)
)";
constexpr auto forget_digests_sql = R"(
DELETE FROM carillon.notification_digests WHERE id IN (
  SELECT id FROM carillon.notification_digests
  WHERE tenant_id = $1::uuid AND state <> 'composed' AND created_at < now() - make_interval(hours => $2::int)
  LIMIT $3::int)
)";

constexpr auto load_email_sql
  = "SELECT " CARILLON_NOTIFICATION_COLUMNS ", u.name AS recipient_name, "
    "u.email AS recipient_address, u.language, " CARILLON_DELIVERY_FACTS " "
    "FROM carillon.notifications n "
    "LEFT JOIN carillon.users u ON u.id = n.user_id "
    "AND u.tenant_id = n.tenant_id AND u.deleted_at IS NULL "
    "LEFT JOIN LATERAL carillon.delivery_facts(n.tenant_id, "
    "ARRAY[n.user_id], n.type, now()) f ON true "
    "WHERE n.id = $2::uuid AND ($1::uuid IS NULL OR n.tenant_id = $1::uuid)";

notification_type type_or_announcement(const pqxx::field& f) {
  return parse<notification_type>(f.c_str()).value_or(notification_type::system_announcement);
}

notification_channel channel_or_in_app(const pqxx::field& f) {
  return parse<notification_channel>(f.c_str()).value_or(notification_channel::in_app);
}

notification notification_from_row(const pqxx::row& row) {
  notification n;
  n.id = read_id<notification_id>(row[0]);
  n.tenant = read_id<tenant_id>(row[1]);
  n.user = read_id<user_id>(row[2]);
  // A type or channel of a newer node must not break the list.
  n.type = type_or_announcement(row[3]);
  n.channel = channel_or_in_app(row[4]);
  n.title = text_or_empty(row[5]);
  n.message = text_or_empty(row[6]);
  n.data = text_or_empty(row[7]);
  n.action_url = text_or_empty(row[8]);
  n.icon = text_or_empty(row[9]);
  n.read_at = read_nullable_instant(row[10]);
  n.sent_at = read_nullable_instant(row[11]);
  n.failed_at = read_nullable_instant(row[12]);
  n.failure_reason = text_or_empty(row[13]);
  n.created_at = read_instant(row[14]);
  return n;
}

std::vector<notification> from_rows(const pqxx::result& rows) {
  std::vector<notification> out;
  out.reserve(rows.size());
  for (const auto& row : rows)
    out.push_back(notification_from_row(row));
  return out;
}

struct mailbox_arrays {
  std::string tenants = "{";
  std::string users = "{";

  void add(const mailbox& whose) {
    const auto* separator = tenants.size() > 1 ? "," : "";
    tenants += separator + to_string(whose.tenant);
    users += separator + to_string(whose.user);
  }
  void close() {
    tenants += '}';
    users += '}';
  }
};

struct page_arrays {
  mailbox_arrays whose;
  std::string most = "{";
  std::string skipped = "{";

  explicit page_arrays(const std::vector<mailbox_page>& pages) {
    for (const auto& page : pages) {
      const auto* separator = most.size() > 1 ? "," : "";
      whose.add(page.whose);
      most += separator + std::to_string(page.per_page);
      skipped += separator + std::to_string(static_cast<std::int64_t>(page.page - 1) * page.per_page);
    }
    whose.close();
    most += '}';
    skipped += '}';
  }
};

/// Of one row, as newest_sql writes it: id and xmin, in hexadecimal.
std::string version_of(const notification_id& id, std::uint32_t xmin) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * (sizeof id.value.bytes + sizeof xmin));
  for (const auto byte : id.value.bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 0xfU];
  }
  for (int shift = 28; shift >= 0; shift -= 4)
    out += digits[(xmin >> shift) & 0xfU];
  return out;
}

/// Rows come in this order, but only the plan promises that.
bool is_newer(const notification& a, const notification& b) {
  return std::tie(a.created_at, a.id) > std::tie(b.created_at, b.id);
}

void add_row(mailbox_rows& page, notification item, std::uint32_t xmin) {
  const auto version = version_of(item.id, xmin);
  const auto place = std::upper_bound(page.items.begin(), page.items.end(), item, is_newer);
  page.index.versions.insert(version.size() * static_cast<std::size_t>(place - page.items.begin()), version);
  page.items.insert(place, std::move(item));
}

/// Of columns 2 to 13 of newest_rows_sql.
notification item_from_row(const pqxx::row& row, const mailbox& whose) {
  notification n;
  n.id = read_id<notification_id>(row[2]);
  n.tenant = whose.tenant;
  n.user = whose.user;
  n.type = type_or_announcement(row[4]);
  n.channel = channel_or_in_app(row[5]);
  n.title = text_or_empty(row[6]);
  n.message = text_or_empty(row[7]);
  n.data = text_or_empty(row[8]);
  n.action_url = text_or_empty(row[9]);
  n.icon = text_or_empty(row[10]);
  n.read_at = read_nullable_instant(row[11]);
  n.sent_at = read_nullable_instant(row[12]);
  n.created_at = read_instant(row[13]);
  return n;
}

/// Of `size` mailboxes; 0 for those that the scope does not reach.
std::vector<std::int64_t> counts_from_rows(const pqxx::result& rows, std::size_t size) {
  std::vector<std::int64_t> out(size, 0);
  for (const auto& row : rows)
    out.at(row[0].as<std::size_t>() - 1) = row[1].as<std::int64_t>();
  return out;
}

failure no_such_user() {
  return {errc::not_found, "no such user in this tenant", {}, {}};
}

/// `message` is for the scope's tenant, or for nobody.
bool concerns(const scope& s, const new_notification& message) {
  return s.tenant() && *s.tenant() == message.tenant;
}

void append(hints& out, const hints& more) {
  out.insert(out.end(), more.begin(), more.end());
}

/// NULL for all types. Their names need no quoting in an array literal.
std::optional<std::string> type_array(const notification_filter& filter) {
  if (!filter.type && !filter.category)
    return std::nullopt;
  std::string out = "{";
  for (auto type : values_of<notification_type>())
    if ((!filter.type || *filter.type == type)
        && (!filter.category || *filter.category == category(type))) {
      if (out.size() > 1)
        out += ',';
      out += to_string(type);
    }
  return out += '}';
}

std::optional<std::string> flag_param(const std::optional<bool>& flag) {
  if (!flag)
    return std::nullopt;
  return *flag ? "true" : "false";
}

/// The white-list of sort orders: no text of a request reaches the SQL. Null
/// counts as the smallest value.
std::string order_clause(const notification_filter& filter) {
  using enum notification_filter::column;
  std::string column = "created_at";
  switch (filter.sort) {
    case created_at:
      break;
    case read_at:
      column = "read_at";
      break;
    case type:
      column = "type";
      break;
    case title:
      column = "title";
      break;
  }
  const std::string direction
    = filter.ascending ? " ASC NULLS FIRST" : " DESC NULLS LAST";
  return " ORDER BY n." + column + direction + ", n.id"
         + (filter.ascending ? " ASC" : " DESC") + " LIMIT $8 OFFSET $9";
}

std::vector<notification_preference>
read_preferences(pqxx::transaction_base& tx,
                 const std::optional<std::string>& tenant, user_id user) {
  std::map<notification_type, notification_preference> by_type;
  for (const auto& row :
       tx.exec_params(preferences_sql, tenant, to_string(user))) {
    const auto type
      = parse<notification_type>(text_or_empty(row["notification_type"]));
    if (!type)
      continue;
    auto& p = by_type[*type];
    p.id = read_uuid(row["id"]);
    p.user = read_id<user_id>(row["user_id"]);
    p.type = *type;
    p.channels = {row["in_app_enabled"].as<bool>(),
                  row["email_enabled"].as<bool>(),
                  row["push_enabled"].as<bool>(),
                  row["sms_enabled"].as<bool>()};
    p.created_at = read_instant(row["created_at"]);
    p.updated_at = read_instant(row["updated_at"]);
  }
  std::vector<notification_preference> out;
  for (auto& [type, preference] : by_type)
    out.push_back(std::move(preference));
  return out;
}

/// Creates what is missing; still incomplete only when there is no user.
result<std::vector<notification_preference>>
complete_preferences(pqxx::transaction_base& tx,
                     const std::optional<std::string>& tenant, user_id user) {
  const auto types = values_of<notification_type>();
  auto found = read_preferences(tx, tenant, user);
  if (found.size() == types.size())
    return found;
  std::string ids = "{";
  std::string names = "{";
  for (auto type : types) {
    const auto separator = ids.size() > 1 ? "," : "";
    ids += separator + to_string(make_uuid_v7());
    names += separator + std::string{to_string(type)};
  }
  tx.exec_params(create_preferences_sql, tenant, to_string(user), ids + '}',
                 names + '}');
  found = read_preferences(tx, tenant, user);
  if (found.size() != types.size())
    return no_such_user();
  return found;
}

/// One change per type: a later one overrides what it names.
std::map<notification_type, preference_change>
merge(const std::vector<preference_change>& changes) {
  std::map<notification_type, preference_change> out;
  for (const auto& change : changes) {
    auto& merged = out[change.type];
    auto take = [](std::optional<bool>& to, const std::optional<bool>& from) {
      if (from)
        to = from;
    };
    take(merged.in_app, change.in_app);
    take(merged.email, change.email);
    take(merged.push, change.push);
    take(merged.sms, change.sms);
  }
  return out;
}

void write_changes(pqxx::transaction_base& tx,
                   const std::optional<std::string>& tenant, user_id user,
                   const std::vector<preference_change>& changes) {
  std::string types, in_app, email, push, sms;
  auto add = [](std::string& array, const std::string& element) {
    array += array.empty() ? "{" : ",";
    array += element;
  };
  auto flag = [](const std::optional<bool>& value) {
    return flag_param(value).value_or("NULL");
  };
  for (const auto& [type, change] : merge(changes)) {
    add(types, std::string{to_string(type)});
    add(in_app, flag(change.in_app));
    add(email, flag(change.email));
    add(push, flag(change.push));
    add(sms, flag(change.sms));
  }
  types += '}';
  tx.exec_params(lock_preferences_sql, tenant, to_string(user), types);
  tx.exec_params(update_preferences_sql, tenant, to_string(user), types,
                 in_app + '}', email + '}', push + '}', sms + '}');
}

} // namespace

result<notification>
notification_repository::send(const scope& s, const new_notification& message,
                              hints& out) {
  auto sent = send_to_users(s, message, {message.user}, out);
  if (!sent)
    return std::move(sent).error();
  return std::move(sent->front());
}

result<std::vector<notification>>
notification_repository::send_to_users(const scope& s,
                                       const new_notification& message,
                                       const std::vector<user_id>& users,
                                       hints& out) {
  if (!concerns(s, message))
    return no_such_user();
  const std::set<user_id> distinct{users.begin(), users.end()};
  const std::vector<user_id> recipients{distinct.begin(), distinct.end()};
  hints wake;
  auto sent = db_.transact(
    "send-notifications",
    [&](pqxx::work& tx) -> result<std::vector<notification>> {
      const auto found = tx.exec_params(find_users_sql, tenant_param(s),
                                        uuid_array(recipients));
      if (static_cast<std::size_t>(found.size()) != recipients.size())
        return no_such_user();
      return write_notifications(tx, message, recipients, wake);
    });
  if (sent)
    append(out, wake);
  return sent;
}

result<std::vector<notification_delivery>>
notification_repository::deliveries(const scope& s, user_id user, notification_id id) {
  return db_.transact("deliveries", [&](pqxx::work& tx) -> result<std::vector<notification_delivery>> {
    const auto found = tx.exec_params(load_sql, tenant_param(s), to_string(id));
    if (found.empty())
      return failure{errc::not_found, "no such notification", {}, {}};
    if (notification_from_row(found[0]).user != user)
      return failure{errc::forbidden, "This notification belongs to another user", {}, {}};
    std::vector<notification_delivery> out;
    for (const auto& row : tx.exec_params(deliveries_sql, tenant_param(s), to_string(id))) {
      auto& d = out.emplace_back();
      d.channel = parse<notification_channel>(text_or_empty(row[0])).value_or(notification_channel::in_app);
      d.state = parse<delivery_state>(text_or_empty(row[1])).value_or(delivery_state::queued);
      d.reason = text_or_empty(row[2]);
      d.deferred_until = read_nullable_instant(row[3]);
      d.attempts = row[4].as<int>();
      d.attempted_at = read_nullable_instant(row[5]);
      d.sent_at = read_nullable_instant(row[6]);
      d.updated_at = read_instant(row[7]);
    }
    return out;
  });
}

result<notification>
notification_repository::mark_as_read(const scope& s, user_id user,
                                      notification_id id) {
  return db_.transact(
    "mark-as-read", [&](pqxx::work& tx) -> result<notification> {
      auto rows = tx.exec_params(mark_read_sql, tenant_param(s), to_string(id),
                                 to_string(user));
      if (rows.empty())
        rows = tx.exec_params(load_sql, tenant_param(s), to_string(id));
      if (rows.empty())
        return failure{errc::not_found, "no such notification", {}, {}};
      auto n = notification_from_row(rows[0]);
      if (n.user != user)
        return failure{
          errc::forbidden, "This notification belongs to another user", {}, {}};
      return n;
    });
}

result<std::int64_t>
notification_repository::mark_all_as_read(const scope& s, user_id user) {
  return db_.transact(
    "mark-all-as-read", [&](pqxx::work& tx) -> result<std::int64_t> {
      return static_cast<std::int64_t>(
        tx.exec_params(mark_all_read_sql, tenant_param(s), to_string(user))
          .affected_rows());
    });
}

result<std::int64_t> notification_repository::mark_multiple_as_read(
  const scope& s, user_id user, const std::vector<notification_id>& ids) {
  return db_.transact(
    "mark-multiple-as-read", [&](pqxx::work& tx) -> result<std::int64_t> {
      const auto list = uuid_array(ids);
      std::set<notification_id> existing;
      for (const auto& row :
           tx.exec_params(existing_sql, tenant_param(s), list))
        existing.insert(read_id<notification_id>(row[0]));
      failure missing{
        errc::invalid_argument, "a notification does not exist", {}, {}};
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (!existing.contains(ids[i])) {
          const auto field = "ids." + std::to_string(i);
          missing.fields.push_back({field, "The " + field + " field does not exist."});
        }
      if (!missing.fields.empty())
        return missing;
      return static_cast<std::int64_t>(
        tx.exec_params(mark_many_read_sql, tenant_param(s), to_string(user),
                       list)
          .affected_rows());
    });
}

result<notification_page>
notification_repository::list(const scope& s, user_id user,
                              const notification_filter& filter) {
  return db_.read(
    "list-notifications", [&](pqxx::transaction_base& tx) -> result<notification_page> {
      const auto tenant = tenant_param(s);
      const auto types = type_array(filter);
      const auto is_read = flag_param(filter.is_read);
      const auto from = param(filter.from);
      const auto to = param(filter.to);
      const auto search = contains_param(filter.search);
      notification_page page;
      page.total = tx
                     .exec_params(count_filtered_sql, tenant, to_string(user),
                                  types, is_read, from, to, search)[0][0]
                     .as<std::int64_t>();
      const auto offset
        = static_cast<std::int64_t>(filter.page - 1) * filter.per_page;
      if (offset < page.total)
        page.items = from_rows(tx.exec_params(
          list_filtered_sql + order_clause(filter), tenant, to_string(user),
          types, is_read, from, to, search, filter.per_page, offset));
      return page;
    });
}

result<std::int64_t> notification_repository::unread_count(const scope& s,
                                                           user_id user) {
  return db_.read(
    "unread-count", [&](pqxx::transaction_base& tx) -> result<std::int64_t> {
      return exec_planned(tx, unread_count_sql, tenant_param(s), to_string(user))[0][0]
        .as<std::int64_t>();
    });
}

result<std::vector<std::int64_t>>
notification_repository::unread_counts(const scope& s, const std::vector<mailbox>& whose) {
  mailbox_arrays arrays;
  for (const auto& one : whose)
    arrays.add(one);
  arrays.close();
  return db_.read("unread-counts", [&](pqxx::transaction_base& tx) -> result<std::vector<std::int64_t>> {
    return counts_from_rows(exec_planned(tx, unread_counts_sql, tenant_param(s), arrays.tenants, arrays.users),
                            whose.size());
  });
}

result<std::vector<mailbox_index>>
notification_repository::newest(const scope& s, const std::vector<mailbox_page>& pages) {
  const page_arrays arrays{pages};
  return db_.read("newest-notifications", [&](pqxx::transaction_base& tx) -> result<std::vector<mailbox_index>> {
    std::vector<mailbox_index> out(pages.size());
    for (const auto& row : exec_planned(tx, newest_sql, tenant_param(s), arrays.whose.tenants, arrays.whose.users,
                                        arrays.most, arrays.skipped)) {
      auto& page = out.at(row[0].as<std::size_t>() - 1);
      page.total = row[1].as<std::int64_t>();
      page.versions = text_or_empty(row[2]);
    }
    return out;
  });
}

result<std::vector<mailbox_rows>>
notification_repository::newest_rows(const scope& s, const std::vector<mailbox_page>& pages) {
  const page_arrays arrays{pages};
  return db_.read("newest-rows", [&](pqxx::transaction_base& tx) -> result<std::vector<mailbox_rows>> {
    std::vector<mailbox_rows> out(pages.size());
    for (const auto& row : exec_planned(tx, newest_rows_sql, tenant_param(s), arrays.whose.tenants,
                                        arrays.whose.users, arrays.most, arrays.skipped)) {
      const auto i = row[0].as<std::size_t>() - 1;
      auto& page = out.at(i);
      page.index.total = row[1].as<std::int64_t>();
      if (row[2].is_null())
        continue; // It has none.
      add_row(page, item_from_row(row, pages[i].whose), row[3].as<std::uint32_t>());
    }
    return out;
  });
}

result<std::vector<notification>>
notification_repository::recent(const scope& s, user_id user, int limit) {
  return db_.read(
    "recent-notifications",
    [&](pqxx::transaction_base& tx) -> result<std::vector<notification>> {
      return from_rows(
        exec_planned(tx, recent_sql, tenant_param(s), to_string(user), limit));
    });
}

result<std::vector<notification_preference>>
notification_repository::preferences(const scope& s, user_id user) {
  return db_.transact("preferences", [&](pqxx::work& tx) {
    return complete_preferences(tx, tenant_param(s), user);
  });
}

result<notification_preference>
notification_repository::update_preference(const scope& s, user_id user,
                                           const preference_change& change) {
  auto all = update_preferences(s, user, {change});
  if (!all)
    return std::move(all).error();
  return *std::find_if(all->begin(), all->end(), [&](const auto& preference) {
    return preference.type == change.type;
  });
}

result<std::vector<notification_preference>>
notification_repository::update_preferences(
  const scope& s, user_id user, const std::vector<preference_change>& changes) {
  return db_.transact(
    "update-preferences",
    [&](pqxx::work& tx) -> result<std::vector<notification_preference>> {
      const auto tenant = tenant_param(s);
      auto complete = complete_preferences(tx, tenant, user);
      if (!complete || changes.empty())
        return complete;
      write_changes(tx, tenant, user, changes);
      return read_preferences(tx, tenant, user);
    });
}

result<std::int64_t> notification_repository::delete_old(const scope& s,
                                                         int days) {
  std::int64_t total = 0;
  for (;;) {
    auto chunk = db_.transact(
      "delete-old-notifications", [&](pqxx::work& tx) -> result<std::int64_t> {
        const auto deleted
          = s.tenant() ? tx.exec_params(delete_old_of_tenant_sql,
                                        tenant_param(s), days, delete_chunk)
                       : tx.exec_params(delete_old_of_all_sql, days,
                                        delete_chunk);
        return static_cast<std::int64_t>(deleted.affected_rows());
      });
    if (!chunk)
      return chunk;
    total += *chunk;
    if (*chunk < delete_chunk)
      return total;
  }
}

result<std::int64_t> notification_repository::delete_expired(
  const node_identity& me, const job& work, std::chrono::hours keep,
  std::chrono::hours keep_after_reading, int limit) {
  return db_.transact(
    "delete-expired-notifications", [&](pqxx::work& tx) -> result<std::int64_t> {
      if (!hold_fence(tx, me))
        return fenced_out(me);
      const auto tenant = to_string(work.tenant);
      tx.exec_params(forget_requests_sql, tenant, limit);
      tx.exec_params(forget_broadcasts_sql, tenant, keep.count(), limit);
      tx.exec_params(forget_digests_sql, tenant, keep.count(), limit);
      return static_cast<std::int64_t>(
        tx.exec_params(delete_expired_sql, tenant, keep.count(),
                       keep_after_reading.count(), limit)
          .affected_rows());
    });
}

result<notification_email>
notification_repository::load_email(const scope& s, notification_id id) {
  return db_.transact(
    "load-email", [&](pqxx::work& tx) -> result<notification_email> {
      const auto rows
        = exec_planned(tx, load_email_sql, tenant_param(s), to_string(id));
      if (rows.empty())
        return failure{errc::not_found, "no such notification", {}, {}};
      notification_email mail;
      mail.item = notification_from_row(rows[0]);
      mail.recipient_name = text_or_empty(rows[0]["recipient_name"]);
      mail.recipient_address = text_or_empty(rows[0]["recipient_address"]);
      mail.language = text_or_empty(rows[0]["language"]);
      mail.facts = read_delivery_facts(rows[0]);
      return mail;
    });
}

} // namespace carillon::storage
