// The frames of the Pusher protocol, the signature, and the bounded queue.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "http/live/outlet.hpp"
#include "http/live/pusher.hpp"
#include "http/live/service.hpp"
#include "tests/unit/http/recording_logger.hpp"

namespace carillon::http::live {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const std::string channel = "private-user.0190f5d2-0000-7000-8000-000000000001";

TEST(PusherFramesTest, TheFirstFrameCarriesItsDataAsText) {
  const auto frame = json::parse(established_frame("123.456", 30s));
  EXPECT_EQ(frame["event"], "pusher:connection_established");
  ASSERT_TRUE(frame["data"].is_string());
  EXPECT_EQ(json::parse(frame["data"].get<std::string>()), (json{{"socket_id", "123.456"}, {"activity_timeout", 30}}));
}

TEST(PusherFramesTest, AnEventCarriesItsPayloadAsTextAndNoNamespace) {
  const live_event event{channel, "notification.new", "id", R"({"title":"\"Ünïcode\"\u2028 🎉"})"};
  const auto frame = json::parse(event_frame(event));
  EXPECT_EQ(frame, (json{{"event", "notification.new"}, {"channel", channel}, {"data", event.data}}));
}

TEST(PusherFramesTest, AnErrorHasACodeAndAMessage) {
  EXPECT_EQ(json::parse(error_frame(close_code::unknown_key, "No such key.")),
            (json{{"event", "pusher:error"}, {"data", {{"code", 4001}, {"message", "No such key."}}}}));
}

TEST(PusherFramesTest, ASubscriptionIsReadFromAnObjectOrItsText) {
  const json data{{"channel", channel}, {"auth", "key:sig"}};
  for (const auto& written : {data, json(data.dump())}) {
    const auto frame = parse_client_frame(json{{"event", "pusher:subscribe"}, {"data", written}}.dump());
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->what, client_frame::kind::subscribe);
    EXPECT_EQ(frame->channel, channel);
    EXPECT_EQ(frame->auth, "key:sig");
  }
}

TEST(PusherFramesTest, WhatIsNoFrameIsRefused) {
  for (const std::string text :
       {"", "x", "[]", "7", "{}", R"({"event":7})", R"({"event":"pusher:subscribe"})",
        R"({"event":"pusher:subscribe","data":[]})", R"({"event":"pusher:subscribe","data":"{"})",
        R"({"event":"pusher:subscribe","data":{"channel":7}})", "{\"event\":\"\xff\"}",
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"\\u0000\"}}"})
    EXPECT_FALSE(parse_client_frame(text)) << text;
  EXPECT_FALSE(parse_client_frame(json{{"event", "pusher:subscribe"}, {"data", {{"channel", std::string(201, 'a')}}}}.dump()));
  std::string deep = R"({"event":"pusher:ping","data":)" + std::string(5'000, '[') + std::string(5'000, ']') + "}";
  EXPECT_FALSE(parse_client_frame(deep));
}

TEST(PusherFramesTest, AnEventThatIsNotKnownIsNoError) {
  const auto client = parse_client_frame(R"({"event":"client-typing"})");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->what, client_frame::kind::client_event);
  const auto other = parse_client_frame(R"({"event":"pusher:signin"})");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->what, client_frame::kind::unknown);
}

TEST(PusherFramesTest, ASocketIdIsTwoNumbersAndNothingElse) {
  for (const auto* good : {"1.2", "4294967295.4294967295"})
    EXPECT_TRUE(is_socket_id(good)) << good;
  for (const auto* bad : {"", ".", "1.", ".2", "1", "1.2.3", "-1.2", "1.2:private-user.x", " 1.2", "1.2\n", "a.b"})
    EXPECT_FALSE(is_socket_id(bad)) << bad;
}

class LiveServiceTest : public ::testing::Test {
protected:
  static service_options options(std::string secret) {
    service_options out;
    out.key = "key";
    out.secret = std::move(secret);
    return out;
  }

  test::recording_logger log;
  service here{options("a secret of this node"), std::make_shared<realtime_link>(), log};
};

