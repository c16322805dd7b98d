// Every route of the public listener. One that joins here is described in
// http/openapi.json first: OpenApiTest compares the two.
#pragma once

#include <chrono>
#include <vector>

#include "http/handlers/auth/routes.hpp"
#include "http/handlers/notifications/push.hpp"
#include "http/handlers/posts/media_files.hpp"
#include "http/handlers/posts/media_upload.hpp"
#include "http/live/service.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// `passwords` and `clock` must outlive every request that was served.
/// `late_after`: of operators' figures (docs/publishing-guarantee.md).
std::vector<route> public_routes(password_hasher& passwords, const auth_settings& auth,
                                 const clock_port& clock, const push_settings& push = {},
                                 live::service_ptr live = nullptr,
                                 posts::media_uploads_ptr uploads = nullptr,
                                 std::chrono::milliseconds late_after = std::chrono::minutes{1},
                                 posts::media_files_ptr files = nullptr);

} // namespace carillon::http
