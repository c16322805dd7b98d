// Posts, targets, media and decisions as the contract shows them (§3.2).
#pragma once

#include "domain/ports/post_store.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

json render(const post& p);
json render(const post_id& owner, const post_target& t, bool compat_platform_codes);
json render(const post_id& owner, const post_media& m);
json render(const approval& a);

/// `{post, targets, media}`.
json render_detail(const post_detail& d, bool compat_platform_codes);

/// The superset of commands: the flat post and `post`, `targets`, `media`.
json render_mutation(const post_detail& d, bool compat_platform_codes);

} // namespace carillon::http::posts
