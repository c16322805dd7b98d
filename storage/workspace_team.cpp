// Making workspaces, their members and their dashboard: the writing part of
// workspace_repository.
#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "storage/live_notes.hpp"
#include "storage/notification_writer.hpp"
#include "storage/query_param.hpp"
#include "storage/workspace_repository.hpp"

namespace carillon::storage {

namespace {

constexpr std::size_t longest_slug = 90; ///< Leaves room for a number.
constexpr int most_slug_tries = 1'000;
constexpr std::size_t longest_excerpt = 100;

// The tenant's row makes those who choose a slug wait for each other.
constexpr auto lock_tenant_zone = R"sql(
  SELECT coalesce(settings ->> 'timezone', 'Asia/Kolkata') FROM carillon.tenants
  WHERE id = $1::uuid AND deleted_at IS NULL FOR NO KEY UPDATE
)sql";

constexpr auto find_slug = "SELECT 1 FROM carillon.workspaces WHERE tenant_id = $1::uuid AND slug = $2";

constexpr auto insert_workspace = R"sql(
  INSERT INTO carillon.workspaces (id, tenant_id, name, slug, description, settings)
  VALUES ($1, $2::uuid, $3, $4, $5, $6::jsonb)
)sql";

constexpr auto insert_membership = R"sql(
  INSERT INTO carillon.workspace_memberships (id, tenant_id, workspace_id, user_id, role)
  VALUES ($1, $2::uuid, $3, $4, $5) ON CONFLICT (workspace_id, user_id) DO NOTHING
)sql";

constexpr auto member_columns = R"sql(
  SELECT m.id, m.user_id, u.name, u.email, m.role, u.avatar_url, m.joined_at
  FROM carillon.workspace_memberships m JOIN carillon.users u ON u.id = m.user_id
  WHERE m.workspace_id = $1 AND m.tenant_id = $2::uuid AND u.deleted_at IS NULL
)sql";

constexpr auto member_condition = R"sql(
  AND ($3::text IS NULL OR m.role = $3) AND ($4::text IS NULL OR u.name ILIKE $4 OR u.email ILIKE $4)
)sql";

// Owners are counted and changed one command at a time.
constexpr auto lock_workspace_name = R"sql(
  SELECT name FROM carillon.workspaces
  WHERE id = $1 AND tenant_id = $2::uuid AND deleted_at IS NULL AND status <> 'deleted' FOR NO KEY UPDATE
)sql";

constexpr auto find_tenant_user = R"sql(
  SELECT 1 FROM carillon.users
  WHERE id = $1 AND tenant_id = $2::uuid AND status = 'active' AND deleted_at IS NULL
)sql";

constexpr auto count_owners = R"sql(
  SELECT count(*) FROM carillon.workspace_memberships m JOIN carillon.users u ON u.id = m.user_id
  WHERE m.workspace_id = $1 AND m.tenant_id = $2::uuid AND m.role = 'owner' AND u.deleted_at IS NULL
)sql";

constexpr auto set_role = R"sql(
  UPDATE carillon.workspace_memberships SET role = $4, updated_at = now()
  WHERE workspace_id = $1 AND tenant_id = $2::uuid AND user_id = $3
)sql";

constexpr auto delete_membership = R"sql(
  DELETE FROM carillon.workspace_memberships WHERE workspace_id = $1 AND tenant_id = $2::uuid AND user_id = $3
)sql";

constexpr auto insert_workspace_audit = R"sql(
  INSERT INTO carillon.audit_logs (id, tenant_id, user_id, action, auditable_type, auditable_id, description,
                                   old_values, new_values, request_id)
  VALUES ($1, $2, $3, $4, 'workspace', $5, $6, $7::jsonb, $8::jsonb, left($9, 50))
)sql";

constexpr auto count_dashboard = R"sql(
  SELECT count(*), count(*) FILTER (WHERE status = 'published'), count(*) FILTER (WHERE status = 'scheduled'),
         count(*) FILTER (WHERE status = 'draft'), count(*) FILTER (WHERE status = 'submitted'),
         (SELECT count(*) FROM carillon.social_accounts
          WHERE workspace_id = $1 AND tenant_id = $2::uuid AND status <> 'disconnected'),
         (SELECT count(*) FROM carillon.inbox_items
          WHERE workspace_id = $1 AND tenant_id = $2::uuid AND status = 'unread'),
         (SELECT count(*) FROM carillon.workspace_memberships WHERE workspace_id = $1 AND tenant_id = $2::uuid)
  FROM carillon.posts WHERE workspace_id = $1 AND tenant_id = $2::uuid AND deleted_at IS NULL
)sql";

