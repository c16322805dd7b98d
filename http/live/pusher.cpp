#include "http/live/pusher.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "http/envelope.hpp"

namespace carillon::http::live {

namespace {

constexpr std::size_t longest_channel = 200;
constexpr std::size_t longest_socket_id = 41; // Two 64-bit integers.

std::string dump(const json& frame) {
  return frame.dump(-1, ' ', false, json::error_handler_t::replace);
}

failure malformed(const char* what) {
  return {errc::invalid_argument, what, {}, {}};
}

/// A text member, empty when there is none.
std::string text_of(const json& object, const char* name) {
  const auto i = object.find(name);
  return i != object.end() && i->is_string() ? i->get<std::string>() : std::string{};
}

/// pusher-js sends an object; the protocol's page allows its text as well.
result<json> data_of(const json& frame) {
  const auto i = frame.find("data");
  if (i == frame.end() || i->is_null())
    return json::object();
  if (i->is_object())
    return *i;
  if (i->is_string())
    return parse_json_object(i->get_ref<const std::string&>());
  return malformed("data is neither an object nor its text");
}

} // namespace

result<client_frame> parse_client_frame(std::string_view text) {
  auto frame = parse_json_object(text);
  if (!frame)
    return malformed("not a JSON object");
  const auto event = text_of(*frame, "event");
  if (event.empty())
    return malformed("without an event");
  client_frame out;
  if (event == "pusher:ping")
    out.what = client_frame::kind::ping;
  else if (event == "pusher:pong")
    out.what = client_frame::kind::pong;
  else if (event == "pusher:subscribe")
    out.what = client_frame::kind::subscribe;
  else if (event == "pusher:unsubscribe")
    out.what = client_frame::kind::unsubscribe;
  else if (event.starts_with("client-"))
    out.what = client_frame::kind::client_event;
  if (out.what != client_frame::kind::subscribe && out.what != client_frame::kind::unsubscribe)
    return out;
  const auto data = data_of(*frame);
  if (!data)
    return malformed("data is not a JSON object");
  out.channel = text_of(*data, "channel");
  out.auth = text_of(*data, "auth");
  if (out.channel.empty() || out.channel.size() > longest_channel)
    return malformed("without a channel");
  return out;
}

bool is_socket_id(std::string_view text) noexcept {
  const auto dot = text.find('.');
  if (text.size() > longest_socket_id || dot == std::string_view::npos || dot == 0 || dot + 1 == text.size())
    return false;
  const auto is_number = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return is_number(text.substr(0, dot)) && is_number(text.substr(dot + 1));
}

std::string established_frame(std::string_view socket_id, std::chrono::milliseconds activity_timeout) {
  const auto seconds = std::max<std::int64_t>(
    1, std::chrono::duration_cast<std::chrono::seconds>(activity_timeout).count());
  return dump({{"event", "pusher:connection_established"},
               {"data", dump({{"socket_id", socket_id}, {"activity_timeout", seconds}})}});
}

std::string succeeded_frame(std::string_view channel) {
  return dump({{"event", "pusher_internal:subscription_succeeded"}, {"data", "{}"}, {"channel", channel}});
}

std::string error_frame(close_code code, std::string_view message) {
  return dump({{"event", "pusher:error"},
               {"data", {{"code", static_cast<std::uint16_t>(code)}, {"message", message}}}});
}

std::string event_frame(const live_event& event) {
  return dump({{"event", event.name}, {"channel", event.channel}, {"data", event.data}});
}

} // namespace carillon::http::live
