// A connection that speaks the Pusher protocol over a WebSocket.
#pragma once

#include <memory>
#include <string>

#include "http/live/service.hpp"
#include "http/route.hpp"

namespace carillon::http::live {

/// True for a well-formed RFC 6455 opening handshake.
bool is_upgrade(const request& req);

/// For reply::next_owner. `refusal` empty: welcome. Else the client is told
/// `code` with this text and closed.
struct welcome {
  std::uint16_t code = 0;
  std::string refusal;
};
std::shared_ptr<takeover> make_websocket(service_ptr owner, const request& req, welcome how);

} // namespace carillon::http::live
