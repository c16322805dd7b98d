// What a network is given to show.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace carillon {

/// The text, then hashtags and the link that it does not hold already, each
/// on a line of its own. Hashtags are stored with or without '#'.
std::string compose_post_text(std::string_view text, const std::vector<std::string>& hashtags,
                              std::string_view link);

/// Cuts a text into parts of at most `limit` by `length`, which counts as the
/// network does: after a paragraph where that leaves no part half empty, else
/// after a sentence or line, else between words, else wherever it must.
/// White space at a cut goes. At least one part, none of them empty unless
/// the text is.
std::vector<std::string> split_post_text(std::string_view text, std::size_t limit,
                                         const std::function<std::size_t(std::string_view)>& length);

} // namespace carillon
