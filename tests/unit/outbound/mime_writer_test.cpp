#include "outbound/delivery/mail/mime_writer.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace carillon::outbound {

namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

mail_message plain_message() {
  mail_message m;
  m.message_id = "notification-1@acme.example";
  m.from_address = "no-reply@acme.example";
  m.from_name = "Carillon";
  m.to_address = "ada@users.example";
  m.to_name = "Ada";
  m.subject = "It is out";
  m.text_body = "Hello Ada\n";
  m.html_body = "<p>Hello Ada</p>\n";
  m.date = instant{std::chrono::sys_days{std::chrono::year{2026} / 2 / 7} + std::chrono::hours{9}
                   + std::chrono::minutes{5} + std::chrono::seconds{3}};
  return m;
}

std::string written(const mail_message& m) {
  const auto bytes = write_mime(m);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().detail);
  return bytes ? *bytes : std::string{};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::size_t from = 0;
  for (std::size_t end; (end = text.find("\r\n", from)) != text.npos; from = end + 2)
    out.push_back(text.substr(from, end - from));
  EXPECT_EQ(from, text.size()) << "the last line has no end";
  return out;
}

/// What holds for every mail that is written.
void expect_well_formed(const std::string& bytes) {
  for (const auto& line : lines_of(bytes)) {
    EXPECT_LE(line.size(), 78u) << line;
    for (const char c : line)
      EXPECT_TRUE((c >= ' ' && c <= '~') || c == '\t') << "byte " << static_cast<int>(c) << " in " << line;
    EXPECT_FALSE(line.starts_with('.')) << "a dot that SMTP would read";
    EXPECT_FALSE(line.starts_with("From ")) << "a line that mailboxes would read";
  }
}

/// As Python's e-mail package reads it (RFC 5322, 2045, 2047).
json read_by_python(const std::string& bytes) {
  std::string file = std::filesystem::temp_directory_path() / "carillon-mail-XXXXXX";
  ::close(::mkstemp(file.data()));
  std::ofstream{file, std::ios::binary} << bytes;
  const auto command = std::string{"/usr/bin/python3 "} + CARILLON_SOURCE_DIR + "/tests/support/parse_mail.py " + file;
  std::string out;
  {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe{popen(command.c_str(), "r"), pclose};
    std::array<char, 4096> buffer;
    while (pipe && fgets(buffer.data(), buffer.size(), pipe.get()))
      out += buffer.data();
  }
  std::filesystem::remove(file);
  auto parsed = json::parse(out, nullptr, false);
  EXPECT_TRUE(parsed.is_object()) << out;
  return parsed;
}

TEST(MimeWriterTest, AMailLooksLikeThis) {
  auto m = plain_message();
  EXPECT_EQ(written(m),
            "Date: Sat, 07 Feb 2026 09:05:03 +0000\r\n"
            "From: \"Carillon\" <no-reply@acme.example>\r\n"
            "To: \"Ada\" <ada@users.example>\r\n"
            "Subject: It is out\r\n"
            "Message-ID: <notification-1@acme.example>\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/alternative;\r\n"
            " boundary=\"=_6a267f2a4374fc491a68ed11\"\r\n"
            "\r\n"
            "--=_6a267f2a4374fc491a68ed11\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "\r\n"
            "Hello Ada\r\n"
            "\r\n"
            "--=_6a267f2a4374fc491a68ed11\r\n"
            "Content-Type: text/html; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "\r\n"
            "<p>Hello Ada</p>\r\n"
            "\r\n"
            "--=_6a267f2a4374fc491a68ed11--\r\n");
}

TEST(MimeWriterTest, TheSameMessageGivesTheSameBytes) {
  EXPECT_EQ(written(plain_message()), written(plain_message()));
}

