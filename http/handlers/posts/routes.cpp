#include "http/handlers/posts/routes.hpp"

#include "domain/post_state.hpp"
#include "domain/ports/post_store.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http {

namespace {

using namespace posts;

failure not_allowed(std::string why = "You are not allowed to do this.") {
  return {errc::forbidden, std::move(why), {}, {}};
}

post_actor actor_of(const call& c) {
  return {c.who.user, c.who.name, c.req.correlation_id};
}

reply mutation(const call& c, const post_detail& d) {
  return ok(render_mutation(d, c.settings.compat_platform_codes));
}

/// The post of the path, for checks that come before the command.
result<post_detail> load(call& c) {
  const auto id = c.path_id<post_id>("post");
  if (!id)
    return id.error();
  return c.db.posts().load(c.tenant_scope(), c.workspace->id, *id);
}

/// Contract §2.5: admins on any post, editors on their own.
bool may_change(const call& c, const post& p) {
  return c.workspace->has(workspace_role::admin)
         || (p.author == c.who.user && c.workspace->has(workspace_role::editor));
}

/// Deleting and cancelling also pass for the author whatever his role.
bool may_withdraw(const call& c, const post& p) {
  return c.workspace->has(workspace_role::admin) || p.author == c.who.user;
}

/// Loads, checks `allowed`, then runs `command(post) -> result<reply>`.
template <class Allowed, class Command>
result<reply> on_post(call& c, Allowed allowed, Command command) {
  auto found = load(c);
  if (!found)
    return found.error();
  if (!allowed(found->post))
    return not_allowed();
  return command(*found);
}

auto admin_only(call& c) {
  return [&c](const post&) { return c.workspace->has(workspace_role::admin); };
}

result<reply> run_list(call& c) {
  if (!c.workspace->has(workspace_role::viewer))
    return not_allowed();
  const auto filter = parse_filter(c.req);
  auto page = c.db.posts().list(c.tenant_scope(), c.workspace->id, filter);
  if (!page)
    return page.error();
  json items = json::array();
  for (const auto& p : page->items)
    items.push_back(render(p));
  return paginated(c.req, std::move(items), {filter.page, filter.per_page}, page->total);
}

result<reply> run_create(call& c) {
  if (!c.workspace->has_by_membership_first(workspace_role::editor))
    return not_allowed();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto content = parse_content(*body);
  if (!content)
    return content.error();
  if (content->scheduled_at && *content->scheduled_at <= c.clock.now())
    return invalid("scheduled_at", "The scheduled_at field must be in the future.");
  auto made = c.db.posts().create(c.tenant_scope(), c.workspace->id, actor_of(c), *content);
  if (!made)
    return made.error();
  return created(render_mutation(*made, c.settings.compat_platform_codes));
}

result<reply> run_get(call& c) {
  if (!c.workspace->has(workspace_role::viewer))
    return not_allowed();
  auto found = load(c);
  if (!found)
    return found.error();
  return ok(render_detail(*found, c.settings.compat_platform_codes));
}

result<reply> run_update(call& c) {
  return on_post(c, [&](const post& p) { return may_change(c, p); },
                 [&](const post_detail& d) -> result<reply> {
                   if (!is_editable(d.post.status))
                     return not_allowed("Only a draft or rejected post can be edited.");
                   const auto body = c.body();
                   if (!body)
                     return body.error();
                   const auto content = parse_content(*body);
                   if (!content)
                     return content.error();
                   auto updated = c.db.posts().update(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), *content);
                   if (!updated)
                     return updated.error();
                   return mutation(c, *updated);
                 });
}

result<reply> run_delete(call& c) {
  return on_post(c, [&](const post& p) { return may_withdraw(c, p); },
                 [&](const post_detail& d) -> result<reply> {
                   auto removed = c.db.posts().remove(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c));
                   if (!removed)
                     return removed.error();
                   return ok(nullptr);
                 });
}

result<reply> run_submit(call& c) {
  return on_post(c, [&](const post& p) { return may_change(c, p); },
                 [&](const post_detail& d) -> result<reply> {
                   auto submitted = c.db.posts().submit(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), c.after_commit);
                   if (!submitted)
                     return submitted.error();
                   return mutation(c, *submitted);
                 });
}

