// POST /posts, PUT and DELETE /posts/{post}, POST /posts/{post}/duplicate, PUT
// /posts/{post}/targets and DELETE one of them.
#pragma once

#include "http/handlers/posts/media_upload.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

result<reply> run_create(call& c);
result<reply> run_update(call& c);
/// Files that no post shows any more go too.
result<reply> run_delete(call& c, const media_uploads_ptr& uploads);
result<reply> run_duplicate(call& c);
result<reply> run_set_targets(call& c);
result<reply> run_remove_target(call& c);

} // namespace carillon::http::posts
