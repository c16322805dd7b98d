// Mail from the real program to a real server that refuses.

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/mail_server.hpp"
#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace test;

TEST(NotificationMailTest, RefusedForGoodIsSuppressedRefusedForNowIsTriedAgainAndOthersArrive) {
  test_database db;
  const auto acme = add_tenant(db, "acme");
  const auto gone = add_user(db, acme, "gone");
  const auto busy = add_user(db, acme, "busy");
  const auto fine = add_user(db, acme, "fine");
  const auto domain = "@" + to_string(acme) + ".example";
  // Whatever a name holds, it stays in its header.
  db.exec("UPDATE carillon.users SET name = E'F\\u00efne \\U0001F514 \\u05d0\\u05d1\\r\\nBcc: evil@world.example' WHERE id = "
          + sql_literal(fine));
  const scratch_folder folder;
  mail_server server{folder.path(), {"--refuse", "gone" + domain + "=550", "--refuse", "busy" + domain + "=451"}};
  carillon_node node{db.url(), folder.path(),
                     {{"CARILLON_MAIL__TRANSPORT", "smtp"},
                      {"CARILLON_MAIL__SMTP_PORT", std::to_string(server.port())},
                      {"CARILLON_MAIL__SECURITY", "none"}}};
  const auto tell = [&](user_id user) {
    return db.exec("SELECT carillon.notify(" + sql_literal(acme) + ", " + sql_literal(user) + ", 'post_failed', repeat('\u00e4\U0001F514', 100), "
                   "'<b>text</b>')");
  };
  const auto state = [&](const std::string& id) {
    return db.exec("SELECT state || ' ' || attempts FROM carillon.notification_deliveries WHERE channel = 'email' AND "
                   "notification_id = " + sql_literal(id));
  };
  const auto to_gone = tell(gone);
  const auto to_busy = tell(busy);
  const auto to_fine = tell(fine);
  EXPECT_TRUE(eventually([&] { return state(to_fine) == "sent 1"; }));
  EXPECT_TRUE(eventually([&] { return state(to_gone) == "failed 1"; }));
  EXPECT_TRUE(eventually([&] {
    return state(to_busy) == "queued 1"
           && db.exec("SELECT state FROM carillon.jobs WHERE unique_key = 'notification-email-" + to_busy + "'") == "retrying";
  }));
  EXPECT_EQ(db.exec("SELECT address FROM carillon.mail_suppressions"), "gone" + domain);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs WHERE unique_key = 'notification-email-" + to_gone + "'"), "0");
  EXPECT_EQ(db.exec("SELECT state || ': ' || reason FROM carillon.notification_deliveries WHERE channel = 'email' AND "
                    "notification_id = " + sql_literal(tell(gone))), "skipped: address suppressed after bounce");

  const auto mails = server.mails();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(header_of(mails[0], "X-RcptTo"), "fine" + domain);
  EXPECT_EQ(header_of(mails[0], "Bcc"), "");
  EXPECT_NE(mails[0].find("<notification-" + to_fine + "@localhost.localdomain>"), std::string::npos);
}

