// What in a text is a link, a tag or a mention: on Bluesky the author's
// program says so, with offsets in bytes of UTF-8
// (https://docs.bsky.app/docs/advanced-guides/post-richtext).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace carillon::outbound::bluesky {

struct facet {
  enum class kind { link, tag, mention };
  kind what = kind::link;
  std::size_t begin = 0; ///< In bytes.
  std::size_t end = 0;   ///< Behind the last byte.
  /// The address; the tag without its `#`; the handle without its `@`.
  std::string value;
};

/// In their order, none overlapping another. Links begin with http:// or
/// https://. A tag has at most 64 graphemes and is not only digits. A mention
/// names a handle (https://atproto.com/specs/handle). Punctuation at the end
/// belongs to the sentence.
std::vector<facet> find_facets(std::string_view text);

} // namespace carillon::outbound::bluesky
