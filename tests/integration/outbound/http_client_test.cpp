#include "outbound/http_client.hpp"

#include <atomic>
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/mail_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using delivery = http_response::delivery;
using test::answers;
using test::http_answer;
using test::scripted_exchange;
using test::scripted_request;
using test::scripted_server;
using ::testing::HasSubstr;
using ::testing::Not;

class HttpClientTest : public ::testing::Test {
protected:
  http_response send(http_request request, http_client_options options = {}) {
    http_client client{loop, std::move(options)};
    return test::wait_for<http_response>([&](auto done) { client.send(std::move(request), done); });
  }

  static http_request request(std::string method, std::string url) {
    http_request out;
    out.method = std::move(method);
    out.url = std::move(url);
    return out;
  }

  static void expect_never_sent(const http_response& r, errc why) {
    EXPECT_EQ(r.how, delivery::not_sent) << r.status;
    EXPECT_EQ(r.why, why) << r.detail;
    EXPECT_FALSE(r.detail.empty());
  }

  static void expect_no_answer(const http_response& r) {
    EXPECT_EQ(r.how, delivery::no_answer) << r.status;
    EXPECT_EQ(r.why, errc::outcome_unknown);
    EXPECT_FALSE(r.detail.empty());
  }

  curl_loop loop;
};

TEST_F(HttpClientTest, StatusHeadersAndBodyComeBack) {
  scripted_server server{answers({http_answer(418, "short and stout", {"X-Pot:  tea ", "x-empty:"})})};
  const auto r = send(request("GET", server.url() + "/pot?a=b"));
  ASSERT_TRUE(r.answered()) << r.detail;
  EXPECT_EQ(r.status, 418);
  EXPECT_EQ(r.body, "short and stout");
  EXPECT_FALSE(r.body_truncated);
  EXPECT_EQ(r.header("x-pot"), "tea");
  EXPECT_EQ(r.header("x-empty"), "");
  EXPECT_EQ(server.requests().at(0).line, "GET /pot?a=b HTTP/1.1");
  EXPECT_EQ(server.requests().at(0).header("user-agent"), "carillon");
}

TEST_F(HttpClientTest, AnyMethodCarriesItsBodyAndHeaders) {
  scripted_server server{answers({http_answer(200)})};
  for (const auto* method : {"POST", "PUT", "PATCH", "DELETE"}) {
    auto q = request(method, server.url() + "/x");
    q.headers = {{"X-One", "1"}, {"Content-Type", "text/plain"}, {"X-Empty", ""}};
    q.body = std::string{"a\0b", 3};
    EXPECT_EQ(send(q).status, 200);
    const auto seen = server.requests().back();
    EXPECT_EQ(seen.line, std::string{method} + " /x HTTP/1.1");
    EXPECT_EQ(seen.body, q.body);
    EXPECT_EQ(seen.header("x-one"), "1");
    EXPECT_EQ(seen.header("content-type"), "text/plain");
    EXPECT_THAT(seen.head, HasSubstr("X-Empty:"));
  }
}

TEST_F(HttpClientTest, ALargeBodyIsSentWithoutAskingFirst) {
  scripted_server server{answers({http_answer(200)})};
  auto q = request("POST", server.url());
  q.body = std::string(3'000'000, 'x');
  EXPECT_EQ(send(q).status, 200);
  EXPECT_EQ(server.requests().at(0).header("expect"), "");
  EXPECT_EQ(server.requests().at(0).body.size(), q.body.size());
}

TEST_F(HttpClientTest, FormsCarryFilesByteByByte) {
  scripted_server server{answers({http_answer(200)})};
  test::scratch_folder folder;
  const auto file = folder.path() / "p\"i\r\nc.png";
  const std::string bytes{"\x89PNG\0\r\n--", 9};
  std::ofstream{file, std::ios::binary} << bytes;
  auto q = request("POST", server.url());
  q.form = {{"file", {}, file.string(), "p\"i\r\nc.png", "image/png"}, {"description", "Grüße\r\nX: y", {}, {}, {}}};
  ASSERT_EQ(send(q).status, 200);
  const auto seen = server.requests().at(0);
  EXPECT_THAT(seen.header("content-type"), ::testing::StartsWith("multipart/form-data; boundary="));
  EXPECT_THAT(seen.body, HasSubstr("Content-Type: image/png\r\n\r\n" + bytes + "\r\n--"));
  EXPECT_THAT(seen.body, HasSubstr("name=\"description\"\r\n\r\nGrüße\r\nX: y\r\n--"));
  EXPECT_THAT(seen.body, Not(HasSubstr("\r\nc.png"))) << "a file name must not begin a line";

  q.form[0].path = (folder.path() / "missing").string();
  expect_never_sent(send(q), errc::not_found);
}

