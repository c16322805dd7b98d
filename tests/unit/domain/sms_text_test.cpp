#include "domain/sms_text.hpp"

#include <gtest/gtest.h>

#include "domain/text.hpp"

namespace carillon {

namespace {

TEST(SmsTextTest, TitleMessageAndLinkAreALineEach) {
  EXPECT_EQ(sms_text("Title", "Message", "https://app.example/posts/1", 160),
            "Title\nMessage\nhttps://app.example/posts/1");
  EXPECT_EQ(sms_text("Title", "", "", 160), "Title");
  EXPECT_EQ(sms_text("Title", "Message", "", 160), "Title\nMessage");
}

TEST(SmsTextTest, ControlCharactersBecomeSpaces) {
  EXPECT_EQ(sms_text(" A\r\nB\t\tC ", std::string{"D\0E", 3}, "", 160), "A B C\nD E");
}

TEST(SmsTextTest, TheMessageIsCutFirst) {
  const auto text = sms_text("Title", std::string(200, 'm'), "https://a.example/1", 60);
  EXPECT_EQ(character_count(text), 60u);
  EXPECT_TRUE(text.starts_with("Title\nmmm"));
  EXPECT_TRUE(text.ends_with("\xe2\x80\xa6\nhttps://a.example/1"));
}

TEST(SmsTextTest, ALinkGoesBeforeTheTitleIsCut) {
  const std::string title(30, 't');
  EXPECT_EQ(sms_text(title, "", "https://a.example/", 40), title);
  EXPECT_EQ(sms_text(title, "", "", 20), std::string(19, 't') + "\xe2\x80\xa6");
}

TEST(SmsTextTest, NoLengthIsBeyondTheLimit) {
  for (std::size_t title = 0; title < 60; title += 3)
    for (std::size_t message = 0; message < 120; message += 7)
      for (const auto* url : {"", "https://a.example/posts/1"}) {
        std::string bells;
        for (std::size_t i = 0; i < message; ++i)
          bells += "\xf0\x9f\x94\x94";
        const auto text = sms_text(std::string(title, 't'), bells, url, 50);
        EXPECT_LE(character_count(text), 50u) << text;
        EXPECT_TRUE(is_valid_utf8(text));
      }
}

} // namespace

} // namespace carillon