constexpr auto latest_posts = R"sql(
  SELECT id, content_text, status, scheduled_at, published_at, created_at FROM carillon.posts
  WHERE workspace_id = $1 AND tenant_id = $2::uuid AND deleted_at IS NULL
  ORDER BY created_at DESC, id DESC LIMIT 5
)sql";

failure team_rule(const char* field, std::string reason) {
  return {errc::conflict, reason, {{field, reason}}, {}};
}

failure no_workspace() {
  return {errc::not_found, "no such workspace", {}, {}};
}

failure no_member() {
  return {errc::not_found, "no such member", {}, {}};
}

/// Letters and digits of ASCII, single hyphens between them.
std::string slug_of(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      out += upper ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  out = out.substr(0, longest_slug);
  while (!out.empty() && out.back() == '-')
    out.pop_back();
  return out.empty() ? "workspace" : out;
}

workspace_member member_from_row(const pqxx::row& row) {
  workspace_member out;
  out.id = read_uuid(row["id"]);
  out.user = read_id<user_id>(row["user_id"]);
  out.name = row["name"].as<std::string>();
  out.email = row["email"].as<std::string>();
  out.role = parse<workspace_role>(row["role"].c_str()).value_or(workspace_role::viewer);
  out.avatar_url = nullable<std::string>(row["avatar_url"]);
  out.joined_at = read_instant(row["joined_at"]);
  return out;
}

std::optional<workspace_member> find_member(pqxx::transaction_base& tx, const scope& s, workspace_id workspace,
                                            user_id user) {
  const auto rows = tx.exec_params(std::string{member_columns} + " AND m.user_id = $3", to_string(workspace),
                                   tenant_param(s), to_string(user));
  if (rows.empty())
    return std::nullopt;
  return member_from_row(rows[0]);
}

bool is_last_owner(pqxx::transaction_base& tx, const scope& s, workspace_id workspace, const workspace_member& member) {
  return member.role == workspace_role::owner
         && tx.exec_params(count_owners, to_string(workspace), tenant_param(s))[0][0].as<int>() <= 1;
}

std::string role_values(const workspace_member& member, workspace_role role) {
  return nlohmann::json{{"user_id", to_string(member.user)}, {"role", to_string(role)}}.dump();
}

void audit_workspace(pqxx::transaction_base& tx, const scope& s, const workspace_actor& actor, audit_action action,
                     workspace_id workspace, const char* description, std::optional<std::string> before,
                     std::optional<std::string> after) {
  tx.exec_params(insert_workspace_audit, to_string(make_uuid_v7()), tenant_param(s), to_string(actor.user),
                 std::string{to_string(action)}, to_string(workspace), description, before, after,
                 null_if_empty(actor.correlation_id));
}

void tell_member(pqxx::transaction_base& tx, const scope& s, workspace_id workspace, const std::string& workspace_name,
                 const workspace_actor& actor, user_id to, notification_type type, std::string title,
                 std::string message, std::optional<workspace_role> role, hints& out) {
  new_notification notice;
  notice.tenant = *s.tenant();
  notice.workspace = workspace;
  notice.user = to;
  notice.type = type;
  notice.title = std::move(title);
  notice.message = std::move(message);
  if (type != notification_type::member_removed)
    notice.action_url = "/app/w/" + to_string(workspace) + "/inbox";
  nlohmann::json data{{"workspace_id", to_string(workspace)}, {"workspace_name", workspace_name}};
  if (role)
    data["role"] = to_string(*role);
  notice.data = data.dump();
  notice.correlation_id = actor.correlation_id;
  write_notification(tx, notice, out);
}

} // namespace

