// How the sandbox network reads forms and files, and how it writes posts.
#include "domain/ports/social_gateway.hpp"
#include "http/sandbox/form.hpp"
#include "http/sandbox/mastodon_json.hpp"
#include "http/sandbox/page_routes.hpp"
#include "http/sandbox/picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::http::sandbox {
namespace {

using testing::HasSubstr;
using testing::Not;

// -- content ------------------------------------------------------------------

TEST(SandboxContent, IsEscapedHtmlInParagraphs) {
  EXPECT_EQ(
    render_content("a <b> & \"c\" 'd'\ne\n\nf", "http://s"),
    "<p>a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;<br />e</p><p>f</p>");
  EXPECT_EQ(render_content("a\r\nb\r\n\r\nc", "http://s"),
            "<p>a<br />b</p><p>c</p>");
  EXPECT_EQ(render_content("  \n ", "http://s"), "");
}

TEST(SandboxContent, ShortensLinksAndLinksHashtagsAsMastodonDoes) {
  EXPECT_EQ(render_content("https://www.example.com/a/rather/long/way/to/go",
                           "http://s"),
            "<p><a href=\"https://www.example.com/a/rather/long/way/to/go\" "
            "target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\">"
            "<span class=\"invisible\">https://www.</span>"
            "<span class=\"ellipsis\">example.com/a/rather/long/way/</span>"
            "<span class=\"invisible\">to/go</span></a></p>");
  EXPECT_EQ(render_content("(#größe)", "http://s"),
            "<p>(<a href=\"http://s/tags/größe\" class=\"mention hashtag\" "
            "rel=\"tag\">#<span>größe</span></a>)</p>");
  EXPECT_EQ(render_content("a#b #1 http:// #", "http://s"),
            "<p>a#b #1 http:// #</p>");
}

TEST(SandboxContent, NothingInALinkBreaksOutOfIt) {
  const auto html = render_content(
    "https://e.example/\"onmouseover=\"alert(1) <script>", "http://s");
  EXPECT_THAT(html, HasSubstr("href=\"https://e.example/\""));
  EXPECT_THAT(html, Not(HasSubstr("\"onmouseover")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

// What the gateway reads back must be what was sent.
TEST(SandboxContent, ReadsBackAsTheTextThatWasPosted) {
  for (const char* text : {
         "Hello",
         "one\ntwo\n\nthree\n\n\nfour",
         "5 < 6 && \"7\" > '4'",
         "&amp; <b>bold</b> &lt;",
         "See https://www.example.com/some/very/long/path?with=a&query=b#frag.",
         "(https://example.com/x), and http://example.org/!",
         "#cargobike #größe #2026 a#b",
         "@acme_europe: thanks. 🐕 ﷽ 日本語",
         "https://example.com/ https://example.com",
       })
    EXPECT_EQ(normalise_text(render_content(text, "http://127.0.0.1:8090")),
              normalise_text(text))
      << text;
}

TEST(SandboxTime, HasMillisecondsAndZ) {
  using namespace std::chrono;
  const instant t{sys_days{2026y / 2 / 7} + 10h + 3min + 4s + 5ms + 6us};
  EXPECT_EQ(format_milliseconds(t), "2026-02-07T10:03:04.005Z");
}

TEST(SandboxAvatar, ShowsInitialsInTheNamesOwnColours) {
  EXPECT_THAT(render_avatar("acme_europe"), HasSubstr(">AE</text>"));
  EXPECT_THAT(render_avatar("mallory"), HasSubstr(">M</text>"));
  EXPECT_THAT(render_avatar("acct17"), HasSubstr(">A7</text>"));
  EXPECT_THAT(render_avatar("_"), HasSubstr(">_</text>"));
  EXPECT_EQ(render_avatar("a1"), render_avatar("a1"));
  EXPECT_NE(render_avatar("a1"), render_avatar("a2"));
}

// -- multipart ----------------------------------------------------------------

constexpr auto form_type = "multipart/form-data; boundary=----x1";

std::string part(const std::string& headers, const std::string& content) {
  return "------x1\r\n" + headers + "\r\n\r\n" + content + "\r\n";
}

TEST(SandboxForm, ReadsFieldsAndFiles) {
  const auto body
    = part("Content-Disposition: form-data; name=\"file\"; "
           "filename=\"a \\\"b\\\"; c.png\"\r\nContent-Type: Image/PNG; x=y",
           std::string{"\0\r\n--not the end", 17})
      + part("content-disposition:form-data;name=description", "Zwölf")
      + "------x1--\r\n";
  const auto parts = parse_multipart(form_type, body);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 2U);
  EXPECT_EQ((*parts)[0].name, "file");
  EXPECT_EQ((*parts)[0].file_name, "a \"b\"; c.png");
  EXPECT_EQ((*parts)[0].content_type, "image/png");
  EXPECT_EQ((*parts)[0].content, std::string("\0\r\n--not the end", 17));
  EXPECT_EQ((*parts)[1].name, "description");
  EXPECT_FALSE((*parts)[1].file_name);
  EXPECT_EQ((*parts)[1].content, "Zwölf");
}

TEST(SandboxForm, RefusesWhatIsCutOffOrMalformed) {
  const auto good = part("Content-Disposition: form-data; name=\"a\"", "1")
                    + "------x1--\r\n";
  ASSERT_TRUE(parse_multipart(form_type, good));
  for (std::size_t length = 0; length + 4 < good.size(); ++length)
    EXPECT_FALSE(parse_multipart(form_type, good.substr(0, length))) << length;
  EXPECT_FALSE(parse_multipart("application/json", good));
  EXPECT_FALSE(parse_multipart("multipart/form-data", good));
  EXPECT_FALSE(parse_multipart("multipart/form-data; boundary=", good));
  EXPECT_FALSE(parse_multipart(form_type, part("X: y", "1") + "------x1--"));
  EXPECT_FALSE(
    parse_multipart(form_type, part("no colon", "1") + "------x1--"));
  std::string many;
  for (int i = 0; i < 33; ++i)
    many += part("Content-Disposition: form-data; name=\"a\"", "1");
  EXPECT_FALSE(parse_multipart(form_type, many + "------x1--\r\n"));
}

TEST(SandboxForm, ReadsUrlencodedFieldsInTheirOrder) {
  const auto fields
    = parse_fields("status=a+%26%20b&media_ids[]=2&media_ids%5B%5D=1");
  ASSERT_TRUE(fields);
  ASSERT_EQ(fields->size(), 3U);
  EXPECT_EQ((*fields)[0],
            (std::pair<std::string, std::string>{"status", "a & b"}));
  EXPECT_EQ((*fields)[1],
            (std::pair<std::string, std::string>{"media_ids[]", "2"}));
  EXPECT_EQ((*fields)[2],
            (std::pair<std::string, std::string>{"media_ids[]", "1"}));
  EXPECT_FALSE(parse_fields("status=%zz"));
  EXPECT_FALSE(parse_fields("status=%ff"));
}

// -- pictures -----------------------------------------------------------------

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (int v : values)
    out += static_cast<char>(v);
  return out;
}

TEST(SandboxPicture, IsKnownByItsBytes) {
  const auto png = "\x89PNG\r\n\x1a\n" + bytes({0, 0, 0, 13}) + "IHDR"
                   + bytes({0, 0, 2, 128, 0, 0, 1, 104});
  const auto gif = "GIF89a" + bytes({44, 1, 200, 0});
  const auto jpeg = bytes({0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0,
                           17, 8, 1, 104, 2, 128, 3});
  const auto webp = "RIFF" + bytes({0, 0, 0, 0}) + "WEBPVP8X"
                    + bytes({10, 0, 0, 0, 0, 0, 0, 0, 127, 2, 0, 103, 1, 0});
  for (const auto& [file, type, width, height] :
       {std::tuple{png, "image/png", 640U, 360U},
        {gif, "image/gif", 300U, 200U},
        {jpeg, "image/jpeg", 640U, 360U},
        {webp, "image/webp", 640U, 360U}}) {
    EXPECT_EQ(picture_type(file), type);
    const auto size = measure_picture(file);
    ASSERT_TRUE(size) << type;
    EXPECT_EQ(size->width, width) << type;
    EXPECT_EQ(size->height, height) << type;
  }
  EXPECT_FALSE(picture_type("<svg onload=alert(1)>"));
  EXPECT_FALSE(picture_type(""));
}

TEST(SandboxPicture, ACutOffHeaderIsNotReadBeyondItsEnd) {
  const std::string files[] = {
    "\x89PNG\r\n\x1a\n",
    "GIF89a",
    bytes({0xff, 0xd8, 0xff}),
    bytes({0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff, 0, 0, 0, 0, 0, 0}),
    bytes({0xff, 0xd8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
    "RIFF" + bytes({0, 0, 0, 0}) + "WEBPVP8X"};
  for (const auto& file : files)
    EXPECT_FALSE(measure_picture(file));
}

} // namespace
} // namespace carillon::http::sandbox
