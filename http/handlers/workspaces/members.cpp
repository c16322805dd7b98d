#include "http/handlers/workspaces/members.hpp"

#include "domain/ports/workspace_store.hpp"
#include "domain/text.hpp"
#include "http/validation.hpp"

namespace carillon::http::workspaces {

namespace {

constexpr int members_per_page = 15;
constexpr std::size_t longest_member_search = 255;

/// Contract §2.4: these routes ask for a membership, which a tenant admin
/// must have too; then his tenant's right wins over a low role.
std::optional<failure> refuse_unless_manager(const call& c) {
  if (c.workspace->membership && c.workspace->has(workspace_role::admin))
    return std::nullopt;
  return failure{errc::forbidden, {}, {}, {}};
}

/// Who may make and unmake owners: owners, and the tenant's admins.
bool may_change_owners(const call& c) {
  return c.workspace->has(workspace_role::owner);
}

workspace_actor actor_in(const call& c) {
  return {c.who.user, c.who.name, c.req.correlation_id};
}

json shown_member(const workspace_member& m) {
  return {{"id", to_string(m.id)},
          {"user_id", to_string(m.user)},
          {"name", m.name},
          {"email", m.email},
          {"role", to_string(m.role)},
          {"avatar_url", m.avatar_url ? json(*m.avatar_url) : json(nullptr)},
          {"joined_at", format_api_time(m.joined_at)}};
}

std::optional<failure> refuse_owner_role(const call& c, workspace_role role) {
  if (role != workspace_role::owner || may_change_owners(c))
    return std::nullopt;
  return failure{errc::forbidden, "Only an owner can make somebody an owner.", {}, {}};
}

json shown_time(const std::optional<instant>& t) {
  return t ? json(format_api_time(*t)) : json(nullptr);
}

} // namespace

result<reply> run_members(call& c) {
  member_filter filter;
  filter.role = parse<workspace_role>(c.req.query_value("role"));
  filter.search = first_characters(c.req.query_value("search"), longest_member_search);
  const auto page = read_page(c.req, members_per_page);
  filter.page = page.page;
  filter.per_page = page.per_page;
  const auto found = c.db.workspaces().list_members(c.tenant_scope(), c.workspace->id, filter);
  if (!found)
    return found.error();
  auto items = json::array();
  for (const auto& m : found->items)
    items.push_back(shown_member(m));
  return paginated(c.req, std::move(items), page, found->total);
}

result<reply> run_add_member(call& c) {
  if (auto refused = refuse_unless_manager(c))
    return std::move(*refused);
  const auto body = c.body();
  if (!body)
    return body.error();
  body_reader in{*body};
  const auto user = in.id("user_id", presence::required);
  const auto role = in.choice<workspace_role>("role").value_or(workspace_role::viewer);
  if (auto bad = in.problems())
    return std::move(*bad);
  if (auto refused = refuse_owner_role(c, role))
    return std::move(*refused);
  const auto added = c.db.workspaces().add_member(c.tenant_scope(), c.workspace->id, actor_in(c), user_id{*user},
                                                  role, c.after_commit);
  if (!added)
    return added.error();
  return created(shown_member(*added), "Member added");
}

result<reply> run_change_role(call& c) {
  if (auto refused = refuse_unless_manager(c))
    return std::move(*refused);
  const auto user = c.path_id<user_id>("userId");
  if (!user)
    return user.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  body_reader in{*body};
  const auto role = in.choice<workspace_role>("role", presence::required).value_or(workspace_role::viewer);
  if (auto bad = in.problems())
    return std::move(*bad);
  if (auto refused = refuse_owner_role(c, role))
    return std::move(*refused);
  const auto changed = c.db.workspaces().change_role(c.tenant_scope(), c.workspace->id, actor_in(c), *user, role,
                                                     may_change_owners(c), c.after_commit);
  if (!changed)
    return changed.error();
  return ok(shown_member(*changed), "Role changed");
}

result<reply> run_remove_member(call& c) {
  if (auto refused = refuse_unless_manager(c))
    return std::move(*refused);
  const auto user = c.path_id<user_id>("userId");
  if (!user)
    return user.error();
  const auto removed = c.db.workspaces().remove_member(c.tenant_scope(), c.workspace->id, actor_in(c), *user,
                                                       may_change_owners(c), c.after_commit);
  if (!removed)
    return removed.error();
  return ok(nullptr, "Member removed");
}

result<reply> run_dashboard(call& c) {
  const auto d = c.db.workspaces().load_dashboard(c.tenant_scope(), c.workspace->id);
  if (!d)
    return d.error();
  auto latest = json::array();
  for (const auto& p : d->latest)
    latest.push_back({{"id", to_string(p.id)},
                      {"content_excerpt", p.excerpt ? json(*p.excerpt) : json(nullptr)},
                      {"status", to_string(p.status)},
                      {"scheduled_at", shown_time(p.scheduled_at)},
                      {"published_at", shown_time(p.published_at)},
                      {"created_at", format_api_time(p.created_at)}});
  return ok({{"total_posts", d->posts},
             {"posts_published", d->published},
             {"posts_scheduled", d->scheduled},
             {"posts_draft", d->drafts},
             {"pending_approvals", d->pending_approvals},
             {"social_accounts_count", d->accounts},
             {"inbox_unread_count", d->unread_inbox},
             {"member_count", d->members},
             {"recent_posts", std::move(latest)}});
}

} // namespace carillon::http::workspaces
