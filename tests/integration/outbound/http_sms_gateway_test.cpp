#include "outbound/delivery/sms/http_sms_gateway.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using test::answers;
using test::http_answer;
using test::scripted_exchange;
using test::scripted_request;
using test::scripted_server;

/// What Twilio's Programmable Messaging answers.
constexpr auto accepted = R"({"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "error_code": null})";
constexpr auto refused = R"({"code": 21211, "message": "The 'To' number +49301234567 is not a valid phone number.", "status": 400})";

class HttpSmsGatewayTest : public ::testing::Test {
protected:
  static sms_provider_options like_twilio(const std::string& url) {
    sms_provider_options out;
    out.url = url + "/2010-04-01/Accounts/AC1/Messages.json";
    out.fields = {"To={{to}}", "From={{from}}", "Body={{text}}"};
    out.from = "+14155550100";
    out.auth = sms_auth::basic;
    out.username = "AC1";
    out.secret = "token";
    out.success_statuses = {"201"};
    out.id_pointer = "/sid";
    out.error_pointers = {"/code", "/message"};
    return out;
  }

  result<std::string> send(sms_provider_options options, sms_message message = text()) {
    auto gateway = http_sms_gateway::make(http, clock, std::move(options));
    EXPECT_TRUE(gateway) << gateway.error().detail;
    return test::wait_for<result<std::string>>([&](auto done) { (*gateway)->send(std::move(message), done); });
  }

  result<std::string> answered(int status, std::string_view body = {}, const std::vector<std::string>& headers = {}) {
    scripted_server server{answers({http_answer(status, body, headers)})};
    return send(like_twilio(server.url()));
  }

  static sms_message text() {
    return {"+49301234567", "Post failed & \xc3\xa4\n50% \"off\"", "0190a6e0-0000-7000-8000-000000000001"};
  }

  curl_loop loop;
  http_client http{loop};
  system_clock clock;
};

