// The frames of the Pusher protocol, version 7 (contract §5, docs/live.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "domain/live_event.hpp"
#include "domain/result.hpp"

namespace carillon::http::live {

/// Codes of `pusher:error` and of the close frame. What a client does: 40xx
/// never again, 41xx later, 42xx at once, 43xx nothing.
enum class close_code : std::uint16_t {
  unknown_key = 4001,
  over_quota = 4004,
  unsupported_protocol = 4007,
  not_authorised = 4009,
  reconnect = 4200,
  silent = 4201,
  bad_message = 4300,
  too_many_messages = 4301,
};

struct client_frame {
  enum class kind : std::uint8_t { subscribe, unsubscribe, ping, pong, client_event, unknown };
  kind what = kind::unknown;
  std::string channel;
  std::string auth;
};

/// errc::invalid_argument for anything but a JSON object with a text `event`
/// and, where one is needed, a channel of at most 200 bytes. `data` may be an
/// object or its JSON text. Never throws.
result<client_frame> parse_client_frame(std::string_view text);

/// `123.456`
bool is_socket_id(std::string_view text) noexcept;

std::string established_frame(std::string_view socket_id, std::chrono::milliseconds activity_timeout);
std::string succeeded_frame(std::string_view channel);
std::string error_frame(close_code code, std::string_view message);
std::string event_frame(const live_event& event);

inline constexpr std::string_view ping_frame = R"({"event":"pusher:ping","data":"{}"})";
inline constexpr std::string_view pong_frame = R"({"event":"pusher:pong"})";

} // namespace carillon::http::live
