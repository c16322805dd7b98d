// Which networks this program can publish on: the one list of gateways.
#pragma once

#include <map>
#include <memory>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

/// One gateway a network. What is not in it cannot be published on:
/// why_not_publishable (domain/network.hpp) says why. Both references must
/// outlive the gateways and their calls.
std::map<network, std::shared_ptr<social_gateway>> make_gateways(http_client& http, const clock_port& clock);

} // namespace carillon::outbound