TEST_F(HttpClientTest, AFileCanBeTheWholeBodyUpToItsLimit) {
  scripted_server server{answers({http_answer(200)})};
  test::scratch_folder folder;
  const auto file = folder.path() / "picture.png";
  const std::string bytes{"\x89PNG\0\r\n--", 9};
  std::ofstream{file, std::ios::binary} << bytes;
  auto q = request("POST", server.url());
  q.file = body_file{file.string(), bytes.size()};
  ASSERT_EQ(send(q).status, 200);
  EXPECT_EQ(server.requests().at(0).body, bytes);
  q.file->most_bytes = bytes.size() - 1;
  const auto too_large = send(q);
  expect_never_sent(too_large, errc::invalid_argument);
  EXPECT_THAT(too_large.detail, Not(HasSubstr(folder.path().string())));
  q.file = body_file{(folder.path() / "missing").string(), 100};
  expect_never_sent(send(q), errc::not_found);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpClientTest, FilesAreReadFromWhereTheirNamesAreSaidToLie) {
  scripted_server server{answers({http_answer(200)})};
  test::scratch_folder folder;
  std::ofstream{folder.path() / "kept", std::ios::binary} << "PNG!";
  http_client_options options;
  options.find_file = [&](const std::string& key) -> result<std::string> {
    if (key != "tenant/workspace/bell.png")
      return failure{errc::not_found, "no such object", {}, {}};
    return (folder.path() / "kept").string();
  };
  auto form = request("POST", server.url());
  form.form = {{"file", {}, "tenant/workspace/bell.png", {}, "image/png"}};
  ASSERT_EQ(send(form, options).status, 200);
  EXPECT_THAT(server.requests().at(0).body, HasSubstr("filename=\"bell.png\"\r\nContent-Type: image/png\r\n\r\nPNG!\r\n"));
  auto body = request("POST", server.url());
  body.file = body_file{"tenant/workspace/bell.png", 4};
  ASSERT_EQ(send(body, options).status, 200);
  EXPECT_EQ(server.requests().at(1).body, "PNG!");
  form.form[0].path = "tenant/workspace/other.png";
  expect_never_sent(send(form, options), errc::not_found);
  body.file->path = "tenant/workspace/other.png";
  expect_never_sent(send(body, options), errc::not_found);
}

TEST_F(HttpClientTest, InformationalAnswersArePassedOver) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.send("HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n" + http_answer(201, "made", {"X-Late: yes"}));
  }};
  const auto r = send(request("POST", server.url()));
  EXPECT_EQ(r.status, 201);
  EXPECT_EQ(r.header("x-early"), "");
  EXPECT_EQ(r.header("x-late"), "yes");
}

TEST_F(HttpClientTest, NoRedirectIsFollowed) {
  for (const auto* method : {"GET", "POST", "PUT"})
    for (const int status : {301, 302, 303, 307, 308}) {
      scripted_server elsewhere{answers({http_answer(200, "stolen")})};
      scripted_server server{answers({http_answer(status, "", {"Location: " + elsewhere.url() + "/x"})})};
      auto q = request(method, server.url() + "/from");
      q.headers = {{"Authorization", "Bearer secret"}};
      const auto r = send(q);
      ASSERT_TRUE(r.answered());
      EXPECT_EQ(r.status, status);
      EXPECT_EQ(r.header("location"), elsewhere.url() + "/x");
      EXPECT_EQ(server.requests().size(), 1u);
      EXPECT_EQ(elsewhere.connections(), 0);
    }
}

// -- limits -----------------------------------------------------------------------

