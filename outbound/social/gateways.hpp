// Which networks this program can publish on: the one list of gateways.
#pragma once

#include <map>
#include <memory>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"
#include "outbound/social/host_circuits.hpp"

namespace carillon::outbound {

/// One gateway a network. What is not in it cannot be published on:
/// why_not_publishable (domain/network.hpp) says why. The references must
/// outlive the gateways and their calls; `uploads` sends files (see
/// social_http). They share the circuits: a server may speak more than one API.
std::map<network, std::shared_ptr<social_gateway>> make_gateways(http_client& http, http_client& uploads,
                                                                 const clock_port& clock,
                                                                 const std::shared_ptr<host_circuits>& circuits);

} // namespace carillon::outbound
