#include "domain/media_content.hpp"

#include <algorithm>
#include <array>

#include "domain/text.hpp"

namespace carillon {

namespace {

constexpr std::int64_t mebibyte = 1024 * 1024;
/// Enough for every magic number and for the header of all but JPEG and GIF.
constexpr std::size_t head_bytes = 64;
constexpr std::size_t longest_path = 1'000;
constexpr std::size_t longest_name = 255;

struct format_facts {
  media_format format;
  std::string_view mime_type;
  std::string_view extension;
};

constexpr std::array<format_facts, 8> formats{{
  {media_format::jpeg, "image/jpeg", "jpg"},
  {media_format::png, "image/png", "png"},
  {media_format::gif, "image/gif", "gif"},
  {media_format::webp, "image/webp", "webp"},
  {media_format::mp4, "video/mp4", "mp4"},
  {media_format::quicktime, "video/quicktime", "mov"},
  {media_format::webm, "video/webm", "webm"},
  {media_format::pdf, "application/pdf", "pdf"},
}};

/// Major brands of ISO files that hold a film (not HEIC, AVIF or sound).
constexpr std::array<std::string_view, 17> film_brands{"isom", "iso2", "iso3", "iso4", "iso5", "iso6",
                                                       "iso7", "iso8", "iso9", "mp41", "mp42", "avc1",
                                                       "M4V ", "M4VH", "M4VP", "dash", "MSNV"};

const format_facts& facts_of(media_format format) {
  return *std::find_if(formats.begin(), formats.end(), [&](const auto& f) { return f.format == format; });
}

std::string lower_case_type(std::string_view mime_type) {
  std::string out{mime_type.substr(0, mime_type.find(';'))};
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t'))
    out.pop_back();
  for (char& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::int64_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::int64_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::int64_t out = 0;
  for (std::size_t i = 0; i < count; ++i)
    out = out << 8 | byte_at(bytes, at + i);
  return out;
}

std::int64_t little_endian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::int64_t out = 0;
  for (std::size_t i = count; i > 0; --i)
    out = out << 8 | byte_at(bytes, at + i - 1);
  return out;
}

bool is_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." && segment.size() <= longest_name
         && std::none_of(segment.begin(), segment.end(), [](char c) {
              const auto byte = static_cast<unsigned char>(c);
              return byte < 0x20 || byte == 0x7f || c == '/' || c == '\\';
            });
}

constexpr auto unknown_content = "The file is none of JPEG, PNG, GIF, WebP, MP4, QuickTime, WebM and PDF.";
constexpr auto broken_picture = "The picture is damaged.";

} // namespace

std::string_view mime_type_of(media_format format) noexcept {
  return facts_of(format).mime_type;
}

std::string_view extension_of(media_format format) noexcept {
  return facts_of(format).extension;
}

std::optional<media_format> media_format_of_path(std::string_view path) noexcept {
  const auto dot = path.rfind('.');
  if (dot == path.npos)
    return std::nullopt;
  for (const auto& f : formats)
    if (f.extension == path.substr(dot + 1))
      return f.format;
  return std::nullopt;
}

std::optional<media_format> media_format_of(std::string_view mime_type) {
  const auto type = lower_case_type(mime_type);
  if (type == "image/jpg" || type == "image/pjpeg")
    return media_format::jpeg;
  for (const auto& f : formats)
    if (f.mime_type == type)
      return f.format;
  return std::nullopt;
}

bool may_be_declared_as(media_format format, std::string_view mime_type) {
  const auto type = lower_case_type(mime_type);
  if (type.empty() || type == "application/octet-stream")
    return true;
  const auto declared = media_format_of(type);
  const auto is_iso = [](media_format f) { return f == media_format::mp4 || f == media_format::quicktime; };
  return declared && (*declared == format || (is_iso(*declared) && is_iso(format)));
}

bool is_allowed(media_type type, media_format format) noexcept {
  using enum media_format;
  switch (type) {
    case media_type::image:
      return format == jpeg || format == png || format == gif || format == webp;
    case media_type::gif:
      return format == gif;
    case media_type::video:
      return format == mp4 || format == quicktime || format == webm;
    case media_type::document:
      return format == pdf;
  }
  return false;
}

std::int64_t largest_size(media_type type) noexcept {
  switch (type) {
    case media_type::image:
      return 10 * mebibyte;
    case media_type::gif:
      return 15 * mebibyte;
    case media_type::video:
      return 500 * mebibyte;
    case media_type::document:
      return 100 * mebibyte;
  }
  return 0;
}

