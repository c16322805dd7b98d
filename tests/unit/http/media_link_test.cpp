#include "http/media_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/byte_range.hpp"
#include "http/unsubscribe_token.hpp"

namespace carillon::http {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds lifetime = 6h;
const instant noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26} + 12h};

const std::string link_key = media_link_key("0123456789abcdef");
const media_link picture_link{tenant_id::make(), workspace_id::make(), "uploads/019abc.png"};

TEST(MediaLinkTest, SaysWhichFileAndFitsIntoAPath) {
  const media_links links{{link_key}, lifetime};
  const auto token = links.make(picture_link, noon);
  EXPECT_THAT(token, ::testing::MatchesRegex("[A-Za-z0-9_.-]+"));
  EXPECT_LE(token.size(), 250u);
  const auto read = links.read(token, noon);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->file.tenant, picture_link.tenant);
  EXPECT_EQ(read->file.workspace, picture_link.workspace);
  EXPECT_EQ(read->file.path, picture_link.path);
}

TEST(MediaLinkTest, HoldsForItsLifetimeAndAnHourMoreAtMost) {
  const media_links links{{link_key}, lifetime};
  for (const auto made : {noon, noon + 1us, noon + 59min}) {
    const auto token = links.make(picture_link, made);
    EXPECT_TRUE(links.read(token, made + lifetime - 1us));
    EXPECT_FALSE(links.read(token, made + lifetime + 1h));
    const auto ends = links.read(token, made)->ends;
    EXPECT_FALSE(links.read(token, ends)) << "not one moment longer";
    EXPECT_TRUE(links.read(token, ends - 1us));
  }
}

TEST(MediaLinkTest, IsTheSameWithinAnHour) {
  const media_links links{{link_key}, lifetime};
  EXPECT_EQ(links.make(picture_link, noon + 1s), links.make(picture_link, noon + 59min));
  EXPECT_NE(links.make(picture_link, noon + 1s), links.make(picture_link, noon + 61min));
}

TEST(MediaLinkTest, AFormerKeyIsStillReadAndTheFirstSigns) {
  const media_links former{{link_key}, lifetime};
  const media_links both{{media_link_key("new"), link_key}, lifetime};
  const media_links only_new{{media_link_key("new")}, lifetime};
  EXPECT_TRUE(both.read(former.make(picture_link, noon), noon));
  EXPECT_TRUE(only_new.read(both.make(picture_link, noon), noon));
  EXPECT_FALSE(only_new.read(former.make(picture_link, noon), noon));
  const media_links none{{}, lifetime};
  EXPECT_EQ(none.make(picture_link, noon), "");
  EXPECT_FALSE(none.read(former.make(picture_link, noon), noon));
}

TEST(MediaLinkTest, NoChangedTokenIsValid) {
  const media_links links{{link_key}, lifetime};
  const auto token = links.make(picture_link, noon);
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto forged = token;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(links.read(forged, noon)) << i;
    EXPECT_FALSE(links.read(token.substr(0, i), noon)) << i;
  }
  EXPECT_FALSE(links.read(token + "A", noon));
  EXPECT_FALSE(links.read("", noon));
  EXPECT_FALSE(links.read(".", noon));
  EXPECT_FALSE(links.read(std::string(100'000, 'A'), noon));
}

TEST(MediaLinkTest, TheSignatureOfOneFileIsNoOthers) {
  const media_links links{{link_key}, lifetime};
  const auto token = links.make(picture_link, noon);
  auto other = picture_link;
  other.tenant = tenant_id::make();
  const auto theirs = links.make(other, noon);
  const auto mixed = token.substr(0, token.find('.')) + theirs.substr(theirs.find('.'));
  EXPECT_FALSE(links.read(mixed, noon));
}

TEST(MediaLinkTest, ASignedPathThatClimbsIsNotRead) {
  const media_links links{{link_key}, lifetime};
  for (const auto* path : {"../secret.png", "uploads/../../a.png", "/etc/passwd", "uploads//a.png", ""})
    EXPECT_FALSE(links.read(links.make({picture_link.tenant, picture_link.workspace, path}, noon), noon)) << path;
}

TEST(MediaLinkTest, AnotherPurposesKeySignsNothingHere) {
  const media_links links{{media_link_key("secret")}, lifetime};
  const media_links others{{unsubscribe_key("secret")}, lifetime};
  EXPECT_FALSE(links.read(others.make(picture_link, noon), noon));
}

TEST(ByteRangeTest, OneRangeIsReadAsTheStandardSays) {
  const auto range = [](const char* header) { return read_range(header, 1'000).bytes; };
  EXPECT_EQ(range("bytes=0-499"), (byte_range{0, 500}));
  EXPECT_EQ(range("bytes=500-999"), (byte_range{500, 500}));
  EXPECT_EQ(range("bytes=500-"), (byte_range{500, 500}));
  EXPECT_EQ(range("bytes=-500"), (byte_range{500, 500}));
  EXPECT_EQ(range("bytes=-5000"), (byte_range{0, 1'000})) << "a suffix longer than all is all";
  EXPECT_EQ(range("bytes=0-0"), (byte_range{0, 1}));
  EXPECT_EQ(range("bytes=999-99999999999999999999999"), (byte_range{999, 1}));
  EXPECT_EQ(range("BYTES=0-0 "), (byte_range{0, 1}));
}

TEST(ByteRangeTest, ARangeBehindTheEndIsOneThatHasNoBytes) {
  for (const auto* header : {"bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999999-"}) {
    const auto wanted = read_range(header, 1'000);
    EXPECT_TRUE(wanted.is_range) << header;
    EXPECT_FALSE(wanted.bytes) << header;
  }
  EXPECT_TRUE(read_range("bytes=0-", 0).is_range);
  EXPECT_FALSE(read_range("bytes=0-", 0).bytes);
  EXPECT_FALSE(read_range("bytes=-1", 0).bytes);
}

TEST(ByteRangeTest, AnythingElseIsTheWhole) {
  for (const auto* header : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,5-6", "items=0-5",
                             "bytes=+1-5", "bytes=1 -5", "bytes=1-5-6", "bytes=--5", "bytes:0-5"})
    EXPECT_FALSE(read_range(header, 1'000).is_range) << header;
}

} // namespace

} // namespace carillon::http
