// Bodies that go out while they are read, over raw sockets.
#include "http/answer_body.hpp"

#include "http/server.hpp"

#include "tests/unit/http/raw_client.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace carillon::http {
namespace {

using test::raw_client;
using namespace std::chrono_literals;

constexpr std::size_t piece_bytes = 10'000;

/// Answers /body with a body of as many pieces as the query says, which a test
/// hands out.
class HttpAnswerBodyTest : public testing::Test {
protected:
  struct state {
    std::deque<answer_body::piece_taker> asked; ///< Not given yet.
    int bodies = 0;                             ///< That live.
  };

  class test_body final : public answer_body {
  public:
    test_body(HttpAnswerBodyTest& test, std::uint64_t size) : test_(test), size_(size) {
      test_.change([this](state& s) {
        ++s.bodies;
        test_.most_bodies_ = std::max(test_.most_bodies_.load(), s.bodies);
      });
    }
    ~test_body() override {
      test_.change([](state& s) { --s.bodies; });
    }
    std::uint64_t size() const noexcept override {
      return size_;
    }
    void next(piece_taker taker) override {
      test_.change([&](state& s) { s.asked.push_back(std::move(taker)); });
    }

  private:
    HttpAnswerBodyTest& test_;
    std::uint64_t size_;
  };

  void start(server_options options = {}) {
    options.port = 0;
    server_ = std::make_unique<server>(
      options,
      [this](request req, server::respond respond) {
        ++begun_;
        if (req.path != "/body")
          return respond(ok({{"path", req.path}}));
        reply out;
        out.status = 206;
        out.content_type = "video/mp4";
        out.streamed = std::make_shared<test_body>(*this, std::stoull(req.query_value("pieces")) * piece_bytes);
        respond(std::move(out));
      },
      log_);
    server_->start();
  }

  void TearDown() override {
    server_.reset();
    EXPECT_TRUE(wait_until([](const state& s) { return s.bodies == 0; }));
  }

  template <class Change>
  void change(Change&& what) {
    const std::lock_guard lock{mutex_};
    what(state_);
    changed_.notify_all();
  }

  template <class Holds>
  bool wait_until(Holds&& holds) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, 30s, [&] { return holds(state_); });
  }

  /// The next piece, once it is asked for.
  bool give(std::optional<std::string> piece) {
    answer_body::piece_taker taker;
    {
      std::unique_lock lock{mutex_};
      if (!changed_.wait_for(lock, 30s, [&] { return !state_.asked.empty(); }))
        return false;
      taker = std::move(state_.asked.front());
      state_.asked.pop_front();
    }
    taker(std::move(piece));
    return true;
  }

  static std::string piece(char c) {
    return std::string(piece_bytes, c);
  }

  static std::string ask(const std::string& method, const std::string& target, const std::string& headers = "") {
    return method + " " + target + " HTTP/1.1\r\nHost: t.example\r\n" + headers + "\r\n";
  }

  std::uint16_t port() const {
    return server_->port();
  }

  test::recording_logger log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  state state_;
  std::atomic<int> begun_{0};       ///< Requests.
  std::atomic<int> most_bodies_{0}; ///< That lived at once.
  std::unique_ptr<server> server_;
};

TEST_F(HttpAnswerBodyTest, ThePiecesArriveInTheirOrderAndTheConnectionGoesOn) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=3"));
  for (const char c : {'a', 'b', 'c'})
    ASSERT_TRUE(give(piece(c)));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 206);
  EXPECT_EQ(answer->header("content-type"), "video/mp4");
  EXPECT_EQ(answer->header("content-length"), "30000");
  EXPECT_EQ(answer->body, piece('a') + piece('b') + piece('c'));
  client.send(ask("GET", "/next"));
  EXPECT_EQ(client.receive()->status, 200);
}

TEST_F(HttpAnswerBodyTest, AnswersBeforeAndBehindItKeepTheirPlaces) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/first") + ask("GET", "/body?pieces=2") + ask("GET", "/body?pieces=1") + ask("GET", "/last"));
  EXPECT_NE(client.receive()->body.find("/first"), std::string::npos);
  ASSERT_TRUE(give(piece('a')));
  ASSERT_TRUE(give(piece('b')));
  ASSERT_TRUE(give(piece('c')));
  EXPECT_EQ(client.receive()->body, piece('a') + piece('b'));
  EXPECT_EQ(client.receive()->body, piece('c'));
  EXPECT_NE(client.receive()->body.find("/last"), std::string::npos);
}

TEST_F(HttpAnswerBodyTest, HeadSaysTheLengthAndReadsNothing) {
  start();
  raw_client client{port()};
  client.send(ask("HEAD", "/body?pieces=7"));
  const auto answer = client.receive(true);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("content-length"), "70000");
  client.send(ask("GET", "/next"));
  EXPECT_EQ(client.receive()->status, 200);
  change([](state& s) { EXPECT_TRUE(s.asked.empty()); });
}

TEST_F(HttpAnswerBodyTest, AnEmptyBodyIsAnAnswerToo) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=0") + ask("GET", "/next"));
  EXPECT_EQ(client.receive()->body, "");
  EXPECT_EQ(client.receive()->status, 200);
}

TEST_F(HttpAnswerBodyTest, TheNextPieceIsNotAskedForBeforeTheLastHasGone) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=3"));
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  ASSERT_TRUE(give(piece('a')));
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  ASSERT_TRUE(give(piece('b')));
  ASSERT_TRUE(give(piece('c')));
  EXPECT_EQ(client.receive()->body.size(), 30'000u);
}

