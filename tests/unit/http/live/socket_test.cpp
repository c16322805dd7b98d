// The live routes on a real server with the real hub, spoken to over raw
// sockets; only the database is the test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "actors/realtime/realtime.hpp"
#include "domain/ports/live_store.hpp"
#include "http/live/routes.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "tests/support/raw_websocket.hpp"
#include "tests/unit/http/raw_client.hpp"
#include "tests/unit/http/recording_logger.hpp"

namespace carillon::http::live {

namespace {

using test::raw_websocket;
using namespace std::chrono_literals;
using nlohmann::json;

const user_id olga = user_id::make();
const std::string olgas_channel = to_string(live_channel{live_channel::audience::user, olga.value});

class LiveSocketTest : public ::testing::Test {
protected:
  LiveSocketTest() {
    options.key = "app-key";
    options.secret = "a secret of this test";
    options.activity_timeout = 30s;
    context->log = &log;
    // Nobody asks the database within a test.
    context->settings.live_recheck_every = 1h;
  }
  ~LiveSocketTest() override {
    stop();
    context->realtime->connect({});
    caf::anon_send_exit(hub, caf::exit_reason::user_shutdown);
    hub = nullptr;
  }

  void start() {
    hub = spawn_realtime(system, context);
    context->realtime->connect(hub);
    service = std::make_shared<live::service>(options, context->realtime, log);
    table = std::make_unique<router>(websocket_routes(service));
    server_options at;
    at.port = 0;
    at.write_timeout = options.write_timeout;
    server = std::make_unique<http::server>(
      at,
      [this](request req, http::server::respond respond) {
        auto match = table->match(req.method, req.path);
        if (!match.found || !match.found->local)
          return respond(problem({errc::not_found, "no route", {}, {}}));
        req.path_params = std::move(match.path_params);
        respond(match.found->local(req));
      },
      log);
    server->start();
  }
  void stop() {
    if (server)
      server->stop(10s);
  }

  std::unique_ptr<raw_websocket> open(int receive_buffer = 0) {
    auto out = std::make_unique<raw_websocket>(server->port(), "/app/app-key?protocol=7&client=js&version=8.4.0&flash=false",
                                               receive_buffer);
    EXPECT_EQ(out->status(), 101);
    const auto first = out->receive_json();
    EXPECT_EQ(first.value("event", ""), "pusher:connection_established") << first;
    if (first.is_object())
      socket_id = json::parse(first.value("data", "{}")).value("socket_id", "");
    return out;
  }

  json subscription(const std::string& to, const std::string& auth) const {
    return {{"event", "pusher:subscribe"}, {"data", {{"channel", to}, {"auth", auth}}}};
  }
  /// Of the socket that was opened last.
  void subscribe(raw_websocket& socket, const std::string& to = olgas_channel) {
    ASSERT_TRUE(socket.send(subscription(to, service->sign(socket_id, to))));
    EXPECT_EQ(socket.receive_json(),
              (json{{"event", "pusher_internal:subscription_succeeded"}, {"data", "{}"}, {"channel", to}}));
  }

  void say(const std::string& data, const std::string& to = olgas_channel, const std::string& name = "notification.new") {
    live_batch batch;
    batch.events.push_back({to, name, "id", data});
    context->realtime->publish(std::move(batch));
  }

  static int error_code(const json& frame) {
    return frame.is_object() && frame.value("event", "") == "pusher:error" ? frame["data"].value("code", 0) : 0;
  }

