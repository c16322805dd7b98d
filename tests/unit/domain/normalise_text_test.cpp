// normalise_text(t) must equal normalise_text(what a network shows for t): a
// miss would count a public post as absent, and send it a second time.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "domain/ports/social_gateway.hpp"

namespace carillon {

namespace {

struct shown_case {
  std::string name;
  std::string sent;
  std::string shown;
};

class NormaliseTextTest : public ::testing::TestWithParam<shown_case> {};

TEST_P(NormaliseTextTest, WhatWasSentAndWhatIsShownAgree) {
  const auto sent = normalise_text(GetParam().sent);
  EXPECT_EQ(sent, normalise_text(GetParam().shown));
  EXPECT_EQ(sent, normalise_text(sent)) << "it is its own normal form";
}

INSTANTIATE_TEST_SUITE_P(
  AsMastodonShowsThem, NormaliseTextTest,
  ::testing::Values(
    shown_case{"Plain", "Hello", "<p>Hello</p>"},
    shown_case{"Entities", "a < b && c > \"d\" 'e'", "<p>a &lt; b &amp;&amp; c &gt; &quot;d&quot; &#39;e&#39;</p>"},
    shown_case{"LineBreak", "one\ntwo", "<p>one<br />two</p>"},
    shown_case{"Paragraphs", "one\n\ntwo\r\n\r\n\r\nthree", "<p>one</p><p>two</p><p>three</p>"},
    shown_case{"Blanks", "  a \t b  ", "<p>a b</p>"},
    shown_case{"NoBreakSpace", "a\u00a0b", "<p>a b</p>"},
    shown_case{"Link", "see https://www.example.com/path?a=1&b=2#x.",
               "<p>see <a href=\"https://www.example.com/path?a=1&amp;b=2#x\" rel=\"nofollow noopener\" target=\"_blank\">"
               "<span class=\"invisible\">https://www.</span><span class=\"\">example.com/path?a=1&amp;b=2#x</span>"
               "<span class=\"invisible\"></span></a>.</p>"},
    shown_case{"LongLink", "https://www.example.com/a/very/long/path/that/is/cut/in/the/middle",
               "<p><a href=\"https://www.example.com/a/very/long/path/that/is/cut/in/the/middle\">"
               "<span class=\"invisible\">https://www.</span><span class=\"ellipsis\">example.com/a/very/long/pat</span>"
               "<span class=\"invisible\">h/that/is/cut/in/the/middle</span></a></p>"},
    shown_case{"LinkCutWithDots", "https://example.com/a/very/long/path",
               "<a href=\"https://example.com/a/very/long/path\">example.com/a/very…</a>"},
    shown_case{"BareHost", "https://Example.com/", "<p><a href=\"https://example.com/\">example.com</a></p>"},
    shown_case{"Mention", "thanks @ada@other.example!",
               "<p>thanks <span class=\"h-card\"><a href=\"https://other.example/@ada\" class=\"u-url mention\">"
               "@<span>ada</span></a></span>!</p>"},
    shown_case{"MentionAtTheEndOfASentence", "ask @ada@other.example.", "<p>ask <a href=\"x\">@<span>ada</span></a>.</p>"},
    shown_case{"Hashtag", "#Launch day",
               "<p><a href=\"https://m.example/tags/Launch\" class=\"mention hashtag\" rel=\"tag\">#<span>Launch</span></a> day</p>"},
    shown_case{"Markup", "<b>bold</b> & <script>x</script>", "<p>&lt;b&gt;bold&lt;/b&gt; &amp; &lt;script&gt;x&lt;/script&gt;</p>"},
    shown_case{"EscapedMarkup", "&lt;b&gt; &amp;amp;", "<p>&amp;lt;b&amp;gt; &amp;amp;amp;</p>"},
    shown_case{"Comment", "a <!-- note --> b", "<p>a &lt;!-- note --&gt; b</p>"},
    shown_case{"Heart", "I <3 you", "<p>I &lt;3 you</p>"},
    shown_case{"AngleAddress", "mail <https://a.example/x> now",
               "<p>mail &lt;<a href=\"https://a.example/x\"><span class=\"invisible\">https://</span><span>a.example/x</span></a>&gt; now</p>"},
    shown_case{"Emoji", "🔔 ringing 👩‍👩‍👧", "<p>🔔 ringing 👩‍👩‍👧</p>"},
    shown_case{"Chinese", "帖子已发布。https://例え.example/道", "<p>帖子已发布。<a href=\"https://例え.example/道\">https://例え.example/道</a></p>"},
    shown_case{"Empty", "", "<p></p>"}),
  [](const auto& info) { return info.param.name; });

TEST(NormaliseTextsTest, DifferentTextsStayDifferent) {
  const std::vector<std::string> texts{"Hello",     "Hello!",   "hello",     "Hel lo",    "a&b",       "a b",
                                       "#Hello",    "@Hello",   "1 < 2",     "1 > 2",     "https://a.example/x",
                                       "https://a.example/y",   "https://b.example/x",    "a.example/x?1", "🔔", "🔕"};
  for (std::size_t i = 0; i < texts.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      EXPECT_NE(normalise_text(texts[i]), normalise_text(texts[k])) << texts[i] << " and " << texts[k];
}

// What a server shows is chosen by whoever runs it, and it is read on the one
// outbound thread. Each of these once took a round, or a look to its end, for
// every few of its bytes: minutes and more.
TEST(NormaliseTextsTest, NoTextTakesForEver) {
  const auto repeated = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i)
      out += text;
    return out;
  };
  constexpr int many = 20'000;
  for (const auto& text :
       {"&" + repeated("amp;", many), repeated("<", many) + repeated("b>", many), repeated("<a ", many),
        repeated("<a href=\"", many), repeated("<!--", many), repeated("https://", many), repeated("www.", many),
        repeated("&#38;", many), repeated("@a@b.", many), repeated("<a href=x>y", many), repeated("&lt;", many),
        repeated("\u2028", many), repeated("<a>", many) + repeated("</a>", many), repeated("…", many)})
    EXPECT_LE(normalise_text(text).size(), text.size());
}

TEST(NormaliseTextsTest, AnyBytesHaveANormalForm) {
  std::string bytes;
  for (int i = 0; i < 1024; ++i)
    bytes += static_cast<char>(i * 7 % 256);
  EXPECT_EQ(normalise_text(normalise_text(bytes)), normalise_text(bytes));
  EXPECT_EQ(normalise_text(std::string{"a\0b", 3}), "a b");
}

} // namespace

} // namespace carillon
