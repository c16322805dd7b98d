#include "domain/post_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/text.hpp"

namespace carillon {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> split(std::string_view text, std::size_t limit) {
  return split_post_text(text, limit, character_count);
}

TEST(SplitPostText, ATextThatFitsIsOnePart) {
  EXPECT_THAT(split("Hello", 5), ElementsAre("Hello"));
  EXPECT_THAT(split("", 5), ElementsAre(""));
  EXPECT_THAT(split("  Hello \n", 5), ElementsAre("Hello"));
}

TEST(SplitPostText, ItIsCutAfterParagraphsThenSentencesThenWords) {
  EXPECT_THAT(split("One. Two three\n\nfour five", 18), ElementsAre("One. Two three", "four five"));
  EXPECT_THAT(split("One two. Three four", 12), ElementsAre("One two.", "Three four"));
  EXPECT_THAT(split("alpha beta gamma", 12), ElementsAre("alpha beta", "gamma"));
  EXPECT_THAT(split("alpha beta gamma", 10), ElementsAre("alpha beta", "gamma")) << "a blank that follows is a cut too";
}

TEST(SplitPostText, AWordThatIsTooLongIsCutBetweenCharacters) {
  EXPECT_THAT(split("ééééé", 2), ElementsAre("éé", "éé", "é"));
  EXPECT_THAT(split("abc", 0), ElementsAre("a", "b", "c")) << "it always ends";
}

TEST(SplitPostText, NoPartIsTooLongOrEmptyAndNoWordIsLost) {
  std::string text;
  std::string words;
  for (int i = 0; i < 500; ++i) {
    const auto word = std::string(static_cast<std::size_t>(1 + i * 7 % 13), static_cast<char>('a' + i % 26));
    text += word + (i % 29 == 0 ? "\n\n" : i % 11 == 0 ? ". " : " ");
    words += word + (i % 29 != 0 && i % 11 == 0 ? "." : "");
  }
  for (const std::size_t limit : {20U, 63U, 300U, 500U}) {
    std::string together;
    for (const auto& part : split(text, limit)) {
      EXPECT_THAT(part, Not(IsEmpty()));
      EXPECT_LE(character_count(part), limit);
      for (const char c : part)
        if (c != ' ' && c != '\n')
          together += c;
    }
    EXPECT_EQ(together, words) << limit;
  }
}

} // namespace

} // namespace carillon
