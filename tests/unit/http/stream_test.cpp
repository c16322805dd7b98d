// Bodies that are taken while they arrive, over raw sockets.
#include "http/server.hpp"

#include "tests/unit/http/raw_client.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>

namespace carillon::http {
namespace {

using test::raw_client;
using namespace std::chrono_literals;

constexpr std::uint64_t stream_limit = 1'000'000;

/// Streams everything under /stream; a test says when its sink goes on.
class HttpStreamTest : public testing::Test {
protected:
  struct seen_body {
    std::string bytes;
    bool begun = false;
    bool finished = false;
    bool gone = false;
    request head;
    server::respond respond;
    std::deque<body_sink::ready> asked; ///< Not granted yet.
  };

  class test_sink final : public body_sink {
  public:
    explicit test_sink(HttpStreamTest& test) : test_(test) {
    }
    ~test_sink() override {
      test_.change([](seen_body& b) { b.gone = true; });
    }
    void begin(ready next) override {
      test_.change([&](seen_body& b) {
        b.begun = true;
        b.asked.push_back(std::move(next));
      });
    }
    void take(std::string bytes, ready next) override {
      test_.change([&](seen_body& b) {
        b.bytes += bytes;
        b.asked.push_back(std::move(next));
      });
    }
    void finish() override {
      test_.change([](seen_body& b) { b.finished = true; });
    }

  private:
    HttpStreamTest& test_;
  };

  void start(server_options options = {}) {
    options.port = 0;
    options.max_body_bytes = 100;
    server_ = std::make_unique<server>(
      options,
      [](request req, server::respond respond) {
        respond(ok({{"path", req.path}, {"body_bytes", req.body.size()}}));
      },
      log_, [this](const request& head) -> std::optional<server::stream> {
        if (!head.path.starts_with("/stream"))
          return std::nullopt;
        return server::stream{stream_limit, [this](request req, server::respond respond) {
                                if (req.path == "/stream/throw")
                                  throw std::runtime_error{"planted"};
                                change([&](seen_body& b) {
                                  b.head = std::move(req);
                                  b.respond = std::move(respond);
                                });
                                return std::make_shared<test_sink>(*this);
                              }};
      });
    server_->start();
  }

  void TearDown() override {
    // Whoever has an answer to give lets go of it before the server ends.
    change([](seen_body& b) {
      b.respond = nullptr;
      b.asked.clear();
    });
    server_.reset();
  }

  template <class Change>
  void change(Change&& what) {
    std::unique_lock lock{mutex_};
    what(body_);
    changed_.notify_all();
  }

  template <class Holds>
  bool wait_until(Holds&& holds) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, 30s, [&] { return holds(body_); });
  }

  /// Grants one piece, once it is asked for.
  bool grant() {
    body_sink::ready next;
    {
      std::unique_lock lock{mutex_};
      if (!changed_.wait_for(lock, 30s, [&] { return !body_.asked.empty(); }))
        return false;
      next = std::move(body_.asked.front());
      body_.asked.pop_front();
    }
    next();
    return true;
  }

  bool grant_to_the_end() {
    for (;;) {
      if (!wait_until([](const seen_body& b) { return b.finished || b.gone || !b.asked.empty(); }))
        return false;
      bool over = false;
      change([&](seen_body& b) { over = b.finished || b.gone; });
      if (over)
        return true;
      grant();
    }
  }

  void answer(reply r) {
    server::respond respond;
    change([&](seen_body& b) { respond = std::move(b.respond); });
    respond(std::move(r));
  }

  std::uint16_t port() const {
    return server_->port();
  }

  test::recording_logger log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  seen_body body_;
  std::unique_ptr<server> server_;
};

std::string post_head(const std::string& target, const std::string& headers) {
  return "POST " + target + " HTTP/1.1\r\nHost: t.example\r\n" + headers + "\r\n";
}

std::string of_length(std::size_t length) {
  return "Content-Length: " + std::to_string(length) + "\r\n";
}

