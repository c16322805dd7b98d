// UTF-8 by code points: text lengths count characters (contract §1.5).
#pragma once

#include <string>
#include <string_view>

namespace carillon {

/// Code points of valid UTF-8.
std::size_t character_count(std::string_view text) noexcept;

/// At most `limit` characters, never cutting one in two.
std::string_view first_characters(std::string_view text, std::size_t limit) noexcept;

/// The excerpt of notices (contract §4.2): up to 50 characters whole, else
/// the first 47 and an ellipsis; `placeholder` when empty.
std::string excerpt(std::string_view text, std::string_view placeholder = "(no text)");

bool is_valid_utf8(std::string_view text) noexcept;

} // namespace carillon
