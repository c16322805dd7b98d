// The timeline as a web page, and what it is made of.
#pragma once

#include "http/sandbox/world.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace carillon::http::sandbox {

/// `w` outlives the routes.
std::vector<route> page_routes(world& w);

/// A picture of the account's initials, in colours that its name decides.
std::string render_avatar(std::string_view account_name);

} // namespace carillon::http::sandbox
