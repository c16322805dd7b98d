// The routes of live delivery (docs/live.md).
#pragma once

#include <vector>

#include "http/live/service.hpp"
#include "http/route.hpp"

namespace carillon::http {

/// `/app/{key}`, both `broadcasting/auth` and `/api/v1/notifications/stream`.
std::vector<route> live_routes(live::service_ptr service);

/// For the second port: the WebSocket and the signatures alone.
std::vector<route> websocket_routes(live::service_ptr service);

} // namespace carillon::http
