#include "http/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace carillon::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

route local_route(std::string method, std::string pattern) {
  return {.method = std::move(method),
          .pattern = std::move(pattern),
          .need = access::open,
          .local = [](const request&) { return reply{}; }};
}

const router& table() {
  static const router shared = [] {
    std::vector<route> all;
    all.push_back(local_route("GET", "/"));
    all.push_back(local_route("GET", "/n"));
    all.push_back(local_route("GET", "/n/unread-count"));
    all.push_back(local_route("GET", "/n/{notification}"));
    all.push_back(local_route("POST", "/n/{notification}/read"));
    all.push_back(local_route("POST", "/n/read-all"));
    all.push_back(local_route("PUT", "/n/{id}"));
    all.push_back(local_route("GET", "/w/{workspace}/posts/{post}"));
    return router{std::move(all)};
  }();
  return shared;
}

std::string pattern_of(const route_match& m) {
  return m.found ? m.found->pattern : "";
}

TEST(RouterTest, StaticSegmentsWinOverParameters) {
  const auto& t = table();
  EXPECT_EQ(pattern_of(t.match("GET", "/n/unread-count")), "/n/unread-count");
  const auto m = t.match("GET", "/n/abc");
  EXPECT_EQ(pattern_of(m), "/n/{notification}");
  EXPECT_EQ(m.path_params.at("notification"), "abc");
}

TEST(RouterTest, EachRouteNamesItsParametersItself) {
  EXPECT_EQ(table().match("PUT", "/n/7").path_params.at("id"), "7");
}

TEST(RouterTest, AParameterTakesWhatTheStaticRouteHasNoMethodFor) {
  const auto m = table().match("GET", "/n/read-all");
  EXPECT_EQ(pattern_of(m), "/n/{notification}");
  EXPECT_EQ(m.path_params.at("notification"), "read-all");
}

TEST(RouterTest, TakesSeveralParameters) {
  const auto m = table().match("GET", "/w/1/posts/2");
  EXPECT_EQ(m.path_params.at("workspace"), "1");
  EXPECT_EQ(m.path_params.at("post"), "2");
}

TEST(RouterTest, AWrongMethodSaysWhatIsAllowed) {
  const auto m = table().match("DELETE", "/n/unread-count");
  EXPECT_EQ(m.found, nullptr);
  EXPECT_THAT(m.allowed, ElementsAre("GET", "HEAD", "PUT"));
}

TEST(RouterTest, AnUnknownPathAllowsNothing) {
  for (const char* path : {"/x", "/n/1/2", "/w//posts/2", "", "*", "n"}) {
    const auto m = table().match("GET", path);
    EXPECT_EQ(m.found, nullptr) << path;
    EXPECT_THAT(m.allowed, IsEmpty()) << path;
  }
}

TEST(RouterTest, HeadIsAnsweredByGet) {
  EXPECT_EQ(pattern_of(table().match("HEAD", "/n")), "/n");
  EXPECT_EQ(pattern_of(table().match("HEAD", "/n/read-all")),
            "/n/{notification}");
}

TEST(RouterTest, ASlashAtTheEndDoesNotMatter) {
  EXPECT_EQ(pattern_of(table().match("GET", "/n/")), "/n");
  EXPECT_EQ(pattern_of(table().match("GET", "/")), "/");
}

TEST(RouterTest, VeryLongPathsAreUnknown) {
  std::string path;
  for (int i = 0; i < 10'000; ++i)
    path += "/n";
  EXPECT_EQ(table().match("GET", path).found, nullptr);
}

TEST(RouterTest, RefusesTablesThatCannotBeMeant) {
  const auto refused = [](std::vector<route> all) {
    EXPECT_THROW(router{std::move(all)}, std::invalid_argument);
  };
  refused({local_route("GET", "/a"), local_route("GET", "/a/")});
  refused({local_route("GET", "/{a}"), local_route("GET", "/{b}")});
  refused({local_route("GET", "a")});
  refused({route{"GET", "/a", access::open}});
  auto gated = local_route("GET", "/a");
  gated.need = access::token;
  refused({gated});
  refused({route{"GET", "/a", access::workspace,
                 [](call&) -> result<reply> { return reply{}; }}});
}

} // namespace
} // namespace carillon::http