TEST_F(LiveServiceTest, SignsAsPusherDoes) {
  // The example of Pusher's documentation of private channels.
  auto theirs = options("7ad3773142a6692b25b8");
  theirs.key = "278d425bdf160c739803";
  const service there{theirs, std::make_shared<realtime_link>(), log};
  EXPECT_EQ(there.sign("1234.1234", "private-foobar"),
            "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4");
}

TEST_F(LiveServiceTest, ASignatureHoldsForItsSocketAndChannelOnly) {
  const auto auth = here.sign("1.2", channel);
  EXPECT_TRUE(here.is_signed("1.2", channel, auth));
  EXPECT_FALSE(here.is_signed("1.3", channel, auth));
  EXPECT_FALSE(here.is_signed("1.2", channel + "x", auth));
  EXPECT_FALSE(here.is_signed("1.2", channel, auth.substr(0, auth.size() - 1)));
  EXPECT_FALSE(here.is_signed("1.2", channel, ""));
  const service other{options("another node's secret"), std::make_shared<realtime_link>(), log};
  EXPECT_FALSE(other.is_signed("1.2", channel, auth));
}

TEST_F(LiveServiceTest, NoTwoConnectionsShareASocketId) {
  const auto first = here.make_socket_id();
  EXPECT_TRUE(is_socket_id(first));
  EXPECT_NE(first, here.make_socket_id());
}

TEST_F(LiveServiceTest, ARegistrationIsCountedWhileItLives) {
  const auto link = std::make_shared<realtime_link>();
  const auto owner = std::make_shared<service>(options("x"), link, log);
  {
    const registration socket{owner, registration::kind::socket};
    const registration stream{owner, registration::kind::stream};
    EXPECT_EQ(link->sockets, 1u);
    EXPECT_EQ(link->streams, 1u);
  }
  EXPECT_EQ(link->sockets + link->streams, 0u);
}

class OutletTest : public ::testing::Test {
protected:
  static live_event_ptr event(std::size_t bytes, std::string id = "id") {
    return std::make_shared<const live_event>(live_event{channel, "notification.new", std::move(id), std::string(bytes, 'x')});
  }
  outlet queue{4'096};
};

TEST_F(OutletTest, GivesInOrderAndWakesOnce) {
  int woken = 0;
  queue.attach([&] { ++woken; });
  EXPECT_TRUE(queue.deliver(event(10, "1")));
  EXPECT_TRUE(queue.deliver(event(10, "2")));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(queue.take().event->id, "1");
  EXPECT_EQ(queue.take().event->id, "2");
  EXPECT_EQ(queue.take().event, nullptr);
  EXPECT_TRUE(queue.deliver(event(10, "3")));
  EXPECT_EQ(woken, 2);
}

TEST_F(OutletTest, WhatCameBeforeTheConnectionIsGivenToIt) {
  EXPECT_TRUE(queue.deliver(event(10, "early")));
  int woken = 0;
  queue.attach([&] { ++woken; });
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(queue.take().event->id, "early");
}

TEST_F(OutletTest, ASlowReaderIsCutOffAndNothingMoreIsKept) {
  int woken = 0;
  queue.attach([&] { ++woken; });
  EXPECT_TRUE(queue.deliver(event(3'000)));
  EXPECT_FALSE(queue.deliver(event(3'000)));
  EXPECT_EQ(woken, 2) << "it may be waiting for a write to end";
  EXPECT_FALSE(queue.deliver(event(1)));
  EXPECT_TRUE(queue.is_overflown());
  EXPECT_EQ(queue.take().event, nullptr);
}

TEST_F(OutletTest, WhatIsTakenMakesRoom) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(queue.deliver(event(3'000)));
    ASSERT_NE(queue.take().event, nullptr);
  }
}

TEST_F(OutletTest, TheEndComesAfterTheLastEvent) {
  EXPECT_TRUE(queue.deliver(event(10)));
  queue.end(live_end::over_quota);
  EXPECT_FALSE(queue.deliver(event(10)));
  EXPECT_NE(queue.take().event, nullptr);
  EXPECT_EQ(queue.take().end, live_end::over_quota);
}

TEST_F(OutletTest, AClosedOneTakesNothing) {
  queue.close();
  EXPECT_FALSE(queue.deliver(event(10)));
  EXPECT_EQ(queue.take().event, nullptr);
}

} // namespace

} // namespace carillon::http::live
