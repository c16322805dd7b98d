// Against a real SMTP server, Debian's aiosmtpd, with faults on demand.
#include "outbound/delivery/mail/smtp_transport.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbound/delivery/mail/mime_writer.hpp"
#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/mail_server.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using carillon::done;

mail_message message(const std::string& to = "ada@users.example") {
  mail_message m;
  m.message_id = "notification-1@acme.example";
  m.from_address = "no-reply@acme.example";
  m.from_name = "Carillon";
  m.to_address = to;
  m.to_name = "Ada Grüße";
  m.subject = "Es läutet 🔔";
  m.text_body = "Hello\n.\n..\n. dot\nFrom me\n" + std::string(3'000, 'x') + "\n";
  m.html_body = "<p>Hello 🔔</p>\n.\n";
  m.date = *parse_time("2026-02-07T10:00:00+00:00");
  return m;
}

class SmtpTransportTest : public ::testing::Test {
protected:
  smtp_options to_port(std::uint16_t port) const {
    smtp_options out;
    out.port = port;
    out.security = smtp_security::none;
    out.helo_name = "carillon.test";
    return out;
  }

  result<done> send(const smtp_options& options, const mail_message& mail = message()) {
    smtp_transport transport{loop, options};
    return test::wait_for<result<done>>([&](auto callback) { transport.send(mail, callback); });
  }

  static void expect_failure(const result<done>& outcome, errc code, const std::string& says = {}) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code) << outcome.error().detail;
    EXPECT_FALSE(outcome.error().detail.empty());
    EXPECT_THAT(outcome.error().detail, HasSubstr(says));
  }

  std::string certificate() const {
    return (folder.path() / "certificate.pem").string();
  }

  test::scratch_folder folder;
  curl_loop loop;
};

TEST_F(SmtpTransportTest, AMailArrivesByteForByte) {
  test::mail_server server{folder.path()};
  const auto sent = send(to_port(server.port()));
  ASSERT_TRUE(sent) << sent.error().detail;
  ASSERT_THAT(server.mails(), SizeIs(1));
  const auto mail = server.mails()[0];
  EXPECT_EQ(test::header_of(mail, "X-MailFrom"), "no-reply@acme.example");
  EXPECT_EQ(test::header_of(mail, "X-RcptTo"), "ada@users.example");
  EXPECT_EQ(test::header_of(mail, "X-Helo"), "carillon.test");
  EXPECT_EQ(test::header_of(mail, "X-Tls"), "no");
  EXPECT_EQ(mail.substr(mail.find("Date: ")), *write_mime(message())) << "dots and line ends included";
}

TEST_F(SmtpTransportTest, MailsShareAConnection) {
  test::mail_server server{folder.path()};
  smtp_transport transport{loop, to_port(server.port())};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(test::wait_for<result<done>>([&](auto callback) { transport.send(message(), callback); }));
  const auto mails = server.mails();
  ASSERT_THAT(mails, SizeIs(3));
  EXPECT_EQ(test::header_of(mails[0], "X-Peer"), test::header_of(mails[2], "X-Peer"));
}

TEST_F(SmtpTransportTest, ManyMailsAtOnceEachArriveOnce) {
  test::mail_server server{folder.path()};
  smtp_transport transport{loop, to_port(server.port())};
  std::vector<std::future<bool>> all;
  for (int i = 0; i < 50; ++i) {
    auto promise = std::make_shared<std::promise<bool>>();
    all.push_back(promise->get_future());
    transport.send(message("user" + std::to_string(i) + "@users.example"),
                   [promise](const result<done>& r) { promise->set_value(r.has_value()); });
  }
  for (auto& one : all) {
    ASSERT_EQ(one.wait_for(test::patience), std::future_status::ready);
    EXPECT_TRUE(one.get());
  }
  std::set<std::string> recipients;
  for (const auto& mail : server.mails())
    recipients.insert(test::header_of(mail, "X-RcptTo"));
  EXPECT_THAT(recipients, SizeIs(50));
  EXPECT_THAT(server.mails(), SizeIs(50));
}

// -- refusals -----------------------------------------------------------------------

TEST_F(SmtpTransportTest, ARecipientRefusedForNowIsTransientAndForGoodPermanent) {
  test::mail_server server{folder.path(), {"--refuse", "full@users.example=452", "--refuse", "busy@users.example=451",
                                           "--refuse", "gone@users.example=550"}};
  const auto options = to_port(server.port());
  expect_failure(send(options, message("busy@users.example")), errc::transient, "451");
  expect_failure(send(options, message("full@users.example")), errc::transient, "452");
  const auto gone = send(options, message("gone@users.example"));
  expect_failure(gone, errc::permanent, "550");
  ASSERT_THAT(gone.error().fields, SizeIs(1)) << "it is the address that is refused";
  EXPECT_EQ(gone.error().fields[0].field, "to_address");
  EXPECT_THAT(send(options, message("busy@users.example")).error().fields, IsEmpty());
  EXPECT_THAT(server.mails(), IsEmpty());
  EXPECT_TRUE(send(options)) << "others still arrive, also on a kept connection";
}