TEST_F(HttpStreamTest, ABodyLargerThanMemoryAllowsArrivesPieceByPiece) {
  start();
  raw_client client{port()};
  std::string body(300'000, 'x');
  for (std::size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>('a' + i * 7 % 26);
  client.send(post_head("/stream?a=b", of_length(body.size()) + "X-Header: y\r\n"));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  client.send(body);
  ASSERT_TRUE(grant_to_the_end());
  change([&](seen_body& b) {
    EXPECT_EQ(b.bytes, body);
    EXPECT_TRUE(b.finished);
    EXPECT_EQ(b.head.path, "/stream");
    EXPECT_EQ(b.head.query["a"], "b");
    EXPECT_EQ(b.head.header("x-header"), "y");
    EXPECT_EQ(b.head.body, "");
    EXPECT_FALSE(b.head.correlation_id.empty());
  });
  answer(created({{"kept", true}}));
  const auto first = client.receive();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->status, 201);
  // The connection goes on.
  client.send("GET /next HTTP/1.1\r\nHost: t.example\r\n\r\n");
  const auto second = client.receive();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 200);
}

TEST_F(HttpStreamTest, NothingIsReadBeforeTheSinkAsks) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(50'000)) + std::string(50'000, 'x'));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  change([](seen_body& b) { EXPECT_EQ(b.bytes, ""); });
  ASSERT_TRUE(grant());
  ASSERT_TRUE(wait_until([](const seen_body& b) { return !b.bytes.empty(); }));
  change([](seen_body& b) {
    EXPECT_LE(b.bytes.size(), 64u * 1024) << "one piece";
    EXPECT_EQ(b.asked.size(), 1u);
    EXPECT_FALSE(b.finished);
  });
  ASSERT_TRUE(grant_to_the_end());
  change([](seen_body& b) { EXPECT_EQ(b.bytes.size(), 50'000u); });
}

TEST_F(HttpStreamTest, ChunkedBodiesArriveToo) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", "Transfer-Encoding: chunked\r\n"));
  // The chunk's head comes in two halves.
  client.send("5\r\nhello\r\n1");
  ASSERT_TRUE(grant());
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.bytes == "hello"; }));
  client.send("0\r\n0123456789abcdef\r\n0\r\n\r\n");
  ASSERT_TRUE(grant_to_the_end());
  change([](seen_body& b) { EXPECT_EQ(b.bytes, "hello0123456789abcdef"); });
  answer(ok(nullptr));
  EXPECT_EQ(client.receive()->status, 200);
}

TEST_F(HttpStreamTest, ABodyBeyondTheLimitIsRefusedByItsHeader) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(stream_limit + 1)));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  EXPECT_TRUE(client.is_closed());
  change([](seen_body& b) { EXPECT_FALSE(b.begun); });
}

TEST_F(HttpStreamTest, AChunkedBodyBeyondTheLimitIsRefusedOnTheWay) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\nfffff0\r\n");
  ASSERT_TRUE(grant_to_the_end());
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  change([](seen_body& b) {
    EXPECT_FALSE(b.finished);
    EXPECT_TRUE(b.gone);
  });
}

TEST_F(HttpStreamTest, OtherRoutesKeepTheirLimit) {
  start();
  raw_client client{port()};
  client.send(post_head("/other", of_length(101)));
  EXPECT_EQ(client.receive()->status, 413);
  raw_client chunked{port()};
  chunked.send(post_head("/other", "Transfer-Encoding: chunked\r\n") + "65\r\n" + std::string(101, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.receive()->status, 413);
}

TEST_F(HttpStreamTest, AnAnswerThatComesEarlyEndsTheBody) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(500'000)) + std::string(20'000, 'x'));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  answer(problem({errc::forbidden, "not you", {}, {}}));
  const auto refused = client.receive();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 403);
  EXPECT_TRUE(wait_until([](const seen_body& b) { return b.gone; }));
  change([](seen_body& b) { EXPECT_FALSE(b.finished); });
  client.finish();
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpStreamTest, AClientThatIsRefusedMaySendItsWholeBodyBeforeItReads) {
  server_options options;
  options.linger_timeout = 50ms;
  options.idle_timeout = 200ms;
  start(options);
  raw_client client{port()};
  client.send(post_head("/stream", of_length(900'000)) + std::string(20'000, 'x'));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  answer(problem({errc::forbidden, "not you", {}, {}}));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.gone; }));
  // Another connection sees the time of other refusals pass.
  raw_client idle{port()};
  EXPECT_TRUE(idle.is_closed());
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(client.send(std::string(220'000, 'x'))) << i;
  const auto refused = client.receive();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 403);
}

TEST_F(HttpStreamTest, ARefusedBodyIsNotReadWithoutEnd) {
  server_options options;
  options.linger_timeout = 60s;
  options.refused_body_timeout = 60s;
  start(options);
  raw_client client{port()};
  client.send(post_head("/stream", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  answer(problem({errc::forbidden, "not you", {}, {}}));
  ASSERT_TRUE(client.receive());
  const std::string more(stream_limit, 'x');
  int sent = 0;
  while (sent < 200 && client.send(more))
    ++sent;
  EXPECT_LT(sent, 200) << "the body's limit ends it";
}

TEST_F(HttpStreamTest, AClientThatWaitsForTheWordGetsItWhenTheSinkAsks) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(5) + "Expect: 100-continue\r\n"));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  ASSERT_TRUE(grant());
  EXPECT_EQ(client.read_to("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  ASSERT_TRUE(grant_to_the_end());
  answer(ok(nullptr));
  EXPECT_EQ(client.receive()->status, 200);
}

TEST_F(HttpStreamTest, AClientThatWaitsForTheWordIsRefusedWithoutIt) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(5) + "Expect: 100-continue\r\n"));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  answer(problem({errc::forbidden, "not you", {}, {}}));
  const auto refused = client.receive();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 403);
}

