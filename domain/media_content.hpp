// What uploaded media are, by their bytes: names, declared types and sizes are
// only claims. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "domain/enums.hpp"

namespace carillon {

enum class media_format : std::uint8_t { jpeg, png, gif, webp, mp4, quicktime, webm, pdf };

std::string_view mime_type_of(media_format format) noexcept;
/// Without the dot.
std::string_view extension_of(media_format format) noexcept;

/// What a path made with extension_of holds; nothing for any other.
std::optional<media_format> media_format_of_path(std::string_view path) noexcept;

/// Parameters after `;` and case do not matter; nothing for any other type.
std::optional<media_format> media_format_of(std::string_view mime_type);

/// Whether a declared type may stand for it: it says nothing
/// (application/octet-stream, empty), the same, or the sister container of
/// ISO video.
bool may_be_declared_as(media_format format, std::string_view mime_type);

/// Contract §6.2 and §3.2: what each media_type may hold, and how much.
bool is_allowed(media_type type, media_format format) noexcept;
std::int64_t largest_size(media_type type) noexcept;
/// The most that any media_type allows for it.
std::int64_t largest_size(media_format format) noexcept;
std::int64_t largest_media_size() noexcept;

/// Relative, no empty, `.` or `..` segment, no backslash or control
/// character, valid UTF-8, at most 1,000 characters.
bool is_object_path(std::string_view path);

/// One segment of such a path, at most 255 characters.
bool is_file_name(std::string_view name);

struct picture_size {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool operator==(const picture_size&) const = default;
};

/// Looks at the bytes of one file as they pass and keeps none but the first
/// few. A picture is judged by the size that its header declares, before
/// anybody decodes it; of an animated GIF each frame's.
class media_inspector {
public:
  explicit media_inspector(std::int64_t max_pixels) : max_pixels_(max_pixels) {
  }

  /// The next bytes. Why the file is refused; nothing while it is not.
  std::optional<std::string> feed(std::string_view bytes);

  /// The file has ended: refuses one that never said what it is.
  std::optional<std::string> finish();

  /// Once enough bytes have passed.
  std::optional<media_format> format() const noexcept {
    return format_;
  }
  /// Of a picture, once its header has passed.
  std::optional<picture_size> size() const noexcept {
    return size_;
  }

private:
  enum class step : std::uint8_t {
    start,
    done,
    jpeg_marker_start,
    jpeg_marker,
    jpeg_length,
    jpeg_frame,
    jpeg_skip,
    gif_header,
    gif_block,
    gif_label,
    gif_frame,
    gif_skip, ///< A colour table.
    gif_code_size,
    gif_chunk,
    gif_chunk_skip,
  };

  std::optional<std::string> recognise();
  std::optional<std::string> scan(std::string_view bytes);
  std::optional<std::string> measure(std::int64_t width, std::int64_t height);
  bool collect(unsigned char byte, std::size_t wanted);

  std::int64_t max_pixels_;
  std::optional<media_format> format_;
  std::optional<picture_size> size_;
  std::string head_;   ///< Until recognised.
  std::string field_;  ///< What the step is collecting.
  std::uint64_t skip_ = 0;
  unsigned char marker_ = 0;
  bool is_frame_header_ = false;
  step step_ = step::start;
};

} // namespace carillon
