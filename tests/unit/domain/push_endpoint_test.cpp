#include "domain/push_endpoint.hpp"

#include <gtest/gtest.h>

namespace carillon {

namespace {

TEST(PushEndpointTest, ThoseOfTheKnownServicesAreTaken) {
  for (const auto* url : {"https://fcm.googleapis.com/fcm/send/abc:APA91bF", "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
                          "https://web.push.apple.com/QGx", "https://db5p.notify.windows.com/w/?token=BQYAAA%3d%3d"}) {
    const auto endpoint = parse_push_endpoint(url, {});
    ASSERT_TRUE(endpoint) << url;
    EXPECT_EQ(endpoint->url, url);
    EXPECT_FALSE(endpoint->trusted);
  }
}

TEST(PushEndpointTest, TheOriginIsSchemeHostAndAPortThatIsNotTheSchemesOwn) {
  EXPECT_EQ(parse_push_endpoint("HTTPS://Push.Example.NET/a", {})->origin, "https://push.example.net");
  EXPECT_EQ(parse_push_endpoint("https://push.example.net:443/a", {})->origin, "https://push.example.net");
  EXPECT_EQ(parse_push_endpoint("https://push.example.net:8443/a", {})->origin, "https://push.example.net:8443");
  EXPECT_EQ(parse_push_endpoint("https://push.example.net?a", {})->origin, "https://push.example.net");
}

TEST(PushEndpointTest, WhatIsNoHttpsUrlOfAPublicHostIsRefused) {
  for (const auto* url :
       {"", "push", "http://push.example.net/a", "ftp://push.example.net/a", "https://", "https:///a",
        "https://localhost/a", "https://127.0.0.1/a", "https://[::1]/a", "https://10.0.0.1:443/a", "https://2130706433/a",
        "https://0x7f.0.0.0x1/a", "https://push/a", "https://user@push.example.net/a", "https://u:p@push.example.net/",
        "https://push.example.net:0/", "https://push.example.net:65536/", "https://push.example.net:/",
        "https://push.example.net:80x/", "https://push..example.net/", "https://.example.net/", "https://push.example.net./a",
        "https://push.example.net/a b", "https://push.example.net/\r\nX: y", "https://push.example.net/#a",
        "https://push.example.net\\@127.0.0.1/", "https://pu%73h.example.net/", "https://p\xc3\xbcsh.example.net/"}) {
    const auto endpoint = parse_push_endpoint(url, {});
    ASSERT_FALSE(endpoint) << url;
    EXPECT_EQ(endpoint.error().code, errc::invalid_argument);
    ASSERT_EQ(endpoint.error().fields.size(), 1u);
    EXPECT_EQ(endpoint.error().fields[0].field, "endpoint");
  }
}

TEST(PushEndpointTest, ItsLengthHasALimit) {
  const std::string begin = "https://push.example.net/";
  EXPECT_TRUE(parse_push_endpoint(begin + std::string(max_push_endpoint - begin.size(), 'a'), {}));
  EXPECT_FALSE(parse_push_endpoint(begin + std::string(max_push_endpoint - begin.size() + 1, 'a'), {}));
}

TEST(PushEndpointTest, ATrustedHostMayBePrivateAndWithoutTls) {
  const auto endpoint = parse_push_endpoint("http://127.0.0.1:8099/notify/1", {"other", "127.0.0.1"});
  ASSERT_TRUE(endpoint);
  EXPECT_TRUE(endpoint->trusted);
  EXPECT_EQ(endpoint->origin, "http://127.0.0.1:8099");
  EXPECT_TRUE(parse_push_endpoint("http://[::1]:8099/a", {"[::1]:8099"}));
  EXPECT_TRUE(parse_push_endpoint("http://Push:80/a", {"pUSH"}));
  EXPECT_FALSE(parse_push_endpoint("http://127.0.0.1:8098/a", {"127.0.0.1:8099"})) << "another port";
  EXPECT_FALSE(parse_push_endpoint("http://127.0.0.10/a", {"127.0.0.1"})) << "another host";
}

} // namespace

} // namespace carillon
