#include "http/unsubscribe_token.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::http {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string key = unsubscribe_key("0123456789abcdef");
const unsubscribe_link link{tenant_id::make(), user_id::make(), "post_failed"};

TEST(UnsubscribeTokenTest, SaysWhoseAndWhichAndFitsIntoAUrl) {
  const auto token = make_unsubscribe_token(key, link);
  EXPECT_EQ(token, make_unsubscribe_token(key, link)) << "a mail that is sent again is the same";
  EXPECT_THAT(token, ::testing::MatchesRegex("[A-Za-z0-9_.-]+"));
  EXPECT_LE(token.size(), 200u);
  const auto read = read_unsubscribe_token({key}, token);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tenant, link.tenant);
  EXPECT_EQ(read->user, link.user);
  EXPECT_EQ(read->about, "post_failed");
}

TEST(UnsubscribeTokenTest, AFormerKeyIsStillRead) {
  const auto token = make_unsubscribe_token(key, link);
  EXPECT_TRUE(read_unsubscribe_token({unsubscribe_key("new"), key}, token));
  EXPECT_FALSE(read_unsubscribe_token({unsubscribe_key("new")}, token));
  EXPECT_FALSE(read_unsubscribe_token({}, token));
}

TEST(UnsubscribeTokenTest, NoChangedTokenIsValid) {
  const auto token = make_unsubscribe_token(key, link);
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto forged = token;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(read_unsubscribe_token({key}, forged)) << i;
    EXPECT_FALSE(read_unsubscribe_token({key}, token.substr(0, i))) << i;
  }
  EXPECT_FALSE(read_unsubscribe_token({key}, token + "A"));
  EXPECT_FALSE(read_unsubscribe_token({key}, ""));
  EXPECT_FALSE(read_unsubscribe_token({key}, "."));
  EXPECT_FALSE(read_unsubscribe_token({key}, std::string(100'000, 'A')));
}

TEST(UnsubscribeTokenTest, ATypeOrACategoryNamesItsTypes) {
  EXPECT_THAT(types_about("post_failed"), ElementsAre(notification_type::post_failed));
  EXPECT_THAT(types_about("engagement"), ElementsAre(notification_type::new_comment, notification_type::new_mention,
                                                    notification_type::inbox_assigned));
  EXPECT_THAT(types_about("nothing"), IsEmpty());
  EXPECT_THAT(types_about("content"), SizeIs(6));
}

} // namespace

} // namespace carillon::http
