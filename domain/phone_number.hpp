// Phone numbers in the one form that can be called from anywhere: E.164.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carillon {

/// `+`, a country code that does not begin with 0, 7 to 15 digits in all.
bool is_e164(std::string_view text) noexcept;

/// The E.164 form of an international number as people write it: spaces,
/// hyphens, dots, slashes and parentheses are left out, a leading 00 is a +.
/// Nothing for a national number or anything else.
std::optional<std::string> parse_phone_number(std::string_view text);

} // namespace carillon
