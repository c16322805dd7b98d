// GET and POST /posts/{post}/media, PUT its order, DELETE one of them.
#pragma once

#include "domain/ports/object_store.hpp"
#include "http/handlers/posts/media_upload.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

result<reply> run_media(call& c);
result<reply> run_attach_media(call& c);
result<reply> run_order_media(call& c);
/// The file goes too when it was uploaded and no post shows it any more.
result<reply> run_remove_media(call& c, const media_uploads_ptr& uploads);

} // namespace carillon::http::posts
