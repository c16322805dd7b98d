#include "config/load.hpp"

#include <fstream>
#include <regex>

#include <gtest/gtest.h>

#include "config/schema.hpp"

namespace carillon::config {
namespace {

using namespace std::chrono_literals;
using testing::Test;

/// A configuration file in a folder of its own.
class ConfigTest : public Test {
protected:
  ConfigTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "carillon-config-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    from_.file = folder_ / "carillon.toml";
  }
  ~ConfigTest() override {
    std::filesystem::remove_all(folder_);
  }

  void write_file(const std::string& text) {
    std::ofstream{from_.file} << text;
  }

  loaded load_valid() {
    auto outcome = load(from_);
    for (const auto& v : outcome.violations)
      ADD_FAILURE() << to_string(v);
    return outcome.value.value_or(loaded{});
  }

  std::vector<violation> load_invalid() {
    auto outcome = load(from_);
    EXPECT_FALSE(outcome.value.has_value());
    return outcome.violations;
  }

  /// `file:line` as violations show it.
  std::string at(int line) const {
    return from_.file.string() + ':' + std::to_string(line);
  }

  std::filesystem::path folder_;
  source from_;
};

using ConfigLoad = ConfigTest;
using ConfigViolations = ConfigTest;
using ConfigEnvironment = ConfigTest;
using ConfigReload = ConfigTest;
using ConfigDescribe = ConfigTest;

TEST_F(ConfigLoad, DefaultsNeedNoFile) {
  from_.file.clear();
  const auto got = load_valid();
  EXPECT_EQ(got.values.http.port, 8080);
  EXPECT_EQ(got.values.ownership.lease, 10s);
  EXPECT_EQ(got.origins.at("http.port"), "default");
}

TEST_F(ConfigLoad, TheExampleFileWithEveryKeySwitchedOnSaysTheDefaults) {
  const std::regex switched_off{"\n#(\\w+ = )"};
  write_file(std::regex_replace(render_example_file(), switched_off, "\n$1"));
  const auto got = load_valid();
  const settings defaults;
  for (const auto& key : schema()) {
    EXPECT_EQ(key.read(got.values), key.read(defaults)) << key.key();
    EXPECT_TRUE(got.origins.at(key.key()).starts_with(from_.file.string())) << key.key();
  }
}

TEST_F(ConfigLoad, ValuesOfEveryTypeAreTaken) {
  write_file(R"([database]
url = "postgresql://carillon:s3cret@db/carillon"
[http]
port = 0
cors_origins = ["https://app.example", "http://localhost:3000"]
[api]
compat_platform_codes = false
[publishing]
retry_delays = ["1s", "2s"]
retry_jitter = 0
request_timeout = "1500ms"
[mail]
transport = "smtp"
security = "tls"
[log]
level = "debug"
format = "text"
[caf]
scheduler_policy = "sharing"
)");
  const auto got = load_valid().values;
  EXPECT_EQ(got.database.url, "postgresql://carillon:s3cret@db/carillon");
  EXPECT_EQ(got.http.port, 0);
  EXPECT_EQ(got.http.cors_origins,
            (std::vector<std::string>{"https://app.example", "http://localhost:3000"}));
  EXPECT_FALSE(got.api.compat_platform_codes);
  EXPECT_EQ(got.publishing.retry_delays, (std::vector<std::chrono::seconds>{1s, 2s}));
  EXPECT_EQ(got.publishing.retry_jitter, 0);
  EXPECT_EQ(got.publishing.request_timeout, 1500ms);
  EXPECT_EQ(got.mail.transport, mail_transport::smtp);
  EXPECT_EQ(got.mail.security, mail_security::tls);
  EXPECT_EQ(got.log.level, log_level::debug);
  EXPECT_EQ(got.log.format, log_format::text);
  EXPECT_EQ(got.caf.scheduler_policy, scheduling::sharing);
}

TEST_F(ConfigLoad, OriginsNameTheLine) {
  write_file("[http]\n\nport = 9000\n");
  const auto got = load_valid();
  EXPECT_EQ(got.origins.at("http.port"), at(3));
  EXPECT_EQ(got.origins.at("http.address"), "default");
}

TEST_F(ConfigLoad, AMissingFileIsAViolation) {
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], (violation{from_.file.string(), "file", "cannot be read"}));
}