TEST_F(HttpClientTest, ABodyIsReadUpToTheCapAndNoFurther) {
  scripted_server server{answers({http_answer(200, std::string(1'001, 'x')), http_answer(200, std::string(1'000, 'y'))})};
  http_client_options options;
  options.max_response_bytes = 1'000;
  const auto cut = send(request("GET", server.url()), options);
  ASSERT_TRUE(cut.answered()) << cut.detail;
  EXPECT_EQ(cut.status, 200);
  EXPECT_EQ(cut.body, std::string(1'000, 'x'));
  EXPECT_TRUE(cut.body_truncated);
  const auto whole = send(request("GET", server.url()), options);
  EXPECT_EQ(whole.body.size(), 1'000u);
  EXPECT_FALSE(whole.body_truncated);
}

TEST_F(HttpClientTest, AnEndlessBodyEndsAtTheCap) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const auto chunk = "400\r\n" + std::string(1'024, 'x') + "\r\n";
    for (int i = 0; i < 100'000; ++i)
      e.send(chunk);
  }};
  http_client_options options;
  options.max_response_bytes = 10'000;
  const auto r = send(request("GET", server.url()), options);
  EXPECT_TRUE(r.answered());
  EXPECT_TRUE(r.body_truncated);
  EXPECT_EQ(r.body.size(), 10'000u);
}

TEST_F(HttpClientTest, EndlessHeadersAreNoAnswer) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000; ++i)
      e.send("X-More: " + std::string(1'000, 'x') + "\r\n");
  }};
  expect_no_answer(send(request("POST", server.url())));
}

TEST_F(HttpClientTest, WhatIsNoHttpIsNoAnswer) {
  for (const std::string bytes : {"SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbad"}) {
    scripted_server server{[&](scripted_exchange& e) {
      scripted_request q;
      e.receive(q);
      e.send(bytes);
    }};
    expect_no_answer(send(request("POST", server.url())));
  }
}

// -- time-outs --------------------------------------------------------------------

TEST_F(HttpClientTest, ASilentServerIsNoAnswerAfterTheTimeout) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.hang();
  }};
  auto q = request("POST", server.url());
  q.timeout = 200ms;
  expect_no_answer(send(q));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpClientTest, AnAnswerThatStopsHalfWayIsNoAnswerAfterTheTimeout) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    e.hang();
  }};
  auto q = request("POST", server.url());
  q.timeout = 200ms;
  expect_no_answer(send(q));
}

TEST_F(HttpClientTest, AHandshakeThatHangsWasNeverSent) {
  scripted_server server{[](scripted_exchange& e) { e.hang(); }};
  auto q = request("POST", "https://127.0.0.1:" + std::to_string(server.port()));
  http_client_options options;
  options.connect_timeout = 200ms;
  expect_never_sent(send(q, options), errc::transient);
  q.timeout = 200ms;
  expect_never_sent(send(q), errc::transient);
}

TEST_F(HttpClientTest, WaitingForATurnCountsAndWasNeverSent) {
  curl_loop_options narrow;
  narrow.max_running_per_host = 1;
  curl_loop one_lane{narrow};
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.hang();
  }};
  http_client client{one_lane};
  auto q = request("POST", server.url());
  const auto first = std::make_shared<std::promise<http_response>>();
  client.send(q, [first](http_response r) { first->set_value(std::move(r)); });
  ASSERT_TRUE(test::eventually([&] { return server.requests().size() == 1; }));
  q.timeout = 100ms;
  expect_never_sent(test::wait_for<http_response>([&](auto done) { client.send(q, done); }), errc::transient);
  EXPECT_EQ(server.connections(), 1);
  one_lane.stop();
  EXPECT_EQ(first->get_future().get().how, delivery::no_answer);
}

TEST_F(HttpClientTest, OneBusyHostDoesNotHoldUpAnother) {
  curl_loop_options narrow;
  narrow.max_running_per_host = 1;
  curl_loop lanes{narrow};
  http_client client{lanes};
  scripted_server busy{[](scripted_exchange& e) { e.hang(); }};
  scripted_server free{answers({http_answer(200)})};
  for (int i = 0; i < 10; ++i)
    client.send(request("GET", busy.url()), [](const http_response&) {});
  const auto r = test::wait_for<http_response>([&](auto done) { client.send(request("GET", free.url()), done); });
  EXPECT_EQ(r.status, 200);
}