std::int64_t largest_size(media_format format) noexcept {
  std::int64_t out = 0;
  for (const auto type : values_of<media_type>())
    if (is_allowed(type, format))
      out = std::max(out, largest_size(type));
  return out;
}

std::int64_t largest_media_size() noexcept {
  return largest_size(media_type::video);
}

bool is_object_path(std::string_view path) {
  if (path.empty() || !is_valid_utf8(path) || character_count(path) > longest_path)
    return false;
  for (;;) {
    const auto slash = path.find('/');
    if (!is_segment(path.substr(0, slash)))
      return false;
    if (slash == std::string_view::npos)
      return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_file_name(std::string_view name) {
  return is_segment(name) && is_valid_utf8(name);
}

// -- the inspector --------------------------------------------------------------

std::optional<std::string> media_inspector::measure(std::int64_t width, std::int64_t height) {
  if (width <= 0 || height <= 0)
    return broken_picture;
  // Both have at most 32 bits.
  if (width > max_pixels_ / height)
    return "The picture would have " + std::to_string(width) + " x " + std::to_string(height)
           + " pixels; at most " + std::to_string(max_pixels_) + " are allowed.";
  if (!size_)
    size_ = picture_size{width, height};
  return std::nullopt;
}

std::optional<std::string> media_inspector::recognise() {
  const std::string_view head{head_};
  const auto holds = [&](std::size_t at, std::string_view what) {
    return head.size() >= at + what.size() && head.substr(at, what.size()) == what;
  };
  step_ = step::done;
  if (holds(0, "\x89PNG\r\n\x1a\n")) {
    format_ = media_format::png;
    if (head.size() < 24 || !holds(12, "IHDR"))
      return broken_picture;
    return measure(big_endian(head, 16, 4), big_endian(head, 20, 4));
  }
  if (holds(0, "RIFF") && holds(8, "WEBP")) {
    format_ = media_format::webp;
    if (head.size() < 30)
      return broken_picture;
    if (holds(12, "VP8X"))
      return measure(1 + little_endian(head, 24, 3), 1 + little_endian(head, 27, 3));
    if (holds(12, "VP8 ") && holds(23, "\x9d\x01\x2a"))
      return measure(little_endian(head, 26, 2) & 0x3fff, little_endian(head, 28, 2) & 0x3fff);
    if (holds(12, "VP8L") && holds(20, "\x2f")) {
      const auto bits = little_endian(head, 21, 4);
      return measure(1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff));
    }
    return broken_picture;
  }
  if (holds(0, "\xff\xd8\xff")) {
    format_ = media_format::jpeg;
    step_ = step::jpeg_marker_start;
    return scan(head.substr(2));
  }
  if (holds(0, "GIF87a") || holds(0, "GIF89a")) {
    format_ = media_format::gif;
    step_ = step::gif_header;
    return scan(head.substr(6));
  }
  if (holds(4, "ftyp") && head.size() >= 12 && big_endian(head, 0, 4) >= 8) {
    const auto brand = head.substr(8, 4);
    if (brand == "qt  ")
      format_ = media_format::quicktime;
    else if (std::find(film_brands.begin(), film_brands.end(), brand) != film_brands.end())
      format_ = media_format::mp4;
  } else if (holds(0, "\x1a\x45\xdf\xa3")) {
    // EBML's DocType element (id 42 82), one size byte, then the text.
    if (head.find("\x42\x82\x84webm") != std::string_view::npos)
      format_ = media_format::webm;
  } else if (holds(0, "%PDF-")) {
    format_ = media_format::pdf;
  }
  if (!format_)
    return unknown_content;
  return std::nullopt;
}

std::optional<std::string> media_inspector::feed(std::string_view bytes) {
  if (step_ == step::start) {
    const auto taken = bytes.substr(0, head_bytes - head_.size());
    head_ += taken;
    bytes.remove_prefix(taken.size());
    if (head_.size() < head_bytes)
      return std::nullopt;
    if (auto refused = recognise())
      return refused;
  }
  return scan(bytes);
}

std::optional<std::string> media_inspector::finish() {
  if (step_ == step::start)
    if (auto refused = recognise())
      return refused;
  const bool is_picture
    = format_ == media_format::jpeg || format_ == media_format::png || format_ == media_format::gif
      || format_ == media_format::webp;
  if (is_picture && !size_)
    return broken_picture;
  return std::nullopt;
}

/// True when `field_` holds `wanted` bytes.
bool media_inspector::collect(unsigned char byte, std::size_t wanted) {
  field_ += static_cast<char>(byte);
  return field_.size() >= wanted;
}

std::optional<std::string> media_inspector::scan(std::string_view bytes) {
  const auto colour_table = [](std::int64_t flags) -> std::uint64_t {
    return (flags & 0x80) != 0 ? 3u << ((flags & 7) + 1) : 0u;
  };
  const auto go = [&](step next) {
    field_.clear();
    step_ = next;
  };
  for (std::size_t i = 0; i < bytes.size() && step_ != step::done;) {
    if (step_ == step::jpeg_skip || step_ == step::gif_skip || step_ == step::gif_chunk_skip) {
      const auto passed = std::min<std::uint64_t>(skip_, bytes.size() - i);
      skip_ -= passed;
      i += static_cast<std::size_t>(passed);
      if (skip_ > 0)
        break;
      if (step_ == step::jpeg_skip)
        go(step::jpeg_marker_start);
      else if (step_ == step::gif_chunk_skip)
        go(step::gif_chunk);
      else
        go(is_frame_header_ ? step::gif_code_size : step::gif_block);
      continue;
    }
    const auto byte = static_cast<unsigned char>(bytes[i++]);
    switch (step_) {
      case step::jpeg_marker_start:
        if (byte != 0xff)
          return broken_picture;
        go(step::jpeg_marker);
        break;
      case step::jpeg_marker:
        if (byte == 0xff)
          break; // Fill bytes.
        marker_ = byte;
        // A scan, or the end, before any frame header; 0 is no marker.
        if (byte == 0xda || byte == 0xd9 || byte == 0)
          return broken_picture;
        if (byte == 0x01 || (byte >= 0xd0 && byte <= 0xd8))
          go(step::jpeg_marker_start); // These stand alone.
        else
          go(step::jpeg_length);
        break;
      case step::jpeg_length: {
        if (!collect(byte, 2))
          break;
        const auto length = big_endian(field_, 0, 2);
        if (length < 2)
          return broken_picture;
        // C0 to CF are frame headers, but for DHT, JPG and DAC.
        const bool frame
          = marker_ >= 0xc0 && marker_ <= 0xcf && marker_ != 0xc4 && marker_ != 0xc8 && marker_ != 0xcc;
        if (frame && length < 7)
          return broken_picture;
        skip_ = static_cast<std::uint64_t>(length - 2);
        go(frame ? step::jpeg_frame : skip_ > 0 ? step::jpeg_skip : step::jpeg_marker_start);
        break;
      }
      case step::jpeg_frame:
        if (!collect(byte, 5))
          break;
        step_ = step::done;
        return measure(big_endian(field_, 3, 2), big_endian(field_, 1, 2));
      case step::gif_header: {
        if (!collect(byte, 7))
          break;
        if (auto refused = measure(little_endian(field_, 0, 2), little_endian(field_, 2, 2)))
          return refused;
        skip_ = colour_table(byte_at(field_, 4));
        is_frame_header_ = false;
        go(skip_ > 0 ? step::gif_skip : step::gif_block);
        break;
      }
      case step::gif_block:
        if (byte == 0x2c)
          go(step::gif_frame);
        else if (byte == 0x21)
          go(step::gif_label);
        else if (byte == 0x3b)
          go(step::done);
        else
          return broken_picture;
        break;
      case step::gif_label:
        go(step::gif_chunk);
        break;
      case step::gif_frame: {
        if (!collect(byte, 9))
          break;
        if (auto refused = measure(little_endian(field_, 4, 2), little_endian(field_, 6, 2)))
          return refused;
        skip_ = colour_table(byte_at(field_, 8));
        is_frame_header_ = true;
        go(skip_ > 0 ? step::gif_skip : step::gif_code_size);
        break;
      }
      case step::gif_code_size:
        go(step::gif_chunk);
        break;
      case step::gif_chunk:
        skip_ = byte;
        go(byte == 0 ? step::gif_block : step::gif_chunk_skip);
        break;
      case step::start:
      case step::done:
      case step::jpeg_skip:
      case step::gif_skip:
      case step::gif_chunk_skip:
        break;
    }
  }
  return std::nullopt;
}

} // namespace carillon
