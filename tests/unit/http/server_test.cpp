// The real server on a free port, spoken to over raw sockets.
#include "http/server.hpp"

#include "tests/unit/http/raw_client.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <ostream>
#include <random>
#include <system_error>
#include <thread>

namespace carillon::http {
namespace {

using test::raw_client;
using namespace std::chrono_literals;

/// Answers with what it got, or keeps the answers back until told.
class HttpServerTest : public testing::Test {
protected:
  void start(server_options options = {}) {
    options.port = 0;
    server_ = std::make_unique<server>(
      options,
      [this](request req, server::respond respond) {
        on_request(std::move(req), std::move(respond));
      },
      log_);
    server_->start();
  }

  void on_request(request req, server::respond respond) {
    if (req.path == "/throw")
      throw std::runtime_error{"planted"};
    if (req.path == "/forget")
      return;
    reply r = ok({{"method", req.method},
                  {"path", req.path},
                  {"query", req.query},
                  {"body_bytes", req.body.size()},
                  {"host", req.header("host")},
                  {"base_url", req.base_url},
                  {"client", req.remote_address}});
    if (req.path == "/drop")
      r.drop = true;
    if (req.path == "/large")
      r.raw = std::string(32 * 1024 * 1024, 'x');
    if (req.path == "/split")
      r.headers.emplace_back("X-Bad", "a\r\nX-Injected: b");
    if (!req.path.starts_with("/held"))
      return respond(std::move(r));
    std::lock_guard lock{mutex_};
    held_.push_back({std::move(respond), std::move(r)});
    most_held_ = std::max(most_held_, held_.size());
    ++arrived_;
    changed_.notify_all();
  }

  void wait_for_arrivals(std::size_t count) {
    std::unique_lock lock{mutex_};
    ASSERT_TRUE(
      changed_.wait_for(lock, 30s, [&] { return arrived_ >= count; }));
  }

  struct held {
    server::respond respond;
    reply answer;
  };
  std::deque<held> take_held() {
    std::lock_guard lock{mutex_};
    return std::exchange(held_, {});
  }

  std::uint16_t port() const {
    return server_->port();
  }

  test::recording_logger log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<held> held_;
  std::size_t most_held_ = 0;
  std::size_t arrived_ = 0;
  std::unique_ptr<server> server_;
};

std::string get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: t.example:81\r\n" + headers
         + "\r\n";
}

json data_of(const raw_client&, const std::optional<test::raw_answer>& a) {
  return a ? json::parse(a->body)["data"] : json{};
}

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  start();
  raw_client client{port()};
  for (int i = 0; i < 3; ++i) {
    client.send(get("/n/" + std::to_string(i) + "?a=b%20c"));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    const auto data = data_of(client, answer);
    EXPECT_EQ(data["path"], "/n/" + std::to_string(i));
    EXPECT_EQ(data["query"]["a"], "b c");
    EXPECT_EQ(data["base_url"], "http://t.example:81");
    EXPECT_EQ(data["client"], "127.0.0.1");
  }
}

TEST_F(HttpServerTest, PipelinedAnswersLeaveInRequestOrder) {
  start();
  raw_client client{port()};
  client.send(get("/held/1") + get("/held/2") + get("/now") + get("/held/3"));
  wait_for_arrivals(3);
  auto held = take_held();
  for (auto i = held.rbegin(); i != held.rend(); ++i)
    i->respond(i->answer);
  for (const char* path : {"/held/1", "/held/2", "/now", "/held/3"})
    EXPECT_EQ(data_of(client, client.receive())["path"], path);
}

TEST_F(HttpServerTest, OnePipelineWaitsForItsAnswers) {
  start();
  raw_client client{port()};
  constexpr std::size_t total = 50;
  std::string all;
  for (std::size_t i = 0; i < total; ++i)
    all += get("/held/" + std::to_string(i));
  client.send(all);
  std::size_t received = 0;
  while (received < total) {
    wait_for_arrivals(received + 1);
    for (auto& h : take_held()) {
      h.respond(h.answer);
      EXPECT_EQ(data_of(client, client.receive())["path"],
                "/held/" + std::to_string(received));
      ++received;
    }
  }
  EXPECT_LE(most_held_, 16U);
}