// -- connections ------------------------------------------------------------------

TEST_F(HttpClientTest, NobodyListeningMeansNeverSent) {
  expect_never_sent(send(request("POST", "http://127.0.0.1:" + std::to_string(test::closed_port()))), errc::transient);
  expect_never_sent(send(request("GET", "http://no-such-host.invalid/")), errc::transient);
}

TEST_F(HttpClientTest, AConnectionThatDiesAfterTheRequestIsNoAnswer) {
  for (const bool reset : {false, true}) {
    scripted_server server{[reset](scripted_exchange& e) {
      scripted_request q;
      e.receive(q);
      if (reset)
        e.drop();
    }};
    expect_no_answer(send(request("POST", server.url())));
    EXPECT_EQ(server.requests().size(), 1u);
  }
}

// libcurl by itself sends a request again when a kept connection dies before
// the first byte of the answer. With a POST that is a double post.
TEST_F(HttpClientTest, APostIsNeverSentASecondTime) {
  std::atomic<int> posts{0};
  scripted_server server{[&](scripted_exchange& e) {
    for (scripted_request q; e.receive(q);) {
      if (q.line.starts_with("POST")) {
        ++posts;
        return;
      }
      e.send(http_answer(200));
    }
  }};
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(send(request("GET", server.url())).status, 200) << "leaves a connection to be kept";
    expect_no_answer(send(request("POST", server.url())));
    EXPECT_EQ(posts, i);
  }
}

TEST_F(HttpClientTest, ConnectionsAreKeptForReads) {
  scripted_server server{answers({http_answer(200)})};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(send(request("GET", server.url())).status, 200);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, TheConnectionOfAPostIsNotKept) {
  std::atomic<int> ended{0};
  scripted_server server{[&](scripted_exchange& e) {
    for (scripted_request q; e.receive(q);)
      e.send(http_answer(200));
    ++ended;
  }};
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(send(request("POST", server.url())).status, 200);
    EXPECT_TRUE(test::eventually([&] { return ended == i; })) << "nobody could use it again";
  }
  EXPECT_EQ(server.connections(), 5);
}

TEST_F(HttpClientTest, ProxiesOfTheEnvironmentAreNotAsked) {
  scripted_server proxy{answers({http_answer(200, "from the proxy")})};
  scripted_server server{answers({http_answer(200, "from the server")})};
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  ::setenv("ALL_PROXY", proxy.url().c_str(), 1);
  EXPECT_EQ(send(request("GET", server.url())).body, "from the server");
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
}

