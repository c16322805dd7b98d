#include "http/handlers/posts/edit_posts.hpp"

#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http::posts {

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
  return created(render_mutation(*made, c.settings.compat_platform_codes, files_of(c)), "Post created");
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
  return ok(render_mutation(*updated, c.settings.compat_platform_codes, files_of(c)), "Post updated");
}

result<reply> run_delete(call& c, const media_uploads_ptr& uploads) {
  const auto found = load_post(c, right::withdraw);
  if (!found)
    return found.error();
  const auto unused
    = c.db.posts().remove(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c));
  if (!unused)
    return unused.error();
  if (uploads)
    for (const auto& path : *unused)
      uploads->remove(c.who.tenant, c.workspace->id, path);
  return ok(nullptr, "Post deleted");
}

result<reply> run_duplicate(call& c) {
  // A copy is a new post of the caller's: the rule of create-post.
  if (!c.workspace->has_by_membership_first(workspace_role::editor))
    return failure{errc::forbidden, {}, {}, {}};
  const auto found = load_post(c, right::view);
  if (!found)
    return found.error();
  auto made = c.db.posts().duplicate(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c));
  if (!made)
    return std::move(made).error();
  return created(render_mutation(*made, c.settings.compat_platform_codes, files_of(c)), "Post duplicated");
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
