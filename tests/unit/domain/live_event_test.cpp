#include "domain/live_event.hpp"

#include <cctype>

#include <gtest/gtest.h>

namespace carillon {

namespace {

const std::string id = "0190f5d2-0000-7000-8000-000000000001";

TEST(LiveChannelTest, EveryChannelIsReadAsItIsWritten) {
  for (const auto of : {live_channel::audience::user, live_channel::audience::workspace, live_channel::audience::inbox}) {
    const live_channel channel{of, *parse_uuid(id)};
    EXPECT_EQ(parse_live_channel(to_string(channel)), channel);
  }
  EXPECT_EQ(to_string(live_channel{live_channel::audience::inbox, *parse_uuid(id)}), "private-workspace." + id + ".inbox");
}

TEST(LiveChannelTest, AnyOtherTextIsNoChannel) {
  auto upper = id;
  for (char& c : upper)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto& text : {std::string{}, id, "user." + id, std::string{"private-user."},
                           "private-user." + id + ".inbox", "private-user." + id + " ", "private-user." + upper,
                           "presence-user." + id, "private-workspace." + id + ".inbox.inbox", "private-team." + id})
    EXPECT_FALSE(parse_live_channel(text)) << text;
}

} // namespace

} // namespace carillon