TEST_F(SmtpTransportTest, OnlyAReplyAboutTheMailboxBlamesTheAddress) {
  std::vector<std::string> refusals;
  const std::vector<std::string> about_it{"5.1.1", "5.1.2", "5.1.10", "5.2.1"};
  const std::vector<std::string> not_about_it{"5.1.7", "5.1.8", "5.2.2", "5.3.0", "5.4.4", "5.7.1"};
  for (const auto* codes : {&about_it, &not_about_it})
    for (const auto& code : *codes)
      refusals.insert(refusals.end(), {"--refuse", "u" + code + "@users.example=550 " + code});
  test::mail_server server{folder.path(), refusals};
  const auto options = to_port(server.port());
  for (const auto& code : about_it)
    EXPECT_THAT(send(options, message("u" + code + "@users.example")).error().fields, SizeIs(1)) << code;
  for (const auto& code : not_about_it) {
    const auto refused = send(options, message("u" + code + "@users.example"));
    expect_failure(refused, errc::permanent, "550");
    EXPECT_THAT(refused.error().fields, IsEmpty()) << code;
  }
}

TEST_F(SmtpTransportTest, ARefusedSenderOrMessageSaysTheSame) {
  struct refusal {
    std::string option;
    std::string code;
    errc expected;
  };
  int n = 0;
  for (const auto& r : {refusal{"--refuse-mail", "421", errc::transient}, refusal{"--refuse-mail", "553", errc::permanent},
                        refusal{"--refuse-message", "451", errc::transient},
                        refusal{"--refuse-message", "554", errc::permanent}}) {
    const auto own = folder.path() / std::to_string(n++);
    std::filesystem::create_directory(own);
    test::mail_server server{own, {r.option, r.code}};
    const auto refused = send(to_port(server.port()));
    expect_failure(refused, r.expected, r.code);
    EXPECT_THAT(refused.error().fields, IsEmpty()) << "that says nothing of the address";
    EXPECT_THAT(server.mails(), IsEmpty());
  }
}

TEST_F(SmtpTransportTest, AnAddressThatWouldInjectACommandNeverReachesTheServer) {
  test::mail_server server{folder.path()};
  for (const auto* address : {"ada@users.example>\r\nRCPT TO:<evil@world.example", "ada@users.example\r\nDATA", "ada",
                              "ada@users.example> SIZE=1", "a b@users.example"})
    expect_failure(send(to_port(server.port()), message(address)), errc::permanent);
  auto forged = message();
  forged.subject = forged.to_name = "Hi\r\nBcc: evil@world.example\r\n\r\n.\r\nRCPT TO:<evil@world.example>";
  ASSERT_TRUE(send(to_port(server.port()), forged));
  ASSERT_THAT(server.mails(), SizeIs(1));
  EXPECT_EQ(test::header_of(server.mails()[0], "X-RcptTo"), "ada@users.example");
  EXPECT_EQ(test::header_of(server.mails()[0], "Bcc"), "");
}

// -- connections ----------------------------------------------------------------------

TEST_F(SmtpTransportTest, WithoutAServerItIsTransient) {
  expect_failure(send(to_port(test::closed_port())), errc::transient);
  auto unknown = to_port(25);
  unknown.host = "no-such-host.invalid";
  expect_failure(send(unknown), errc::transient, "no-such-host.invalid");
}

class SmtpFaultTest : public SmtpTransportTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(SmtpFaultTest, SilenceEndsWithTheTimeout) {
  test::mail_server server{folder.path(), {"--hang", GetParam()}};
  auto options = to_port(server.port());
  options.timeout = 1s;
  // Once the whole message is out, only the server knows.
  expect_failure(send(options), GetParam() == "data" ? errc::outcome_unknown : errc::transient);
}

TEST_P(SmtpFaultTest, ALostConnectionIsTransientUntilTheMessageIsOut) {
  test::mail_server server{folder.path(), {"--drop", GetParam()}};
  expect_failure(send(to_port(server.port())), GetParam() == "data" ? errc::outcome_unknown : errc::transient);
}

INSTANTIATE_TEST_SUITE_P(Stages, SmtpFaultTest, ::testing::Values("connect", "mail", "rcpt", "data"),
                         [](const auto& info) { return info.param; });

