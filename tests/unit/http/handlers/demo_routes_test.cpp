#include "http/handlers/demo/routes.hpp"

#include <regex>
#include <set>

#include <gtest/gtest.h>

namespace carillon::http {

namespace {

reply get(const std::string& path) {
  for (const auto& route : demo_routes({"https://app.example", "a-key"}))
    if (route.pattern == path)
      return route.local(request{});
  ADD_FAILURE() << "no route " << path;
  return {};
}

std::string header(const reply& r, const std::string& name) {
  for (const auto& [key, value] : r.headers)
    if (key == name)
      return value;
  return {};
}

TEST(DemoRoutesTest, ThePageMayRunNothingButItself) {
  const auto page = get("/demo");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  const auto policy = header(page, "Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'")) << policy;
  EXPECT_EQ(policy.find("unsafe"), policy.npos) << policy;
  EXPECT_NE(policy.find("frame-ancestors 'none'"), policy.npos);
  EXPECT_FALSE(std::regex_search(*page.raw, std::regex{"\\son[a-z]+=|style=|<style|javascript:"}));
}

TEST(DemoRoutesTest, WhatThePageNamesIsServedByThisServer) {
  std::set<std::string> served;
  for (const auto& route : demo_routes({}))
    served.insert(route.pattern);
  const auto page = *get("/demo").raw;
  static const std::regex named{"(?:src|href)=\"([^\"#]+)\""};
  int found = 0;
  for (auto i = std::sregex_iterator{page.begin(), page.end(), named}; i != std::sregex_iterator{}; ++i, ++found)
    EXPECT_TRUE(served.contains((*i)[1])) << (*i)[1];
  EXPECT_GE(found, 3);
  for (const auto* path : {"/demo/demo.js", "/demo/push-worker.js"})
    EXPECT_EQ(get(path).content_type, "text/javascript; charset=utf-8") << "a service worker must be one";
}

TEST(DemoRoutesTest, TheConfigurationHoldsNoSecret) {
  EXPECT_EQ(get("/demo/config.json").body, (json{{"frontend_url", "https://app.example"}, {"live_key", "a-key"}}));
}

} // namespace

} // namespace carillon::http
