#include "storage/live_repository.hpp"

#include <algorithm>

#include "storage/live_notes.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr auto select_refused = R"sql(
  SELECT g.n FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[]) WITH ORDINALITY
    AS g (token, holder, audience, about, n)
  WHERE NOT EXISTS (
    SELECT FROM carillon.personal_access_tokens t
    JOIN carillon.users u ON u.id = t.tokenable_id AND t.tokenable_type = 'user'
    JOIN carillon.tenants n ON n.id = u.tenant_id
    WHERE t.id = g.token AND (t.expires_at IS NULL OR t.expires_at > now())
      AND u.id = g.holder AND u.deleted_at IS NULL AND u.status NOT IN ('suspended', 'deactivated')
      AND n.deleted_at IS NULL AND n.status IN ('pending', 'active')
      AND ($5::uuid IS NULL OR u.tenant_id = $5::uuid)
      AND CASE g.audience
          WHEN 'user' THEN g.about = u.id
          WHEN 'workspace' THEN EXISTS (
            SELECT FROM carillon.workspaces w
            WHERE w.id = g.about AND w.tenant_id = u.tenant_id AND w.deleted_at IS NULL AND w.status <> 'deleted'
              AND (u.role_in_tenant IN ('owner', 'admin')
                   OR EXISTS (SELECT FROM carillon.workspace_memberships m
                              WHERE m.workspace_id = w.id AND m.tenant_id = w.tenant_id AND m.user_id = u.id)))
          ELSE false END)
)sql";

constexpr auto select_recent = R"sql(
  SELECT id, user_id, type, title, message, action_url, created_at FROM (
    SELECT id, user_id, type, title, message, action_url, created_at FROM carillon.notifications
    WHERE tenant_id = $1::uuid AND user_id = $2::uuid AND channel = 'in_app' AND read_at IS NULL
      AND created_at > now() - make_interval(secs => $3)
    ORDER BY created_at DESC, id DESC LIMIT $4
  ) newest ORDER BY created_at, id
)sql";

constexpr auto select_notifications = R"sql(
  SELECT id, user_id, type, title, message, action_url, created_at FROM carillon.notifications
  WHERE id = ANY($1::uuid[]) AND ($2::uuid IS NULL OR tenant_id = $2::uuid)
    AND channel = 'in_app' AND read_at IS NULL
  ORDER BY created_at, id
)sql";

std::vector<live_event> read_events(const pqxx::result& rows) {
  std::vector<live_event> out;
  for (const auto& row : rows) {
    notification n;
    n.id = read_id<notification_id>(row[0]);
    n.user = read_id<user_id>(row[1]);
    const auto type = parse<notification_type>(row[2].c_str());
    if (!type)
      continue; // A newer release's: this one's clients do not know it.
    n.type = *type;
    n.title = row[3].as<std::string>();
    n.message = row[4].as<std::string>();
    n.action_url = text_or_empty(row[5]);
    n.created_at = read_instant(row[6]);
    out.push_back(notification_event(n));
  }
  return out;
}

} // namespace

result<std::vector<std::size_t>> live_repository::refused(const scope& s, const std::vector<live_grant>& grants) {
  std::string tokens = "{";
  std::string holders = "{";
  std::string audiences = "{";
  std::string subjects = "{";
  for (const auto& grant : grants) {
    if (tokens.size() > 1)
      for (auto* list : {&tokens, &holders, &audiences, &subjects})
        *list += ',';
    const auto channel = parse_live_channel(grant.channel);
    tokens += std::to_string(grant.token);
    holders += to_string(grant.user);
    audiences += !channel                                              ? "none"
                 : channel->of == live_channel::audience::user ? "user"
                                                                      : "workspace";
    subjects += to_string(channel ? channel->id : uuid{});
  }
  for (auto* list : {&tokens, &holders, &audiences, &subjects})
    *list += '}';
  return db_.transact("live-refused", [&](pqxx::work& tx) -> result<std::vector<std::size_t>> {
    std::vector<std::size_t> out;
    for (const auto& row : tx.exec_params(select_refused, tokens, holders, audiences, subjects, tenant_param(s)))
      out.push_back(row[0].as<std::size_t>() - 1);
    std::sort(out.begin(), out.end());
    return out;
  });
}

result<std::vector<live_event>> live_repository::recent(const scope& s, user_id user, std::chrono::seconds since,
                                                        int limit) {
  return db_.transact("live-recent", [&](pqxx::work& tx) -> result<std::vector<live_event>> {
    return read_events(tx.exec_params(select_recent, tenant_param(s), to_string(user), since.count(), limit));
  });
}

result<std::vector<live_event>> live_repository::of_notifications(const scope& s,
                                                                  const std::vector<notification_id>& ids) {
  return db_.transact("live-notifications", [&](pqxx::work& tx) -> result<std::vector<live_event>> {
    return read_events(tx.exec_params(select_notifications, uuid_array(ids), tenant_param(s)));
  });
}

} // namespace carillon::storage