TEST_F(HttpClientTest, PrivateAddressesAreRefusedWhereThatIsAsked) {
  scripted_server server{answers({http_answer(200)})};
  http_client_options options;
  options.refuse_private_addresses = true;
  const auto port = ":" + std::to_string(server.port());
  for (const auto* host : {"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "2130706433"}) {
    auto q = request("GET", std::string{"http://"} + host + port);
    expect_never_sent(send(q, options), errc::forbidden);
    q.refuse_private_addresses = true;
    expect_never_sent(send(q), errc::forbidden);
    q.method = "POST";
    expect_never_sent(send(q), errc::forbidden);
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpClientTest, AllowedBlocksAreCalledAndNothingElseIs) {
  scripted_server server{answers({http_answer(200, "here")})};
  http_client_options options;
  options.refuse_private_addresses = true;
  options.allowed_addresses = *address_blocks::parse({"127.0.0.0/8", "10.0.0.0/8"});
  for (const auto* host : {"127.0.0.1", "[::ffff:127.0.0.1]"}) {
    const auto r = send(request("GET", std::string{"http://"} + host + ":" + std::to_string(server.port())), options);
    // Not every machine lets IPv6's form of an IPv4 address through.
    if (host[0] != '[') {
      EXPECT_EQ(r.body, "here") << r.detail;
    }
    EXPECT_NE(r.why, errc::forbidden) << host;
  }
  options.allowed_addresses = *address_blocks::parse({"10.0.0.0/8", "::1", "127.0.0.2"});
  expect_never_sent(send(request("GET", server.url()), options), errc::forbidden);
}

TEST_F(HttpClientTest, ARedirectToAPrivateAddressIsAnAnswerAndNotACall) {
  scripted_server inner{answers({http_answer(200, "secret")})};
  scripted_server outer{answers({http_answer(302, "", {"Location: " + inner.url()})})};
  http_client_options options;
  options.refuse_private_addresses = true;
  options.allowed_addresses = *address_blocks::parse({"127.0.0.1"});
  EXPECT_EQ(send(request("GET", outer.url()), options).status, 302);
  EXPECT_EQ(inner.connections(), 0);
}

TEST_F(HttpClientTest, ABlockOfAddressesIsWrittenAsItIsMeant) {
  for (const auto* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::1/129", "10.0.0.0/-1", "10.0.0.0/8x", "localhost"})
    EXPECT_FALSE(address_blocks::parse({text})) << text;
  for (const auto* text : {"10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "192.168.1.7"})
    EXPECT_TRUE(address_blocks::parse({text})) << text;
}

TEST_F(HttpClientTest, ReservedBlocksOfBothProtocolsAreNoPublicAddresses) {
  for (const auto* host :
       {"10.1.2.3", "100.64.0.1", "169.254.169.254", "172.31.255.255", "192.0.0.8", "192.168.1.1", "198.18.0.1",
        "198.51.100.7", "203.0.113.9", "224.0.0.1", "255.255.255.255", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]",
        "[2001::1]", "[2001:db8::1]", "[3fff::1]", "[2002:7f00:1::]", "[64:ff9b::a00:1]", "[64:ff9b:1::808:808]",
        "[::ffff:10.0.0.1]", "[::7f00:1]"}) {
    auto q = request("GET", std::string{"http://"} + host + ":9/");
    q.refuse_private_addresses = true;
    expect_never_sent(send(q), errc::forbidden);
  }
}

TEST_F(HttpClientTest, ARequestThatRefusesPrivateAddressesTakesOverNoConnectionToOne) {
  scripted_server server{answers({http_answer(200, "here")})};
  http_client client{loop};
  const auto get = [&](bool refuse) {
    auto q = request("GET", server.url());
    q.refuse_private_addresses = refuse;
    return test::wait_for<http_response>([&](auto done) { client.send(q, done); });
  };
  ASSERT_EQ(get(false).body, "here");
  ASSERT_EQ(get(false).body, "here");
  ASSERT_EQ(server.connections(), 1) << "the connection is kept";
  expect_never_sent(get(true), errc::forbidden);
  EXPECT_EQ(get(false).body, "here");
}

// -- bad input --------------------------------------------------------------------

TEST_F(HttpClientTest, WhatCannotBeSentAsItIsIsInvalid) {
  scripted_server server{answers({http_answer(200)})};
  for (const auto& url : {std::string{}, std::string{"no url"}, std::string{"ftp://127.0.0.1/"}, std::string{"file:///etc/passwd"},
                          "http://user:secret@127.0.0.1:" + std::to_string(server.port()), server.url() + "/a\r\nX: y",
                          server.url() + "/a b", std::string{"http://"}, std::string{"gopher://127.0.0.1"}})
    expect_never_sent(send(request("GET", url)), errc::invalid_argument);
  for (const auto* method : {"", "GE T", "GET\r\nX: y", "G@T"})
    expect_never_sent(send(request(method, server.url())), errc::invalid_argument);
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>{"X", "a\r\nY: b"}, {"X", "a\nb"}, {"X", std::string{"a\0b", 3}}, {"X\r\nY", "a"},
        {"", "a"}, {"X Y", "a"}, {"X:", "a"}}) {
    auto q = request("POST", server.url());
    q.headers = {{name, value}};
    expect_never_sent(send(q), errc::invalid_argument);
  }
  EXPECT_EQ(server.requests().size(), 0u);
}

// -- ending ------------------------------------------------------------------------

TEST_F(HttpClientTest, ACancelledCallSaysWhatIsKnownOfIt) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request q;
    e.receive(q);
    e.hang();
  }};
  http_client client{loop};
  curl_loop::ticket ticket = 0;
  const auto r = test::wait_for<http_response>([&](auto done) {
    ticket = client.send(request("POST", server.url()), done);
    EXPECT_TRUE(test::eventually([&] { return server.requests().size() == 1; }));
    client.cancel(ticket);
  });
  expect_no_answer(r);
  client.cancel(ticket);
}

