#include "outbound/social/graphemes.hpp"

#include <utf8proc.h>

namespace carillon::outbound {

std::size_t count_graphemes(std::string_view text) noexcept {
  std::size_t count = 0;
  utf8proc_int32_t before = -1;
  utf8proc_int32_t state = 0;
  while (!text.empty()) {
    utf8proc_int32_t here = -1;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    auto length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &here);
    if (length <= 0) {
      here = 0xfffd;
      length = 1;
    }
    if (before < 0 || utf8proc_grapheme_break_stateful(before, here, &state))
      ++count;
    before = here;
    text.remove_prefix(static_cast<std::size_t>(length));
  }
  return count;
}

} // namespace carillon::outbound