TEST_F(HttpServerTest, SlowHeadersAreAnswered408AndClosed) {
  server_options o;
  o.read_timeout = 100ms;
  start(o);
  raw_client client{port()};
  client.send("GET / HTTP/1.1\r\nHost: t");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  EXPECT_EQ(json::parse(answer->body)["success"], false);
  EXPECT_EQ(answer->header("connection"), "close");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpServerTest, SlowBodiesAreAnswered408) {
  server_options o;
  o.read_timeout = 100ms;
  start(o);
  raw_client client{port()};
  client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
}

TEST_F(HttpServerTest, IdleConnectionsAreClosedWithoutAWord) {
  server_options o;
  o.idle_timeout = 100ms;
  start(o);
  raw_client silent{port()};
  EXPECT_TRUE(silent.is_closed());
  raw_client spoke{port()};
  spoke.send(get("/"));
  EXPECT_TRUE(spoke.receive());
  EXPECT_TRUE(spoke.is_closed());
}

TEST_F(HttpServerTest, AnAnswerUnderWayIsNoIdleTime) {
  server_options o;
  o.idle_timeout = 50ms;
  o.read_timeout = 50ms;
  start(o);
  raw_client client{port()};
  client.send(get("/held"));
  wait_for_arrivals(1);
  raw_client other{port()};
  EXPECT_TRUE(other.is_closed()); // The idle time has passed for this one.
  auto held = take_held();
  held.front().respond(held.front().answer);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST_F(HttpServerTest, TwoMebibytesAreRefusedWith413) {
  start();
  const std::string body(2 * 1024 * 1024, 'x');
  raw_client client{port()};
  client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: "
              + std::to_string(body.size()) + "\r\n\r\n");
  client.send(body);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  EXPECT_EQ(json::parse(answer->body)["success"], false);
}

TEST_F(HttpServerTest, TwoMebibytesInChunksAreRefusedWith413) {
  start();
  raw_client client{port()};
  client.send(
    "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (int i = 0; i < 32 && client.send(chunk); ++i) {
  }
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpServerTest, ABodyAtTheLimitIsRead) {
  start();
  const std::string body(1024 * 1024, 'x');
  raw_client client{port()};
  client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: "
              + std::to_string(body.size()) + "\r\n\r\n" + body
              + get("/after"));
  EXPECT_EQ(data_of(client, client.receive())["body_bytes"], body.size());
  EXPECT_EQ(data_of(client, client.receive())["path"], "/after");
}

TEST_F(HttpServerTest, ChunkedBodiesAreJoined) {
  start();
  raw_client client{port()};
  client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n");
  client.send("4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n" + get("/after"));
  EXPECT_EQ(data_of(client, client.receive())["body_bytes"], 7);
  EXPECT_EQ(data_of(client, client.receive())["path"], "/after");
}

