// The whole way through, as a client with curl sees it.

#include <csignal>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

#include "domain/clock.hpp"
#include "tests/e2e/main_job_fixture.hpp"

namespace carillon {

namespace {

/// A real SMTP server: Debian's aiosmtpd writing a maildir.
class mail_server {
public:
  explicit mail_server(const std::filesystem::path& folder)
    : maildir_(folder / "maildir"),
      process_({"/usr/bin/python3", std::string{CARILLON_SOURCE_DIR} + "/tests/support/mail_server.py",
                maildir_.string()},
               {}, folder / "mail_server.log") {
    if (!test::eventually([this] { return !port().empty(); }))
      throw std::runtime_error{"the mail server did not start: " + process_.output()};
  }

  std::string port() const {
    const auto output = process_.output();
    const auto begin = output.find("port ");
    const auto end = output.find('\n', begin == std::string::npos ? 0 : begin);
    return begin == std::string::npos || end == std::string::npos ? "" : output.substr(begin + 5, end - begin - 5);
  }

  std::size_t mails() const {
    std::size_t count = 0;
    std::error_code missing;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator{maildir_ / "new", missing})
      ++count;
    return count;
  }

private:
  std::filesystem::path maildir_;
  test::process process_;
};

class MainJobTest : public ::testing::Test {
protected:
  test::test_database db;
  test::scratch_folder folder;
  test::sandbox_network network{folder.path()};
};

TEST_F(MainJobTest, APostScheduledOverHttpIsPublishedRightAfterItsTimeAndItsAuthorHearsOfIt) {
  mail_server smtp{folder.path()};
  test::carillon_node::environment settings{{"CARILLON_MAIL__TRANSPORT", "smtp"},
                                            {"CARILLON_MAIL__SMTP_HOST", "127.0.0.1"},
                                            {"CARILLON_MAIL__SMTP_PORT", smtp.port()},
                                            {"CARILLON_MAIL__SECURITY", "none"}};
  auto all = settings;
  for (const auto& [key, value] : test::carillon_node::defaults(db.url(), folder.path()))
    all.emplace(key, value);
  test::run_carillon({"demo-data", "--sandbox-url", network.url()}, all, folder.path());
  const auto mails_before = smtp.mails();
  test::carillon_node node{db.url(), folder.path(), settings};

  const auto owner = node.login("owner@acme.example", "User@1234");
  const auto workspaces = owner.get("/api/v1/workspaces?per_page=100").json()["data"];
  ASSERT_GE(workspaces.size(), 2u);
  const std::string base = "/api/v1/workspaces/" + workspaces[0]["id"].get<std::string>();
  const auto accounts = owner.get(base + "/social-accounts?status=connected").json()["data"];
  ASSERT_FALSE(accounts.empty());
  const int unread = owner.get("/api/v1/notifications/unread-count").json()["data"]["count"];

  const auto made = owner.post(base + "/posts", {{"content_text", "Hello from the end-to-end test"},
                                                 {"social_account_ids", {accounts[0]["id"]}}});
  ASSERT_EQ(made.status, 201) << made.body;
  const auto post = base + "/posts/" + made.json()["data"]["id"].get<std::string>();
  ASSERT_EQ(owner.post(post + "/submit").status, 200);
  ASSERT_EQ(owner.post(post + "/approve").status, 200);
  const auto due = system_clock{}.now() + std::chrono::seconds{2};
  const auto scheduled = owner.post(post + "/schedule", {{"scheduled_at", format_precise_time(due)}});
  ASSERT_EQ(scheduled.status, 200) << scheduled.body;
  EXPECT_EQ(scheduled.json()["data"]["status"], "scheduled");

  ASSERT_TRUE(test::eventually([&] { return owner.get(post).json()["data"]["post"]["status"] == "published"; }))
    << node.self().output();
  EXPECT_GE(system_clock{}.now(), due);
  const auto counts = network.counts();
  ASSERT_TRUE(counts.contains("Hello from the end-to-end test"));
  EXPECT_EQ(counts.at("Hello from the end-to-end test"), 1);
  const int unread_after = owner.get("/api/v1/notifications/unread-count").json()["data"]["count"];
  EXPECT_GT(unread_after, unread);
  const auto newest = owner.get("/api/v1/notifications/recent?limit=1").json()["data"][0];
  EXPECT_EQ(newest["type"], "post_published");
  ASSERT_TRUE(test::eventually([&] { return smtp.mails() > mails_before; })) << node.self().output();
  EXPECT_TRUE(test::eventually([&] {
    return db.exec("SELECT count(*) FROM carillon.notifications WHERE type = 'post_published' AND sent_at IS NOT NULL "
                   "AND id = '" + newest["id"].get<std::string>() + "'") == "1";
  }));
}

TEST_F(MainJobTest, TermDrainsAndEndsTheIncarnation) {
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([this] {
    return db.exec("SELECT count(*) FROM carillon.shard_leases WHERE incarnation IS NOT NULL") == "256";
  }));
  node.self().signal(SIGTERM);
  const auto status = node.self().wait();
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << node.self().output();
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.shard_leases WHERE incarnation IS NOT NULL"), "0");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.node_incarnations WHERE ended_at IS NULL"), "0");
}

