#include "domain/media_content.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace carillon {
namespace {

constexpr std::int64_t pixel_limit = 100'000'000;

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values)
    out += static_cast<char>(value);
  return out;
}

std::string be32(std::uint32_t n) {
  return bytes({static_cast<int>(n >> 24), static_cast<int>(n >> 16 & 255), static_cast<int>(n >> 8 & 255), static_cast<int>(n & 255)});
}

std::string be16(int n) {
  return bytes({n >> 8, n & 255});
}

std::string le16(int n) {
  return bytes({n & 255, n >> 8});
}

std::string png_of(std::uint32_t width, std::uint32_t height) {
  return "\x89PNG\r\n\x1a\n" + be32(13) + "IHDR" + be32(width) + be32(height) + std::string(200, '\1');
}

/// With an APP1 segment of `extra` bytes, as cameras write, before the frame.
std::string jpeg_of(int width, int height, int extra = 30'000, int frame = 0xc2) {
  return bytes({0xff, 0xd8, 0xff, 0xe1}) + be16(extra + 2) + std::string(static_cast<std::size_t>(extra), '\xff')
         + bytes({0xff, 0xff, 0xdb}) + be16(67) + std::string(65, '\0') + bytes({0xff, frame}) + be16(17) + bytes({8}) + be16(height)
         + be16(width) + std::string(10, '\3') + bytes({0xff, 0xda}) + std::string(100, 'x');
}

std::string gif_frame(int width, int height) {
  return bytes({0x2c}) + le16(0) + le16(0) + le16(width) + le16(height) + bytes({0x80}) + std::string(6, '\0') + bytes({2, 3}) + "abc"
         + bytes({0});
}

std::string gif_of(int width, int height, const std::vector<std::string>& frames) {
  auto out = "GIF89a" + le16(width) + le16(height) + bytes({0xf7, 0, 0}) + std::string(768, 'c') + bytes({0x21, 0xfe, 5}) + "hello"
             + bytes({0});
  for (const auto& frame : frames)
    out += frame;
  return out + bytes({0x3b});
}

std::string webp_lossy(int width, int height) {
  return "RIFF" + std::string(4, '\1') + "WEBPVP8 " + std::string(4, '\1') + bytes({0, 0, 0, 0x9d, 1, 0x2a}) + le16(width) + le16(height)
         + std::string(100, 'x');
}

std::string webp_lossless(int width, int height) {
  const auto bits = static_cast<std::uint32_t>(width - 1) | static_cast<std::uint32_t>(height - 1) << 14;
  return "RIFF" + std::string(4, '\1') + "WEBPVP8L" + std::string(4, '\1') + bytes({0x2f})
         + bytes({static_cast<int>(bits & 255), static_cast<int>(bits >> 8 & 255), static_cast<int>(bits >> 16 & 255), static_cast<int>(bits >> 24)})
         + std::string(100, 'x');
}

std::string webp_extended(int width, int height) {
  const auto le24 = [](int n) { return bytes({n & 255, n >> 8 & 255, n >> 16 & 255}); };
  return "RIFF" + std::string(4, '\1') + "WEBPVP8X" + std::string(8, '\0') + le24(width - 1) + le24(height - 1) + std::string(100, 'x');
}

std::string film_of(const std::string& brand) {
  return be32(32) + "ftyp" + brand + std::string(200, 'x');
}

struct judgement {
  std::optional<std::string> refused;
  std::optional<media_format> format;
  std::optional<picture_size> size;
};

judgement inspect(const std::string& file, std::size_t piece = 1'000'000) {
  media_inspector eye{pixel_limit};
  judgement out;
  for (std::size_t at = 0; at < file.size() && !out.refused; at += piece)
    out.refused = eye.feed(std::string_view{file}.substr(at, piece));
  if (!out.refused)
    out.refused = eye.finish();
  out.format = eye.format();
  out.size = eye.size();
  return out;
}

