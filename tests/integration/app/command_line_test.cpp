// The real program at the command line.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

#include "tests/support/process.hpp"
#include "tests/support/test_database.hpp"

namespace carillon::test {
namespace {

namespace fs = std::filesystem;

struct outcome {
  int exit_code = -1;
  std::string output; ///< Standard output and error.
};

bool has(const outcome& o, const std::string& text) {
  return o.output.find(text) != std::string::npos;
}

/// Runs the program in a folder of its own.
class program {
public:
  program() {
    std::string pattern = (fs::temp_directory_path() / "carillon-cli-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~program() {
    fs::remove_all(folder_);
  }

  outcome run(std::vector<std::string> arguments) {
    const auto log = folder_ / ("out-" + std::to_string(++runs_));
    arguments.insert(arguments.begin(), std::string{CARILLON_BINARY_DIR} + "/app/carillon");
    process child{arguments, environment, log};
    const auto status = child.wait();
    outcome out;
    if (status && WIFEXITED(*status))
      out.exit_code = WEXITSTATUS(*status);
    out.output = child.output();
    return out;
  }

  std::string write_file(const std::string& text) {
    const auto path = folder_ / "carillon.toml";
    std::ofstream{path} << text;
    return path.string();
  }

  std::map<std::string, std::string> environment;

private:
  fs::path folder_;
  int runs_ = 0;
};

TEST(CommandLine, HelpTeachesAndSucceeds) {
  program carillon;
  const auto help = carillon.run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const auto* command :
       {"serve", "migrate", "demo-data", "sandbox-network", "config", "jobs", "token"}) {
    EXPECT_TRUE(has(help, command)) << command;
    const auto one = carillon.run({command, "--help"});
    EXPECT_EQ(one.exit_code, 0) << command;
    EXPECT_TRUE(has(one, "Example")) << command << ":\n" << one.output;
  }
  EXPECT_EQ(carillon.run({"--version"}).exit_code, 0);
}

TEST(CommandLine, WrongUsageIsTwo) {
  program carillon;
  EXPECT_EQ(carillon.run({}).exit_code, 2);
  const auto unknown = carillon.run({"publish"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_TRUE(has(unknown, "there is no command publish")) << unknown.output;
  EXPECT_EQ(carillon.run({"jobs"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "show"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "show", "17"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "list", "--state", "sleeping"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "list", "--limit", "0"}).exit_code, 2);
  const std::string id = "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00";
  for (const auto* action : {"retry", "cancel", "discard"})
    for (const auto& wrong : std::vector<std::vector<std::string>>{
           {}, {"17"}, {id, "--all"}, {id, "--where", "kind=x"}, {"--all"}, {"--all", "--where", "kind"},
           {"--all", "--where", "kind="}, {"--all", "--where", "knd=x"}, {"--all", "--where", "state=asleep"},
           {"--all", "--where", "workspace=here"}, {"--all", "--where", "all", "kind=x"}}) {
      std::vector<std::string> command{"jobs", action, "--yes"};
      command.insert(command.end(), wrong.begin(), wrong.end());
      const auto got = carillon.run(command);
      EXPECT_EQ(got.exit_code, 2) << action << ' ' << nlohmann::json(wrong) << got.output;
    }
  EXPECT_EQ(carillon.run({"jobs", "explain", "17"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "pause", "kind"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "pause", "job", "x"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"jobs", "resume", "workspace", "main"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"token", "create"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"serve", "--no-such-option"}).exit_code, 2);
  EXPECT_EQ(carillon.run({"config", "no_such_section"}).exit_code, 2);
}

TEST(CommandLine, AWrongConfigurationListsEveryMistakeAndIsThree) {
  program carillon;
  const auto file = carillon.write_file("[http]\nprot = 1\nport = 70000\n[jobs]\nbatch_size = \"x\"\n");
  carillon.environment = {{"CARILLON_LOG__LEVEL", "loud"}};
  for (const auto* command : {"serve", "migrate", "config", "demo-data"}) {
    const auto got = carillon.run({command, "--config", file});
    EXPECT_EQ(got.exit_code, 3) << command;
    EXPECT_TRUE(has(got, file + ":2: http.prot: is not a key; did you mean http.port?")) << got.output;
    EXPECT_TRUE(has(got, file + ":3: http.port: is 70000")) << got.output;
    EXPECT_TRUE(has(got, file + ":5: jobs.batch_size: is \"x\"")) << got.output;
    EXPECT_TRUE(has(got, "CARILLON_LOG__LEVEL: is \"loud\"")) << got.output;
  }
}

TEST(CommandLine, ServeNeedsATokenKey) {
  program carillon;
  carillon.environment = {{"CARILLON_SECRETS__TOKEN_KEY", ""}};
  const auto got = carillon.run({"--config", carillon.write_file(""), "serve"});
  EXPECT_EQ(got.exit_code, 3);
  EXPECT_TRUE(has(got, "openssl rand -hex 32")) << got.output;
}

TEST(CommandLine, ConfigShowsValueOriginAndMaskedSecrets) {
  program carillon;
  const auto file = carillon.write_file("[http]\nport = 9001\n");
  carillon.environment = {{"CARILLON_DATABASE__URL", "postgresql://u:hunter2@h/d"}};
  const auto all = carillon.run({"--config", file, "config"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_TRUE(has(all, "http.port = 9001   # from " + file + ":2; the default is 8080")) << all.output;
  EXPECT_FALSE(has(all, "hunter2"));
  const auto machine = carillon.run({"--config", file, "config", "database.url", "--json"});
  const auto parsed = nlohmann::json::parse(machine.output, nullptr, false);
  ASSERT_TRUE(parsed.is_array()) << machine.output;
  EXPECT_EQ(parsed[0]["value"], "\"postgresql://u:***@h/d\"");
  EXPECT_EQ(parsed[0]["origin"], "environment");
}

TEST(CommandLine, TheConfigurationFileMayBeNamedByEnvironment) {
  program carillon;
  carillon.environment = {{"CARILLON_CONFIG", carillon.write_file("[http]\nport = 9002\n")}};
  EXPECT_TRUE(has(carillon.run({"config", "http.port"}), "http.port = 9002"));
  carillon.environment = {{"CARILLON_CONFIG", "/no/such/file.toml"}};
  EXPECT_EQ(carillon.run({"config", "http.port"}).exit_code, 3);
  // Printing the example needs no configuration at all.
  EXPECT_EQ(carillon.run({"config", "--print-example"}).exit_code, 0);
}

TEST(CommandLine, AnUnreachableDatabaseIsExplainedWithoutItsPassword) {
  program carillon;
  carillon.environment
    = {{"CARILLON_DATABASE__URL", "postgresql://carillon:hunter2@127.0.0.1:1/carillon"}};
  for (const auto& command : std::vector<std::vector<std::string>>{
         {"migrate"}, {"jobs", "list"}, {"token", "create", "--email", "a@b.example"}}) {
    const auto got = carillon.run(command);
    EXPECT_EQ(got.exit_code, 1);
    EXPECT_TRUE(has(got, "postgresql://carillon:***@127.0.0.1:1/carillon")) << got.output;
    EXPECT_TRUE(has(got, "Is it running?")) << got.output;
    EXPECT_FALSE(has(got, "hunter2")) << got.output;
  }
}

/// With a migrated database.
class CommandLineOnDatabase : public testing::Test {
protected:
  CommandLineOnDatabase() {
    carillon_.environment = {{"CARILLON_DATABASE__URL", db_.url()},
                             {"CARILLON_AUTH__BCRYPT_COST", "4"},
                             {"CARILLON_SECRETS__TOKEN_KEY", std::string(64, '5')}};
  }

  test_database db_;
  program carillon_;
};

TEST_F(CommandLineOnDatabase, MigrateHasNothingLeftToDo) {
  const auto got = carillon_.run({"migrate"});
  EXPECT_EQ(got.exit_code, 0) << got.output;
  EXPECT_TRUE(has(got, "Nothing to do")) << got.output;
}

TEST_F(CommandLineOnDatabase, DemoDataIsWrittenOnce) {
  const auto first = carillon_.run({"demo-data"});
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_EQ(db_.exec("SELECT count(*) FROM carillon.users"), "4");
  EXPECT_EQ(db_.exec("SELECT count(DISTINCT status) FROM carillon.posts"), "9");
  EXPECT_EQ(db_.exec("SELECT count(*) FROM carillon.notifications"), "200");
  EXPECT_EQ(db_.exec("SELECT count(*) FILTER (WHERE read_at IS NULL) || ' of ' || count(*) "
                     "FROM carillon.notifications n JOIN carillon.users u ON u.id = n.user_id "
                     "WHERE u.email = 'owner@acme.example'"),
            "27 of 80");
  EXPECT_EQ(db_.exec("SELECT count(DISTINCT settings ->> 'timezone') FROM carillon.workspaces"), "2");
  EXPECT_EQ(db_.exec("SELECT count(*) FROM carillon.social_accounts "
                     "WHERE status = 'connected' AND access_token_encrypted LIKE 'v1:%'"),
            "4");

  const auto fingerprint = [this] {
    return db_.exec("SELECT md5(string_agg(x, '|' ORDER BY x)) FROM ("
                    "SELECT to_jsonb(t)::text FROM carillon.users t UNION ALL "
                    "SELECT to_jsonb(t)::text FROM carillon.posts t UNION ALL "
                    "SELECT to_jsonb(t)::text FROM carillon.post_targets t UNION ALL "
                    "SELECT to_jsonb(t)::text FROM carillon.social_accounts t UNION ALL "
                    "SELECT to_jsonb(t)::text FROM carillon.jobs t UNION ALL "
                    "SELECT to_jsonb(t)::text FROM carillon.notifications t) AS rows (x)");
  };
  const auto before = fingerprint();
  const auto second = carillon_.run({"demo-data"});
  EXPECT_EQ(second.exit_code, 0) << second.output;
  EXPECT_TRUE(has(second, "nothing was changed")) << second.output;
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(CommandLineOnDatabase, DemoAccountsFollowTheSandbox) {
  ASSERT_EQ(carillon_.run({"demo-data"}).exit_code, 0);
  const auto moved = carillon_.run({"demo-data", "--sandbox-url", "http://127.0.0.1:4321/"});
  EXPECT_EQ(moved.exit_code, 0) << moved.output;
  EXPECT_EQ(db_.exec("SELECT count(*) FROM carillon.social_accounts "
                     "WHERE metadata ->> 'instance_url' = 'http://127.0.0.1:4321'"),
            "4");
}

TEST_F(CommandLineOnDatabase, JobsAreListedShownCancelledAndRetried) {
  ASSERT_EQ(carillon_.run({"demo-data"}).exit_code, 0);
  const auto list = nlohmann::json::parse(carillon_.run({"jobs", "list", "--json"}).output, nullptr, false);
  ASSERT_TRUE(list.is_array());
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["kind"], "publish_post");
  const auto id = list[0]["id"].get<std::string>();

  EXPECT_TRUE(has(carillon_.run({"jobs", "list"}), id));
  EXPECT_TRUE(has(carillon_.run({"jobs", "list", "--kind", "no_such_kind"}), "No jobs."));
  EXPECT_TRUE(has(carillon_.run({"jobs", "show", id}), "publish_post"));

  const auto cancelled = carillon_.run({"jobs", "cancel", id});
  EXPECT_EQ(cancelled.exit_code, 0) << cancelled.output;
  EXPECT_EQ(db_.exec("SELECT state FROM carillon.job_history"), "cancelled");
  EXPECT_EQ(carillon_.run({"jobs", "cancel", id}).exit_code, 1);
  EXPECT_TRUE(has(carillon_.run({"jobs", "list", "--state", "cancelled"}), id));

  const auto retried = carillon_.run({"jobs", "retry", id});
  EXPECT_EQ(retried.exit_code, 0) << retried.output;
  EXPECT_EQ(db_.exec("SELECT state FROM carillon.jobs"), "available");

  const auto unknown = carillon_.run({"jobs", "show", "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_TRUE(has(unknown, "there is no job")) << unknown.output;
}

TEST_F(CommandLineOnDatabase, JobsAreActedOnByFilterAfterTheirCountWasConfirmed) {
  ASSERT_EQ(carillon_.run({"demo-data"}).exit_code, 0);
  const auto tenant = db_.exec("SELECT id FROM carillon.tenants ORDER BY id LIMIT 1");
  db_.exec("SELECT carillon.enqueue('greet', '" + tenant + "') FROM generate_series(1, 2500)");
  const auto live = [this](const std::string& kind) {
    return db_.exec("SELECT count(*) FROM carillon.jobs WHERE kind = '" + kind + "'");
  };

  const auto refused = carillon_.run({"jobs", "discard", "--all", "--where", "kind=greet"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(has(refused, "would discard 2500 jobs")) << refused.output;
  EXPECT_TRUE(has(refused, "Nothing was changed")) << refused.output;
  EXPECT_EQ(live("greet"), "2500");

  const auto discarded
    = carillon_.run({"jobs", "discard", "--all", "--yes", "--where", "kind=greet", "--where", "tenant=" + tenant});
  EXPECT_EQ(discarded.exit_code, 0) << discarded.output;
  EXPECT_TRUE(has(discarded, "2500 jobs were discarded.")) << discarded.output;
  EXPECT_EQ(live("greet"), "0");
  EXPECT_EQ(live("publish_post"), "1");

  const auto retried = carillon_.run({"jobs", "retry", "--all", "--yes", "--json", "--where", "kind=greet",
                                      "state=discarded", "error=by an operator"});
  EXPECT_EQ(nlohmann::json::parse(retried.output, nullptr, false), (nlohmann::json{{"count", 2500}})) << retried.output;
  EXPECT_EQ(live("greet"), "2500");

  const auto cancelled = carillon_.run({"jobs", "cancel", "--all", "--yes", "--where", "all"});
  EXPECT_TRUE(has(cancelled, "2501 jobs were cancelled.")) << cancelled.output;
  EXPECT_TRUE(has(carillon_.run({"jobs", "cancel", "--all", "--where", "all"}), "0 jobs were cancelled."));
}

TEST_F(CommandLineOnDatabase, JobsAreCountedExplainedPausedAndResumed) {
  EXPECT_TRUE(has(carillon_.run({"jobs", "stats"}), "No jobs."));
  ASSERT_EQ(carillon_.run({"demo-data"}).exit_code, 0);
  const auto table = carillon_.run({"jobs", "stats"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_TRUE(has(table, "publish_post")) << table.output;
  EXPECT_TRUE(has(table, "OLDEST DUE")) << table.output;
  const auto stats = nlohmann::json::parse(carillon_.run({"jobs", "stats", "--json"}).output, nullptr, false);
  ASSERT_TRUE(stats.is_object());
  ASSERT_EQ(stats["counts"].size(), 1U);
  EXPECT_EQ(stats["counts"][0]["count"], 1);
  EXPECT_EQ(stats["workspaces"][0]["live"], 1);

  const auto id = db_.exec("SELECT id FROM carillon.jobs");
  EXPECT_TRUE(has(carillon_.run({"jobs", "explain", id}), "No node owns its shard"));
  EXPECT_EQ(carillon_.run({"jobs", "explain", "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00"}).exit_code, 1);
  db_.exec("INSERT INTO carillon.job_controls (scope, name, max_running) VALUES ('kind', 'publish_post', 7)");
  EXPECT_TRUE(has(carillon_.run({"jobs", "pause", "kind", "publish_post"}), "Paused kind publish_post."));
  const auto why = nlohmann::json::parse(carillon_.run({"jobs", "explain", id, "--json"}).output, nullptr, false);
  EXPECT_EQ(why["explanation"][0], "Paused by an operator: kind publish_post.");
  EXPECT_TRUE(has(carillon_.run({"jobs", "resume", "kind", "publish_post"}), "Resumed kind publish_post."));
  EXPECT_EQ(db_.exec("SELECT is_paused || ' ' || max_running FROM carillon.job_controls"), "false 7")
    << "a pause leaves the limits alone";
  EXPECT_EQ(db_.exec("SELECT count(*) FROM carillon.audit_logs WHERE request_id = 'command-line'"), "2");
}

TEST_F(CommandLineOnDatabase, TokenCreatePrintsATokenAndStoresItsHash) {
  ASSERT_EQ(carillon_.run({"demo-data"}).exit_code, 0);
  const auto got = carillon_.run(
    {"token", "create", "--email", "Owner@acme.example", "--name", "ci", "--expires", "12h"});
  ASSERT_EQ(got.exit_code, 0) << got.output;
  const auto bar = got.output.find('|');
  ASSERT_NE(bar, std::string::npos) << got.output;
  const auto secret = got.output.substr(bar + 1, got.output.find('\n', bar) - bar - 1);
  EXPECT_EQ(db_.exec("SELECT name || ' ' || (token = encode(sha256('" + secret + "'), 'hex')) || ' ' "
                     "|| (expires_at - now() BETWEEN interval '11 hours' AND interval '12 hours') "
                     "FROM carillon.personal_access_tokens"),
            "ci true true");
  EXPECT_EQ(carillon_.run({"token", "create", "--email", "nobody@acme.example"}).exit_code, 1);
  EXPECT_EQ(
    carillon_.run({"token", "create", "--email", "owner@acme.example", "--expires", "soon"}).exit_code, 2);
}

} // namespace
} // namespace carillon::test
