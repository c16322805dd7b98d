#include "http/handlers/posts/edit_posts.hpp"

#include "domain/post_state.hpp"
#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http::posts {

namespace {

/// The post for an edit: a status that forbids it comes before the body's
/// faults (contract §1.4).
result<post_detail> load_editable(call& c) {
  auto found = load_post(c, right::change);
  if (found && !is_editable(found->post.status))
    return failure{errc::forbidden, "Only a draft or rejected post can be edited.", {}, {}};
  return found;
}

} // namespace

result<reply> run_create(call& c) {
  if (!c.workspace->has_by_membership_first(workspace_role::editor))
    return failure{errc::forbidden, {}, {}, {}};
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto draft = parse_new_post(*body);
  if (!draft)
    return draft.error();
  auto made = c.db.posts().create(c.tenant_scope(), c.workspace->id, actor_of(c), *draft);
  if (!made)
    return std::move(made).error();
  return created(render_mutation(*made, c.settings.compat_platform_codes), "Post created");
}

result<reply> run_update(call& c) {
  const auto found = load_editable(c);
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto content = parse_content(*body);
  if (!content)
    return content.error();
  auto updated = c.db.posts().update(c.tenant_scope(), c.workspace->id, found->post.id,
                                     actor_of(c), *content);
  if (!updated)
    return std::move(updated).error();
  return ok(render_mutation(*updated, c.settings.compat_platform_codes), "Post updated");
}

result<reply> run_delete(call& c) {
  const auto found = load_post(c, right::withdraw);
  if (!found)
    return found.error();
  auto removed
    = c.db.posts().remove(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c));
  if (!removed)
    return std::move(removed).error();
  return ok(nullptr, "Post deleted");
}

result<reply> run_set_targets(call& c) {
  const auto found = load_editable(c);
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto accounts = parse_accounts(*body);
  if (!accounts)
    return accounts.error();
  auto changed = c.db.posts().set_targets(c.tenant_scope(), c.workspace->id, found->post.id,
                                          actor_of(c), *accounts);
  if (!changed)
    return std::move(changed).error();
  return ok(render_targets(*changed, c.settings.compat_platform_codes), "Targets updated");
}

result<reply> run_remove_target(call& c) {
  const auto found = load_post(c, right::withdraw);
  if (!found)
    return found.error();
  const auto target = c.path_id<target_id>("target");
  if (!target)
    return target.error();
  auto removed = c.db.posts().remove_target(c.tenant_scope(), c.workspace->id, found->post.id,
                                            *target, actor_of(c));
  if (!removed)
    return std::move(removed).error();
  return ok(nullptr, "Target removed");
}

} // namespace carillon::http::posts