TEST_F(HttpSmsGatewayTest, AProviderLikeTwilioGetsAFormWithBasicAuth) {
  scripted_server server{answers({http_answer(201, accepted)})};
  EXPECT_EQ(send(like_twilio(server.url())).value(), "SM0123456789abcdef0123456789abcdef");
  const auto seen = server.requests().at(0);
  EXPECT_EQ(seen.line, "POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1");
  EXPECT_EQ(seen.header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(seen.header("authorization"), "Basic QUMxOnRva2Vu");
  EXPECT_EQ(seen.body, "To=%2B49301234567&From=%2B14155550100&Body=Post%20failed%20%26%20%C3%A4%0A50%25%20%22off%22");
}

TEST_F(HttpSmsGatewayTest, FieldsBecomeAnObjectWhereTheContentTypeIsJson) {
  scripted_server server{answers({http_answer(200, R"({"messages": [{"id": 42}]})")})};
  auto options = like_twilio(server.url());
  options.content_type = "application/json; charset=utf-8";
  options.auth = sms_auth::bearer;
  options.success_statuses = {"200-299"};
  options.id_pointer = "/messages/0/id";
  EXPECT_EQ(send(options).value(), "42");
  EXPECT_EQ(server.requests().at(0).header("authorization"), "Bearer token");
  EXPECT_EQ(nlohmann::json::parse(server.requests().at(0).body),
            (nlohmann::json{{"To", "+49301234567"}, {"From", "+14155550100"}, {"Body", text().text}}));
}

TEST_F(HttpSmsGatewayTest, ABodyTemplateIsEscapedForItsContentType) {
  scripted_server server{answers({http_answer(200)})};
  auto options = like_twilio(server.url());
  options.method = "PUT";
  options.auth = sms_auth::header;
  options.header = "X-Api-Key";
  options.success_statuses = {"200"};
  options.content_type = "application/json";
  options.body = R"({"to": ["{{to}}"], "text": "{{text}}", "ref": "{{reference}}"})";
  EXPECT_EQ(send(options).value(), "") << "no id is no failure";
  EXPECT_EQ(server.requests().at(0).line.substr(0, 4), "PUT ");
  EXPECT_EQ(server.requests().at(0).header("x-api-key"), "token");
  EXPECT_EQ(nlohmann::json::parse(server.requests().at(0).body),
            (nlohmann::json{{"to", {"+49301234567"}}, {"text", text().text}, {"ref", text().notification_id}}));
  options.content_type = "text/xml";
  options.body = "<sms to=\"{{to}}\">{{text}}</sms>";
  ASSERT_TRUE(send(options));
  EXPECT_EQ(server.requests().at(1).body,
            "<sms to=\"+49301234567\">Post failed &amp; \xc3\xa4\n50% &quot;off&quot;</sms>");
}

TEST_F(HttpSmsGatewayTest, WhatAMessageSaysIsNoTemplate) {
  scripted_server server{answers({http_answer(201)})};
  ASSERT_TRUE(send(like_twilio(server.url()), {"+49301234567", "{{from}} {{{to}}} {{#x}}", ""}));
  EXPECT_NE(server.requests().at(0).body.find("Body=%7B%7Bfrom%7D%7D"), std::string::npos);
}

TEST_F(HttpSmsGatewayTest, TheUrlMayBeATemplate) {
  scripted_server server{answers({http_answer(201)})};
  auto options = like_twilio(server.url());
  options.url = server.url() + "/send/{{to}}?text={{text}}";
  ASSERT_TRUE(send(options, {"+49301234567", "a b&c", ""}));
  EXPECT_EQ(server.requests().at(0).line, "POST /send/%2B49301234567?text=a%20b%26c HTTP/1.1");
}

TEST_F(HttpSmsGatewayTest, ARefusalSaysWhyWithoutTheNumber) {
  const auto why = answered(400, refused).error();
  EXPECT_EQ(why.code, errc::permanent);
  EXPECT_EQ(why.detail, "the SMS provider answered 400: 21211: The 'To' number (the number) is not a valid phone number.");
  for (const int status : {200, 301, 401, 403, 404, 422})
    EXPECT_EQ(answered(status).error().code, errc::permanent) << status;
}

TEST_F(HttpSmsGatewayTest, OnlyWhatWasCertainlyNotTakenMayBeTriedAgain) {
  const auto busy = answered(429, R"({"code": 20429})", {"Retry-After: 5"}).error();
  EXPECT_EQ(busy.code, errc::throttled);
  EXPECT_EQ(busy.retry_after, 5s);
  EXPECT_EQ(answered(503, "", {"Retry-After: 9"}).error().code, errc::transient);
  for (const int status : {500, 502, 504})
    EXPECT_EQ(answered(status).error().code, errc::outcome_unknown) << status;
  const auto away = send(like_twilio("http://127.0.0.1:" + std::to_string(test::closed_port())));
  EXPECT_EQ(away.error().code, errc::transient);
}

TEST_F(HttpSmsGatewayTest, AProviderThatDiesAfterTheRequestLeavesItUnknown) {
  scripted_server server{[](scripted_exchange& e) {
    scripted_request request;
    e.receive(request);
    e.drop();
  }};
  EXPECT_EQ(send(like_twilio(server.url())).error().code, errc::outcome_unknown);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(HttpSmsGatewayTest, AnswersOfAnyFormAreSurvived) {
  for (const auto* body : {"", "not json", "[]", "null", "{\"sid\": {}}", "{\"sid\": null}", "{\"sid\": true}", "\xff\xfe"}) {
    EXPECT_EQ(answered(201, body).value(), "") << body;
    EXPECT_EQ(answered(400, body).error().code, errc::permanent) << body;
  }
  const auto long_one = answered(400, nlohmann::json{{"message", std::string(100'000, 'x') + "\r\n"}}.dump()).error();
  EXPECT_LT(long_one.detail.size(), 300u);
}

TEST_F(HttpSmsGatewayTest, OnlyNumbersInE164AreSentTo) {
  scripted_server server{answers({http_answer(201)})};
  for (const auto* to : {"", "030123", "+49 30 1234567", "+49301234567&Body=x", "+49301234567\r\nX: y"})
    EXPECT_EQ(send(like_twilio(server.url()), {to, "text", ""}).error().code, errc::invalid_argument) << to;
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpSmsGatewayTest, OptionsThatCannotWorkAreRefusedAtOnce) {
  const auto bad = [&](auto change) {
    auto options = like_twilio("http://127.0.0.1:1");
    change(options);
    const auto made = http_sms_gateway::make(http, clock, options);
    return !made && made.error().code == errc::invalid_argument;
  };
  EXPECT_TRUE(bad([](auto& o) { o.fields = {"To"}; }));
  EXPECT_TRUE(bad([](auto& o) { o.fields = {"=x"}; }));
  EXPECT_TRUE(bad([](auto& o) { o.fields = {"To={{#to}}"}; }));
  EXPECT_TRUE(bad([](auto& o) { o.body = "{{to"; }));
  EXPECT_TRUE(bad([](auto& o) { o.success_statuses = {"2xx"}; }));
  EXPECT_TRUE(bad([](auto& o) { o.success_statuses = {"299-200"}; }));
  EXPECT_TRUE(bad([](auto& o) { o.id_pointer = "sid"; }));
  EXPECT_TRUE(bad([](auto& o) { o.error_pointers = {"/a~2"}; }));
  EXPECT_FALSE(bad([](auto&) {}));
}

} // namespace

} // namespace carillon::outbound