TEST_F(ConfigLoad, AFolderIsAViolation) {
  from_.file = folder_;
  EXPECT_EQ(load_invalid().size(), 1U);
}

TEST_F(ConfigViolations, AllAreReportedAtOnceInTheOrderOfTheFile) {
  write_file(R"(verbose = true
[http]
prot = 8080
port = 70000
idle_timeout = 30
address = "localhost"
[databse]
url = "x"
[publishing]
retry_delays = ["60s", "half an hour"]
retry_jitter = 0.9
[mail]
transport = "pigeon"
smtp_port = "25"
[api]
compat_platform_codes = 1
[http.tls]
key = "a"
)");
  from_.environment = {{"CARILLON_JOBS__BATCH_SIZE", "many"}};
  const auto found = load_invalid();
  std::vector<std::string> texts;
  for (const auto& v : found)
    texts.push_back(to_string(v));
  const auto file = from_.file.string();
  const std::vector<std::string> expected = {
    file + ":1: verbose: stands outside a [section]",
    file + ":3: http.prot: is not a key; did you mean http.port?",
    file + ":4: http.port: is 70000, must be an integer from 0 to 65535",
    file + ":5: http.idle_timeout: is 30 without a unit, must be a duration from 1s to 1h, such as \"10s\"",
    file + ":6: http.address: is \"localhost\", must be an IPv4 or IPv6 address",
    file + ":7: databse: is not a section; did you mean [database]?",
    file + ":10: publishing.retry_delays: has \"half an hour\", must be a list of durations from 1s to 1d in whole seconds",
    file + ":11: publishing.retry_jitter: is 0.9, must be a number from 0.0 to 0.5",
    file + ":13: mail.transport: is \"pigeon\", must be one of file, smtp",
    file + ":14: mail.smtp_port: is \"25\", must be an integer from 1 to 65535",
    file + ":16: api.compat_platform_codes: is 1, must be true or false",
    file + ":17: http.tls: is not a key",
    "environment: CARILLON_JOBS__BATCH_SIZE: is \"many\", must be an integer from 1 to 10000 jobs",
  };
  EXPECT_EQ(texts, expected);
}

TEST_F(ConfigViolations, AKeyOfAnotherSectionIsSuggested) {
  write_file("[http]\nlease = \"5s\"\n");
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].message, "is not a key; did you mean ownership.lease?");
}

TEST_F(ConfigViolations, SyntaxErrorsNameTheirLine) {
  write_file("[http]\nport = \n");
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].where, at(2));
}

TEST_F(ConfigViolations, ADoubledKeyIsASyntaxError) {
  write_file("[http]\nport = 1\nport = 2\n");
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].where, at(3));
}

TEST_F(ConfigViolations, SecretsAreNotRepeated) {
  write_file("[secrets]\ntoken_key = \"hunter2\"\nformer_token_keys = [\"hunter2\"]\n[database]\nurl = \"mysql://u:hunter2@h/d\"\n");
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 3U);
  for (const auto& v : found)
    EXPECT_EQ(v.message.find("hunter2"), std::string::npos) << v.message;
}

TEST_F(ConfigViolations, RulesBetweenKeysAreChecked) {
  write_file(R"([ownership]
lease = "2s"
renew_every = "1500ms"
[http]
port = 9090
[workspaces]
restart_min_backoff = "10s"
restart_max_backoff = "1s"
[publishing]
reconcile_deadline = "1min"
retry_delays = []
[mail]
transport = "smtp"
security = "none"
username = "u"
)");
  std::vector<std::string> keys;
  for (const auto& v : load_invalid())
    keys.push_back(v.key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                    "ownership.renew_every", "workspaces.restart_min_backoff", "internal.port",
                    "publishing.retry_delays", "publishing.reconcile_deadline", "mail.security"}));
}

TEST_F(ConfigViolations, ASecretOfTheSmsProviderNeitherLacksNorTravelsInClear) {
  write_file("[sms]\nurl = \"http://sms.example/send\"\nauth = \"basic\"\n");
  std::vector<std::string> keys;
  for (const auto& v : load_invalid())
    keys.push_back(v.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"sms.secret", "sms.url"}));
  write_file("[sms]\nurl = \"https://sms.example/send\"\nauth = \"basic\"\nsecret = \"s\"\n");
  EXPECT_EQ(load_valid().values.sms.auth, sms_auth::basic);
}

