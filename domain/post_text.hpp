// What a network is given to show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carillon {

/// The text, then hashtags and the link that it does not hold already, each
/// on a line of its own. Hashtags are stored with or without '#'.
std::string compose_post_text(std::string_view text, const std::vector<std::string>& hashtags,
                              std::string_view link);

} // namespace carillon
