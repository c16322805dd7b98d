#include "http/handlers/posts/post_access.hpp"

#include "domain/post_state.hpp"

namespace carillon::http::posts {

namespace {

failure not_allowed() {
  return {errc::forbidden, {}, {}, {}};
}

bool holds(const call& c, const post& p, right needed) {
  const bool author = p.author == c.who.user;
  switch (needed) {
    case right::view:
      return c.workspace->has(workspace_role::viewer);
    case right::change:
      return c.workspace->has(workspace_role::admin)
             || (author && c.workspace->has(workspace_role::editor));
    case right::withdraw:
      return c.workspace->has(workspace_role::admin) || author;
    case right::manage:
      return c.workspace->has(workspace_role::admin);
  }
  return false;
}

} // namespace

result<post_detail> load_post(call& c, right needed) {
  const auto id = c.path_id<post_id>("post");
  if (!id)
    return id.error();
  return load_post(c, *id, needed);
}

result<post_detail> load_post(call& c, post_id id, right needed) {
  auto found = c.db.posts().load(c.tenant_scope(), c.workspace->id, id);
  if (found && !holds(c, found->post, needed))
    return not_allowed();
  return found;
}

result<post_detail> load_editable(call& c) {
  auto found = load_post(c, right::change);
  if (found && !is_editable(found->post.status))
    return failure{errc::forbidden, "Only a draft or rejected post can be edited.", {}, {}};
  return found;
}

std::optional<failure> refuse_below(const call& c, workspace_role minimum) {
  if (c.workspace->has(minimum))
    return std::nullopt;
  return not_allowed();
}

post_actor actor_of(const call& c) {
  return {c.who.user, c.who.name, c.req.correlation_id};
}

media_addresses files_of(const call& c) {
  return {c.settings.media_links, c.who.tenant, c.workspace->id, c.req.base_url, c.clock.now()};
}

} // namespace carillon::http::posts
