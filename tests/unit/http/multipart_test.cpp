#include "http/multipart.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace carillon::http {
namespace {

struct read_part {
  part_head head;
  std::string content;
  bool ended = false;
};

struct read_form {
  std::vector<read_part> parts;
  std::optional<failure> refused;
};

const std::string form_type = "multipart/form-data; boundary=edge";

/// In pieces of `piece` bytes.
read_form read_in_pieces(const std::string& body, std::size_t piece, const std::string& type = form_type) {
  read_form out;
  auto reader = multipart_reader::from(type, {[&](const part_head& head) -> std::optional<failure> {
                                                out.parts.push_back({head, {}, false});
                                                return std::nullopt;
                                              },
                                              [&](std::string_view bytes) -> std::optional<failure> {
                                                out.parts.back().content += bytes;
                                                return std::nullopt;
                                              },
                                              [&]() -> std::optional<failure> {
                                                out.parts.back().ended = true;
                                                return std::nullopt;
                                              }});
  if (!reader) {
    out.refused = failure{errc::invalid_argument, "no form", {}, {}};
    return out;
  }
  for (std::size_t at = 0; at < body.size() && !out.refused; at += piece)
    out.refused = reader->feed(std::string_view{body}.substr(at, piece));
  if (!out.refused)
    out.refused = reader->finish();
  return out;
}

std::string field_part(const std::string& name, const std::string& value) {
  return "--edge\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

TEST(MultipartReaderTest, PartsComeWholeHoweverTheBytesAreCut) {
  const std::string tricky = std::string{"\r\n--edg\r\n--edgy?\r\n-\0--edge", 26} + "\r\n--\r\n";
  const auto body = field_part("media_type", "image")
                    + "--edge  \r\ncontent-type: image/png\r\nCONTENT-DISPOSITION: Form-Data; filename=\"a \\\"b\\\"; c.png\"; name=file\r\n\r\n"
                    + tricky + "\r\n" + field_part("empty", "") + "--edge--\r\nwhatever";
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 16u, 100'000u}) {
    const auto form = read_in_pieces(body, piece);
    ASSERT_FALSE(form.refused) << piece << form.refused->detail;
    ASSERT_EQ(form.parts.size(), 3u) << piece;
    EXPECT_EQ(form.parts[0].head.name, "media_type");
    EXPECT_FALSE(form.parts[0].head.file_name);
    EXPECT_EQ(form.parts[0].content, "image");
    EXPECT_EQ(form.parts[1].head.name, "file");
    EXPECT_EQ(form.parts[1].head.file_name, "a \"b\"; c.png");
    EXPECT_EQ(form.parts[1].head.content_type, "image/png");
    EXPECT_EQ(form.parts[1].content, tricky) << piece;
    EXPECT_EQ(form.parts[2].content, "");
    EXPECT_TRUE(form.parts[2].ended);
  }
}

TEST(MultipartReaderTest, APreambleIsPassedOver) {
  const auto form = read_in_pieces("This is a form.\r\n" + field_part("a", "1") + "--edge--", 5);
  ASSERT_FALSE(form.refused);
  ASSERT_EQ(form.parts.size(), 1u);
  EXPECT_EQ(form.parts[0].content, "1");
}

TEST(MultipartReaderTest, ABoundaryMayBeQuoted) {
  EXPECT_FALSE(read_in_pieces("--a b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--a b--", 4,
                              "Multipart/Form-Data ; charset=utf-8; boundary=\"a b\"")
                 .refused);
}

TEST(MultipartReaderTest, TypesWithoutAUsableBoundaryAreNoForms) {
  for (const auto* type : {"", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
                           "multipart/form-data; boundary=\"open", "multipart/mixed; boundary=edge",
                           "multipart/form-data; boundary=\"a\r\nb\"", "multipart/form-data; boundary=\"trailing \"",
                           "multipart/form-data; boundary="
                           "12345678901234567890123456789012345678901234567890123456789012345678901"})
    EXPECT_FALSE(multipart_reader::from(type, {})) << type;
}

TEST(MultipartReaderTest, MalformedFormsAreRefused) {
  const std::string start = "--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
  for (const auto& body :
       {std::string{}, std::string{"no boundary"}, start + "1", start + "1\r\n--edge", start + "1\r\n--edge-",
        start + "1\r\n--edge\r\n", std::string{"--edge\r\n\r\n1\r\n--edge--"}, std::string{"--edgeX\r\n\r\n1\r\n--edge--"},
        std::string{"--edge\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--edge--"},
        std::string{"--edge\r\nContent-Disposition: form-data\r\n\r\n1\r\n--edge--"},
        std::string{"--edge\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--edge--"},
        std::string{"--edge\r\nnonsense\r\n\r\n1\r\n--edge--"},
        std::string{"--edge\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n1\r\n--edge--"},
        "--edge\r\nX: " + std::string(5'000, 'x'), "--edge" + std::string(100, ' ') + "\r\n\r\n",
        std::string(5'000, 'x') + "\r\n--edge\r\n"})
    for (const std::size_t piece : {1u, 100'000u})
      EXPECT_TRUE(read_in_pieces(body, piece).refused) << body.substr(0, 80) << " / " << piece;
}

TEST(MultipartReaderTest, AFormHasAtMost32Parts) {
  std::string body;
  for (int i = 0; i < 32; ++i)
    body += field_part("a", "1");
  EXPECT_FALSE(read_in_pieces(body + "--edge--", 64).refused);
  EXPECT_TRUE(read_in_pieces(body + field_part("a", "1") + "--edge--", 64).refused);
}

TEST(MultipartReaderTest, WhatAHandlerRefusesEndsTheReading) {
  int parts = 0;
  auto reader = multipart_reader::from(form_type, {[&](const part_head&) -> std::optional<failure> {
                                                     ++parts;
                                                     return invalid("file", "no");
                                                   },
                                                   [](std::string_view) { return std::optional<failure>{}; },
                                                   [] { return std::optional<failure>{}; }});
  const auto refused = reader->feed(field_part("a", "1") + field_part("b", "2"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->fields.at(0).field, "file");
  EXPECT_EQ(parts, 1);
}

} // namespace
} // namespace carillon::http
