#include "http/handlers/posts/move_posts.hpp"

#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"
#include "http/handlers/posts/post_json.hpp"

namespace carillon::http::posts {

namespace {

/// The post for a command that only `status` allows. Contract §3.2 counts
/// that among the caller's rights, so it comes before the body's faults; the
/// store checks it again under its lock.
result<post_detail> load_in_status(call& c, post_status status, const char* otherwise) {
  auto found = load_post(c, right::manage);
  if (found && found->post.status != status)
    return failure{errc::forbidden, otherwise, {}, {}};
  return found;
}

result<reply> answer(const call& c, result<post_detail> moved, std::string_view message) {
  if (!moved)
    return std::move(moved).error();
  return ok(render_mutation(*moved, c.settings.compat_platform_codes, files_of(c)), message);
}

result<reply> schedule(call& c, const post_detail& found, bool move) {
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto in = parse_schedule(*body, found.post.scheduled_timezone.value_or("UTC"));
  if (!in)
    return in.error();
  return answer(c,
                c.db.posts().schedule(c.tenant_scope(), c.workspace->id, found.post.id,
                                      actor_of(c), in->at, in->zone, move, c.after_commit),
                move ? "Post rescheduled" : "Post scheduled");
}

} // namespace

result<reply> run_submit(call& c) {
  const auto found = load_post(c, right::change);
  if (!found)
    return found.error();
  return answer(c,
                c.db.posts().submit(c.tenant_scope(), c.workspace->id, found->post.id,
                                    actor_of(c), c.after_commit),
                "Post submitted for approval");
}

result<reply> run_approve(call& c) {
  const auto found
    = load_in_status(c, post_status::submitted, "Only a submitted post can be approved.");
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto in = parse_approve(*body);
  if (!in)
    return in.error();
  auto decision = c.db.posts().approve(c.tenant_scope(), c.workspace->id, found->post.id,
                                       actor_of(c), in->comment, c.after_commit);
  if (!decision)
    return std::move(decision).error();
  return ok(render(*decision), "Post approved");
}

result<reply> run_reject(call& c) {
  const auto found
    = load_in_status(c, post_status::submitted, "Only a submitted post can be rejected.");
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto in = parse_reject(*body);
  if (!in)
    return in.error();
  auto decision
    = c.db.posts().reject(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c),
                          in->reason, in->comment, c.after_commit);
  if (!decision)
    return std::move(decision).error();
  return ok(render(*decision), "Post rejected");
}

result<reply> run_schedule(call& c) {
  const auto found
    = load_in_status(c, post_status::approved, "Only an approved post can be scheduled.");
  if (!found)
    return found.error();
  return schedule(c, *found, false);
}

result<reply> run_reschedule(call& c) {
  const auto found
    = load_in_status(c, post_status::scheduled, "Only a scheduled post can be moved.");
  if (!found)
    return found.error();
  return schedule(c, *found, true);
}

result<reply> run_publish(call& c) {
  const auto found = load_post(c, right::manage);
  if (!found)
    return found.error();
  return answer(c,
                c.db.posts().publish(c.tenant_scope(), c.workspace->id, found->post.id,
                                     actor_of(c), c.after_commit),
                "Post is being published");
}

result<reply> run_retry(call& c) {
  const auto found = load_post(c, right::manage);
  if (!found)
    return found.error();
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto risk_confirmed = parse_retry(*body);
  if (!risk_confirmed)
    return risk_confirmed.error();
  return answer(c,
                c.db.posts().retry(c.tenant_scope(), c.workspace->id, found->post.id, actor_of(c),
                                   *risk_confirmed, c.after_commit),
                "Post is being published again");
}

result<reply> run_cancel(call& c) {
  const auto found = load_post(c, right::withdraw);
  if (!found)
    return found.error();
  return answer(c,
                c.db.posts().cancel(c.tenant_scope(), c.workspace->id, found->post.id,
                                    actor_of(c)),
                "Post cancelled");
}

} // namespace carillon::http::posts
