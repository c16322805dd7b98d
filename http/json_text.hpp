// JSON written without a tree in between, for answers with many members.
#pragma once

#include <string>
#include <string_view>

namespace carillon::http {

/// `text` in quotes, escaped; bytes that are not UTF-8 become U+FFFD.
void append_json_text(std::string& out, std::string_view text);

} // namespace carillon::http
