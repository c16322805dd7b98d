// What must not come in: after each test nothing is written and the node
// still answers.

#include <algorithm>
#include <future>
#include <random>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i)
    out += text;
  return out;
}

class BadInputTest : public api_suite {
protected:
  void SetUp() override {
    add_notice(editor);
    before_ = fingerprint();
  }

  void TearDown() override {
    EXPECT_EQ(fingerprint(), before_) << "something was written";
    EXPECT_EQ(node().web().get("/up").status, 200);
    EXPECT_EQ(editor.web.get("/api/v1/user").status, 200);
    EXPECT_TRUE(node().self().is_running());
  }

  /// A whole request of the editor.
  std::string request(const std::string& method, const std::string& target, const std::string& headers = "",
                      const std::string& body = "") const {
    return method + " " + target + " HTTP/1.1\r\nHost: carillon.test\r\nAuthorization: Bearer " + editor.token + "\r\n"
           + headers + (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body;
  }

  /// The first answer to `bytes` on a connection of their own.
  std::optional<raw_answer> first_answer(const std::string& bytes) {
    raw_client client{port_of(node().web())};
    client.send(bytes);
    return client.receive();
  }

  /// That answer is a problem with `status`, and the connection ends with it.
  ::testing::AssertionResult cuts_off(const std::string& bytes, int status) {
    raw_client client{port_of(node().web())};
    client.send(bytes);
    const auto answer = client.receive();
    if (auto good = is_problem(answer, status); !good)
      return good;
    if (answer->header("connection") != "close" || !client.is_closed())
      return ::testing::AssertionFailure() << "the connection goes on after " << answer->body;
    return ::testing::AssertionSuccess();
  }

  struct writing {
    std::string method;
    std::string path;
    const person* by; ///< Who may; null for nobody.
  };

  /// Every route that reads a body, on something whose state allows it.
  std::vector<writing> writing_routes() {
    const auto account = add_account(workspace);
    const auto post = [&](const char* status) { return base + "/posts/" + add_post(editor, status, account); };
    const auto draft = post("draft");
    const auto submitted = post("submitted");
    const auto approved = post("approved");
    const auto scheduled = post("scheduled");
    const auto failed = post("failed");
    before_ = fingerprint();
    return {{"POST", "/api/v1/auth/login", nullptr},
            {"POST", "/api/v1/notifications/read-multiple", &editor},
            {"PUT", "/api/v1/notifications/preferences", &editor},
            {"POST", base + "/posts", &editor},
            {"PUT", draft, &editor},
            {"PUT", draft + "/targets", &editor},
            {"POST", submitted + "/approve", &admin},
            {"POST", submitted + "/reject", &admin},
            {"POST", approved + "/schedule", &admin},
            {"PUT", scheduled + "/schedule", &admin},
            {"POST", failed + "/retry", &admin},
            {"POST", base + "/posts/bulk-schedule", &admin},
            {"POST", draft + "/media", &editor},
            {"PUT", draft + "/media/order", &editor},
            {"POST", base + "/members", &admin},
            {"POST", "/api/v1/workspaces", &owner}};
  }

  web_answer send(const writing& route, const std::string& body) {
    return (route.by ? route.by->web : node().web()).send(route.method, route.path, body);
  }

  std::string before_;
};

// -- bodies ---------------------------------------------------------------------

TEST_F(BadInputTest, WhatIsNoJsonObjectIsRefusedByEveryRouteThatReadsABody) {
  const std::vector<std::string> bodies{
    "{", "}", "{\"a\":}", "{\"a\":1,}", "{'a':1}", "{a:1}", "{\"a\":1}}", "{\"a\":1} {\"a\":1}", "{\"a\":NaN}",
    "{\"a\":1e999}", "{\"a\":01}", "{\"a\":\"\t\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\\ud800\"}",
    "{\"a\":\"open}", "[]", "[{}]", "null", "true", "1", "\"text\"", "a=1&b=2", "<a/>", "{/* */}", "--x\r\n\r\n--x--",
    "\xff\xfe{\"a\":1}", "{\"a\":\"\xff\"}", "{\"\xc3\x28\":1}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xc0\xaf\"}",
    "{\"a\":\"\xf4\x90\x80\x80\"}", std::string("{\"a\":\"\0\"}", 9), std::string("\0", 1)};
  for (const auto& route : writing_routes())
    for (const auto& body : bodies)
      EXPECT_TRUE(refuses(send(route, body), "body")) << route.method << " " << route.path << " " << body;
}

TEST_F(BadInputTest, ANulIsRefusedWhereverItStands) {
  const auto routes = writing_routes();
  const auto nul = std::string{"\\u0000"};
  for (const auto& route : routes) {
    EXPECT_TRUE(refuses(send(route, R"({"content_text": "a)" + nul + R"(b"})"), "content_text")) << route.path;
    EXPECT_TRUE(refuses(send(route, R"({"ignored": {"deep": ["a", ")" + nul + R"("]}})"), "ignored.deep.1")) << route.path;
    EXPECT_TRUE(refuses(send(route, R"({"a)" + nul + R"(": 1})"), "body")) << route.path;
    EXPECT_TRUE(refuses(send(route, R"({"content_variations": {")" + nul + R"(": 1}})"), "content_variations")) << route.path;
  }
  EXPECT_TRUE(refuses(node().web().send("POST", "/api/v1/auth/login",
                                        R"({"email": "a)" + nul + R"(@b", "password": ")" + nul + R"("})"),
                      {"email", "password"}));
  EXPECT_TRUE(refuses(editor.web.send("POST", "/api/v1/notifications/read-multiple", R"({"ids": [")" + nul + R"("]})"), "ids.0"));
  EXPECT_TRUE(refuses(editor.web.send("PUT", "/api/v1/notifications/preferences",
                                      R"({"preferences": [{"notification_type": "post_failed)" + nul + R"("}]})"),
                      "preferences.0.notification_type"));
  EXPECT_TRUE(refuses(editor.web.send("POST", base + "/posts", R"({"hashtags": ["a", "b)" + nul + R"("]})"), "hashtags.1"));
}

TEST_F(BadInputTest, ManyFaultsInOneBodyCostNoMoreThanTheirBody) {
  // Long names above many faults: an answer that names each in full would be
  // the product of the two.
  std::string nested = R"("\u0000")" + repeated(R"(,"\u0000")", 50'000);
  nested = "[" + nested + "]";
  for (int i = 0; i < 60; ++i)
    nested = "{\"" + std::string(8'000, 'k') + "\":" + nested + "}";
  const auto expect_short = [](const web_answer& answer, const std::string& what) {
    EXPECT_TRUE(is_problem(answer, 422)) << what;
    EXPECT_LE(answer.json()["errors"].size(), 100u) << what;
    EXPECT_LT(answer.body.size(), 100'000u) << what;
  };
  ASSERT_LT(nested.size(), 1'000'000u);
  expect_short(node().web().send("POST", "/api/v1/auth/login", nested), "nested");
  const auto ones = "[1" + repeated(",1", 300'000) + "]";
  expect_short(editor.web.send("POST", base + "/posts", "{\"hashtags\":" + ones + "}"), "hashtags");
  expect_short(editor.web.send("POST", base + "/posts", "{\"social_account_ids\":" + ones + "}"), "accounts");
  expect_short(editor.web.send("POST", "/api/v1/notifications/read-multiple", "{\"ids\":" + ones + "}"), "ids");
  expect_short(editor.web.send("PUT", "/api/v1/notifications/preferences", "{\"preferences\":" + ones + "}"), "preferences");
}

TEST_F(BadInputTest, DeepNestingIsRefused) {
  const auto nest = [](std::size_t levels) { return "{\"ids\":" + repeated("[", levels) + repeated("]", levels) + "}"; };
  const auto read = [&](const std::string& body) {
    return editor.web.send("POST", "/api/v1/notifications/read-multiple", body);
  };
  EXPECT_TRUE(refuses(read(nest(63)), "ids.0")) << "deep, but read";
  EXPECT_TRUE(refuses(read(nest(64)), "body"));
  EXPECT_TRUE(refuses(read(nest(400'000)), "body"));
  EXPECT_TRUE(refuses(read(repeated("[", 900'000)), "body"));
  EXPECT_TRUE(refuses(read(repeated("{\"a\":", 150'000)), "body"));
}

TEST_F(BadInputTest, OfTwoEqualKeysTheLastCounts) {
  EXPECT_TRUE(refuses(editor.web.send("POST", base + "/posts", R"({"content_text": "a", "content_text": 7})"), "content_text"));
  EXPECT_TRUE(refuses(node().web().send("POST", "/api/v1/auth/login",
                                        "{\"email\": \"" + editor.email + "\", \"password\": \"User@1234\", \"password\": \"x\"}"),
                      "email"));
}

TEST_F(BadInputTest, ABodyOfTwoMebibytesIsTooLarge) {
  const auto body = "{\"content_text\":\"" + std::string(2 * 1024 * 1024, 'x') + "\"}";
  for (const auto& [by, path] : std::vector<std::pair<web_client, std::string>>{
         {editor.web, base + "/posts"}, {node().web(), "/api/v1/auth/login"}, {node().web(), "/nowhere"}})
    EXPECT_TRUE(is_problem(by.send("POST", path, body), 413)) << path;
  EXPECT_TRUE(cuts_off(request("POST", base + "/posts", "Content-Length: 2097152\r\n"), 413)) << "before it is sent";
  EXPECT_TRUE(cuts_off(request("POST", base + "/posts", "Content-Length: 9223372036854775807\r\n"), 413));
  EXPECT_TRUE(cuts_off(request("POST", base + "/posts", "Transfer-Encoding: chunked\r\n") + "200000\r\n"
                         + std::string(0x200000, 'x') + "\r\n0\r\n\r\n", 413));
  EXPECT_TRUE(cuts_off(request("POST", base + "/posts", "Transfer-Encoding: chunked\r\n")
                         + repeated("400\r\n" + std::string(0x400, 'x') + "\r\n", 2048) + "0\r\n\r\n", 413));
}

TEST_F(BadInputTest, HeadersOfAHundredKilobytesAreTooLarge) {
  EXPECT_TRUE(cuts_off(request("GET", "/api/v1/user", "X-Long: " + std::string(100'000, 'x') + "\r\n"), 431));
  EXPECT_TRUE(cuts_off(request("GET", "/api/v1/user", repeated("X-Short: x\r\n", 9'000)), 431));
  EXPECT_TRUE(cuts_off(request("GET", "/api/v1/user?search=" + std::string(100'000, 'x')), 414));
  EXPECT_TRUE(cuts_off(std::string(100'000, 'G'), 414));
}

// -- the request itself ------------------------------------------------------------

TEST_F(BadInputTest, ATargetThatIsNoUtf8OrHoldsANulIsMalformed) {
  for (const auto* target : {"/api/v1/notifications?search=%00", "/api/v1/notifications?%00=1",
                             "/api/v1/notifications?search=%ff", "/api/v1/notifications?search=%c3%28",
                             "/api/v1/notifications?search=%ed%a0%80", "/api/v1/notifications?search=%",
                             "/api/v1/notifications?search=%4", "/api/v1/notifications?search=%zz",
                             "/api/v1/workspaces/%00", "/api/v1/workspaces/%ff", "/api/v1/workspaces/%c0%af",
                             "/api/v1/workspaces/%"})
    EXPECT_TRUE(is_problem(first_answer(request("GET", target)), 400)) << target;
  EXPECT_TRUE(is_problem(first_answer(request("GET", "/api/v1/notifications?search=\xff")), 400));
  EXPECT_TRUE(is_problem(first_answer(request("GET", "/api/v1/workspaces/\xc3\x28")), 400));
  EXPECT_TRUE(is_problem(first_answer(request("GET", std::string("/api/v1/notifications?a=\0", 25))), 400));
  EXPECT_TRUE(is_problem(first_answer(request("GET", "/api/v1/user", "X-Name: \xff\xfe\r\n")), 400));
}

TEST_F(BadInputTest, WhatIsNoHttpIsCutOff) {
  for (const std::string& bytes :
       {std::string{"\r\n\r\nGET\r\n\r\n"}, std::string{"GET /\r\n\r\n"}, std::string{"GET / HTTP/1.1\r\n\r\n"},
        std::string{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"}, std::string{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        std::string{"GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n"}, std::string{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
        std::string{"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"}, std::string{"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
        std::string{"GET / HTTP/1.1\r\nHost: a\r\nX Y: x\r\n\r\n"}, std::string{"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"},
        std::string("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 34), std::string{"GET example.org HTTP/1.1\r\nHost: a\r\n\r\n"},
        std::string{"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"}, std::string{"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), std::string(2'000, '\0'),
        std::string(2'000, '\xff')})
    EXPECT_TRUE(cuts_off(bytes, 400)) << bytes;
  EXPECT_TRUE(cuts_off("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505));
  EXPECT_TRUE(cuts_off("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505));
}

TEST_F(BadInputTest, ARequestThatCouldBeReadInTwoWaysIsRefusedAndNothingBehindItRuns) {
  // Would mark the editor's notification as read.
  const auto smuggled = request("POST", "/api/v1/notifications/read-all");
  const auto target = "/api/v1/notifications/read-multiple";
  const auto with = [&](const std::string& headers) { return request("POST", target, headers) + "0\r\n\r\n" + smuggled; };
  for (const auto* headers :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 6\r\n", "Content-Length: -1\r\n",
        "Content-Length: +5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 5 5\r\n", "Content-Length: five\r\n",
        "Content-Length:\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n", "Transfer-Encoding : chunked\r\n"})
    EXPECT_TRUE(cuts_off(with(headers), 400)) << headers;
  for (const auto* headers :
       {"Transfer-Encoding: gzip\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"}) {
    const auto answer = first_answer(with(headers));
    ASSERT_TRUE(answer) << headers;
    EXPECT_TRUE(answer->status == 400 || answer->status == 501) << headers << answer->status;
    EXPECT_TRUE(cuts_off(with(headers), answer->status)) << headers;
  }
}

TEST_F(BadInputTest, ChunksAreReadAndBrokenOnesAreNot) {
  const auto target = "/api/v1/notifications/read-multiple";
  const auto chunked = [&](const std::string& body) { return request("POST", target, "Transfer-Encoding: chunked\r\n") + body; };
  const auto good = first_answer(chunked("8;ext=\"v\"\r\n{\"ids\":[\r\n3\r\n1]}\r\n0\r\nX-Trailer: x\r\n\r\n"));
  EXPECT_TRUE(is_problem(good, 422));
  EXPECT_NE(good->body.find("\"ids.0\""), std::string::npos) << "it was read: " << good->body;
  const auto smuggled = request("POST", "/api/v1/notifications/read-all");
  for (const auto* body : {"x\r\n", "-1\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", "2\r\n{}}\r\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "\r\n",
                           "FFFFFFFFFFFFFFFFF\r\n{}", "2 2\r\n{}\r\n0\r\n\r\n"})
    EXPECT_TRUE(cuts_off(chunked(body) + smuggled, 400)) << body;
  for (const auto& endless : {"2;" + std::string(200'000, 'x'), "0\r\nX: " + std::string(200'000, 'x'),
                              "0\r\n" + repeated("X: x\r\n", 30'000)}) {
    const auto answer = first_answer(chunked(endless));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->status == 400 || answer->status == 413 || answer->status == 431) << answer->status;
  }
}

TEST_F(BadInputTest, PipelinedRequestsAreAnsweredInOrderUpToTheMalformedOne) {
  raw_client client{port_of(node().web())};
  std::string bytes;
  for (int i = 0; i < 40; ++i)
    bytes += i % 2 ? request("GET", "/api/v1/notifications/unread-count")
                   : request("POST", "/api/v1/notifications/read-multiple", "", "{\"ids\":[" + std::to_string(i) + "]}");
  bytes += "NONSENSE\r\n\r\n" + request("POST", "/api/v1/notifications/read-all");
  ASSERT_TRUE(client.send(bytes));
  for (int i = 0; i < 40; ++i) {
    const auto answer = client.receive();
    ASSERT_TRUE(answer) << i;
    EXPECT_EQ(answer->status, i % 2 ? 200 : 422) << i << answer->body;
  }
  EXPECT_TRUE(is_problem(client.receive(), 400));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(BadInputTest, RandomChangesToARequestNeverHangOrKillTheNode) {
  std::mt19937 random{20'260'207}; // The same changes in every run.
  const auto number = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>{0, below - 1}(random); };
  const auto good = request("POST", "/api/v1/notifications/read-multiple?a=%41", "Transfer-Encoding: chunked\r\n")
                    + "8\r\n{\"ids\":[\r\n3\r\n1]}\r\n0\r\n\r\n";
  for (int i = 0; i < 300; ++i) {
    auto bytes = good;
    for (std::size_t changes = 1 + number(4); changes > 0; --changes) {
      const auto at = number(bytes.size());
      switch (number(4)) {
        case 0:
          bytes[at] = static_cast<char>(number(256));
          break;
        case 1:
          bytes.erase(at, 1 + number(8));
          break;
        case 2:
          bytes.insert(at, bytes.substr(number(bytes.size()), number(16)));
          break;
        default:
          bytes.resize(at + 1);
      }
    }
    raw_client client{port_of(node().web())};
    client.send(bytes);
    client.finish();
    while (client.receive()) {
    }
  }
}

// -- routes ------------------------------------------------------------------------

TEST_F(BadInputTest, UnknownRoutesDoNotExistWithOrWithoutAToken) {
  for (const auto* path : {"/", "/api/v1", "/api/v2/user", "/api/v1/nowhere", "/API/v1/user", "/api/v1//user", "//api/v1/user",
                           "/api/v1/user/extra", "/api/v1/notifications/read-all/extra", "/api/v1/../v1/user", "/api/v1/%2e%2e/user",
                           "/api/v1/user%2F", "/api/v1/user;a=b", "/.git/config", "/internal/config", "/internal/actors",
                           "/metrics", "/api/v1/workspaces/x/y/z", "*"})
    for (const auto& token : {std::string{}, "Authorization: Bearer " + editor.token + "\r\n"})
      EXPECT_TRUE(is_problem(first_answer("GET " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n" + token + "\r\n"), 404)) << path;
  EXPECT_TRUE(is_problem(first_answer(request("GET", "/" + repeated("a/", 4'000))), 404));
}

TEST_F(BadInputTest, AWrongMethodIsToldTheRightOnes) {
  const auto draft = base + "/posts/" + to_string(post_id::make());
  for (const auto& [method, path, allowed] : std::initializer_list<std::tuple<std::string, std::string, std::string>>{
         {"GET", "/api/v1/auth/login", "POST"},
         {"DELETE", "/api/v1/auth/logout", "POST"},
         {"POST", "/api/v1/user", "GET, HEAD"},
         {"PUT", "/api/v1/notifications", "GET, HEAD"},
         {"DELETE", "/api/v1/notifications/preferences", "GET, HEAD, PUT"},
         {"PATCH", "/api/v1/notifications/read-all", "POST"},
         {"GET", "/api/v1/notifications/" + to_string(notification_id::make()) + "/read", "POST"},
         {"PATCH", draft, "DELETE, GET, HEAD, PUT"},
         {"DELETE", draft + "/schedule", "POST, PUT"},
         {"TRACE", "/up", "GET, HEAD"},
         {"OPTIONS", "/up", "GET, HEAD"},
         {"BREW", "/api/v1/health", "GET, HEAD"},
         {"get", "/api/v1/user", "GET, HEAD"}}) {
    const auto answer = first_answer(request(method, path));
    EXPECT_TRUE(is_problem(answer, 405)) << method << " " << path;
    EXPECT_EQ(answer ? answer->header("allow") : "", allowed) << method << " " << path;
  }
}

TEST_F(BadInputTest, HeadIsGetWithoutItsBody) {
  for (const auto* path : {"/up", "/api/v1/user", "/api/v1/notifications", "/api/v1/openapi.json", "/nowhere"}) {
    const auto get = first_answer(request("GET", path));
    raw_client client{port_of(node().web())};
    client.send(request("HEAD", path) + request("GET", "/up"));
    const auto head = client.receive(true);
    ASSERT_TRUE(get && head) << path;
    EXPECT_EQ(head->status, get->status) << path;
    EXPECT_EQ(head->header("content-length"), get->header("content-length")) << path;
    EXPECT_EQ(head->header("content-type"), get->header("content-type")) << path;
    const auto next = client.receive();
    ASSERT_TRUE(next) << path;
    EXPECT_EQ(next->status, 200) << "no body came between";
  }
}

TEST_F(BadInputTest, APreflightIsAnsweredForAnyOriginMethodAndHeader) {
  for (const auto* path : {"/api/v1/user", "/api/v1/notifications/preferences", "/api/v1/auth/login"}) {
    const auto answer = first_answer("OPTIONS " + std::string{path} + " HTTP/1.1\r\nHost: a\r\nOrigin: http://localhost:3000\r\n"
                                     "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization,x-own\r\n\r\n");
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 204);
    EXPECT_EQ(answer->body, "");
    EXPECT_EQ(answer->header("access-control-allow-origin"), "*");
    EXPECT_NE(answer->header("access-control-allow-methods").find("PUT"), std::string::npos);
    EXPECT_EQ(answer->header("access-control-allow-headers"), "authorization,x-own");
    EXPECT_EQ(answer->header("access-control-max-age"), "0");
    EXPECT_EQ(answer->header("access-control-allow-credentials"), "");
  }
}

TEST_F(BadInputTest, EveryAnswerTellsTheBrowserThatItMayBeRead) {
  const auto origin = std::string{"Origin: http://localhost:3000\r\n"};
  for (const auto& bytes : {request("GET", "/api/v1/user", origin), request("GET", "/nowhere", origin),
                            "GET /api/v1/user HTTP/1.1\r\nHost: a\r\n" + origin + "\r\n",
                            request("POST", base + "/posts", origin, "{"), request("DELETE", "/api/v1/auth/login", origin),
                            request("POST", base + "/posts", origin + "Content-Length: 2097152\r\n")}) {
    const auto answer = first_answer(bytes);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("access-control-allow-origin"), "*") << answer->status;
    EXPECT_EQ(answer->header("content-type"), "application/json");
  }
}

TEST_F(BadInputTest, OnlyDeclaredValuesOfAQueryReachTheDatabase) {
  for (const auto& path : {std::string{"/api/v1/notifications"}, std::string{"/api/v1/workspaces"}, base + "/posts",
                           base + "/social-accounts"})
    for (const auto* query : {"?sort_by=id;DROP+TABLE+carillon.posts", "?sort_by=1&sort_dir=asc,id", "?sort_by='", "?sort=%22",
                              "?sort_dir=desc;--", "?page=99999999999999999999&per_page=99999999999999999999",
                              "?page=-1&per_page=-1", "?page=1'&per_page=1--", "?page[]=1&per_page[a]=2", "?page=1&page=2",
                              "?status='%20OR%201=1--", "?status[]=draft", "?search='%20OR%20'1'='1", "?search=%5C%5C%25_",
                              "?from_date='&to_date=%22", "?type='&category='&is_read='", "?author_id='&platform='", "?&&=&=1&"})
      data_of(editor.web.get(path + query));
  EXPECT_EQ(editor.web.get("/api/v1/notifications?per_page=99999999999999999999").json()["meta"]["per_page"], 100);
  data_of(admin.web.get(base + "/approvals?page=99999999999&per_page=0"));
}

TEST_F(BadInputTest, IdsOfOtherTenantsDoNotExistOnAnyRouteOfAWorkspace) {
  const auto post = to_string(post_id::make());
  for (const auto& [method, path] : std::initializer_list<std::pair<std::string, std::string>>{
         {"GET", ""}, {"GET", "/posts"}, {"POST", "/posts"}, {"GET", "/posts/" + post}, {"PUT", "/posts/" + post},
         {"DELETE", "/posts/" + post}, {"GET", "/posts/" + post + "/targets"}, {"PUT", "/posts/" + post + "/targets"},
         {"DELETE", "/posts/" + post + "/targets/" + post}, {"POST", "/posts/" + post + "/submit"}, {"GET", "/approvals"},
         {"POST", "/posts/" + post + "/approve"}, {"POST", "/posts/" + post + "/reject"},
         {"GET", "/posts/" + post + "/approval-history"}, {"POST", "/posts/" + post + "/schedule"},
         {"PUT", "/posts/" + post + "/schedule"}, {"POST", "/posts/" + post + "/publish"},
         {"POST", "/posts/" + post + "/cancel"}, {"GET", "/social-accounts"}, {"GET", "/social-accounts/" + post}})
    for (const auto* by : {&owner, &editor})
      EXPECT_TRUE(is_problem(by->web.send(method, "/api/v1/workspaces/" + to_string(elsewhere) + path, "{"), 404))
        << method << " " << path;
}

// -- slow clients -------------------------------------------------------------------

/// Its node waits a second for a request, a second for a reader, and closes
/// what is idle for a second.
class SlowClientTest : public api_suite {
public:
  static void SetUpTestSuite() {
    start_node({{"CARILLON_HTTP__READ_TIMEOUT", "1s"},
                {"CARILLON_HTTP__WRITE_TIMEOUT", "1s"},
                {"CARILLON_HTTP__IDLE_TIMEOUT", "1s"}});
  }

protected:
  std::uint16_t port() {
    return port_of(node().web());
  }
  /// The answer to a client that sends `start` and then a byte now and then.
  std::optional<raw_answer> drip(const std::string& start) {
    raw_client client{port()};
    client.send(start);
    auto answer = std::async(std::launch::async, [&] { return client.receive(); });
    EXPECT_TRUE(eventually([&] {
      client.send("x");
      return answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
    })) << "it may go on for ever";
    return answer.get();
  }
};

TEST_F(SlowClientTest, AByteNowAndThenDoesNotKeepARequestOpen) {
  const auto before = fingerprint();
  EXPECT_TRUE(is_problem(drip("GET /"), 408));
  EXPECT_TRUE(is_problem(drip("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nX-Slow: "), 408));
  EXPECT_TRUE(is_problem(drip("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{"), 408));
  EXPECT_TRUE(is_problem(drip("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n{"), 408));
  EXPECT_EQ(fingerprint(), before);
  EXPECT_EQ(node().web().get("/up").status, 200);
}

TEST_F(SlowClientTest, AClientThatStopsHalfWayIsToldAndClosed) {
  raw_client client{port()};
  client.send("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_TRUE(is_problem(client.receive(), 408));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(SlowClientTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
  raw_client silent{port()};
  EXPECT_TRUE(silent.is_closed());
  raw_client satisfied{port()};
  satisfied.send("GET /up HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto answer = satisfied.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_TRUE(satisfied.is_closed());
}

TEST_F(SlowClientTest, AClientThatNeverReadsIsCutOff) {
  raw_client client{port()};
  const auto request = repeated("GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n", 64);
  EXPECT_TRUE(eventually([&] { return !client.send(request); })) << "its answers pile up";
  EXPECT_EQ(node().web().get("/up").status, 200);
}

TEST_F(SlowClientTest, HundredsOfSlowClientsHoldUpNobody) {
  std::vector<std::unique_ptr<raw_client>> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(std::make_unique<raw_client>(port()));
    slow.back()->send("POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{");
  }
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(editor.web.get("/api/v1/user").status, 200);
  for (const auto& client : slow) {
    const auto answer = client->receive();
    EXPECT_TRUE(is_problem(answer, 408));
  }
}

} // namespace

} // namespace carillon
