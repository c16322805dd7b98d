#include "domain/network.hpp"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon {

namespace {

using ::testing::HasSubstr;

constexpr std::array available{network::mastodon, network::bluesky};

TEST(WhyNotPublishable, ANetworkWithAGatewayIs) {
  EXPECT_FALSE(why_not_publishable("mastodon", available));
  EXPECT_FALSE(why_not_publishable("bluesky", available));
}

TEST(WhyNotPublishable, TheOthersSayWhy) {
  for (const auto* code : {"facebook", "instagram", "linkedin", "twitter"}) {
    const auto why = why_not_publishable(code, available);
    ASSERT_TRUE(why) << code;
    EXPECT_EQ(why->code, "UNKNOWN_PLATFORM");
    EXPECT_THAT(why->reason, HasSubstr("not available in this version"));
  }
  EXPECT_EQ(why_not_publishable("myspace", available)->code, "UNKNOWN_PLATFORM");
  EXPECT_THAT(why_not_publishable("myspace", available)->reason, HasSubstr("myspace"));
}

TEST(WhyNotPublishable, WhatsAppCannotBeScheduledWhateverIsAvailable) {
  constexpr std::array everything{network::whatsapp, network::mastodon};
  const auto why = why_not_publishable("whatsapp", everything);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code, "PUBLISH_ERROR");
  EXPECT_THAT(why->reason, HasSubstr("nothing can be scheduled"));
}

} // namespace

} // namespace carillon
