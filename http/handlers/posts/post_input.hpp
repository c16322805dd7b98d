// What the posts routes accept (contract §3.2, limits §10). Pure.
#pragma once

#include "domain/ports/post_store.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

/// POST /posts. A naive `scheduled_at` is read in `scheduled_timezone`, else
/// in UTC.
result<new_post> parse_new_post(const json& body);

/// PUT /posts/{post}: the text fields; all others are ignored.
result<post_content> parse_content(const json& body);

/// PUT /posts/{post}/targets: at least one account.
result<std::vector<social_account_id>> parse_accounts(const json& body);

/// The bulk routes: 1 to 50 posts.
result<std::vector<post_id>> parse_post_ids(const json& body);

/// POST /posts/{post}/retry: whether the caller takes the risk of a double.
result<bool> parse_retry(const json& body);

/// POST /posts/{post}/media as JSON: media that lie in the workspace's part
/// of the object store. A path is relative, without `..`; the name is the
/// path's last part unless one is given.
result<new_media> parse_media(const json& body);

/// PUT /posts/{post}/media/order: `{"media_order": [id, …]}` or
/// `{id: position, …}`.
result<std::vector<media_position>> parse_media_order(const json& body);

struct schedule_input {
  instant at{};
  std::optional<std::string> zone;
};

/// A naive time is read in the given zone, else in `stored_zone`.
result<schedule_input> parse_schedule(const json& body, const std::string& stored_zone);

struct approve_input {
  std::optional<std::string> comment;
};

struct reject_input {
  std::string reason;
  std::optional<std::string> comment;
};

result<approve_input> parse_approve(const json& body);
result<reject_input> parse_reject(const json& body);

/// GET /posts. Never fails: unknown values are no filter, an unknown column
/// is the default one. A date without a time means that whole day (UTC);
/// `sort`/`direction` are aliases of `sort_by`/`sort_dir`.
post_filter parse_filter(const request& req);

/// GET /approvals: submitted posts, the longest waiting first.
post_filter parse_approvals_filter(const request& req);

} // namespace carillon::http::posts