TEST(MimeWriterTest, AnIndependentReaderFindsTextThenHtml) {
  const auto seen = read_by_python(written(plain_message()));
  EXPECT_THAT(seen["defects"], IsEmpty());
  EXPECT_EQ(seen["type"], "multipart/alternative");
  EXPECT_EQ(seen["subject"], "It is out");
  EXPECT_EQ(seen["from"], json::parse(R"([{"name":"Carillon","address":"no-reply@acme.example"}])"));
  EXPECT_EQ(seen["to"], json::parse(R"([{"name":"Ada","address":"ada@users.example"}])"));
  EXPECT_EQ(seen["date"], "2026-02-07T09:05:03+00:00");
  EXPECT_EQ(seen["message_id"], "<notification-1@acme.example>");
  ASSERT_EQ(seen["parts"].size(), 2u);
  EXPECT_EQ(seen["parts"][0], json::parse(R"({"type":"text/plain","charset":"utf-8","text":"Hello Ada\n"})"));
  EXPECT_EQ(seen["parts"][1], json::parse(R"({"type":"text/html","charset":"utf-8","text":"<p>Hello Ada</p>\n"})"));
}

TEST(MimeWriterTest, WithoutHtmlThereIsOnePart) {
  auto m = plain_message();
  m.html_body.clear();
  const auto seen = read_by_python(written(m));
  EXPECT_EQ(seen["type"], "text/plain");
  EXPECT_THAT(seen["defects"], IsEmpty());
  ASSERT_EQ(seen["parts"].size(), 1u);
  EXPECT_EQ(seen["parts"][0]["text"], "Hello Ada\n");
}

struct header_case {
  std::string name;
  std::string text;
  std::string read_as;
};

class MimeHeaderTest : public ::testing::TestWithParam<header_case> {};

