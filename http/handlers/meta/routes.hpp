// What the server says about itself: /api, /up, health and its description
// (contract §1.1). None of it needs the database.
#pragma once

#include "http/route.hpp"

#include <string_view>
#include <vector>

namespace carillon::http {

/// `clock` must outlive the routes.
std::vector<route> meta_routes(const clock_port& clock);

/// The OpenAPI 3.1 description that the program carries, as JSON.
std::string_view openapi_description() noexcept;

} // namespace carillon::http