TEST_F(ConfigViolations, WhatPushAndSmsCannotWorkWithIsRefused) {
  write_file(R"([push]
vapid_private_key = "short"
vapid_subject = "ops@example.com"
trusted_hosts = ["http://a/b"]
max_subscriptions_per_user = 0
[sms]
url = "ftp://sms.example"
fields = ["To"]
success_statuses = ["2xx"]
id_pointer = "sid"
auth_header = "X Key"
max_characters = 5
)");
  std::vector<std::string> keys;
  for (const auto& v : load_invalid())
    keys.push_back(v.key);
  EXPECT_EQ(keys, (std::vector<std::string>{
                    "push.vapid_private_key", "push.vapid_subject", "push.trusted_hosts",
                    "push.max_subscriptions_per_user", "sms.url", "sms.fields", "sms.success_statuses",
                    "sms.id_pointer", "sms.auth_header", "sms.max_characters"}));
}

TEST_F(ConfigEnvironment, GoesBeforeTheFile) {
  write_file("[http]\nport = 9000\n");
  from_.environment = {{"CARILLON_HTTP__PORT", "9001"},
                       {"CARILLON_DATABASE__URL", "postgresql:///other"},
                       {"CARILLON_HTTP__CORS_ORIGINS", "https://a.example, https://b.example"},
                       {"CARILLON_PUBLISHING__RETRY_DELAYS", "1s,2s"},
                       {"CARILLON_PUBLISHING__RETRY_JITTER", "0.25"},
                       {"CARILLON_API__COMPAT_PLATFORM_CODES", "false"},
                       {"CARILLON_OWNERSHIP__LEASE", "3s"}};
  const auto got = load_valid();
  EXPECT_EQ(got.values.http.port, 9001);
  EXPECT_EQ(got.values.database.url, "postgresql:///other");
  EXPECT_EQ(got.values.http.cors_origins,
            (std::vector<std::string>{"https://a.example", "https://b.example"}));
  EXPECT_EQ(got.values.publishing.retry_delays, (std::vector<std::chrono::seconds>{1s, 2s}));
  EXPECT_EQ(got.values.publishing.retry_jitter, 0.25);
  EXPECT_FALSE(got.values.api.compat_platform_codes);
  EXPECT_EQ(got.values.ownership.lease, 3s);
  EXPECT_EQ(got.origins.at("http.port"), "environment");
}

TEST_F(ConfigEnvironment, UnknownNamesAreViolations) {
  from_.file.clear();
  from_.environment = {{"CARILLON_HTTP__PROT", "1"}, {"CARILLON_HTPP__PORT", "1"}};
  const auto found = load_invalid();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], (violation{"environment", "CARILLON_HTPP__PORT",
                                 "names no section; did you mean [http]?"}));
  EXPECT_EQ(found[1], (violation{"environment", "CARILLON_HTTP__PROT",
                                 "names no key; did you mean http.port?"}));
}

TEST_F(ConfigEnvironment, VariablesWithoutASectionAreLeftAlone) {
  from_.file.clear();
  from_.environment = {{"CARILLON_CRASH_POINT", "after-attempt"},
                       {"CARILLON_PG_FAST", "1"},
                       {"CARILLON_CONFIG", "/tmp/x.toml"}};
  load_valid();
}

TEST_F(ConfigEnvironment, OfThisProcessIsTaken) {
  setenv("CARILLON_LOG__LEVEL", "warn", 1);
  const auto got = make_source({});
  unsetenv("CARILLON_LOG__LEVEL");
  EXPECT_EQ(got.environment.at("CARILLON_LOG__LEVEL"), "warn");
  EXPECT_FALSE(got.environment.contains("PATH"));
}