result<workspace> workspace_repository::create_workspace(const scope& s, const workspace_actor& creator,
                                                         const new_workspace& wanted) {
  const auto id = workspace_id{make_uuid_v7()};
  auto made = db_.transact("create-workspace", [&](pqxx::work& tx) -> result<done> {
    const auto zone = tx.exec_params(lock_tenant_zone, tenant_param(s));
    if (zone.empty())
      return failure{errc::not_found, "no such tenant", {}, {}};
    const auto plain = slug_of(wanted.name);
    auto slug = plain;
    for (int i = 2; !tx.exec_params(find_slug, tenant_param(s), slug).empty(); ++i) {
      if (i > most_slug_tries)
        return team_rule("name", "Too many workspaces have this name.");
      slug = plain + "-" + std::to_string(i);
    }
    nlohmann::json settings{{"timezone", zone[0][0].as<std::string>()},
                            {"date_format", "YYYY-MM-DD"},
                            {"approval_workflow", {{"enabled", true}, {"required_for_roles", {"editor"}}}}};
    if (wanted.icon)
      settings["icon"] = *wanted.icon;
    if (wanted.color)
      settings["color"] = *wanted.color;
    tx.exec_params(insert_workspace, to_string(id), tenant_param(s), wanted.name, slug, wanted.description,
                   settings.dump());
    tx.exec_params(insert_membership, to_string(make_uuid_v7()), tenant_param(s), to_string(id),
                   to_string(creator.user), std::string{to_string(workspace_role::owner)});
    note_rights_change(creator.user);
    audit_workspace(tx, s, creator, audit_action::create, id, "Workspace created", std::nullopt,
                    nlohmann::json{{"name", wanted.name}}.dump());
    return done{};
  });
  if (!made)
    return std::move(made).error();
  return load_workspace(s, id, creator.user);
}

result<member_page> workspace_repository::list_members(const scope& s, workspace_id workspace,
                                                       const member_filter& filter) {
  return db_.transact("list-members", [&](pqxx::work& tx) -> result<member_page> {
    std::optional<std::string> role;
    if (filter.role)
      role = std::string{to_string(*filter.role)};
    const auto run = [&](const std::string& sql) {
      return tx.exec_params(sql, to_string(workspace), tenant_param(s), role, contains_param(filter.search));
    };
    const auto wanted = std::string{member_columns} + member_condition;
    member_page out;
    out.total = run("SELECT count(*) FROM (" + wanted + ") AS all_members")[0][0].as<std::int64_t>();
    const auto offset = static_cast<std::int64_t>(filter.page - 1) * filter.per_page;
    for (const auto& row : run(wanted + " ORDER BY m.joined_at DESC, m.id DESC LIMIT " + std::to_string(filter.per_page)
                               + " OFFSET " + std::to_string(offset)))
      out.items.push_back(member_from_row(row));
    return out;
  });
}

result<workspace_member> workspace_repository::add_member(const scope& s, workspace_id workspace,
                                                          const workspace_actor& actor, user_id user,
                                                          workspace_role role, hints& out) {
  hints committed;
  auto added = db_.transact("add-member", [&](pqxx::work& tx) -> result<workspace_member> {
    const auto name = tx.exec_params(lock_workspace_name, to_string(workspace), tenant_param(s));
    if (name.empty())
      return no_workspace();
    if (tx.exec_params(find_tenant_user, to_string(user), tenant_param(s)).empty())
      return team_rule("user_id", "The user does not exist in this organisation.");
    const auto inserted = tx.exec_params(insert_membership, to_string(make_uuid_v7()), tenant_param(s),
                                         to_string(workspace), to_string(user), std::string{to_string(role)});
    if (inserted.affected_rows() == 0)
      return team_rule("user_id", "The user is a member already.");
    const auto member = find_member(tx, s, workspace, user);
    if (!member)
      return no_member();
    note_rights_change(user);
    const auto workspace_name = name[0][0].as<std::string>();
    tell_member(tx, s, workspace, workspace_name, actor, user, notification_type::member_added,
                "Added to a workspace", actor.name + " added you to " + workspace_name + " as "
                  + std::string{to_string(role)} + ".", role, committed);
    audit_workspace(tx, s, actor, audit_action::permission_change, workspace, "Member added", std::nullopt,
                    role_values(*member, role));
    return *member;
  });
  if (added)
    out.insert(out.end(), committed.begin(), committed.end());
  return added;
}

