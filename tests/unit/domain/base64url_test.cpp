#include "domain/base64url.hpp"

#include <gtest/gtest.h>

namespace carillon {

namespace {

TEST(Base64UrlTest, WritesTheVectorsOfTheRfcWithoutPadding) {
  // RFC 4648 §10.
  const std::pair<std::string, std::string> vectors[] = {{"", ""},           {"f", "Zg"},         {"fo", "Zm8"},
                                                         {"foo", "Zm9v"},    {"foob", "Zm9vYg"},  {"fooba", "Zm9vYmE"},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64url(bytes), text);
    EXPECT_EQ(decode_base64url(text), bytes);
  }
}

TEST(Base64UrlTest, EveryByteSurvives) {
  std::string bytes;
  for (int i = 0; i < 256; ++i)
    bytes += static_cast<char>(i);
  EXPECT_EQ(decode_base64url(encode_base64url(bytes)), bytes);
  EXPECT_EQ(encode_base64url("\xfb\xff"), "-_8");
}

TEST(Base64UrlTest, PaddingIsPassedOver) {
  EXPECT_EQ(decode_base64url("Zg=="), "f");
  EXPECT_EQ(decode_base64url("Zm8="), "fo");
}

TEST(Base64UrlTest, WhatNoEncoderMakesIsRefused) {
  for (const auto* text : {"Z", "Zm9vZ", "Zm 9", "Zm9+", "Zm9/", "Zg===", "A=A", "Zh", "Zm9", "Zm\n9v"})
    EXPECT_FALSE(decode_base64url(text)) << text;
}

} // namespace

} // namespace carillon