TEST_F(HttpAnswerBodyTest, WhatCannotBeReadEndsTheConnectionBeforeTheLengthIsReached) {
  start();
  for (const auto& bad : {std::optional<std::string>{}, std::optional{std::string{}}, std::optional{std::string(30'000, 'x')}}) {
    raw_client client{port()};
    client.send(ask("GET", "/body?pieces=3"));
    ASSERT_TRUE(give(piece('a')));
    ASSERT_TRUE(give(bad));
    EXPECT_FALSE(client.receive()) << "it is not whole, and nothing more comes";
  }
}

TEST_F(HttpAnswerBodyTest, TheConnectionClosesBehindTheBodyWhenTheClientWantsSo) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=1", "Connection: close\r\n"));
  ASSERT_TRUE(give(piece('a')));
  EXPECT_EQ(client.receive()->body, piece('a'));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpAnswerBodyTest, AClientThatGoesAwayTakesTheBodyWithIt) {
  start();
  {
    raw_client client{port()};
    client.send(ask("GET", "/body?pieces=1000"));
    ASSERT_TRUE(give(piece('a')));
  }
  // Whoever was asked may answer late.
  while (wait_until([](const state& s) { return s.bodies == 0 || !s.asked.empty(); })) {
    bool gone = false;
    change([&](state& s) { gone = s.bodies == 0; });
    if (gone)
      break;
    give(piece('b'));
  }
  change([](state& s) { s.asked.clear(); });
}

TEST_F(HttpAnswerBodyTest, AClientThatDoesNotReadIsCutOff) {
  server_options options;
  options.write_timeout = 200ms;
  start(options);
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=100000"));
  ASSERT_TRUE(give(piece('x')));
  while (wait_until([](const state& s) { return s.bodies == 0 || !s.asked.empty(); })) {
    bool gone = false;
    change([&](state& s) { gone = s.bodies == 0; });
    if (gone)
      break;
    give(piece('x'));
  }
  change([](state& s) { EXPECT_EQ(s.bodies, 0); });
}

TEST_F(HttpAnswerBodyTest, AClientThatReadsOnAndOnIsCutOffAtTheEndOfTheWholeAnswersTime) {
  server_options options;
  options.write_timeout = 1h;
  options.answer_timeout = 300ms;
  options.slowest_answer = 1'000'000'000'000;
  start(options);
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=100000000"));
  EXPECT_TRUE(client.read_to("\r\n\r\n").ends_with("\r\n\r\n"));
  const auto line = std::string(piece_bytes - 1, 'x') + '\n';
  for (;;) {
    ASSERT_TRUE(wait_until([](const state& s) { return s.bodies == 0 || !s.asked.empty(); }));
    bool gone = false;
    change([&](state& s) { gone = s.bodies == 0; });
    if (gone)
      break;
    give(line);
    if (client.read_to("\n") != line)
      break;
  }
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(wait_until([](const state& s) { return s.bodies == 0; }));
}

TEST_F(HttpAnswerBodyTest, AnAnswersTimeGrowsWithItsSize) {
  server_options options;
  options.answer_timeout = 0ms;
  options.slowest_answer = 1'000;
  start(options);
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=3"));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(give(piece('a')));
  EXPECT_EQ(client.receive()->body.size(), 30'000u);
}

TEST_F(HttpAnswerBodyTest, OfThoseThatHoldAFileAConnectionHasOneAtATime) {
  server_options options;
  options.one_at_a_time = "/body";
  start(options);
  raw_client client{port()};
  client.send(ask("GET", "/first") + ask("GET", "/body?pieces=2") + ask("HEAD", "/body?pieces=1") + ask("GET", "/between")
              + ask("GET", "/body?pieces=1") + ask("GET", "/last"));
  EXPECT_NE(client.receive()->body.find("/first"), std::string::npos);
  ASSERT_TRUE(give(piece('a')));
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  EXPECT_EQ(begun_, 2) << "what follows waits for its end";
  ASSERT_TRUE(give(piece('b')));
  EXPECT_EQ(client.receive()->body, piece('a') + piece('b'));
  EXPECT_EQ(client.receive(true)->header("content-length"), "10000");
  EXPECT_NE(client.receive()->body.find("/between"), std::string::npos);
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  EXPECT_EQ(begun_, 5);
  ASSERT_TRUE(give(piece('c')));
  EXPECT_EQ(client.receive()->body, piece('c'));
  EXPECT_NE(client.receive()->body.find("/last"), std::string::npos);
  EXPECT_EQ(most_bodies_, 1);
}

TEST_F(HttpAnswerBodyTest, ADiskThatHangsHoldsNoConnectionForEver) {
  server_options options;
  options.write_timeout = 100ms;
  start(options);
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=2"));
  ASSERT_TRUE(give(piece('a')));
  EXPECT_FALSE(client.receive());
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  EXPECT_TRUE(give(piece('b'))) << "what comes late is dropped";
}

TEST_F(HttpAnswerBodyTest, AServerThatStopsEndsTheBodyFirstOrCutsItOff) {
  start();
  raw_client client{port()};
  client.send(ask("GET", "/body?pieces=2"));
  ASSERT_TRUE(give(piece('a')));
  ASSERT_TRUE(wait_until([](const state& s) { return s.asked.size() == 1; }));
  server_->stop(0ms);
  EXPECT_FALSE(client.receive());
  change([](state& s) { s.asked.clear(); });
}

} // namespace
} // namespace carillon::http