TEST_F(HttpServerTest, HundredKilobytesOfHeadersAreRefusedWith431) {
  start();
  raw_client one{port()};
  one.send(get("/", "X-Large: " + std::string(100'000, 'x') + "\r\n"));
  const auto answer = one.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 431);

  raw_client many{port()};
  std::string lines;
  while (lines.size() < 100'000)
    lines += "X-N" + std::to_string(lines.size()) + ": y\r\n";
  many.send(get("/", lines));
  const auto other = many.receive();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->status, 431);
}

TEST_F(HttpServerTest, AnEndlessRequestLineIsRefusedWith414) {
  start();
  raw_client client{port()};
  client.send(get("/" + std::string(100'000, 'x')));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 414);
}

TEST_F(HttpServerTest, AnEndlessChunkExtensionIsRefused) {
  start();
  raw_client client{port()};
  client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3;x=");
  client.send(std::string(200'000, 'y'));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
}

struct bad_request {
  const char* name;
  std::string bytes;
  int status;

  friend void PrintTo(const bad_request& r, std::ostream* out) {
    *out << r.name;
  }
};

class HttpServerBadRequestTest
  : public HttpServerTest,
    public testing::WithParamInterface<bad_request> {};

TEST_P(HttpServerBadRequestTest, IsAnsweredWithTheEnvelopeAndClosed) {
  start();
  raw_client client{port()};
  client.send(GetParam().bytes);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, GetParam().status);
  EXPECT_EQ(answer->header("content-type"), "application/json");
  const auto body = json::parse(answer->body);
  EXPECT_EQ(body["success"], false);
  EXPECT_TRUE(body["message"].is_string());
  EXPECT_EQ(answer->header("connection"), "close");
  client.finish();
  EXPECT_TRUE(client.is_closed());
  // The server is as well as before.
  raw_client next{port()};
  next.send(get("/next"));
  const auto fine = next.receive();
  ASSERT_TRUE(fine);
  EXPECT_EQ(fine->status, 200);
}

INSTANTIATE_TEST_SUITE_P(
  All, HttpServerBadRequestTest,
  testing::Values(
    bad_request{"Garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\r\n\r\n",
                400},
    bad_request{"NoTarget", "GET\r\n\r\n", 400},
    bad_request{"BadVersion", "GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505},
    bad_request{"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    bad_request{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
    bad_request{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                400},
    bad_request{"OddHost", "GET / HTTP/1.1\r\nHost: a/<b>\r\n\r\n", 400},
    bad_request{"HeaderWithoutColon",
                "GET / HTTP/1.1\r\nHost: t\r\nx y\r\n\r\n", 400},
    bad_request{"BadEscape", get("/a%zz"), 400},
    bad_request{"CutEscape", get("/a%2"), 400},
    bad_request{"PathNotUtf8", get("/%ff%fe"), 400},
    bad_request{"NulInPath", get("/a%00b"), 400},
    bad_request{"QueryNotUtf8", get("/?a=%c3%28"), 400},
    bad_request{"HeaderNotUtf8", get("/", "X-Name: \xff\xfe\r\n"), 400},
    bad_request{"RelativeTarget", get("nowhere"), 400},
    bad_request{"BadLength",
                "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
                400},
    bad_request{"TwoLengths",
                "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n"
                "Content-Length: 2\r\n\r\nab",
                400},
    bad_request{"LengthAndChunks",
                "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400},
    bad_request{"BadChunk",
                "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
                "\r\nxyz\r\n",
                400},
    bad_request{"OtherCoding",
                "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n",
                501},
    bad_request{"OtherExpectation", get("/", "Expect: miracles\r\n"), 417}),
  [](const auto& info) { return std::string{info.param.name}; });

TEST_F(HttpServerTest, SurvivesNoise) {
  start();
  std::minstd_rand random{7};
  for (int round = 0; round < 50; ++round) {
    auto bytes
      = "POST /x?y=z HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nabcd"
        + get("/a%20b", "Expect: 100-continue\r\n");
    for (int flips = 0; flips < 4; ++flips)
      bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    raw_client client{port()};
    client.send(bytes);
    client.finish();
    while (client.receive()) {
    }
  }
  raw_client client{port()};
  client.send(get("/"));
  EXPECT_TRUE(client.receive());
}

TEST_F(HttpServerTest, ContinuesWhenExpected) {
  start();
  raw_client client{port()};
  client.send("POST /p HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
              "Content-Length: 4\r\n\r\n");
  const auto interim = client.receive();
  ASSERT_TRUE(interim);
  EXPECT_EQ(interim->status, 100);
  client.send("abcd");
  const auto answer = client.receive();
  EXPECT_EQ(data_of(client, answer)["body_bytes"], 4);
}

TEST_F(HttpServerTest, DoesNotContinueWhatIsTooLarge) {
  start();
  raw_client client{port()};
  client.send("POST /p HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
              "Content-Length: 9999999\r\n\r\n");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  start();
  raw_client client{port()};
  client.send("HEAD /x HTTP/1.1\r\nHost: t\r\n\r\n" + get("/after"));
  const auto head = client.receive(true);
  ASSERT_TRUE(head);
  EXPECT_GT(std::stoi(head->header("content-length")), 0);
  EXPECT_EQ(data_of(client, client.receive())["path"], "/after");
}

TEST_F(HttpServerTest, Http10IsClosedUnlessAskedToStay) {
  start();
  raw_client client{port()};
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.receive());
  EXPECT_TRUE(client.is_closed());
  raw_client stays{port()};
  stays.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(stays.receive());
  stays.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(stays.receive());
}

TEST_F(HttpServerTest, AHalfClosedClientIsAnswered) {
  start();
  raw_client client{port()};
  client.send(get("/held"));
  client.finish();
  wait_for_arrivals(1);
  auto held = take_held();
  held.front().respond(held.front().answer);
  EXPECT_EQ(data_of(client, client.receive())["path"], "/held");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(HttpServerTest, MoreInFlightThanAllowedIs503WithRetryAfter) {
  server_options o;
  o.max_in_flight = 1;
  start(o);
  raw_client first{port()};
  first.send(get("/held"));
  wait_for_arrivals(1);
  raw_client second{port()};
  second.send(get("/now"));
  const auto refused = second.receive();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->header("retry-after"), "1");
  auto held = take_held();
  held.front().respond(held.front().answer);
  EXPECT_TRUE(first.receive());
  // The refused connection goes on.
  second.send(get("/now"));
  const auto served = second.receive();
  ASSERT_TRUE(served);
  EXPECT_EQ(served->status, 200);
}

TEST_F(HttpServerTest, OneConnectionTooManyIsTurnedAway) {
  server_options o;
  o.max_connections = 1;
  start(o);
  raw_client first{port()};
  first.send(get("/"));
  EXPECT_TRUE(first.receive());
  raw_client second{port()};
  const auto refused = second.receive();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_TRUE(second.is_closed());
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCutOff) {
  server_options o;
  o.max_connections = 1;
  o.write_timeout = 100ms;
  start(o);
  raw_client deaf{port()};
  deaf.send(get("/large"));
  // Its place is free again once the server has given up on it.
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  int status = 0;
  while (status != 200 && std::chrono::steady_clock::now() < give_up) {
    raw_client other{port()};
    other.send(get("/"));
    const auto answer = other.receive();
    status = answer ? answer->status : 0;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(HttpServerTest, AForgottenAnswerBecomes503) {
  start();
  raw_client client{port()};
  client.send(get("/forget"));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
}

TEST_F(HttpServerTest, AThrowingHandlerBecomes500WithoutInternals) {
  start();
  raw_client client{port()};
  client.send(get("/throw"));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_THAT(answer->body, testing::Not(testing::HasSubstr("planted")));
}

TEST_F(HttpServerTest, ADroppedReplyClosesWithoutAByte) {
  start();
  raw_client client{port()};
  client.send(get("/drop"));
  EXPECT_TRUE(client.is_closed());
  raw_client pipelined{port()};
  pipelined.send(get("/before") + get("/drop"));
  EXPECT_EQ(data_of(pipelined, pipelined.receive())["path"], "/before");
  EXPECT_TRUE(pipelined.is_closed());
}

TEST_F(HttpServerTest, HeadersThatWouldSplitTheAnswerAreLeftOut) {
  start();
  raw_client client{port()};
  client.send(get("/split"));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("x-bad"), "");
  EXPECT_EQ(answer->header("x-injected"), "");
}

TEST_F(HttpServerTest, TheTraceIdComesBack) {
  start();
  raw_client client{port()};
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  client.send(
    get("/", "traceparent: 00-" + trace + "-00f067aa0ba902b7-01\r\n"));
  EXPECT_EQ(client.receive()->header("x-correlation-id"), trace);
  client.send(get("/", "traceparent: nonsense\r\n"));
  EXPECT_EQ(client.receive()->header("x-correlation-id").size(), 32U);
}

TEST_F(HttpServerTest, AnswersPreflightsForAnyOrigin) {
  start();
  raw_client client{port()};
  client.send("OPTIONS /api/v1/posts HTTP/1.1\r\nHost: t\r\n"
              "Origin: http://web.example\r\n"
              "Access-Control-Request-Method: PUT\r\n"
              "Access-Control-Request-Headers: authorization,x-a\r\n\r\n");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 204);
  EXPECT_EQ(answer->header("access-control-allow-origin"), "*");
  EXPECT_THAT(answer->header("access-control-allow-methods"),
              testing::HasSubstr("PUT"));
  EXPECT_EQ(answer->header("access-control-allow-headers"),
            "authorization,x-a");
  client.send(get("/", "Origin: http://web.example\r\n"));
  EXPECT_EQ(client.receive()->header("access-control-allow-origin"), "*");
}

TEST_F(HttpServerTest, AllowsOnlyConfiguredOrigins) {
  server_options o;
  o.cors_origins = {"https://good.example"};
  start(o);
  raw_client client{port()};
  client.send(get("/", "Origin: https://good.example\r\n"));
  const auto good = client.receive();
  ASSERT_TRUE(good);
  EXPECT_EQ(good->header("access-control-allow-origin"),
            "https://good.example");
  EXPECT_EQ(good->header("vary"), "Origin");
  client.send(get("/", "Origin: https://bad.example\r\n"));
  EXPECT_EQ(client.receive()->header("access-control-allow-origin"), "");
}

TEST_F(HttpServerTest, WithoutOriginsThereIsNoCors) {
  server_options o;
  o.cors_origins = {};
  start(o);
  raw_client client{port()};
  client.send("OPTIONS / HTTP/1.1\r\nHost: t\r\nOrigin: http://web.example\r\n"
              "Access-Control-Request-Method: GET\r\n\r\n");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200); // The handler's own answer.
  EXPECT_EQ(answer->header("access-control-allow-origin"), "");
}

TEST_F(HttpServerTest, StopLetsRequestsInFlightFinish) {
  start();
  auto busy = std::make_unique<raw_client>(port());
  busy->send(get("/held"));
  wait_for_arrivals(1);
  raw_client idle{port()};
  idle.send(get("/"));
  EXPECT_TRUE(idle.receive());
  const auto old_port = port();
  std::thread stopping{[this] { server_->stop(30s); }};
  EXPECT_TRUE(idle.is_closed());
  EXPECT_THROW(raw_client{old_port}, std::runtime_error);
  auto held = take_held();
  held.front().respond(held.front().answer);
  const auto answer = busy->receive();
  EXPECT_TRUE(busy->is_closed());
  busy.reset();
  stopping.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->header("connection"), "close");
  server_->stop(0ms);
}

TEST_F(HttpServerTest, StopCutsOffWhatTakesLongerThanTheGrace) {
  start();
  raw_client busy{port()};
  busy.send(get("/held"));
  wait_for_arrivals(1);
  server_->stop(10ms);
  EXPECT_TRUE(busy.is_closed());
  server_.reset();
  // An answer may come after the server has gone.
  auto held = take_held();
  held.front().respond(held.front().answer);
}

TEST_F(HttpServerTest, ATakenPortIsASystemError) {
  start();
  server_options o;
  o.port = port();
  server second{o, [](request, server::respond) {}, log_};
  EXPECT_THROW(second.start(), std::system_error);
}

TEST_F(HttpServerTest, ServesManyClientsOnTwoThreads) {
  server_options o;
  o.io_threads = 2;
  start(o);
  std::atomic<int> right{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c)
    clients.emplace_back([&, c] {
      raw_client client{port()};
      for (int i = 0; i < 100; ++i) {
        const auto path = "/" + std::to_string(c) + "/" + std::to_string(i);
        client.send(get(path));
        if (data_of(client, client.receive())["path"] == path)
          ++right;
      }
    });
  for (auto& c : clients)
    c.join();
  EXPECT_EQ(right, 800);
}

} // namespace
} // namespace carillon::http
