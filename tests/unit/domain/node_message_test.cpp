#include "domain/node_message.hpp"

#include <string>

#include <gtest/gtest.h>

namespace carillon {

namespace {

TEST(NodeMessageTest, AnyBytesComeBackAsTheyWere) {
  std::string every;
  for (int i = 0; i < 256; ++i)
    every += static_cast<char>(i);
  for (const auto& body : {std::string{}, std::string{" leading and trailing "}, every}) {
    const auto back = decode_node_message(encode({3, "job-ready", body}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->version, 3);
    EXPECT_EQ(back->type, "job-ready");
    EXPECT_EQ(back->body, body);
  }
}

TEST(NodeMessageTest, WhatIsNoEnvelopeIsNothing) {
  for (const auto* text : {"", " ", "1", "1 ", "1 hint", "1  body", "0 hint x", "-1 hint x", "x hint x", "1x hint x",
                           "1 Hint x", "1 h1nt x", "99999999999999999999 hint x", "+1 hint x"})
    EXPECT_FALSE(decode_node_message(text)) << '"' << text << '"';
}

} // namespace

} // namespace carillon
