#include "http/handlers/posts/read_posts.hpp"

#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http::posts {

namespace {

result<reply> list(call& c, const post_filter& filter) {
  auto page = c.db.posts().list(c.tenant_scope(), c.workspace->id, filter);
  if (!page)
    return std::move(page).error();
  auto items = json::array();
  for (const auto& p : page->items)
    items.push_back(render(p));
  return paginated(c.req, std::move(items), {filter.page, filter.per_page}, page->total);
}

} // namespace

result<reply> run_list(call& c) {
  if (auto refused = refuse_below(c, workspace_role::viewer))
    return std::move(*refused);
  return list(c, parse_filter(c.req));
}

result<reply> run_approvals(call& c) {
  if (auto refused = refuse_below(c, workspace_role::admin))
    return std::move(*refused);
  return list(c, parse_approvals_filter(c.req));
}

result<reply> run_get(call& c) {
  auto found = load_post(c, right::view);
  if (!found)
    return std::move(found).error();
  return ok(render_detail(*found, c.settings.compat_platform_codes, files_of(c)));
}

result<reply> run_targets(call& c) {
  auto found = load_post(c, right::view);
  if (!found)
    return std::move(found).error();
  return ok(render_targets(*found, c.settings.compat_platform_codes));
}

result<reply> run_attempts(call& c) {
  auto found = load_post(c, right::view);
  if (!found)
    return std::move(found).error();
  auto all = c.db.posts().attempts(c.tenant_scope(), c.workspace->id, found->post.id);
  if (!all)
    return std::move(all).error();
  auto items = json::array();
  for (const auto& one : *all)
    items.push_back(render(one, c.settings.compat_platform_codes));
  return ok(std::move(items));
}

result<reply> run_approval_history(call& c) {
  auto found = load_post(c, right::view);
  if (!found)
    return std::move(found).error();
  auto all = c.db.posts().approvals(c.tenant_scope(), c.workspace->id, found->post.id);
  if (!all)
    return std::move(all).error();
  auto items = json::array();
  for (const auto& a : *all)
    items.push_back(render(a));
  return ok(std::move(items));
}

} // namespace carillon::http::posts
