// The address of an uploaded file: signed, for a while, so that a page can
// show it in an <img> or <video>, which send no token.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

namespace carillon::http {

/// A file in the object store.
struct media_link {
  tenant_id tenant;
  workspace_id workspace;
  std::string path; ///< As post_media::path.
};

/// Where the file is served; a token follows.
inline constexpr std::string_view media_link_prefix = "/api/v1/media/";

/// Makes and reads the tokens. Whoever has one may read its file, no other,
/// until it ends. Immutable: safe from any thread.
class media_links {
public:
  /// The first key signs, all are read; none: nothing is signed or read. A
  /// token holds for `lifetime` at least and an hour more at most.
  media_links(std::vector<std::string> keys, std::chrono::seconds lifetime);

  /// URL-safe; the same for the same file within an hour, so that browsers
  /// find it in their caches. Empty without a key.
  std::string make(const media_link& file, instant now) const;

  struct valid_link {
    media_link file;
    instant ends;
  };
  /// Nothing unless one of the keys signed it and it has not ended.
  std::optional<valid_link> read(std::string_view token, instant now) const;

private:
  std::vector<std::string> keys_;
  std::chrono::seconds lifetime_;
};

/// Whether `text` has a token's form, whoever signed it.
bool looks_like_media_token(std::string_view text);

/// The key of these links, from the program's secret: what it signs for one
/// purpose says nothing for another.
std::string media_link_key(std::string_view secret);

} // namespace carillon::http
