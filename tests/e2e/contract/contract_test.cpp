// The eight notification routes through a proxy that compares each answer with
// the description that is served (contract_proxy.mjs, ajv from npm).
#include <cstdlib>

#include <gmock/gmock.h>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;
using ::testing::IsSupersetOf;

class ContractTest : public api_suite {
protected:
  ContractTest()
    : proxy_{{"node", std::string{CARILLON_SOURCE_DIR} + "/tests/e2e/contract/contract_proxy.mjs", CARILLON_NPM_DIR,
              node().web().base_url()},
             {{"PATH", std::getenv("PATH")}},
             folder.path() / "proxy.log"} {
    const bool up = eventually([this] {
      const auto output = proxy_.output();
      const auto end = output.find('\n');
      if (!output.starts_with("port ") || end == std::string::npos)
        return !proxy_.is_running();
      proxy_url_ = "http://127.0.0.1:" + output.substr(5, end - 5);
      return true;
    });
    if (!up || proxy_url_.empty())
      throw std::runtime_error{"the proxy did not start: " + proxy_.output()};
  }
  web_client through(const person& by) const {
    return web_client{proxy_url_, by.token};
  }
  web_client through_nobody() const {
    return web_client{proxy_url_};
  }
  json told(const std::string& what) const {
    return web_client{proxy_url_}.get(what).json();
  }

  scratch_folder folder;

private:
  process proxy_;
  std::string proxy_url_;
};

TEST_F(ContractTest, EveryAnswerOfTheNotificationRoutesIsAsDescribed) {
  const std::string notices = "/api/v1/notifications";
  const auto rich = add_notice(editor, {.type = "post_failed", .title = "Grüße \U0001F514 \u05d0\u05d1", .data = "'{\"post_id\": \"x\"}'",
                                        .icon = "'bell'", .action_url = "'/posts/1'"});
  const auto read = add_notice(editor, {.read_at = "now()"});
  for (int i = 0; i < 3; ++i)
    add_notice(editor);
  const auto web = through(editor);
  const auto nobody = through_nobody();
  for (const auto* query : {"", "?per_page=2&page=2", "?is_read=0", "?type=post_failed", "?per_page=0&page=x", "?page=99"})
    EXPECT_NE(web.get(notices + query).status, 500);
  EXPECT_EQ(web.get(notices + "/recent").status, 200);
  EXPECT_EQ(web.get(notices + "/unread-count").status, 200);
  EXPECT_EQ(web.post(notices + "/" + rich + "/read").status, 200);
  EXPECT_EQ(web.post(notices + "/" + read + "/read").status, 200);
  EXPECT_EQ(web.post(notices + "/" + to_string(notification_id::make()) + "/read").status, 404);
  EXPECT_EQ(through(colleague).post(notices + "/" + rich + "/read").status, 403);
  EXPECT_EQ(web.post(notices + "/read-multiple", {{"ids", json::array({rich, read})}}).status, 200);
  EXPECT_EQ(web.post(notices + "/read-multiple", {{"ids", "x"}}).status, 422);
  EXPECT_EQ(web.post(notices + "/read-all").status, 200);
  EXPECT_EQ(web.get(notices + "/preferences").status, 200);
  const json choice{{"notification_type", "post_failed"}, {"email_enabled", false}};
  EXPECT_EQ(web.put(notices + "/preferences", choice).status, 200);
  EXPECT_EQ(web.put(notices + "/preferences", {{"preferences", json::array({choice})}}).status, 200);
  EXPECT_EQ(web.put(notices + "/preferences", {{"notification_type", "no such type"}}).status, 422);
  for (const auto* path : {"", "/recent", "/unread-count", "/preferences"})
    EXPECT_EQ(nobody.get(notices + path).status, 401);
  for (const auto& path : {"/" + rich + "/read", std::string{"/read-all"}, std::string{"/read-multiple"}})
    EXPECT_EQ(nobody.post(notices + path).status, 401);
  EXPECT_EQ(nobody.put(notices + "/preferences", choice).status, 401);

  EXPECT_EQ(told("/violations"), json::array());
  const auto seen = told("/seen").get<std::vector<std::string>>();
  std::vector<std::string> needed;
  for (const auto* operation : {"GET /api/v1/notifications", "GET /api/v1/notifications/recent",
                                "GET /api/v1/notifications/unread-count", "GET /api/v1/notifications/preferences",
                                "PUT /api/v1/notifications/preferences", "POST /api/v1/notifications/read-all",
                                "POST /api/v1/notifications/read-multiple"})
    for (const auto* status : {" 200", " 401"})
      needed.push_back(std::string{operation} + status);
  EXPECT_THAT(seen, IsSupersetOf(needed));
  int reads_one = 0;
  for (const auto& one : seen)
    reads_one += one.starts_with("POST /api/v1/notifications/{") ? 1 : 0;
  EXPECT_EQ(reads_one, 4) << told("/seen") << ": 200, 401, 403 and 404 of marking one";
}

TEST_F(ContractTest, TheProxySeesWhatIsNotDescribed) {
  EXPECT_EQ(through(editor).get("/api/v1/no-such-route").status, 404);
  EXPECT_EQ(told("/violations").size(), 1u);
}

} // namespace

} // namespace carillon
