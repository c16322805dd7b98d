// POST /posts/bulk-delete, bulk-submit and bulk-schedule: the single command
// on each post, with its rules; what fails does not stop the rest.
#pragma once

#include "http/handlers/posts/media_upload.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

/// Files that no post shows any more go too.
result<reply> run_bulk_delete(call& c, const media_uploads_ptr& uploads);
result<reply> run_bulk_submit(call& c);
result<reply> run_bulk_schedule(call& c);

} // namespace carillon::http::posts
