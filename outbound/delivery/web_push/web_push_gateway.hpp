// push_gateway over HTTP: RFC 8030.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "domain/clock.hpp"
#include "domain/ports/push_gateway.hpp"
#include "outbound/delivery/web_push/vapid.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

struct web_push_options {
  /// How long a push service keeps what a browser has not fetched.
  std::chrono::seconds time_to_live{86'400};
  std::chrono::milliseconds timeout{10'000};
  /// See parse_push_endpoint.
  std::vector<std::string> trusted_hosts;
};

/// The JSON that a service worker gets: id, type, title, message, action_url;
/// at most 3,000 bytes, for which message and then title are cut.
std::string render_push_payload(const push_message& what);

class web_push_gateway final : public push_gateway {
public:
  /// `http` and `clock` outlive it.
  web_push_gateway(http_client& http, const clock_port& clock, vapid_signer vapid, web_push_options options);

  void send(push_address to, push_message what, callback done) override;

private:
  http_client& http_;
  const clock_port& clock_;
  vapid_signer vapid_;
  web_push_options options_;
};

} // namespace carillon::outbound