/// A node that sends by SMTP, one tenant, and what became of each mail.
class FaultyMailTest : public ::testing::Test {
protected:
  std::unique_ptr<carillon_node> node_for(const mail_server& server, const carillon_node::environment& more = {}) {
    auto settings = more;
    settings.emplace("CARILLON_MAIL__TRANSPORT", "smtp");
    settings.emplace("CARILLON_MAIL__SMTP_PORT", std::to_string(server.port()));
    settings.emplace("CARILLON_MAIL__SECURITY", "none");
    return std::make_unique<carillon_node>(db.url(), folder.path(), settings);
  }
  std::string address(const std::string& name) const {
    return name + "@" + to_string(acme) + ".example";
  }
  std::string tell(user_id user) {
    return db.exec("SELECT carillon.notify(" + sql_literal(acme) + ", " + sql_literal(user)
                   + ", 'post_failed', 'It failed', 'Look at it.')");
  }
  std::string state_of(const std::string& id) {
    return db.exec("SELECT state || ' ' || attempts FROM carillon.notification_deliveries WHERE channel = 'email' AND "
                   "notification_id = " + sql_literal(id));
  }
  bool becomes(const std::string& id, const std::string& state) {
    return eventually([&] { return state_of(id) == state; });
  }
  std::string job_of(const std::string& id) const {
    return " FROM carillon.jobs WHERE unique_key = 'notification-email-" + id + "'";
  }
  /// The next try at once, as soon as the last one has ended.
  void hasten(const std::string& id) {
    EXPECT_TRUE(eventually([&] {
      return db.exec("UPDATE carillon.jobs SET run_at = now() WHERE unique_key = 'notification-email-" + id
                     + "' AND state = 'retrying' AND run_at > now() + interval '1 second' RETURNING 1") == "1";
    }));
  }
  static std::vector<std::string> message_ids(const mail_server& server) {
    std::vector<std::string> out;
    for (const auto& mail : server.mails()) {
      // The field is folded.
      const auto begin = mail.find('<', mail.find("\nMessage-ID:"));
      out.push_back(mail.substr(begin, mail.find('>', begin) + 1 - begin));
    }
    return out;
  }

  test_database db;
  const tenant_id acme = add_tenant(db, "acme");
  scratch_folder folder;
};

TEST_F(FaultyMailTest, ALostAnswerIsSentAgainWithTheSameIdAndARecordedOneNeverAgain) {
  const auto lost = add_user(db, acme, "lost");
  mail_server server{folder.path(), {"--drop-once", address("lost")}};
  const auto node = node_for(server);
  const auto id = tell(lost);
  hasten(id);
  ASSERT_TRUE(becomes(id, "sent 2"));
  const auto sent = message_ids(server);
  ASSERT_EQ(sent.size(), 2u) << "the server had it already: nobody could know";
  EXPECT_EQ(sent[0], sent[1]);
  EXPECT_EQ(sent[0], "<notification-" + id + "@localhost.localdomain>");

  // The same job once more, whoever asks for it.
  db.exec("SELECT carillon.enqueue('send_notification_email', h.tenant_id, nullif(h.workspace_id, h.tenant_id), h.payload, NULL, "
          "h.unique_key) FROM carillon.job_history h WHERE h.unique_key = 'notification-email-" + id + "' LIMIT 1");
  EXPECT_TRUE(eventually([&] { return db.exec("SELECT count(*)" + job_of(id)) == "0"; }));
  EXPECT_EQ(server.mails().size(), 2u);
  EXPECT_EQ(state_of(id), "sent 2");
}

TEST_F(FaultyMailTest, ARecipientWhoseServerStallsHoldsUpNobodyElse) {
  const auto slow = add_user(db, acme, "slow");
  std::vector<user_id> others;
  for (int i = 0; i < 6; ++i)
    others.push_back(add_user(db, acme, "user" + std::to_string(i)));
  mail_server server{folder.path(), {"--stall", address("slow")}};
  const auto node = node_for(server, {{"CARILLON_MAIL__TIMEOUT", "20s"}});
  const auto stalling = tell(slow);
  ASSERT_TRUE(becomes(stalling, "queued 1")) << "it is under way";
  for (const auto& other : others)
    EXPECT_TRUE(becomes(tell(other), "sent 1"));
  EXPECT_EQ(state_of(stalling), "queued 1");
  EXPECT_EQ(server.mails().size(), 6u);
}

TEST_F(FaultyMailTest, AServerWithABadCertificateGetsNothingAndTheReasonIsKept) {
  const auto ada = add_user(db, acme, "ada");
  mail_server server{folder.path(), {"--certificate", (folder.path() / "certificate.pem").string(), "--require-starttls"}};
  const auto node = node_for(server, {{"CARILLON_MAIL__SECURITY", "starttls"}});
  const auto id = tell(ada);
  hasten(id);
  hasten(id);
  ASSERT_TRUE(becomes(id, "failed 3"));
  EXPECT_NE(db.exec("SELECT reason FROM carillon.notification_deliveries WHERE channel = 'email' AND notification_id = "
                    + sql_literal(id)).find("certificate"), std::string::npos);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.mail_suppressions"), "0") << "the address is not to blame";
  EXPECT_EQ(server.mails().size(), 0u);
}

