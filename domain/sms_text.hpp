// What a text message says of a notification.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace carillon {

/// Title, message and `url` (may be empty), a line each, at most `limit`
/// characters (at least 20): the message is cut first, then left out, and the
/// url goes before the title is cut. Control characters become spaces.
std::string sms_text(std::string_view title, std::string_view message, std::string_view url, std::size_t limit);

} // namespace carillon
