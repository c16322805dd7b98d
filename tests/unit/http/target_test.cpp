#include "http/target.hpp"

#include "http/trace.hpp"

#include <gtest/gtest.h>

namespace carillon::http {
namespace {

TEST(TargetTest, SplitsAndDecodesPathAndQuery) {
  const auto t = parse_target("/a%20b/%C3%BC?x=1&y=a+b%2Bc&empty=&flag&x=2");
  ASSERT_TRUE(t);
  EXPECT_EQ(t->path, "/a b/ü");
  EXPECT_EQ(t->query.at("x"), "2");
  EXPECT_EQ(t->query.at("y"), "a b+c");
  EXPECT_EQ(t->query.at("empty"), "");
  EXPECT_EQ(t->query.at("flag"), "");
}

TEST(TargetTest, APlusInAPathIsAPlus) {
  EXPECT_EQ(parse_target("/a+b")->path, "/a+b");
}

TEST(TargetTest, AnEncodedSlashSeparatesNoSegments) {
  EXPECT_EQ(parse_target("/a%2fb")->path, "/a%2Fb");
  EXPECT_EQ(parse_target("/?q=a%2fb")->query.at("q"), "a/b");
}

TEST(TargetTest, TakesTheAbsoluteForm) {
  EXPECT_EQ(parse_target("http://h:80/p?a=b")->path, "/p");
  EXPECT_EQ(parse_target("https://h")->path, "/");
  EXPECT_EQ(parse_target("http://h?a=b")->query.at("a"), "b");
}

TEST(TargetTest, RefusesWhatIsNoTarget) {
  for (const char* text : {"", "a", "ftp://h/p", "/%", "/%4", "/%4g", "/%ff",
                           "/%00", "/?%00=1", "/?a=%ed%a0%80", "/\xff"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(TargetTest, EncodingAndDecodingAreInverse) {
  const std::string text = "a/b?c=d&e f+ü%";
  const auto encoded = percent_encode(text);
  EXPECT_EQ(encoded, "a%2Fb%3Fc%3Dd%26e%20f%2B%C3%BC%25");
  EXPECT_EQ(parse_query("k=" + encoded)->at("k"), text);
}

TEST(TraceTest, ReadsTheTraceId) {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  EXPECT_EQ(parse_trace_id("00-" + id + "-00f067aa0ba902b7-01"), id);
  EXPECT_EQ(parse_trace_id("01-" + id + "-00f067aa0ba902b7-01-later"), id);
}

TEST(TraceTest, RefusesInvalidHeaders) {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  for (const auto& text :
       {std::string{}, std::string{"00-"}, std::string(55, '-'),
        "00-" + id + "-00f067aa0ba902b7-01-more",
        "ff-" + id + "-00f067aa0ba902b7-01",
        "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01",
        "00-" + id + "-0000000000000000-01",
        std::string{"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"}})
    EXPECT_FALSE(parse_trace_id(text)) << text;
}

TEST(TraceTest, MadeIdsAreValidAndDiffer) {
  const auto a = make_trace_id();
  EXPECT_TRUE(parse_trace_id("00-" + a + "-00f067aa0ba902b7-01"));
  EXPECT_NE(a, make_trace_id());
}

} // namespace
} // namespace carillon::http