TEST(MediaContentTest, FilesAreKnownByTheirBytesHoweverTheyAreCut) {
  struct example {
    std::string file;
    media_format format;
    std::optional<picture_size> size;
  };
  const std::vector<example> examples{
    {png_of(640, 480), media_format::png, picture_size{640, 480}},
    {jpeg_of(640, 480), media_format::jpeg, picture_size{640, 480}},
    {jpeg_of(9, 7, 0, 0xc0), media_format::jpeg, picture_size{9, 7}},
    {gif_of(300, 200, {gif_frame(300, 200), gif_frame(10, 10)}), media_format::gif, picture_size{300, 200}},
    {webp_lossy(550, 368), media_format::webp, picture_size{550, 368}},
    {webp_lossless(386, 395), media_format::webp, picture_size{386, 395}},
    {webp_extended(5'000, 4'000), media_format::webp, picture_size{5'000, 4'000}},
    {film_of("isom"), media_format::mp4, std::nullopt},
    {film_of("qt  "), media_format::quicktime, std::nullopt},
    {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + std::string(100, 'x'), media_format::webm, std::nullopt},
    {"%PDF-1.7\n" + std::string(100, 'x'), media_format::pdf, std::nullopt},
    {"%PDF-", media_format::pdf, std::nullopt},
  };
  for (const auto& [file, format, size] : examples)
    for (const std::size_t piece : {1u, 3u, 64u, 1'000u, 1'000'000u}) {
      const auto seen = inspect(file, piece);
      EXPECT_FALSE(seen.refused) << mime_type_of(format) << " in pieces of " << piece << ": " << seen.refused.value_or("");
      EXPECT_EQ(seen.format, format);
      EXPECT_EQ(seen.size, size) << mime_type_of(format);
    }
}

TEST(MediaContentTest, WhatIsNoneOfTheAllowedFilesIsRefused) {
  for (const auto& file :
       {std::string{}, std::string{"x"}, std::string{"<html><script>alert(1)</script></html>"}, std::string{"<svg xmlns='http://www.w3.org/2000/svg'/>"},
        std::string{"\x7f"} + "ELF" + std::string(100, '\1'), std::string{"PK\3\4"} + std::string(100, '\1'), film_of("heic"), film_of("avif"), film_of("M4A "),
        "\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska" + std::string(100, 'x'), std::string{"BM"} + std::string(100, '\1'),
        std::string{"RIFF1234WAVE"} + std::string(100, 'x'), std::string{"MZ"} + std::string(100, '\1')})
    EXPECT_TRUE(inspect(file).refused) << file.substr(0, 12);
}

TEST(MediaContentTest, PicturesThatWouldExpandToGigapixelsAreRefusedByTheirHeader) {
  for (const auto& file :
       {png_of(50'000, 50'000), png_of(0xffffffff, 0xffffffff), png_of(100'000'001, 1), jpeg_of(65'535, 65'535), jpeg_of(65'535, 65'535, 0),
        gif_of(65'535, 65'535, {}), gif_of(10, 10, {gif_frame(10, 10), gif_frame(65'535, 65'535)}), webp_lossy(16'383, 16'383),
        webp_lossless(16'384, 16'384), webp_extended(16'777'216, 16'777'216)})
    for (const std::size_t piece : {1u, 100'000u})
      EXPECT_TRUE(inspect(file, piece).refused) << file.substr(0, 4);
  EXPECT_FALSE(inspect(png_of(10'000, 10'000)).refused) << "exactly the limit";
}

TEST(MediaContentTest, PicturesWithoutAReadableSizeAreRefused) {
  for (const auto& file :
       {png_of(0, 10), png_of(10, 0), std::string{"\x89PNG\r\n\x1a\n"}, jpeg_of(0, 10), jpeg_of(10, 0), bytes({0xff, 0xd8, 0xff, 0xd9}),
        bytes({0xff, 0xd8, 0xff, 0xe0, 0, 0}) + std::string(100, 'x'), bytes({0xff, 0xd8, 0xff, 0xda}) + std::string(100, 'x'),
        jpeg_of(10, 10).substr(0, 20'000), gif_of(0, 0, {}), std::string{"GIF89a"}, gif_of(5, 5, {"garbage"}), webp_lossy(0, 10),
        std::string{"RIFF1234WEBPVP8X"}, std::string{"RIFF1234WEBPWHAT"} + std::string(100, 'x')})
    EXPECT_TRUE(inspect(file).refused) << file.substr(0, 12) << file.size();
}

TEST(MediaContentTest, PathsStayInsideTheirFolder) {
  for (const auto* good : {"a", "a.png", "uploads/2026/a b.png", "ü/ß.jpg", "a..b", "..a/b", ".hidden"})
    EXPECT_TRUE(is_object_path(good)) << good;
  for (const auto& bad : {std::string{}, std::string{"/etc/passwd"}, std::string{".."}, std::string{"../a"}, std::string{"a/../../b"},
                          std::string{"a/.."}, std::string{"a//b"}, std::string{"a/"}, std::string{"./a"}, std::string{"a\\..\\b"},
                          std::string{"a\0b", 3}, std::string{"a\nb"}, std::string{"\xff"}, std::string(1'001, 'a'),
                          "a/" + std::string(256, 'b')})
    EXPECT_FALSE(is_object_path(bad)) << bad.substr(0, 40);
  EXPECT_TRUE(is_file_name("a.png"));
  for (const auto* bad : {"a/b.png", "..", ".", "", "..\\a"})
    EXPECT_FALSE(is_file_name(bad)) << bad;
}

TEST(MediaContentTest, APathSaysWhatItHoldsByTheExtensionThatUploadsGive) {
  using enum media_format;
  for (const auto format : {jpeg, png, gif, webp, mp4, quicktime, webm, pdf})
    EXPECT_EQ(media_format_of_path("uploads/019abc." + std::string{extension_of(format)}), format) << mime_type_of(format);
  for (const auto* path : {"", ".", "png", "a.html", "a.svg", "a.PNG", "a.png.html", "a.png/b"})
    EXPECT_FALSE(media_format_of_path(path)) << path;
}

TEST(MediaContentTest, EachTypeHoldsWhatTheContractSays) {
  EXPECT_TRUE(is_allowed(media_type::image, media_format::gif));
  EXPECT_FALSE(is_allowed(media_type::image, media_format::mp4));
  EXPECT_FALSE(is_allowed(media_type::gif, media_format::png));
  EXPECT_FALSE(is_allowed(media_type::video, media_format::pdf));
  EXPECT_TRUE(is_allowed(media_type::document, media_format::pdf));
  EXPECT_EQ(largest_size(media_type::image), 10 * 1024 * 1024);
  EXPECT_EQ(largest_size(media_format::gif), 15 * 1024 * 1024);
  EXPECT_EQ(largest_media_size(), 500 * 1024 * 1024);
  EXPECT_TRUE(may_be_declared_as(media_format::jpeg, "IMAGE/JPG; q=1"));
  EXPECT_TRUE(may_be_declared_as(media_format::quicktime, "video/mp4"));
  EXPECT_TRUE(may_be_declared_as(media_format::png, "application/octet-stream"));
  EXPECT_FALSE(may_be_declared_as(media_format::png, "image/jpeg"));
  EXPECT_FALSE(may_be_declared_as(media_format::png, "text/html"));
}

} // namespace
} // namespace carillon