TEST_F(HttpClientTest, EveryCallIsAnsweredWhenTheLoopStops) {
  scripted_server server{[](scripted_exchange& e) { e.hang(); }};
  auto short_lived = std::make_unique<curl_loop>();
  http_client client{*short_lived};
  std::atomic<int> ended{0};
  for (int i = 0; i < 100; ++i)
    client.send(request("POST", server.url()), [&](const http_response& r) {
      EXPECT_FALSE(r.answered());
      ++ended;
    });
  short_lived->stop();
  EXPECT_EQ(ended, 100);
  client.send(request("POST", server.url()), [&](const http_response& r) {
    EXPECT_EQ(r.how, delivery::not_sent);
    ++ended;
  });
  EXPECT_EQ(ended, 101);
}

TEST_F(HttpClientTest, TooManyUnfinishedCallsAreRefused) {
  curl_loop_options few;
  few.max_unfinished = 3;
  curl_loop small{few};
  scripted_server server{[](scripted_exchange& e) { e.hang(); }};
  http_client client{small};
  std::atomic<int> ended{0};
  for (int i = 0; i < 3; ++i)
    client.send(request("POST", server.url()), [&](const http_response&) { ++ended; });
  const auto r = test::wait_for<http_response>([&](auto done) { client.send(request("POST", server.url()), done); });
  expect_never_sent(r, errc::transient);
  EXPECT_EQ(ended, 0);
  small.stop();
  EXPECT_EQ(ended, 3);
}

// -- TLS ---------------------------------------------------------------------------

/// OpenSSL's own little web server, with a certificate that it made itself.
class tls_server {
public:
  tls_server(const std::filesystem::path& folder, const std::string& name)
    : certificate_{(folder / (name + ".pem")).string()} {
    const std::string kind = name == "127.0.0.1" ? "IP" : "DNS";
    test::process make{{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=" + kind + ":" + name, "-keyout", certificate_ + ".key", "-out",
                        certificate_},
                       {}, folder / "openssl.log"};
    if (make.wait() != 0)
      throw std::runtime_error{"no certificate: " + make.output()};
    process_ = std::make_unique<test::process>(
      std::vector<std::string>{"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate_, "-key",
                               certificate_ + ".key", "-www"},
      std::map<std::string, std::string>{}, folder / (name + ".log"));
    const auto prefix = std::string{"ACCEPT 127.0.0.1:"};
    test::eventually([&] {
      const auto output = process_->output();
      const auto at = output.find(prefix);
      if (at != output.npos && output.find('\n', at) != output.npos)
        url_ = "https://127.0.0.1:" + std::to_string(std::stoi(output.substr(at + prefix.size()))) + "/";
      return !url_.empty() || !process_->is_running();
    });
    if (url_.empty())
      throw std::runtime_error{"the TLS server did not start: " + process_->output()};
  }
  const std::string& url() const {
    return url_;
  }
  const std::string& certificate() const {
    return certificate_;
  }

private:
  std::string certificate_;
  std::unique_ptr<test::process> process_;
  std::string url_;
};

TEST_F(HttpClientTest, OnlyATrustedCertificateOfTheRightNameIsSpokenTo) {
  test::scratch_folder folder;
  const tls_server right{folder.path(), "127.0.0.1"};
  const tls_server wrong{folder.path(), "other.example"};
  auto q = request("POST", right.url());
  q.headers = {{"Authorization", "Bearer secret"}};
  const auto untrusted = send(q);
  expect_never_sent(untrusted, errc::transient);
  EXPECT_THAT(untrusted.detail, HasSubstr("certificate"));

  http_client_options trusting;
  trusting.ca_file = right.certificate();
  const auto trusted = send(request("GET", right.url()), trusting);
  EXPECT_EQ(trusted.status, 200) << trusted.detail;

  trusting.ca_file = wrong.certificate();
  const auto misnamed = send(request("GET", wrong.url()), trusting);
  expect_never_sent(misnamed, errc::transient);
  EXPECT_THAT(misnamed.detail, HasSubstr("127.0.0.1"));
}

} // namespace

} // namespace carillon::outbound