TEST_F(FaultyMailTest, AKillBetweenTheAcceptAndTheRecordSendsAgainWithTheSameIdAndIsCounted) {
  const auto ada = add_user(db, acme, "ada");
  const auto hold = folder.path() / "hold";
  std::ofstream{hold}.put('1');
  mail_server server{folder.path(), {"--hold", hold.string()}};
  auto node = node_for(server);
  const auto id = tell(ada);
  ASSERT_TRUE(eventually([&] { return server.mails().size() == 1; })) << "accepted";
  node->self().signal(SIGKILL);
  ASSERT_TRUE(node->self().wait());
  EXPECT_EQ(state_of(id), "queued 1") << "not recorded";
  std::filesystem::remove(hold);
  node = node_for(server);
  ASSERT_TRUE(becomes(id, "sent 2"));
  const auto sent = message_ids(server);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0], sent[1]);
}

// As another's mail library reads it.
TEST_F(FaultyMailTest, EmojiRightToLeftAndLongTextsArriveAsTheyWereWritten) {
  const auto ada = add_user(db, acme, "ada");
  db.exec("UPDATE carillon.users SET name = E'\\u05d0\\u05d1 \\U0001F468\\u200d\\U0001F469 <b>&\"\\r\\nX-Evil: 1' WHERE id = "
          + sql_literal(ada));
  mail_server server{folder.path()};
  const auto node = node_for(server);
  std::string title;
  for (int i = 0; i < 200; ++i)
    title += i % 4 == 0 ? "\U0001F514" : i % 4 == 1 ? "\u05d0" : i % 4 == 2 ? "\u0661" : "e";
  const std::string message = "\u202bשלום\u202c <script>alert(1)</script> & \U0001F1E9\U0001F1EA\n.\n..";
  const auto filler = std::string(63 * 1024, 'x');
  const auto id = db.exec("SELECT carillon.notify(" + sql_literal(acme) + ", " + sql_literal(ada) + ", 'post_failed', "
                          + sql_literal(title) + ", " + sql_literal(message) + ", jsonb_build_object('filler', "
                          + sql_literal(filler) + "))");
  ASSERT_TRUE(becomes(id, "sent 1"));
  EXPECT_EQ(db.exec("SELECT title FROM carillon.notifications WHERE id = " + sql_literal(id)), title);
  EXPECT_EQ(db.exec("SELECT length(data ->> 'filler') FROM carillon.notifications WHERE id = " + sql_literal(id)),
            std::to_string(filler.size()));
  const auto mail = server.mails().at(0);
  EXPECT_EQ(header_of(mail, "X-Evil"), "");
  const auto file = folder.path() / "mail.eml";
  std::ofstream{file, std::ios::binary} << mail;
  process parse{{"/usr/bin/python3", std::string{CARILLON_SOURCE_DIR} + "/tests/support/parse_mail.py", file.string()},
                {}, folder.path() / "parsed.json"};
  ASSERT_TRUE(parse.wait());
  const auto parsed = nlohmann::json::parse(parse.output(), nullptr, false);
  ASSERT_TRUE(parsed.is_object()) << parse.output();
  EXPECT_EQ(parsed["defects"], nlohmann::json::array());
  EXPECT_NE(parsed["subject"].get<std::string>().find(title), std::string::npos) << parsed["subject"];
  ASSERT_EQ(parsed["parts"].size(), 2u);
  for (const auto& part : parsed["parts"]) {
    const auto text = part["text"].get<std::string>();
    EXPECT_NE(text.find("שלום"), std::string::npos) << text;
    EXPECT_NE(text.find("\U0001F1E9\U0001F1EA"), std::string::npos) << text;
    EXPECT_EQ(text.find("<script>") != std::string::npos, part["type"] == "text/plain") << text;
  }
}

} // namespace

} // namespace carillon