result<workspace_member> workspace_repository::change_role(const scope& s, workspace_id workspace,
                                                           const workspace_actor& actor, user_id user,
                                                           workspace_role role, bool may_change_owners, hints& out) {
  hints committed;
  auto changed = db_.transact("change-role", [&](pqxx::work& tx) -> result<workspace_member> {
    const auto name = tx.exec_params(lock_workspace_name, to_string(workspace), tenant_param(s));
    if (name.empty())
      return no_workspace();
    auto member = find_member(tx, s, workspace, user);
    if (!member)
      return no_member();
    if (user == actor.user)
      return team_rule("user_id", "You cannot change your own role.");
    if (member->role == workspace_role::owner && !may_change_owners)
      return failure{errc::forbidden, "Only an owner can change an owner's role.", {}, {}};
    if (role != workspace_role::owner && is_last_owner(tx, s, workspace, *member))
      return team_rule("role", "A workspace needs an owner.");
    if (member->role == role)
      return *member;
    tx.exec_params(set_role, to_string(workspace), tenant_param(s), to_string(user), std::string{to_string(role)});
    note_rights_change(user);
    const auto workspace_name = name[0][0].as<std::string>();
    tell_member(tx, s, workspace, workspace_name, actor, user, notification_type::role_changed, "Your role changed",
                actor.name + " made you " + std::string{to_string(role)} + " of " + workspace_name + ".", role,
                committed);
    audit_workspace(tx, s, actor, audit_action::permission_change, workspace, "Role changed",
                    role_values(*member, member->role), role_values(*member, role));
    member->role = role;
    return *member;
  });
  if (changed)
    out.insert(out.end(), committed.begin(), committed.end());
  return changed;
}

result<done> workspace_repository::remove_member(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                                 user_id user, bool may_change_owners, hints& out) {
  hints committed;
  auto removed = db_.transact("remove-member", [&](pqxx::work& tx) -> result<done> {
    const auto name = tx.exec_params(lock_workspace_name, to_string(workspace), tenant_param(s));
    if (name.empty())
      return no_workspace();
    const auto member = find_member(tx, s, workspace, user);
    if (!member)
      return no_member();
    if (user == actor.user)
      return team_rule("user_id", "You cannot remove yourself.");
    if (member->role == workspace_role::owner && !may_change_owners)
      return failure{errc::forbidden, "Only an owner can remove an owner.", {}, {}};
    if (is_last_owner(tx, s, workspace, *member))
      return team_rule("user_id", "A workspace needs an owner.");
    tx.exec_params(delete_membership, to_string(workspace), tenant_param(s), to_string(user));
    note_rights_change(user);
    const auto workspace_name = name[0][0].as<std::string>();
    tell_member(tx, s, workspace, workspace_name, actor, user, notification_type::member_removed,
                "Removed from a workspace", actor.name + " removed you from " + workspace_name + ".", std::nullopt,
                committed);
    audit_workspace(tx, s, actor, audit_action::permission_change, workspace, "Member removed",
                    role_values(*member, member->role), std::nullopt);
    return done{};
  });
  if (removed)
    out.insert(out.end(), committed.begin(), committed.end());
  return removed;
}

result<workspace_dashboard> workspace_repository::load_dashboard(const scope& s, workspace_id workspace) {
  return db_.transact("load-dashboard", [&](pqxx::work& tx) -> result<workspace_dashboard> {
    const auto counts = tx.exec_params(count_dashboard, to_string(workspace), tenant_param(s))[0];
    workspace_dashboard out;
    out.posts = counts[0].as<std::int64_t>();
    out.published = counts[1].as<std::int64_t>();
    out.scheduled = counts[2].as<std::int64_t>();
    out.drafts = counts[3].as<std::int64_t>();
    out.pending_approvals = counts[4].as<std::int64_t>();
    out.accounts = counts[5].as<std::int64_t>();
    out.unread_inbox = counts[6].as<std::int64_t>();
    out.members = counts[7].as<std::int64_t>();
    for (const auto& row : tx.exec_params(latest_posts, to_string(workspace), tenant_param(s))) {
      recent_post post;
      post.id = read_id<post_id>(row["id"]);
      if (!row["content_text"].is_null())
        post.excerpt = std::string{first_characters(text_or_empty(row["content_text"]), longest_excerpt)};
      post.status = parse<post_status>(row["status"].c_str()).value_or(post_status::draft);
      post.scheduled_at = read_nullable_instant(row["scheduled_at"]);
      post.published_at = read_nullable_instant(row["published_at"]);
      post.created_at = read_instant(row["created_at"]);
      out.latest.push_back(std::move(post));
    }
    return out;
  });
}

} // namespace carillon::storage