TEST_F(SmtpTransportTest, WhatIsNoMailServerIsTransient) {
  test::scripted_server server{[](test::scripted_exchange& e) { e.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }};
  expect_failure(send(to_port(server.port())), errc::transient);
  test::scripted_server full{[](test::scripted_exchange& e) { e.send("554 5.7.1 go away\r\n"); }};
  // A server that is full says nothing about the mail.
  expect_failure(send(to_port(full.port())), errc::transient);
}

TEST_F(SmtpTransportTest, EveryMailIsAnsweredWhenTheLoopStops) {
  test::mail_server server{folder.path(), {"--hang", "rcpt"}};
  curl_loop brief;
  smtp_transport transport{brief, to_port(server.port())};
  std::vector<std::future<result<done>>> all;
  for (int i = 0; i < 20; ++i) {
    auto promise = std::make_shared<std::promise<result<done>>>();
    all.push_back(promise->get_future());
    transport.send(message(), [promise](result<done> r) { promise->set_value(std::move(r)); });
  }
  brief.stop();
  for (auto& one : all) {
    ASSERT_EQ(one.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(one.get().error().code, errc::transient);
  }
}

// -- TLS and AUTH -----------------------------------------------------------------------

TEST_F(SmtpTransportTest, StartTlsProtectsTheLoginAndTheMail) {
  test::mail_server server{folder.path(), {"--certificate", certificate(), "--require-starttls", "--user", "carillon",
                                           "--password", "open-sesame"}};
  auto options = to_port(server.port());
  options.security = smtp_security::starttls;
  options.ca_file = certificate();
  options.username = "carillon";
  options.password = "open-sesame";
  const auto sent = send(options);
  ASSERT_TRUE(sent) << sent.error().detail;
  const auto mail = server.mails().at(0);
  EXPECT_EQ(test::header_of(mail, "X-Tls"), "yes");
  EXPECT_EQ(test::header_of(mail, "X-User"), "carillon");
}

TEST_F(SmtpTransportTest, TlsFromTheFirstByteWorksToo) {
  test::mail_server server{folder.path(), {"--certificate", certificate(), "--tls"}};
  auto options = to_port(server.port());
  options.security = smtp_security::tls;
  options.ca_file = certificate();
  const auto sent = send(options);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(test::header_of(server.mails().at(0), "X-Tls"), "yes");
}

TEST_F(SmtpTransportTest, ARefusedLoginIsTransientAndNeverTellsThePassword) {
  test::mail_server server{folder.path(), {"--user", "carillon", "--password", "open-sesame"}};
  auto options = to_port(server.port());
  options.username = "carillon";
  options.password = "wrong-password";
  const auto refused = send(options);
  expect_failure(refused, errc::transient);
  EXPECT_THAT(refused.error().detail, Not(HasSubstr("wrong-password")));
  EXPECT_THAT(refused.error().detail, HasSubstr("ogin"));
  options.username.clear();
  expect_failure(send(options), errc::transient);
  EXPECT_THAT(server.mails(), IsEmpty());
}

TEST_F(SmtpTransportTest, AnUntrustedCertificateIsSaidSoAndNothingIsSent) {
  test::mail_server server{folder.path(), {"--certificate", certificate(), "--user", "carillon", "--password", "open-sesame"}};
  auto options = to_port(server.port());
  options.security = smtp_security::starttls;
  options.username = "carillon";
  options.password = "open-sesame";
  const auto refused = send(options);
  expect_failure(refused, errc::transient, "certificate");
  EXPECT_THAT(refused.error().detail, Not(HasSubstr("open-sesame")));
  EXPECT_THAT(server.mails(), IsEmpty());
}

TEST_F(SmtpTransportTest, ACertificateOfAnotherNameIsRefused) {
  test::mail_server server{folder.path(), {"--certificate", certificate(), "--certificate-name", "other.example"}};
  auto options = to_port(server.port());
  options.security = smtp_security::starttls;
  options.ca_file = certificate();
  expect_failure(send(options), errc::transient, "127.0.0.1");
  EXPECT_THAT(server.mails(), IsEmpty());
}

TEST_F(SmtpTransportTest, StartTlsThatIsNotOfferedMeansNoMail) {
  test::mail_server server{folder.path(), {"--user", "carillon", "--password", "open-sesame"}};
  auto options = to_port(server.port());
  options.security = smtp_security::starttls;
  options.username = "carillon";
  options.password = "open-sesame";
  expect_failure(send(options), errc::transient);
  EXPECT_THAT(server.mails(), IsEmpty());
  options.security = smtp_security::starttls_offered;
  EXPECT_TRUE(send(options));
  EXPECT_EQ(test::header_of(server.mails().at(0), "X-Tls"), "no");
}

} // namespace

} // namespace carillon::outbound
