// Operators see which addresses get no mail, and lift one.

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

const std::string suppressed = "/api/v1/admin/mail/suppressions";

class AdminMailTest : public api_suite {
protected:
  AdminMailTest() : root{add_super_admin("SUPER_ADMIN")}, looker{add_super_admin("VIEWER")} {
  }

  void suppress(const std::string& address, const person& someone_of) {
    db().exec("INSERT INTO carillon.mail_suppressions (tenant_id, address, reason) SELECT tenant_id, "
              + sql_literal(address) + ", '550 no such user' FROM carillon.users WHERE id = " + sql_literal(someone_of.id));
  }
  json list(const std::string& query = {}) {
    return data_of(looker.web.get(suppressed + "?tenant_id=" + to_string(tenant) + query));
  }
  web_answer lift(const person& by, const json& body) {
    return by.web.post(suppressed + "/lift", body);
  }
  json one(const std::string& address) {
    return {{"tenant_id", to_string(tenant)}, {"address", address}};
  }

  person root;
  person looker; ///< The role VIEWER.
};

TEST_F(AdminMailTest, TheListIsByAddressInPagesAndFiltered) {
  for (const auto* address : {"c@users.example", "a@users.example", "b@other.example"})
    suppress(address, owner);
  suppress("a@users.example", stranger);
  EXPECT_EQ(column(list(), "address"), (json{"a@users.example", "b@other.example", "c@users.example"}));
  EXPECT_EQ(column(list("&address=USERS.example"), "address"), (json{"a@users.example", "c@users.example"}));
  EXPECT_EQ(column(list("&address=%25"), "address"), json::array()) << "no pattern";
  const auto row = list()[0];
  EXPECT_EQ(row["reason"], "550 no such user");
  EXPECT_EQ(row["tenant_id"], to_string(tenant));
  EXPECT_TRUE(is_api_time(row["created_at"]));

  std::vector<std::string> walked;
  std::string next;
  do {
    const auto page = looker.web.get(suppressed + "?limit=1&tenant_id=" + to_string(tenant) + next).json();
    ASSERT_EQ(page["data"].size(), 1u) << page;
    walked.push_back(page["data"][0]["address"]);
    next = page["meta"]["next_cursor"].is_null() ? "" : "&cursor=" + page["meta"]["next_cursor"].get<std::string>();
  } while (!next.empty());
  EXPECT_EQ(walked, (std::vector<std::string>{"a@users.example", "b@other.example", "c@users.example"}));

  const auto everywhere = data_of(looker.web.get(suppressed + "?limit=100"));
  EXPECT_GE(everywhere.size(), 4u);
  EXPECT_TRUE(refuses(looker.web.get(suppressed + "?limit=0&cursor=x&tenant_id=y"), {"limit", "cursor", "tenant_id"}));
}

TEST_F(AdminMailTest, LiftingIsAuditedAndMailGoesThereAgain) {
  db().exec("UPDATE carillon.users SET email = 'Ada@users.example' WHERE id = " + sql_literal(editor.id));
  suppress("ada@users.example", editor);
  suppress("ada@users.example", stranger);
  const auto mail_to_editor = [&] {
    const auto id = db().exec("SELECT carillon.notify(" + sql_literal(tenant) + ", " + sql_literal(editor.id)
                              + ", 'post_failed', 'It failed', 'Look at it.')");
    return db().exec("SELECT state || coalesce(': ' || reason, '') FROM carillon.notification_deliveries WHERE channel = 'email' "
                     "AND notification_id = " + sql_literal(id));
  };
  EXPECT_EQ(mail_to_editor(), "skipped: address suppressed after bounce");
  EXPECT_TRUE(is_problem(lift(looker, one("ada@users.example")), 403));
  EXPECT_EQ(list().size(), 1u);
  const auto lifted = data_of(lift(root, one("ADA@users.example")));
  EXPECT_EQ(lifted["address"], "ada@users.example");
  EXPECT_EQ(lifted["reason"], "550 no such user");
  EXPECT_EQ(list(), json::array());
  EXPECT_TRUE(is_problem(lift(root, one("ada@users.example")), 404));
  EXPECT_EQ(count("mail_suppressions WHERE address = 'ada@users.example'"), 1) << "the other tenant's stays";
  EXPECT_EQ(count("audit_logs WHERE description = 'Mail suppression lifted' AND admin_id = " + sql_literal(root.id)
                  + " AND tenant_id = " + sql_literal(tenant) + " AND metadata ->> 'address' = 'ada@users.example'"), 1);
  EXPECT_EQ(mail_to_editor().substr(0, 7), "queued");
}

TEST_F(AdminMailTest, OnlySuperAdminsEnter) {
  for (const auto* who : {&owner, &viewer}) {
    EXPECT_TRUE(is_problem(who->web.get(suppressed), 403));
    EXPECT_TRUE(is_problem(lift(*who, one("a@b.example")), 403));
  }
  EXPECT_TRUE(is_problem(node().web().get(suppressed), 401));
  EXPECT_TRUE(is_problem(node().web().post(suppressed + "/lift", one("a@b.example")), 401));
  EXPECT_TRUE(refuses(lift(root, json::object()), {"tenant_id", "address"}));
  EXPECT_TRUE(refuses(lift(root, {{"tenant_id", "x"}, {"address", std::string(256, 'a')}}), {"tenant_id", "address"}));
}

} // namespace

} // namespace carillon
