// Mail from the real program to a real server that refuses.

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

} // namespace

} // namespace carillon
