// The page /demo in a headless Chromium (tests/e2e/demo/demo_page.mjs).
#include <cstdlib>

#include <sys/wait.h>

#include "http/password_hasher.hpp"
#include "tests/e2e/message_fixture.hpp"

namespace carillon {

namespace {

class DemoPageTest : public test::message_fixture {};

TEST_F(DemoPageTest, APersonSeesLiveArrivalsInTwoTabsAndSetsPreferences) {
  const auto email = db.exec("UPDATE carillon.users SET password = " + test::sql_literal(http::hash_password("User@1234", 4))
                             + " WHERE id = " + test::sql_literal(data.author) + " RETURNING email");
  test::carillon_node node{db.url(), folder.path(), settings()};
  notify("First");
  notify("Second");
  std::map<std::string, std::string> environment{{"PATH", std::getenv("PATH")}, {"HOME", folder.path().string()}};
  for (const auto* name : {"DEMO_CHROMIUM", "DEMO_SHOTS"})
    if (const auto* value = std::getenv(name))
      environment.emplace(name, value);
  test::process person{{"node", std::string{CARILLON_SOURCE_DIR} + "/tests/e2e/demo/demo_page.mjs", CARILLON_NPM_DIR,
                        node.web().base_url(), email, "User@1234"},
                       environment, folder.path() / "person.log"};
  ASSERT_TRUE(test::eventually([&] { return person.output().find("waiting\n") != std::string::npos || !person.is_running(); },
                               std::chrono::seconds{120}));
  const auto told = node.internal().post("/internal/notifications",
                                         {{"tenant_id", to_string(data.tenant)}, {"user_id", to_string(data.author)},
                                          {"type", "post_failed"}, {"title", "Live <b>title</b>"},
                                          {"message", "<script>alert(1)</script>"}, {"action_url", "/posts/1"}});
  ASSERT_EQ(told.status, 201) << told.body;
  const auto status = person.wait(std::chrono::seconds{150});
  ASSERT_TRUE(status) << person.output();
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << person.output();
  EXPECT_NE(person.output().find("all well"), std::string::npos);
}

} // namespace

} // namespace carillon