TEST_F(MainJobTest, HupReloadsHotKeysAndAuditsThem) {
  const auto file = folder.path() / "carillon.toml";
  const auto write = [&](const std::string& text) {
    std::ofstream out{file};
    out << text;
  };
  write("[jobs]\nmax_in_flight = 100\n");
  test::carillon_node node{db.url(), folder.path(), {{"CARILLON_CONFIG", file.string()}}};
  const auto value = [&] {
    const auto keys = node.internal().get("/internal/config").json()["data"];
    for (const auto& key : keys)
      if (key["key"] == "jobs.max_in_flight")
        return key["value"].get<std::string>() + " " + key["origin"].get<std::string>();
    return std::string{};
  };
  EXPECT_EQ(value().substr(0, 4), "100 ");
  write("[jobs]\nmax_in_flight = 0\nnonsense = 1\n");
  node.self().signal(SIGHUP);
  ASSERT_TRUE(test::eventually([&] { return node.self().output().find("config-refused") != std::string::npos; }));
  EXPECT_EQ(value().substr(0, 4), "100 ") << "a refused file changed something";
  write("[jobs]\nmax_in_flight = 200\n");
  node.self().signal(SIGHUP);
  EXPECT_TRUE(test::eventually([&] { return value().substr(0, 4) == "200 "; }));
  EXPECT_TRUE(test::eventually([this] {
    return db.exec("SELECT old_value || '>' || new_value FROM carillon.config_changes WHERE key = 'jobs.max_in_flight'")
           == "100>200";
  }));
}

TEST_F(MainJobTest, MetricsNameWhatTheNodeOwnsWhatItRanAndWhatWaits) {
  test::carillon_node node{db.url(), folder.path()};
  // Of a kind that no node knows: it stays where it is, and is seen.
  db.exec("INSERT INTO carillon.tenants (id, name, slug) VALUES (carillon.uuid_v7(), 'T', 't'); "
          "INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) "
          "SELECT carillon.uuid_v7(), 'of_a_newer_node', 'default', id, id, '{\"v\": 1}', 3 FROM carillon.tenants");
  std::string page;
  EXPECT_TRUE(test::eventually([&] {
    const auto answer = node.internal().get("/metrics");
    page = answer.body;
    return answer.status == 200 && answer.headers.find("text/plain; version=0.0.4") != std::string::npos
           && page.find("carillon_shards_owned 256") != std::string::npos
           && page.find("carillon_jobs{kind=\"of_a_newer_node\",queue=\"default\",state=\"available\"} 1")
                != std::string::npos
           && page.find("carillon_database_connections{pool=\"background\",state=\"busy\"}") != std::string::npos;
  })) << page;
  EXPECT_EQ(page.find("tenant"), std::string::npos);
}

TEST_F(MainJobTest, InternalActorsShowsTheTree) {
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([&] {
    const auto tree = node.internal().get("/internal/actors").json();
    return tree.is_object() && tree["data"]["state"] == "running" && tree["data"]["children"].size() == 11
           && tree.dump().find("\"shards\":\"256\"") != std::string::npos;
  })) << node.internal().get("/internal/actors").body;
}

} // namespace

} // namespace carillon