TEST_P(MimeHeaderTest, SubjectAndNamesComeBack) {
  auto m = plain_message();
  m.subject = m.from_name = m.to_name = GetParam().text;
  const auto bytes = written(m);
  expect_well_formed(bytes);
  const auto seen = read_by_python(bytes);
  EXPECT_THAT(seen["defects"], IsEmpty());
  EXPECT_EQ(seen["subject"], GetParam().read_as);
  EXPECT_EQ(seen["from"][0]["name"], GetParam().read_as);
  EXPECT_EQ(seen["to"][0]["name"], GetParam().read_as);
  EXPECT_EQ(seen["from"][0]["address"], m.from_address);
  EXPECT_EQ(seen["to"][0]["address"], m.to_address);
  EXPECT_EQ(seen["from"].size(), 1u);
  EXPECT_EQ(seen["to"].size(), 1u);
  EXPECT_THAT(seen["names"], ElementsAre("Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted",
                                         "MIME-Version", "Content-Type"));
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

INSTANTIATE_TEST_SUITE_P(
  Texts, MimeHeaderTest,
  ::testing::Values(
    header_case{"Umlauts", "Grüße aus Köln", "Grüße aus Köln"},
    header_case{"Emoji", "🔔 Carillon 🔔", "🔔 Carillon 🔔"},
    header_case{"Chinese", "帖子已发布", "帖子已发布"},
    header_case{"LongNonAscii", repeated("ä€😀", 60), repeated("ä€😀", 60)},
    header_case{"LongWords", repeated("x", 300), repeated("x", 300)},
    header_case{"LongAscii", repeated("word and ", 40) + "end", repeated("word and ", 40) + "end"},
    header_case{"Quotes", R"(The "best" \o/ name, Inc.)", R"(The "best" \o/ name, Inc.)"},
    header_case{"Specials", "Doe, John <x@y.example> (comment); @[]:", "Doe, John <x@y.example> (comment); @[]:"},
    header_case{"EncodedWordLookalike", "=?UTF-8?Q?evil?=", "=?UTF-8?Q?evil?="},
    header_case{"HeaderInjection", "Hi\r\nBcc: all@world.example\r\n\r\nbody", "Hi Bcc: all@world.example body"},
    header_case{"BareLineFeed", "Hi\nBcc: all@world.example", "Hi Bcc: all@world.example"},
    header_case{"BareCarriageReturn", "Hi\rBcc: all@world.example", "Hi Bcc: all@world.example"},
    header_case{"Nul", std::string{"a\0b", 3}, "a b"},
    header_case{"C1Control", "a\xc2\x85"
                             "b",
                "a b"},
    header_case{"Tab", "a\tb", "a b"},
    header_case{"BrokenUtf8", "cut \xc3", "cut \xef\xbf\xbd"},
    header_case{"Overlong", "x\xc0\xafy", "x\xef\xbf\xbd\xef\xbf\xbdy"},
    header_case{"ManyBlanks", "  inner   \t words  ", "inner words"},
    header_case{"ManyBlanksNonAscii", "  ä   \t ö  ", "ä ö"}),
  [](const auto& info) { return info.param.name; });

TEST(MimeWriterTest, AnEmptyNameLeavesTheAddressAlone) {
  auto m = plain_message();
  m.to_name = " \r\n ";
  m.subject.clear();
  const auto bytes = written(m);
  EXPECT_THAT(bytes, HasSubstr("\r\nTo: ada@users.example\r\n"));
  EXPECT_THAT(bytes, HasSubstr("\r\nSubject:"));
  EXPECT_EQ(read_by_python(bytes)["to"][0]["address"], "ada@users.example");
}

struct body_case {
  std::string name;
  std::string text;
  std::string read_as;
};

class MimeBodyTest : public ::testing::TestWithParam<body_case> {};

TEST_P(MimeBodyTest, BothPartsComeBack) {
  auto m = plain_message();
  m.text_body = m.html_body = GetParam().text;
  const auto bytes = written(m);
  expect_well_formed(bytes);
  const auto seen = read_by_python(bytes);
  EXPECT_THAT(seen["defects"], IsEmpty());
  ASSERT_EQ(seen["parts"].size(), 2u);
  EXPECT_EQ(seen["parts"][0]["text"], GetParam().read_as);
  EXPECT_EQ(seen["parts"][1]["text"], GetParam().read_as);
}

INSTANTIATE_TEST_SUITE_P(
  Texts, MimeBodyTest,
  ::testing::Values(
    body_case{"NonAscii", "Grüße 🔔\n", "Grüße 🔔\n"},
    body_case{"LongLine", repeated("All work and no play. ", 100) + "\n", repeated("All work and no play. ", 100) + "\n"},
    body_case{"LongNonAsciiLine", repeated("ä€😀", 500) + "\n", repeated("ä€😀", 500) + "\n"},
    body_case{"LongWord", repeated("x", 5000) + "\n", repeated("x", 5000) + "\n"},
    body_case{"Dots", ".\n..\n. x\n.\n", ".\n..\n. x\n.\n"},
    body_case{"DotsAfterSoftBreaks", repeated("x", 75) + repeated(".", 200) + "\n",
              repeated("x", 75) + repeated(".", 200) + "\n"},
    body_case{"FromLine", "From me\n>From you\nFrom: x\n", "From me\n>From you\nFrom: x\n"},
    body_case{"TrailingBlanks", "a \nb\t\n \n\t\n", "a \nb\t\n \n\t\n"},
    body_case{"EqualSigns", "a=b =\n=3D\n", "a=b =\n=3D\n"},
    body_case{"Windows", "one\r\ntwo\r\n", "one\ntwo\n"},
    body_case{"OldMac", "one\rtwo\r", "one\ntwo\n"},
    body_case{"NoLastEnd", "one\ntwo", "one\ntwo\n"},
    body_case{"BlankLines", "\n\na\n\n\n", "\n\na\n\n\n"},
    body_case{"Boundary", "--=_6a267f2a4374fc491a68ed11--\n--=_6a267f2a4374fc491a68ed11\n",
              "--=_6a267f2a4374fc491a68ed11--\n--=_6a267f2a4374fc491a68ed11\n"},
    body_case{"HeaderLookalike", "Bcc: all@world.example\n\nX\n", "Bcc: all@world.example\n\nX\n"},
    body_case{"BrokenUtf8", "cut \xe2\x82 off\n", "cut \xef\xbf\xbd\xef\xbf\xbd off\n"},
    body_case{"Controls", std::string{"a\0b\x7f\x1b[1m\n", 9}, std::string{"a\0b\x7f\x1b[1m\n", 9}}),
  [](const auto& info) { return info.param.name; });

TEST(MimeWriterTest, WhatIsNoPlainAddressIsRefusedForGood) {
  for (const std::string address :
       {"", "ada", "ada@", "@x.example", "a b@x.example", "ada@x.example>", "<ada@x.example>", "ada@x.example\r\nRCPT TO:<x@y.example>",
        "ada@x.example\nBcc: x@y.example", "a,b@x.example", "ada@x.example,b@y.example", "\"a b\"@x.example", ".a@x.example",
        "a.@x.example", "a..b@x.example", "ada@.example", "ada@x..example", "äda@x.example", "ada@xä.example",
        "ada@x.example ", " ada@x.example", "ada@[127.0.0.1", "ada@[]", "ada@x_y.example", "a@b@c.example"}) {
    EXPECT_FALSE(is_mail_address(address)) << address;
    for (const auto field : {&mail_message::from_address, &mail_message::to_address, &mail_message::message_id}) {
      auto m = plain_message();
      m.*field = address;
      const auto refused = write_mime(m);
      ASSERT_FALSE(refused) << address;
      EXPECT_EQ(refused.error().code, errc::permanent);
      EXPECT_THAT(refused.error().detail, Not(HasSubstr("\n")));
    }
  }
  EXPECT_FALSE(is_mail_address(std::string{"ada@x.example\0.evil", 19}));
  EXPECT_FALSE(is_mail_address(repeated("a", 65) + "@x.example"));
  EXPECT_FALSE(is_mail_address("a@" + repeated("abcdefgh.", 28) + "x"));
}

TEST(MimeWriterTest, PlainAddressesArePlain) {
  for (const std::string address : {"ada@x.example", "a.b+tag@sub.x.example", "o'brien@x.example", "a@localhost",
                                    "x@[127.0.0.1]", "x@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@x-y.example"}) {
    EXPECT_TRUE(is_mail_address(address)) << address;
    auto m = plain_message();
    m.to_address = address;
    const auto seen = read_by_python(written(m));
    EXPECT_EQ(seen["to"][0]["address"], address);
  }
  EXPECT_TRUE(is_mail_address(repeated("a", 64) + "@x.example"));
}

TEST(MimeWriterTest, OnlyAnAddressMayMakeALineLonger) {
  auto m = plain_message();
  m.to_address = repeated("a", 64) + "@" + repeated("abcdefgh.", 20) + "example";
  m.to_name = "A name in front of it";
  std::size_t longest = 0;
  for (const auto& line : lines_of(written(m)))
    longest = std::max(longest, line.size());
  EXPECT_LE(longest, m.to_address.size() + 3) << "and it stands alone on its line";
  EXPECT_EQ(read_by_python(written(m))["to"][0]["address"], m.to_address);
}

TEST(MimeWriterTest, DatesAreThoseOfTheCalendar) {
  auto m = plain_message();
  const auto date_of = [&](std::string_view iso) {
    m.date = *parse_time(iso);
    const auto bytes = written(m);
    return bytes.substr(0, bytes.find("\r\n"));
  };
  EXPECT_EQ(date_of("2024-02-29T23:59:59+00:00"), "Date: Thu, 29 Feb 2024 23:59:59 +0000");
  EXPECT_EQ(date_of("1999-12-31T00:00:00+00:00"), "Date: Fri, 31 Dec 1999 00:00:00 +0000");
  EXPECT_EQ(date_of("2026-11-25T08:00:00+02:00"), "Date: Wed, 25 Nov 2026 06:00:00 +0000");
}

} // namespace

} // namespace carillon::outbound
