#include "http/handlers/posts/media_posts.hpp"

#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http::posts {

namespace {

json shown_media(const call& c, const post_id& owner, const std::vector<post_media>& all) {
  const auto files = files_of(c);
  auto out = json::array();
  for (const auto& m : all)
    out.push_back(render(owner, m, files));
  return out;
}

} // namespace

result<reply> run_media(call& c) {
  const auto found = load_post(c, right::view);
  if (!found)
    return found.error();
  return ok(shown_media(c, found->post.id, found->media));
}

result<reply> run_attach_media(call& c) {
  const auto found = load_editable(c);
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto media = parse_media(*body);
  if (!media)
    return media.error();
  auto added = c.db.posts().add_media(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c), *media);
  if (!added)
    return std::move(added).error();
  return created(render(found->post.id, *added, files_of(c)), "Media added");
}

result<reply> run_order_media(call& c) {
  const auto found = load_editable(c);
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto order = parse_media_order(*body);
  if (!order)
    return order.error();
  const auto ordered
    = c.db.posts().order_media(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c), *order);
  if (!ordered)
    return ordered.error();
  return ok(shown_media(c, found->post.id, *ordered), "Media reordered");
}

result<reply> run_remove_media(call& c, const media_uploads_ptr& uploads) {
  const auto found = load_post(c, right::withdraw);
  if (!found)
    return found.error();
  const auto id = c.req.path_params.find("media");
  const auto media = id == c.req.path_params.end() ? std::nullopt : parse_uuid(id->second);
  if (!media)
    return failure{errc::not_found, "the media do not exist", {}, {}};
  const auto unused
    = c.db.posts().remove_media(c.tenant_scope(), c.workspace->id, found->post.id, *media, actor_of(c));
  if (!unused)
    return unused.error();
  if (*unused && uploads)
    uploads->remove(c.who.tenant, c.workspace->id, **unused);
  return ok(nullptr, "Media removed");
}

} // namespace carillon::http::posts
