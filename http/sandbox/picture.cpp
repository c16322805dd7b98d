#include "http/sandbox/picture.hpp"

#include <algorithm>
#include <iterator>

namespace carillon::http::sandbox {

namespace {

using namespace std::string_view_literals;

unsigned byte_at(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<unsigned char>(bytes[at]);
}

unsigned big_endian(std::string_view bytes, std::size_t at,
                    std::size_t length) noexcept {
  unsigned out = 0;
  for (std::size_t i = 0; i < length; ++i)
    out = out << 8 | byte_at(bytes, at + i);
  return out;
}

unsigned little_endian(std::string_view bytes, std::size_t at,
                       std::size_t length) noexcept {
  unsigned out = 0;
  for (std::size_t i = length; i-- > 0;)
    out = out << 8 | byte_at(bytes, at + i);
  return out;
}

/// Walks the segments to the frame header (ITU-T T.81, B.2.2).
std::optional<picture_size> measure_jpeg(std::string_view bytes) noexcept {
  std::size_t at = 2;
  while (at + 9 <= bytes.size()) {
    if (byte_at(bytes, at) != 0xff)
      return std::nullopt;
    const auto marker = byte_at(bytes, at + 1);
    if (marker == 0xff) {
      ++at;
      continue;
    }
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4
                       && marker != 0xc8 && marker != 0xcc;
    if (frame)
      return picture_size{big_endian(bytes, at + 7, 2),
                          big_endian(bytes, at + 5, 2)};
    at += 2 + big_endian(bytes, at + 2, 2);
  }
  return std::nullopt;
}

std::optional<picture_size> measure_webp(std::string_view bytes) noexcept {
  if (bytes.size() < 30)
    return std::nullopt;
  const auto form = bytes.substr(12, 4);
  if (form == "VP8X"sv)
    return picture_size{little_endian(bytes, 24, 3) + 1,
                        little_endian(bytes, 27, 3) + 1};
  if (form == "VP8 "sv)
    return picture_size{little_endian(bytes, 26, 2) & 0x3fff,
                        little_endian(bytes, 28, 2) & 0x3fff};
  if (form == "VP8L"sv) {
    const auto packed = little_endian(bytes, 21, 4);
    return picture_size{(packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1};
  }
  return std::nullopt;
}

} // namespace

std::optional<std::string_view> picture_type(std::string_view bytes) noexcept {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv))
    return "image/png";
  if (bytes.starts_with("\xff\xd8\xff"sv))
    return "image/jpeg";
  if (bytes.starts_with("GIF87a"sv) || bytes.starts_with("GIF89a"sv))
    return "image/gif";
  if (bytes.starts_with("RIFF"sv) && bytes.size() >= 12
      && bytes.substr(8, 4) == "WEBP"sv)
    return "image/webp";
  return std::nullopt;
}

bool is_film_or_sound(std::string_view mime_type) noexcept {
  // https://docs.joinmastodon.org/user/posting/#media
  constexpr std::string_view known[]
    = {"video/mp4",  "video/webm", "video/quicktime", "video/ogg",
       "audio/mpeg", "audio/ogg",  "audio/flac",      "audio/wav",
       "audio/aac",  "audio/mp4",  "audio/webm",      "audio/opus"};
  return std::find(std::begin(known), std::end(known), mime_type)
         != std::end(known);
}

std::optional<picture_size> measure_picture(std::string_view bytes) noexcept {
  const auto type = picture_type(bytes);
  if (!type)
    return std::nullopt;
  if (*type == "image/png" && bytes.size() >= 24)
    return picture_size{big_endian(bytes, 16, 4), big_endian(bytes, 20, 4)};
  if (*type == "image/gif" && bytes.size() >= 10)
    return picture_size{little_endian(bytes, 6, 2), little_endian(bytes, 8, 2)};
  if (*type == "image/jpeg")
    return measure_jpeg(bytes);
  if (*type == "image/webp")
    return measure_webp(bytes);
  return std::nullopt;
}

} // namespace carillon::http::sandbox
