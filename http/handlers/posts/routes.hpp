// Posts and approvals of a workspace (contract §3.2).
#pragma once

#include <vector>

#include "http/handlers/posts/media_files.hpp"
#include "http/handlers/posts/media_upload.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// Without `uploads`, media are attached by path only; without `files` no
/// address of one is valid.
std::vector<route> post_routes(posts::media_uploads_ptr uploads = nullptr, posts::media_files_ptr files = nullptr);

} // namespace carillon::http
