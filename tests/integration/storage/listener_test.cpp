#include "storage/listener.hpp"

#include <atomic>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/ownership_repository.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::storage {

namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

class ListenerTest : public ::testing::Test {
protected:
  std::unique_ptr<listener> listen(const std::string& node) {
    session_options options;
    options.url = db.url();
    options.application_name = "listener";
    return std::make_unique<listener>(
      options, node,
      [this](std::string payload) {
        std::lock_guard lock{mutex};
        heard.push_back(std::move(payload));
      },
      [this] { ++connected; }, db.log());
  }

  std::vector<std::string> all_heard() {
    std::lock_guard lock{mutex};
    return heard;
  }

  void terminate() {
    db.exec("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
            "WHERE application_name = 'listener' AND datname = current_database()");
  }

  test::test_database db;
  ownership_repository ownership{db.connection()};
  std::mutex mutex;
  std::vector<std::string> heard;
  std::atomic<int> connected{0};
};

TEST_F(ListenerTest, WhatIsSentToItsNodeArrivesInOrder) {
  const auto ear = listen("a");
  ASSERT_TRUE(test::eventually([this] { return connected == 1; }));
  ASSERT_TRUE(ownership.notify("b", "not for us"));
  ASSERT_TRUE(ownership.notify("a", "one"));
  ASSERT_TRUE(ownership.notify("a", "two"));
  ASSERT_TRUE(test::eventually([this] { return all_heard().size() == 2; }));
  EXPECT_THAT(all_heard(), ElementsAre("one", "two"));
}

TEST_F(ListenerTest, AnyNodeNameHasItsChannel) {
  for (const auto& node : std::vector<std::string>{"Node A", "\"; DROP TABLE x", "ä", "x.example:8080", std::string(100, 'n')}) {
    heard.clear();
    connected = 0;
    const auto ear = listen(node);
    ASSERT_TRUE(test::eventually([this] { return connected == 1; })) << node;
    ASSERT_TRUE(ownership.notify(node, "hello")) << node;
    EXPECT_TRUE(test::eventually([this] { return all_heard().size() == 1; })) << node;
  }
}

TEST_F(ListenerTest, ALostConnectionIsMadeAgainAndSaysThatSomethingMayBeMissed) {
  const auto ear = listen("a");
  ASSERT_TRUE(test::eventually([this] { return connected == 1; }));
  for (int i = 2; i <= 4; ++i) {
    terminate();
    ASSERT_TRUE(test::eventually([this, i] { return connected >= i; }));
    ASSERT_TRUE(ownership.notify("a", "after " + std::to_string(i)));
    ASSERT_TRUE(test::eventually([&] { return ::testing::Value(all_heard(), Contains("after " + std::to_string(i))); }));
  }
}

TEST_F(ListenerTest, WithoutAServerItKeepsTryingAndEndsWhenAsked) {
  session_options options;
  options.url = "postgresql://carillon@127.0.0.1:1/none";
  listener ear{options, "a", [](std::string) {}, [this] { ++connected; }, db.log()};
  EXPECT_EQ(connected, 0);
}

} // namespace

} // namespace carillon::storage
