// The part of Mastodon's API that the sandbox network speaks.
#pragma once

#include "http/sandbox/world.hpp"

#include <vector>

namespace carillon::http::sandbox {

/// Everything but the publish call; `w` outlives the routes.
std::vector<route> mastodon_routes(world& w);

/// POST /api/v1/statuses,
/// https://docs.joinmastodon.org/methods/statuses/#create, as JSON or as a
/// form. 200 when the post is stored, whatever then becomes of the answer.
reply publish_status(world& w, const request& req, const fate& what);

} // namespace carillon::http::sandbox
