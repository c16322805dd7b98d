// `GET /api/v1/notifications/stream`: a user's live events as Server-Sent
// Events (WHATWG HTML §9.2).
#pragma once

#include <memory>
#include <string>

#include "http/live/outlet.hpp"
#include "http/live/service.hpp"
#include "http/route.hpp"

namespace carillon::http::live {

/// `id`, `event` and `data` of one event.
std::string stream_frame(const live_event& event);

/// For reply::next_owner. The outlet is known to the hub already, so that
/// nothing is missed between `first` and what it delivers.
std::shared_ptr<takeover> make_event_stream(std::unique_ptr<registration> me, std::shared_ptr<outlet> events,
                                            std::string first);

} // namespace carillon::http::live
