// Posts and approvals of a workspace (contract §3.2).
#pragma once

#include <vector>

#include "http/handlers/posts/media_upload.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// Without `uploads`, media are attached by path only.
std::vector<route> post_routes(posts::media_uploads_ptr uploads = nullptr);

} // namespace carillon::http
