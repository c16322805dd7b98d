// What people call a character, as Unicode counts it (UAX #29); why with
// utf8proc: docs/adr/0005-graphemes-with-utf8proc.md.
#pragma once

#include <cstddef>
#include <string_view>

namespace carillon::outbound {

/// Extended grapheme clusters. A byte that is no UTF-8 counts as one.
std::size_t count_graphemes(std::string_view text) noexcept;

} // namespace carillon::outbound