  test::recording_logger log;
  service_options options;
  std::shared_ptr<engine_context> context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  realtime_actor hub;
  service_ptr service;
  std::unique_ptr<router> table;
  std::unique_ptr<http::server> server;
  std::string socket_id;
};

TEST_F(LiveSocketTest, ASubscriberGetsWhatIsSaidOnItsChannel) {
  start();
  auto socket = open();
  subscribe(*socket);
  const auto inbox = "private-workspace." + to_string(workspace_id::make()) + ".inbox";
  subscribe(*socket, inbox);
  const auto payload = json{{"title", "\"Ünï\" 🎉"}}.dump();
  say(payload);
  EXPECT_EQ(socket->receive_json(), (json{{"event", "notification.new"}, {"channel", olgas_channel}, {"data", payload}}));
  say("{}", inbox, "inbox.item_received");
  EXPECT_EQ(socket->receive_json(), (json{{"event", "inbox.item_received"}, {"channel", inbox}, {"data", "{}"}}));
}

TEST_F(LiveSocketTest, WhoUnsubscribesGetsNoMore) {
  start();
  auto socket = open();
  subscribe(*socket);
  const auto other = to_string(live_channel{live_channel::audience::workspace, make_uuid_v7()});
  subscribe(*socket, other);
  ASSERT_TRUE(socket->send(json{{"event", "pusher:unsubscribe"}, {"data", {{"channel", olgas_channel}}}}));
  ASSERT_TRUE(socket->send(json{{"event", "pusher:ping"}}));
  EXPECT_EQ(socket->receive_json(), (json{{"event", "pusher:pong"}}));
  say("{}");
  say("{}", other, "post.status_changed");
  EXPECT_EQ(socket->receive_json().value("event", ""), "post.status_changed");
}

TEST_F(LiveSocketTest, AnUnknownKeyIsToldAndClosed) {
  start();
  raw_websocket socket{server->port(), "/app/another-key?protocol=7"};
  EXPECT_EQ(socket.status(), 101);
  EXPECT_EQ(error_code(socket.receive_json()), 4001);
  EXPECT_EQ(socket.receive_close(), 4001);
  raw_websocket old{server->port(), "/app/app-key?protocol=4"};
  EXPECT_EQ(error_code(old.receive_json()), 4007);
}

TEST_F(LiveSocketTest, ABadSignatureSubscribesNobody) {
  start();
  auto socket = open();
  const auto good = service->sign(socket_id, olgas_channel);
  for (const auto& auth : {std::string{}, good + "0", good.substr(1), service->sign("1.1", olgas_channel)}) {
    ASSERT_TRUE(socket->send(subscription(olgas_channel, auth)));
    EXPECT_EQ(error_code(socket->receive_json()), 4009);
  }
  ASSERT_TRUE(socket->send(subscription("public-news", service->sign(socket_id, "public-news"))));
  EXPECT_EQ(error_code(socket->receive_json()), 4009);
  say("{}");
  ASSERT_TRUE(socket->send(json{{"event", "pusher:ping"}}));
  EXPECT_EQ(socket->receive_json(), (json{{"event", "pusher:pong"}})) << "no event came before";
}

TEST_F(LiveSocketTest, MalformedMessagesAreToldAndTheConnectionGoesOn) {
  start();
  auto socket = open();
  for (const std::string text : {"", "x", "[]", R"({"event":"client-typing","data":{}})", R"({"event":"unheard.of"})"}) {
    ASSERT_TRUE(socket->send(text));
    EXPECT_EQ(error_code(socket->receive_json()), 4300) << text;
  }
  ASSERT_TRUE(socket->send("{}", 2)); // Binary.
  EXPECT_EQ(error_code(socket->receive_json()), 4300);
  subscribe(*socket);
}

TEST_F(LiveSocketTest, AMessageThatIsTooLargeClosesTheConnection) {
  start();
  auto socket = open();
  ASSERT_TRUE(socket->send(std::string(options.max_frame_bytes + 1, 'x')));
  EXPECT_EQ(socket->receive_close(), 1009);
}

TEST_F(LiveSocketTest, TextThatIsNotUtf8ClosesTheConnection) {
  start();
  auto socket = open();
  ASSERT_TRUE(socket->send("\xff\xfe"));
  EXPECT_EQ(socket->receive_close(), 1007);
}

TEST_F(LiveSocketTest, AChattyClientIsClosed) {
  options.max_messages_per_second = 1;
  start();
  auto socket = open();
  for (int i = 0; i < 10; ++i)
    socket->send(json{{"event", "pusher:ping"}});
  EXPECT_EQ(socket->receive_close(), 4301);
}

TEST_F(LiveSocketTest, AConnectionHasSoManyChannelsAndNoMore) {
  options.max_channels = 2;
  start();
  auto socket = open();
  subscribe(*socket);
  const auto next = [] { return to_string(live_channel{live_channel::audience::workspace, make_uuid_v7()}); };
  subscribe(*socket, next());
  const auto third = next();
  ASSERT_TRUE(socket->send(subscription(third, service->sign(socket_id, third))));
  EXPECT_EQ(error_code(socket->receive_json()), 4300);
  subscribe(*socket); // Again is not one more.
}

TEST_F(LiveSocketTest, OneConnectionTooManyIsAnsweredBeforeTheHandshake) {
  options.max_connections = 1;
  start();
  auto first = open();
  raw_websocket second{server->port(), "/app/app-key"};
  EXPECT_EQ(second.status(), 503);
}

TEST_F(LiveSocketTest, WhatIsNoHandshakeIsToldSo) {
  start();
  test::raw_client client{server->port()};
  client.send("GET /app/app-key HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 426);
  client.send("GET /app/app-key HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const auto other = client.receive();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->status, 426);
  EXPECT_EQ(other->header("sec-websocket-version"), "13");
}

TEST_F(LiveSocketTest, PingsOfBothKindsAreAnswered) {
  start();
  auto socket = open();
  ASSERT_TRUE(socket->send(json{{"event", "pusher:ping"}, {"data", json::object()}}));
  EXPECT_EQ(socket->receive_json(), (json{{"event", "pusher:pong"}}));
  ASSERT_TRUE(socket->send("hello", 9));
  const auto pong = socket->receive();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->opcode, 10);
  EXPECT_EQ(pong->payload, "hello");
}

TEST_F(LiveSocketTest, ASilentClientIsAskedAndThenClosed) {
  options.activity_timeout = 100ms;
  start();
  auto socket = open();
  subscribe(*socket);
  const auto asked = socket->receive();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->json().value("event", ""), "pusher:ping");
  ASSERT_TRUE(socket->send(json{{"event", "pusher:pong"}}));
  const auto again = socket->receive();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->json().value("event", ""), "pusher:ping") << "the answer counted as a sign of life";
  EXPECT_EQ(socket->receive_close(), 4201);
}

TEST_F(LiveSocketTest, WhoSubscribesToNothingGivesThePlaceBackHoweverAliveItIs) {
  options.activity_timeout = 100ms;
  start();
  auto socket = open();
  for (;;) {
    const auto heard = socket->receive();
    ASSERT_TRUE(heard);
    if (heard->json().value("event", "") != "pusher:ping")
      break;
    ASSERT_TRUE(socket->send(json{{"event", "pusher:pong"}}));
  }
  EXPECT_EQ(socket->receive_close(), 4200);
}

TEST_F(LiveSocketTest, ASlowReaderIsCutOffAndTheOthersAreNot) {
  options.max_queued_bytes = 64 * 1024;
  start();
  auto slow = open(4'096);
  subscribe(*slow);
  auto quick = open();
  subscribe(*quick);
  std::atomic<int> got{0};
  std::atomic<bool> ended{false};
  std::thread reader{[&] {
    while (got < 200 && quick->receive_json().is_object())
      ++got;
    ended = true;
  }};
  const auto payload = json{{"message", std::string(8'000, 'x')}}.dump();
  for (int i = 1; i <= 200; ++i) {
    say(payload);
    // The quick one is given time to be quick.
    while (got < i - 4 && !ended)
      std::this_thread::yield();
  }
  reader.join();
  EXPECT_EQ(got, 200);
  EXPECT_EQ(context->realtime->cut_off, 1u);
  EXPECT_TRUE(log.has("live-client-cut-off"));
  int read = 0;
  while (slow->receive())
    ++read;
  EXPECT_LT(read, 200);
}

TEST_F(LiveSocketTest, AServerThatStopsTellsClientsToConnectAgain) {
  start();
  auto socket = open();
  subscribe(*socket);
  auto idle = open();
  std::thread stopping{[this] { stop(); }};
  EXPECT_EQ(socket->receive_close(), 4200);
  socket->send("\x10\x68", 8); // 4200: the client's half of the goodbye.
  socket.reset();
  EXPECT_EQ(idle->receive_close(), 4200);
  idle.reset();
  stopping.join();
  EXPECT_EQ(context->realtime->sockets, 0u);
}

TEST_F(LiveSocketTest, TheEndOfTheHubTellsClientsToConnectAgain) {
  start();
  auto socket = open();
  subscribe(*socket);
  caf::anon_send_exit(hub, caf::exit_reason::kill);
  EXPECT_EQ(socket->receive_close(), 4200);
}

TEST_F(LiveSocketTest, AConnectionThatBreaksIsForgotten) {
  start();
  auto socket = open();
  subscribe(*socket);
  socket.reset();
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (context->realtime->sockets > 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_EQ(context->realtime->sockets, 0u);
}

} // namespace

} // namespace carillon::http::live
