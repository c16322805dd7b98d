// Texts as networks count and mark them.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/text.hpp"
#include "outbound/social/bluesky/record_key.hpp"
#include "outbound/social/bluesky/rich_text.hpp"
#include "outbound/social/graphemes.hpp"
#include "outbound/social/mastodon/limits_cache.hpp"

namespace carillon::outbound {

namespace {

using bluesky::facet;
using bluesky::find_facets;
using bluesky::is_tid;
using bluesky::record_key;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Graphemes, AreWhatPeopleCallCharacters) {
  EXPECT_EQ(count_graphemes(""), 0u);
  EXPECT_EQ(count_graphemes("Hello"), 5u);
  EXPECT_EQ(count_graphemes("e\u0301"), 1u) << "an accent of its own";
  EXPECT_EQ(count_graphemes("👩‍👩‍👧‍👦"), 1u) << "a family";
  EXPECT_EQ(count_graphemes("👍🏽"), 1u) << "a skin tone";
  EXPECT_EQ(count_graphemes("🇩🇪🇫🇷"), 2u) << "flags";
  EXPECT_EQ(count_graphemes("한국"), 2u);
  EXPECT_EQ(count_graphemes("\r\n"), 1u);
  EXPECT_EQ(count_graphemes("a\xff\xfe"), 3u) << "bytes that are no text";
}

TEST(RecordKey, IsATidOfTheSecondInWhichTheTargetWasMade) {
  const instant made{std::chrono::seconds{1'770'458'400}};
  const auto key = record_key(made, "carillon-x-1", 0);
  EXPECT_TRUE(is_tid(key)) << key;
  EXPECT_LT(record_key(made - std::chrono::seconds{1}, "carillon-x-1", 0), key);
  EXPECT_GT(record_key(made + std::chrono::seconds{1}, "carillon-x-1", 0), key);
  EXPECT_TRUE(is_tid("3jzfcijpj2z2a")) << "the specification's own example";
  for (const auto* odd : {"", "3jzfcijpj2z2", "3jzfcijpj2z2aa", "3jzfcijpj2z21", "zzzzzzzzzzzzz", "3JZFCIJPJ2Z2A"})
    EXPECT_FALSE(is_tid(odd)) << odd;
  for (const auto t : {instant{}, instant{} - std::chrono::hours{24}, instant{std::chrono::hours{24 * 365 * 2'000}}})
    EXPECT_TRUE(is_tid(record_key(t, "k", 0)));
}

TEST(RecordKey, IsTheSameForTheSameAndAnotherForAnother) {
  const instant made{std::chrono::seconds{1'770'458'400}};
  EXPECT_EQ(record_key(made, "carillon-x-1", 0), record_key(made, "carillon-x-1", 0));
  std::set<std::string> keys;
  for (int revision = 0; revision < 50; ++revision)
    for (std::size_t part = 0; part < 20; ++part)
      keys.insert(record_key(made, "carillon-x-" + std::to_string(revision), part));
  EXPECT_EQ(keys.size(), 1'000u);
}

std::string shown(const std::string& text) {
  std::string out;
  for (const auto& f : find_facets(text))
    out += (f.what == facet::kind::link ? "L" : f.what == facet::kind::tag ? "T" : "M")
           + std::string{"["} + text.substr(f.begin, f.end - f.begin) + "]" + f.value + " ";
  return out;
}

TEST(Facets, HaveOffsetsInBytes) {
  const std::string text = "Grüße 🔔 https://example.com/ä #Öl @ada.example";
  EXPECT_EQ(shown(text), "L[https://example.com/ä]https://example.com/ä T[#Öl]Öl M[@ada.example]ada.example ");
  const auto facets = find_facets(text);
  EXPECT_EQ(facets.at(0).begin, 13u) << "two letters of two bytes, a bell of four";
}

TEST(Facets, LeaveTheSentencesPunctuationOutside) {
  EXPECT_EQ(shown("See https://example.com/a, (https://example.com/b) or https://example.com/c_(d)."),
            "L[https://example.com/a]https://example.com/a L[https://example.com/b]https://example.com/b "
            "L[https://example.com/c_(d)]https://example.com/c_(d) ");
  EXPECT_EQ(shown("#one, #two! (@ada.example)."), "T[#one]one T[#two]two M[@ada.example]ada.example ");
}

TEST(Facets, AreOnlyWhatIsMeantAsSuch) {
  for (const auto* plain : {"", "#", "# tag", "#1", "#2026", "a#b", "mail@ada.example", "@ada", "@", "@.example", "@a..b",
                            "@ada.5", "http://", "https://", "ftp://example.com", "xhttps://example.com", "#a#b"})
    EXPECT_THAT(find_facets(plain), IsEmpty()) << plain;
  EXPECT_THAT(find_facets("#" + std::string(65, 'x')), IsEmpty()) << "longer than a tag may be";
  EXPECT_EQ(shown("@ada.example's @ada.example/x"), "M[@ada.example]ada.example M[@ada.example]ada.example ");
}

TEST(Facets, OfAnyBytesLieInsideTheTextAndDoNotOverlap) {
  std::uint32_t random = 1;
  const std::string_view alphabet = "@#.:/hps ()a1\xc3\xa4\xff\n";
  for (int round = 0; round < 3'000; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      random = random * 1'664'525 + 1'013'904'223;
      text += alphabet[(random >> 16) % alphabet.size()];
    }
    std::size_t last = 0;
    for (const auto& f : find_facets(text)) {
      EXPECT_GE(f.begin, last);
      EXPECT_LT(f.begin, f.end);
      EXPECT_LE(f.end, text.size());
      last = f.end;
    }
  }
}

std::size_t mastodon_length(std::string_view text) {
  return mastodon::text_length(text, 23, character_count);
}

TEST(MastodonLength, CountsAddressesAsOneLengthAndOfMentionsOnlyTheName) {
  EXPECT_EQ(mastodon_length("Hello"), 5u);
  EXPECT_EQ(mastodon_length("https://example.com/" + std::string(200, 'x')), 23u);
  EXPECT_EQ(mastodon_length("a https://x.io b"), 1u + 1 + 23 + 1 + 1);
  EXPECT_EQ(mastodon_length("@ada@mastodon.example hi"), 4u + 3);
  EXPECT_EQ(mastodon_length("@ada hi"), 7u);
  EXPECT_EQ(mastodon_length("mail@ada.example"), 16u);
  EXPECT_EQ(mastodon_length("éé"), 2u);
}

} // namespace

} // namespace carillon::outbound
