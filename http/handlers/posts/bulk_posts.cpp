#include "http/handlers/posts/bulk_posts.hpp"

#include <functional>
#include <set>

#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_input.hpp"

namespace carillon::http::posts {

namespace {

/// Failures that are not about their post; so many end the rest, as each may
/// be a wait for a database that is not there.
constexpr int most_outside_failures = 3;
constexpr auto not_tried = "The server is busy. Please try again.";

/// What one post's failure says in the list; nothing when the failure is not
/// about this post.
std::optional<std::string> text_for_item(const failure& f) {
  switch (f.code) {
    case errc::not_found:
      return "The post does not exist.";
    case errc::forbidden:
      return f.detail.empty() ? "You are not allowed to do this." : f.detail;
    case errc::conflict:
    case errc::invalid_argument:
      return f.fields.empty() ? std::optional<std::string>{} : f.fields.front().reason;
    default:
      return std::nullopt;
  }
}

const char* text_for_outside(const failure& f) {
  switch (f.code) {
    case errc::outcome_unknown:
      return "It is not known whether this was done. Please look before you try again.";
    case errc::transient:
    case errc::throttled:
    case errc::cancelled:
      return not_tried;
    default:
      return "Something went wrong on our side.";
  }
}

/// Where nothing was done, a failure that is not about one post is the whole
/// request's, as a single one's would be. Where something was, it is listed:
/// the caller learns what was done, and the hints of that go out.
result<reply> for_each_post(call& c, const std::vector<post_id>& ids, const char* counter,
                            const std::function<std::optional<failure>(post_id)>& command) {
  int succeeded = 0;
  int outside_count = 0;
  std::optional<failure> outside;
  auto errors = json::array();
  std::set<post_id> met;
  for (const auto& id : ids) {
    if (!met.insert(id).second)
      continue;
    if (outside_count == most_outside_failures) {
      errors.push_back({{"post_id", to_string(id)}, {"error", not_tried}});
      continue;
    }
    const auto failed = command(id);
    if (!failed) {
      ++succeeded;
      continue;
    }
    auto text = text_for_item(*failed);
    if (!text) {
      ++outside_count;
      text = text_for_outside(*failed);
      c.log.warn("bulk-item-failed", {{"post", to_string(id)}, {"error", failed->detail}});
      // What may have been done weighs more than what was not.
      if (!outside || failed->code == errc::outcome_unknown)
        outside = *failed;
    }
    errors.push_back({{"post_id", to_string(id)}, {"error", *text}});
  }
  if (outside && succeeded == 0)
    return *outside;
  return ok({{counter, succeeded}, {"errors", std::move(errors)}});
}

template <class T>
std::optional<failure> failure_of(result<T> outcome) {
  if (outcome)
    return std::nullopt;
  return std::move(outcome).error();
}

/// The ids of the body, for a caller who may at least look.
result<std::vector<post_id>> read_ids(call& c) {
  if (auto refused = refuse_below(c, workspace_role::viewer))
    return std::move(*refused);
  const auto body = c.body();
  if (!body)
    return body.error();
  return parse_post_ids(*body);
}

} // namespace

result<reply> run_bulk_delete(call& c, const media_uploads_ptr& uploads) {
  const auto ids = read_ids(c);
  if (!ids)
    return ids.error();
  return for_each_post(c, *ids, "deleted", [&](post_id id) -> std::optional<failure> {
    const auto found = load_post(c, id, right::withdraw);
    if (!found)
      return found.error();
    const auto unused = c.db.posts().remove(c.tenant_scope(), c.workspace->id, id, actor_of(c));
    if (!unused)
      return unused.error();
    if (uploads)
      for (const auto& path : *unused)
        uploads->remove(c.who.tenant, c.workspace->id, path);
    return std::nullopt;
  });
}

result<reply> run_bulk_submit(call& c) {
  const auto ids = read_ids(c);
  if (!ids)
    return ids.error();
  return for_each_post(c, *ids, "submitted", [&](post_id id) -> std::optional<failure> {
    const auto found = load_post(c, id, right::change);
    if (!found)
      return found.error();
    return failure_of(
      c.db.posts().submit(c.tenant_scope(), c.workspace->id, id, actor_of(c), c.after_commit));
  });
}

result<reply> run_bulk_schedule(call& c) {
  const auto ids = read_ids(c);
  if (!ids)
    return ids.error();
  const auto body = c.body();
  if (const auto readable = parse_schedule(*body, "UTC"); !readable)
    return readable.error();
  return for_each_post(c, *ids, "scheduled", [&](post_id id) -> std::optional<failure> {
    const auto found = load_post(c, id, right::manage);
    if (!found)
      return found.error();
    // A naive time is each post's own, in the zone it has.
    const auto in = parse_schedule(*body, found->post.scheduled_timezone.value_or("UTC"));
    if (!in)
      return in.error();
    return failure_of(c.db.posts().schedule(c.tenant_scope(), c.workspace->id, id, actor_of(c),
                                            in->at, in->zone, false, c.after_commit));
  });
}

} // namespace carillon::http::posts