TEST_F(ConfigReload, ChangesHotKeysOnlyAndNamesTheOthers) {
  write_file("[log]\nlevel = \"info\"\n");
  const auto running = load_valid().values;
  write_file("[log]\nlevel = \"debug\"\n[jobs]\nmax_in_flight = 10\n[http]\nport = 9000\n");
  const auto got = reload(from_, running);
  EXPECT_TRUE(got.violations.empty());
  ASSERT_EQ(got.changes.size(), 2U);
  EXPECT_EQ(got.changes[0].key, "jobs.max_in_flight");
  EXPECT_EQ(got.changes[0].old_value, std::to_string(jobs_settings{}.max_in_flight));
  EXPECT_EQ(got.changes[0].new_value, "10");
  EXPECT_EQ(got.changes[1].key, "log.level");
  EXPECT_EQ(got.needs_restart, std::vector<std::string>{"http.port"});
  EXPECT_EQ(got.next.log.level, log_level::debug);
  EXPECT_EQ(got.next.jobs.max_in_flight, 10);
  EXPECT_EQ(got.next.http.port, 8080);
}

TEST_F(ConfigReload, AMistakeAnywhereChangesNothing) {
  write_file("");
  const auto running = load_valid().values;
  write_file("[log]\nlevel = \"debug\"\n[http]\nprot = 1\n");
  const auto got = reload(from_, running);
  EXPECT_EQ(got.violations.size(), 1U);
  EXPECT_TRUE(got.changes.empty());
  EXPECT_EQ(got.next.log.level, log_level::info);
}

TEST_F(ConfigReload, WithoutADifferenceSaysNothing) {
  write_file("[jobs]\nmax_in_flight = 7\n");
  const auto running = load_valid().values;
  const auto got = reload(from_, running);
  EXPECT_TRUE(got.changes.empty());
  EXPECT_TRUE(got.needs_restart.empty());
  EXPECT_TRUE(got.violations.empty());
}

TEST_F(ConfigDescribe, ShowsValueOriginAndRangeAndHidesSecrets) {
  from_.file.clear();
  from_.environment
    = {{"CARILLON_SECRETS__TOKEN_KEY", std::string(64, 'a')},
       {"CARILLON_DATABASE__URL", "postgresql://u:hunter2@h/d"},
       {"CARILLON_INTERNAL__OPERATOR_TOKEN", "sixteen-and-more-characters"}};
  const auto got = load_valid();
  const auto all = describe(got.values, got.origins);
  ASSERT_EQ(all.size(), schema().size());
  for (const auto& one : all) {
    EXPECT_EQ(one.value.find("hunter2"), std::string::npos) << one.key;
    EXPECT_EQ(one.value.find("aaaa"), std::string::npos) << one.key;
    EXPECT_EQ(one.value.find("sixteen"), std::string::npos) << one.key;
    if (one.key == "database.url") {
      EXPECT_EQ(one.value, "\"postgresql://u:***@h/d\"");
      EXPECT_EQ(one.origin, "environment");
    }
    if (one.key == "http.port") {
      EXPECT_EQ(one.allowed, "an integer from 0 to 65535");
      EXPECT_EQ(one.origin, "default");
      EXPECT_FALSE(one.hot);
    }
  }
}

TEST(ConfigServe, NeedsATokenKey) {
  settings s;
  EXPECT_EQ(missing_for_serve(s).size(), 1U);
  s.secrets.token_key = std::string(64, '0');
  EXPECT_TRUE(missing_for_serve(s).empty());
}

TEST(ConfigEffective, NodeNameFallsBackToHostAndProcess) {
  settings s;
  EXPECT_NE(effective_node_name(s).find(':'), std::string::npos);
  EXPECT_LE(effective_node_name(s).size(), 60U);
  s.node.name = "a1";
  EXPECT_EQ(effective_node_name(s), "a1");
}

TEST(ConfigEffective, TokenKeysAreThirtyTwoBytes) {
  EXPECT_EQ(token_key_bytes(std::string(62, '0') + "fF"), std::string(31, '\0') + '\xff');
  EXPECT_EQ(token_key_bytes(std::string(63, '0')), "");
  EXPECT_EQ(token_key_bytes(std::string(63, '0') + 'g'), "");
}

TEST(ConfigEffective, RenewalIsAQuarterOfTheLease) {
  settings s;
  EXPECT_EQ(effective_renew_every(s), 2500ms);
  s.ownership.renew_every = 1s;
  EXPECT_EQ(effective_renew_every(s), 1s);
}

} // namespace
} // namespace carillon::config
