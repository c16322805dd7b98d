// POST /posts/{post}/media as multipart/form-data: the file goes to the object
// store while it arrives, judged by its bytes on the way.
#pragma once

#include <cstdint>
#include <memory>

#include "domain/ports/object_store.hpp"
#include "http/body_sink.hpp"
#include "http/exchange.hpp"
#include "http/media_link.hpp"

namespace carillon::http::posts {

struct upload_options {
  std::int64_t max_pixels = 100'000'000; ///< Of one picture.
  /// One more is answered with 503; one user may have a quarter of them.
  int max_at_once = 16;
  /// Of the files that were uploaded; null: they have no addresses.
  std::shared_ptr<const media_links> links = nullptr;
};

/// Owns the threads that write. Outlives its uploads' connections; the object
/// store outlives it.
class media_uploads {
public:
  media_uploads(std::shared_ptr<object_store> store, upload_options options, logger& log);
  ~media_uploads();
  media_uploads(const media_uploads&) = delete;
  media_uploads& operator=(const media_uploads&) = delete;

  /// What takes the body of `x`; it answers `x`. On an io thread.
  std::shared_ptr<body_sink> open(std::shared_ptr<exchange> x);

  /// Removes what an upload has stored; paths of others are left alone. Soon,
  /// on a thread of its own; a failure is logged.
  void remove(const tenant_id& tenant, const workspace_id& workspace, const std::string& path);

  struct impl;

private:
  std::shared_ptr<impl> impl_;
};

using media_uploads_ptr = std::shared_ptr<media_uploads>;

/// A form around the largest file.
std::uint64_t largest_upload_body() noexcept;

} // namespace carillon::http::posts