TEST_F(HttpStreamTest, ASinkThatCannotBeMadeIsAnInternalErrorAndTheBodyIsNotRead) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream/throw", of_length(500'000) + "Expect: 100-continue\r\n"));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->body.find("planted"), std::string::npos);
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpStreamTest, AClientThatGoesAwayTakesTheSinkWithIt) {
  start();
  {
    raw_client client{port()};
    client.send(post_head("/stream", of_length(500'000)) + std::string(1'000, 'x'));
    ASSERT_TRUE(grant());
    ASSERT_TRUE(wait_until([](const seen_body& b) { return !b.bytes.empty(); }));
    ASSERT_TRUE(grant());
  }
  EXPECT_TRUE(wait_until([](const seen_body& b) { return b.gone; }));
  change([](seen_body& b) { EXPECT_FALSE(b.finished); });
}

TEST_F(HttpStreamTest, AClientThatStopsSendingIsRefused) {
  server_options options;
  options.read_timeout = 200ms;
  start(options);
  raw_client client{port()};
  client.send(post_head("/stream", of_length(500'000)) + std::string(1'000, 'x'));
  ASSERT_TRUE(grant_to_the_end());
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
}

TEST_F(HttpStreamTest, ABodyThatTakesTooLongAltogetherIsRefused) {
  server_options options;
  options.stream_timeout = 0ms;
  start(options);
  raw_client client{port()};
  client.send(post_head("/stream", of_length(500'000)) + std::string(1'000, 'x'));
  ASSERT_TRUE(grant_to_the_end());
  EXPECT_EQ(client.receive()->status, 408);
}

TEST_F(HttpStreamTest, ASinkThatIsSlowIsNotTheClientsFault) {
  server_options options;
  options.read_timeout = 100ms;
  options.idle_timeout = 100ms;
  start(options);
  raw_client client{port()};
  client.send(post_head("/stream", of_length(5)) + "hello");
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  // Another connection sees both times pass.
  raw_client idle{port()};
  EXPECT_TRUE(idle.is_closed());
  ASSERT_TRUE(grant_to_the_end());
  answer(ok(nullptr));
  EXPECT_EQ(client.receive()->status, 200);
}

TEST_F(HttpStreamTest, AnswersToRequestsBeforeAndAfterABodyKeepTheirOrder) {
  start();
  raw_client client{port()};
  client.send("GET /before HTTP/1.1\r\nHost: t.example\r\n\r\n" + post_head("/stream", of_length(5)) + "hello"
              + "GET /after HTTP/1.1\r\nHost: t.example\r\n\r\n");
  ASSERT_TRUE(grant_to_the_end());
  answer(created(nullptr));
  EXPECT_NE(client.receive()->body.find("/before"), std::string::npos);
  EXPECT_EQ(client.receive()->status, 201);
  EXPECT_NE(client.receive()->body.find("/after"), std::string::npos);
}

TEST_F(HttpStreamTest, AServerThatStopsLetsGoOfBodies) {
  start();
  raw_client client{port()};
  client.send(post_head("/stream", of_length(500'000)) + std::string(1'000, 'x'));
  ASSERT_TRUE(wait_until([](const seen_body& b) { return b.begun; }));
  change([](seen_body& b) { b.respond = nullptr; });
  server_->stop(10s);
  change([](seen_body& b) {
    EXPECT_TRUE(b.gone);
    EXPECT_FALSE(b.finished);
  });
}

} // namespace
} // namespace carillon::http
