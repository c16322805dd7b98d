// What a file is, by its bytes: nobody's word is taken for it, since the
// pictures are served to a browser again.
#pragma once

#include <optional>
#include <string_view>

namespace carillon::http::sandbox {

/// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
std::optional<std::string_view> picture_type(std::string_view bytes) noexcept;

/// Taken note of, never kept.
bool is_film_or_sound(std::string_view mime_type) noexcept;

struct picture_size {
  unsigned width = 0;
  unsigned height = 0;
};

/// From the header of the file; nothing when it cannot be told.
std::optional<picture_size> measure_picture(std::string_view bytes) noexcept;

} // namespace carillon::http::sandbox
