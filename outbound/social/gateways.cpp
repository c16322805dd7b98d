#include "outbound/social/gateways.hpp"

#include "outbound/social/bluesky/bluesky_gateway.hpp"
#include "outbound/social/mastodon/mastodon_gateway.hpp"

namespace carillon::outbound {

std::map<network, std::shared_ptr<social_gateway>> make_gateways(http_client& http, http_client& uploads,
                                                                 const clock_port& clock,
                                                                 const std::shared_ptr<host_circuits>& circuits) {
  std::map<network, std::shared_ptr<social_gateway>> out;
  for (const std::shared_ptr<social_gateway>& gateway :
       {std::shared_ptr<social_gateway>{std::make_shared<mastodon_gateway>(http, clock, mastodon_options{}, circuits, &uploads)},
        std::shared_ptr<social_gateway>{std::make_shared<bluesky_gateway>(http, clock, bluesky_options{}, circuits, &uploads)}})
    out.emplace(gateway->platform(), gateway);
  return out;
}

} // namespace carillon::outbound
