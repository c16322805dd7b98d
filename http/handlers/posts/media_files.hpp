// GET /api/v1/media/{token}: what was uploaded, to whoever was given its
// address (http/media_link.hpp).
#pragma once

#include <memory>

#include "domain/ports/object_store.hpp"
#include "http/exchange.hpp"
#include "http/media_link.hpp"

namespace carillon::http::posts {

/// Owns the threads that read. The object store outlives it, and it the
/// connections that it answers.
class media_files {
public:
  media_files(std::shared_ptr<object_store> store, std::shared_ptr<const media_links> links, int max_at_once,
              logger& log);
  ~media_files();
  media_files(const media_files&) = delete;
  media_files& operator=(const media_files&) = delete;

  /// A route's `start`. A bad address, one that has ended and one of a file
  /// that is gone are answered alike, with 404; one file more than may be
  /// under way, a half of them of one tenant, with 503.
  void serve(std::shared_ptr<exchange> x);

  struct impl;

private:
  std::shared_ptr<impl> impl_;
};

using media_files_ptr = std::shared_ptr<media_files>;

} // namespace carillon::http::posts
