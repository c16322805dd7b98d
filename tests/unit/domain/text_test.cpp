#include "domain/text.hpp"

#include <gtest/gtest.h>

namespace carillon {
namespace {

TEST(Text, LengthsCountCharactersNotBytes) {
  EXPECT_EQ(character_count(""), 0U);
  EXPECT_EQ(character_count("Grüße"), 5U);
  EXPECT_EQ(character_count("🚲🚲"), 2U);
}

TEST(Text, CuttingNeverSplitsACharacter) {
  EXPECT_EQ(first_characters("Grüße", 3), "Grü");
  EXPECT_EQ(first_characters("🚲🚲", 1), "🚲");
  EXPECT_EQ(first_characters("abc", 5), "abc");
  EXPECT_EQ(first_characters("abc", 0), "");
}

TEST(Text, ExcerptsAreFiftyCharactersOrFortySevenAndAnEllipsis) {
  const std::string fifty(50, 'a');
  EXPECT_EQ(excerpt(fifty), fifty);
  const auto cut = excerpt(fifty + "b");
  EXPECT_TRUE(cut.starts_with(std::string(47, 'a')));
  EXPECT_EQ(character_count(cut) <= 50, true) << cut;
  EXPECT_EQ(cut.find('b'), std::string::npos);
  EXPECT_EQ(excerpt(""), "(no text)");
  EXPECT_EQ(excerpt("", "nothing"), "nothing");
}

TEST(Text, OnlyRealUtf8IsValid) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("Grüße 🚲"));
  EXPECT_TRUE(is_valid_utf8("\xf4\x8f\xbf\xbf"));
  EXPECT_FALSE(is_valid_utf8("\xff"));
  EXPECT_FALSE(is_valid_utf8("\xc3"));
  EXPECT_FALSE(is_valid_utf8("\xc0\x80"));         // overlong
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80"));     // surrogate
  EXPECT_FALSE(is_valid_utf8("\xf4\x90\x80\x80")); // beyond U+10FFFF
  EXPECT_FALSE(is_valid_utf8("a\x80"));
}

} // namespace
} // namespace carillon
