// /demo: a small notification centre in a page, to see what Carillon does.
#pragma once

#include <string>
#include <vector>

#include "http/route.hpp"

namespace carillon::http {

struct demo_settings {
  std::string frontend_url; ///< Where action URLs lead.
  std::string live_key;     ///< Of the WebSocket endpoint; empty: the page polls.
};

/// Pages, not API: no part of public_routes and of openapi.json.
std::vector<route> demo_routes(const demo_settings& settings);

} // namespace carillon::http
