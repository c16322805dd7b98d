// Several connections to a real SMTP server that stalls for some recipients.
#include "outbound/delivery/mail/mail_lanes.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/mail_server.hpp"
#include "tests/support/scratch_folder.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using ::testing::SizeIs;

class MailLanesTest : public ::testing::Test {
protected:
  using outcome = std::future<result<carillon::done>>;

  static smtp_options relay_at(const test::mail_server& server) {
    smtp_options out;
    out.port = server.port();
    out.security = smtp_security::none;
    out.helo_name = "carillon.test";
    return out;
  }
  static mail_message mail_to(const std::string& to) {
    mail_message m;
    m.message_id = to;
    m.from_address = "no-reply@acme.example";
    m.to_address = to;
    m.subject = m.text_body = m.html_body = "Hello";
    return m;
  }
  outcome start(mail_lanes& lanes, const std::string& to) {
    auto promise = std::make_shared<std::promise<result<carillon::done>>>();
    auto out = promise->get_future();
    lanes.send(mail_to(to), [promise](result<carillon::done> r) { promise->set_value(std::move(r)); });
    return out;
  }
  static bool arrives(outcome& one) {
    return one.wait_for(test::patience) == std::future_status::ready && one.get().has_value();
  }

  test::scratch_folder folder;
};

TEST_F(MailLanesTest, ADomainThatStallsLeavesTheOthersTheirLanes) {
  test::mail_server server{folder.path(), {"--stall", "@slow.example"}};
  mail_lanes lanes{4, relay_at(server)};
  std::vector<outcome> slow;
  for (int i = 0; i < 10; ++i)
    slow.push_back(start(lanes, "user" + std::to_string(i) + (i % 2 == 0 ? "@slow.example" : "@SLOW.example")));
  std::vector<outcome> others;
  for (int i = 0; i < 10; ++i)
    others.push_back(start(lanes, "user" + std::to_string(i) + "@fast" + std::to_string(i % 3) + ".example"));
  for (auto& one : others)
    EXPECT_TRUE(arrives(one));
  EXPECT_THAT(server.mails(), SizeIs(10));
  for (auto& one : slow)
    EXPECT_EQ(one.wait_for(0s), std::future_status::timeout) << "they stall still";
  lanes.stop();
  int unknown = 0;
  for (auto& one : slow) {
    ASSERT_EQ(one.wait_for(0s), std::future_status::ready);
    const auto ended = one.get();
    ASSERT_FALSE(ended);
    unknown += ended.error().code == errc::outcome_unknown ? 1 : 0;
    EXPECT_NE(ended.error().code, errc::permanent);
  }
  EXPECT_LE(unknown, 2) << "half of the lanes were theirs";
}

TEST_F(MailLanesTest, AMailThatStallsInItsDomainHoldsUpOnlyItself) {
  test::mail_server server{folder.path(), {"--stall", "slow@users.example"}};
  mail_lanes lanes{4, relay_at(server)};
  auto slow = start(lanes, "slow@users.example");
  for (int i = 0; i < 5; ++i) {
    auto other = start(lanes, "user" + std::to_string(i) + "@users.example");
    EXPECT_TRUE(arrives(other));
  }
  EXPECT_EQ(slow.wait_for(0s), std::future_status::timeout);
}

TEST_F(MailLanesTest, OneLaneSendsThemInTurnAndEachOnce) {
  test::mail_server server{folder.path()};
  mail_lanes lanes{1, relay_at(server)};
  std::vector<outcome> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(start(lanes, "user" + std::to_string(i) + "@users.example"));
  for (auto& one : all)
    EXPECT_TRUE(arrives(one));
  std::set<std::string> recipients;
  std::set<std::string> connections;
  for (const auto& mail : server.mails()) {
    recipients.insert(test::header_of(mail, "X-RcptTo"));
    connections.insert(test::header_of(mail, "X-Peer"));
  }
  EXPECT_THAT(server.mails(), SizeIs(20));
  EXPECT_THAT(recipients, SizeIs(20));
  EXPECT_THAT(connections, SizeIs(1)) << "the connection is kept";
}

TEST_F(MailLanesTest, WhatIsSentAfterTheStopIsAnsweredTransient) {
  test::mail_server server{folder.path()};
  mail_lanes lanes{2, relay_at(server)};
  lanes.stop();
  auto late = start(lanes, "ada@users.example");
  ASSERT_EQ(late.wait_for(0s), std::future_status::ready);
  EXPECT_EQ(late.get().error().code, errc::transient);
}

} // namespace

} // namespace carillon::outbound