result<reply> run_approve(call& c) {
  return on_post(c, admin_only(c), [&](const post_detail& d) -> result<reply> {
    if (!transition(d.post.status, post_event::approve))
      return not_allowed("Only a submitted post can be approved.");
    const auto body = c.body();
    if (!body)
      return body.error();
    const auto in = parse_decision(*body, false);
    if (!in)
      return in.error();
    auto decision = c.db.posts().approve(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), in->comment, c.after_commit);
    if (!decision)
      return decision.error();
    return ok(render(*decision));
  });
}

result<reply> run_reject(call& c) {
  return on_post(c, admin_only(c), [&](const post_detail& d) -> result<reply> {
    if (!transition(d.post.status, post_event::reject))
      return not_allowed("Only a submitted post can be rejected.");
    const auto body = c.body();
    if (!body)
      return body.error();
    const auto in = parse_decision(*body, true);
    if (!in)
      return in.error();
    auto decision = c.db.posts().reject(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), in->reason, in->comment, c.after_commit);
    if (!decision)
      return decision.error();
    return ok(render(*decision));
  });
}

result<reply> run_approval_history(call& c) {
  return on_post(c, [&](const post&) { return c.workspace->has(workspace_role::viewer); },
                 [&](const post_detail& d) -> result<reply> {
                   auto all = c.db.posts().approvals(c.tenant_scope(), c.workspace->id, d.post.id);
                   if (!all)
                     return all.error();
                   json items = json::array();
                   for (const auto& a : *all)
                     items.push_back(render(a));
                   return ok(std::move(items));
                 });
}

result<reply> schedule_or_move(call& c, bool move) {
  return on_post(c, admin_only(c), [&](const post_detail& d) -> result<reply> {
    if (d.post.status != (move ? post_status::scheduled : post_status::approved))
      return not_allowed(move ? "Only a scheduled post can be moved." : "Only an approved post can be scheduled.");
    const auto body = c.body();
    if (!body)
      return body.error();
    const auto in = parse_schedule(*body, d.post.scheduled_timezone.value_or("UTC"));
    if (!in)
      return in.error();
    auto scheduled = c.db.posts().schedule(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), in->at, in->zone, move, c.after_commit);
    if (!scheduled)
      return scheduled.error();
    return mutation(c, *scheduled);
  });
}

result<reply> run_schedule(call& c) {
  return schedule_or_move(c, false);
}

result<reply> run_reschedule(call& c) {
  return schedule_or_move(c, true);
}

result<reply> run_publish(call& c) {
  return on_post(c, admin_only(c), [&](const post_detail& d) -> result<reply> {
    auto publishing = c.db.posts().publish(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c), c.after_commit);
    if (!publishing)
      return publishing.error();
    return mutation(c, *publishing);
  });
}

result<reply> run_cancel(call& c) {
  return on_post(c, [&](const post& p) { return may_withdraw(c, p); },
                 [&](const post_detail& d) -> result<reply> {
                   auto cancelled = c.db.posts().cancel(c.tenant_scope(), c.workspace->id, d.post.id, actor_of(c));
                   if (!cancelled)
                     return cancelled.error();
                   return mutation(c, *cancelled);
                 });
}

result<reply> run_targets(call& c) {
  return on_post(c, [&](const post&) { return c.workspace->has(workspace_role::viewer); },
                 [&](const post_detail& d) -> result<reply> {
                   return ok(render_detail(d, c.settings.compat_platform_codes)["targets"]);
                 });
}

} // namespace

std::vector<route> post_routes() {
  const std::string posts = "/api/v1/workspaces/{workspace}/posts";
  const std::string one = posts + "/{post}";
  return {
    {"GET", posts, access::workspace, run_list},
    {"POST", posts, access::workspace, run_create},
    {"GET", one, access::workspace, run_get},
    {"PUT", one, access::workspace, run_update},
    {"DELETE", one, access::workspace, run_delete},
    {"POST", one + "/submit", access::workspace, run_submit},
    {"POST", one + "/approve", access::workspace, run_approve},
    {"POST", one + "/reject", access::workspace, run_reject},
    {"GET", one + "/approval-history", access::workspace, run_approval_history},
    {"POST", one + "/schedule", access::workspace, run_schedule},
    {"PUT", one + "/schedule", access::workspace, run_reschedule},
    {"POST", one + "/publish", access::workspace, run_publish},
    {"POST", one + "/cancel", access::workspace, run_cancel},
    {"GET", one + "/targets", access::workspace, run_targets},
  };
}

} // namespace carillon::http
