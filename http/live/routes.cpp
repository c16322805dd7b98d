#include "http/live/routes.hpp"

#include "domain/ports/live_store.hpp"
#include "http/envelope.hpp"
#include "http/live/event_stream.hpp"
#include "http/live/pusher.hpp"
#include "http/live/websocket.hpp"
#include "http/target.hpp"

namespace carillon::http {

namespace {

using live::service_ptr;

/// Ids are not in commit order, so a resume sends all of this again and the
/// client drops what it has.
constexpr std::chrono::seconds resume_window{60};
constexpr int most_resumed = 200;

reply full() {
  auto out = error_reply(503, "Too many live connections. Please try again.");
  out.headers.emplace_back("Retry-After", "5");
  return out;
}

// -- GET /app/{key} --------------------------------------------------------------

reply open_socket(const service_ptr& service, const request& req) {
  if (!live::is_upgrade(req)) {
    auto out = error_reply(426, "This address speaks the WebSocket protocol.");
    out.headers.emplace_back("Upgrade", "websocket");
    out.headers.emplace_back("Sec-WebSocket-Version", "13");
    return out;
  }
  if (!service->has_place_for_socket())
    return full();
  live::welcome how;
  const auto refuse = [&how](live::close_code code, const char* why) {
    how = {static_cast<std::uint16_t>(code), why};
  };
  const auto protocol = req.query_value("protocol");
  if (req.path_params.at("key") != service->options().key)
    refuse(live::close_code::unknown_key, "Could not find the app key.");
  else if (!protocol.empty() && protocol != "5" && protocol != "6" && protocol != "7")
    refuse(live::close_code::unsupported_protocol, "Only version 7 of the protocol is spoken here.");
  reply out;
  out.status = 101;
  out.next_owner = live::make_websocket(service, req, std::move(how));
  return out;
}

// -- POST broadcasting/auth --------------------------------------------------------

/// `socket_id` and `channel_name`, form-encoded or JSON.
result<std::map<std::string, std::string>> auth_fields(call& c) {
  if (c.req.header("content-type").starts_with("application/x-www-form-urlencoded")) {
    auto form = parse_query(c.req.body);
    if (!form)
      return invalid("body", "The form is malformed.");
    return std::move(*form);
  }
  const auto body = c.body();
  if (!body)
    return body.error();
  std::map<std::string, std::string> out;
  for (const auto* name : {"socket_id", "channel_name"})
    if (const auto i = body->find(name); i != body->end() && i->is_string())
      out[name] = i->get<std::string>();
  return out;
}

failure not_yours() {
  return {errc::forbidden, "You may not listen to this channel.", {}, {}};
}

result<done> check_grant(call& c, const live_grant& grant) {
  const auto refused = c.db.live().refused(c.tenant_scope(), {grant});
  if (!refused)
    return refused.error();
  if (!refused->empty())
    return not_yours();
  return done{};
}

result<reply> sign_subscription(const service_ptr& service, call& c) {
  auto fields = auth_fields(c);
  if (!fields)
    return std::move(fields).error();
  const live_grant grant{(*fields)["socket_id"], (*fields)["channel_name"], c.who.user, c.who.tenant,
                         c.who.token_id};
  // Anything else in its place could be read as another channel's signature.
  if (!live::is_socket_id(grant.socket))
    return invalid("socket_id", "The socket_id field must be two numbers joined by a dot.");
  if (grant.channel.empty())
    return invalid("channel_name", "The channel_name field is required.");
  if (!parse_live_channel(grant.channel))
    return not_yours();
  if (auto allowed = check_grant(c, grant); !allowed)
    return std::move(allowed).error();
  service->link().tell(atom::grant_v, grant);
  reply out;
  out.body = {{"auth", service->sign(grant.socket, grant.channel)}};
  return out;
}

// -- GET /api/v1/notifications/stream ------------------------------------------------

result<reply> open_stream(const service_ptr& service, call& c) {
  if (!service->has_place_for_stream())
    return full();
  const auto hub = service->link().hub();
  if (!hub)
    return failure{errc::transient, "the hub of live events is down", {}, {}};
  auto me = std::make_unique<live::registration>(service, live::registration::kind::stream);
  const live_grant grant{me->socket_id(),
                         to_string(live_channel{live_channel::audience::user, c.who.user.value}), c.who.user,
                         c.who.tenant, c.who.token_id};
  if (auto allowed = check_grant(c, grant); !allowed)
    return std::move(allowed).error();
  // Subscribed before the database is asked: what is committed in between
  // comes twice rather than not at all.
  auto events = std::make_shared<live::outlet>(service->options().max_queued_bytes);
  caf::anon_send(hub, atom::grant_v, grant);
  caf::anon_send(hub, atom::subscribe_v, live_subscription{grant.socket, grant.channel, events});
  std::string first = "retry: 2000\n\n";
  if (!c.req.header("last-event-id").empty() || !c.req.query_value("last_event_id").empty()) {
    const auto missed = c.db.live().recent(c.tenant_scope(), c.who.user, resume_window, most_resumed);
    if (!missed)
      return missed.error();
    for (const auto& event : *missed)
      first += live::stream_frame(event);
  }
  reply out;
  out.content_type = "text/event-stream";
  out.headers.emplace_back("Cache-Control", "no-store");
  out.headers.emplace_back("X-Accel-Buffering", "no");
  out.next_owner = live::make_event_stream(std::move(me), std::move(events), std::move(first));
  return out;
}

} // namespace

std::vector<route> websocket_routes(service_ptr service) {
  route socket{"GET", "/app/{key}", access::open};
  socket.local = [service](const request& req) { return open_socket(service, req); };
  std::vector<route> out{std::move(socket)};
  for (const auto* path : {"/broadcasting/auth", "/api/broadcasting/auth"})
    out.push_back(
      {"POST", path, access::token, [service](call& c) { return sign_subscription(service, c); }});
  return out;
}

std::vector<route> live_routes(service_ptr service) {
  auto out = websocket_routes(service);
  out.push_back({"GET", "/api/v1/notifications/stream", access::token,
                 [service](call& c) { return open_stream(service, c); }});
  return out;
}

} // namespace carillon::http
