// What operators do with jobs, and how other programs hand work over.

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/clock.hpp"
#include "storage/job_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using test::sql_literal;
using json = nlohmann::json;

class JobOperationsTest : public ::testing::Test {
protected:
  JobOperationsTest() {
    EXPECT_TRUE(jobs.announce_kinds());
  }

  new_job make_job(std::string unique_key = {}) const {
    new_job out;
    out.kind = kinds::send_notification_email;
    out.tenant = data.tenant;
    out.workspace = data.workspace;
    out.payload = R"({"v":1})";
    out.unique_key = std::move(unique_key);
    return out;
  }

  job_id add(std::string unique_key = {}) {
    return *jobs.enqueue(make_job(std::move(unique_key)));
  }

  job_id add_for_later() {
    auto later = make_job();
    later.run_at = system_clock{}.now() + 1h;
    return *jobs.enqueue(later);
  }

  node_identity start_node(const std::string& name) {
    const auto me = *ownership.start_incarnation(name, 60s);
    EXPECT_TRUE(ownership.take_free(me, 256));
    return me;
  }

  void fail(const node_identity& me, job_id id, job_report::kind how, const std::string& error,
            std::optional<std::chrono::milliseconds> delay = {}) {
    EXPECT_TRUE(jobs.conclude(me, {{id, how, error, delay, 0}}, {}));
  }

  job_id add_dead(const node_identity& me, const std::string& error = "no such address", std::string unique_key = {}) {
    const auto id = add(std::move(unique_key));
    fail(me, id, job_report::kind::discarded, error);
    return id;
  }

  due_jobs take(const node_identity& me) {
    due_query query;
    for (int i = 0; i < shard_count; ++i)
      query.shards.push_back(static_cast<shard_id>(i));
    for (const auto& policy : job_policies())
      query.kinds.emplace_back(policy.kind);
    return *jobs.take_due(me, query);
  }

  job_state state_of(job_id id) {
    return jobs.find(everywhere, id)->state;
  }

  std::vector<job_id> listed(const job_filter& filter) {
    std::vector<job_id> out;
    const auto found = jobs.list(everywhere, filter);
    EXPECT_TRUE(found);
    for (const auto& j : *found)
      out.push_back(j.id);
    return out;
  }

  std::vector<std::string> why(job_id id) {
    const auto out = jobs.explain(everywhere, id);
    EXPECT_TRUE(out);
    return out ? *out : std::vector<std::string>{};
  }

  int audits() {
    return std::stoi(db.exec("SELECT count(*) FROM carillon.audit_logs"));
  }

  std::string last_audit(const std::string& column) {
    return db.exec("SELECT " + column + " FROM carillon.audit_logs ORDER BY id DESC LIMIT 1");
  }

  void add_control(const std::string& scope, const std::string& name, const std::string& columns = "is_paused",
                   const std::string& values = "true") {
    db.exec("INSERT INTO carillon.job_controls (scope, name, " + columns + ") VALUES (" + sql_literal(scope) + ", "
            + sql_literal(name) + ", " + values + ")");
  }

  /// An enqueue through SQL, as the program's role; an error's text when refused.
  std::string enqueue(const std::string& arguments) {
    auto out = db.connection().transact("test", [&](pqxx::work& tx) -> result<std::string> {
      return storage::text_or_empty(tx.exec("SELECT carillon.enqueue(" + arguments + ")")[0][0]);
    });
    return out ? *out : "refused: " + out.error().detail;
  }

  std::string here() const {
    return "'greet', " + sql_literal(data.tenant) + ", " + sql_literal(data.workspace);
  }

  test::test_database db;
  test::seed data{db};
  storage::job_repository jobs{db.connection()};
  storage::ownership_repository ownership{db.connection()};
  scope everywhere = scope::maintenance("test");
  operator_identity by{std::nullopt, "192.0.2.7", "request-1"};
};

// -- list, count ------------------------------------------------------------------

TEST_F(JobOperationsTest, AListIsFilteredByEveryFieldAndNewestFirst) {
  const auto me = start_node("a");
  const auto first = add();
  const auto dead = add_dead(me, "100% of_it \\ failed");
  auto other = make_job();
  other.workspace = data.add_workspace();
  const auto elsewhere = *jobs.enqueue(other);
  EXPECT_THAT(listed({}), ElementsAre(elsewhere, dead, first));

  job_filter filter;
  filter.state = job_state::discarded;
  EXPECT_THAT(listed(filter), ElementsAre(dead));
  filter = {};
  filter.workspace = other.workspace;
  EXPECT_THAT(listed(filter), ElementsAre(elsewhere));
  filter = {};
  filter.kind = "publish_post";
  EXPECT_TRUE(listed(filter).empty());
  filter.kind = kinds::send_notification_email;
  EXPECT_EQ(listed(filter).size(), 3u);
  filter = {};
  filter.queue = jobs.find(everywhere, first)->queue;
  EXPECT_EQ(listed(filter).size(), 3u);
  filter.queue = "no-such-queue";
  EXPECT_TRUE(listed(filter).empty());
  filter = {};
  filter.error = "100% OF_it \\ f";
  EXPECT_THAT(listed(filter), ElementsAre(dead));
  filter.error = "100_ of%";
  EXPECT_TRUE(listed(filter).empty()) << "people's text is no pattern";
  filter = {};
  filter.created_before = system_clock{}.now() - 1h;
  EXPECT_TRUE(listed(filter).empty());
  filter = {};
  filter.created_after = system_clock{}.now() - 1h;
  EXPECT_EQ(listed(filter).size(), 3u);
  EXPECT_EQ(*jobs.count_matching(everywhere, filter), 3);
}

TEST_F(JobOperationsTest, PagesByAfterMeetEveryJobOnceLiveAndConcluded) {
  const auto me = start_node("a");
  std::vector<job_id> expected;
  for (int i = 0; i < 7; ++i)
    expected.insert(expected.begin(), i % 2 == 0 ? add() : add_dead(me));
  job_filter page;
  page.limit = 3;
  std::vector<job_id> seen;
  for (auto ids = listed(page); !ids.empty(); ids = listed(page)) {
    seen.insert(seen.end(), ids.begin(), ids.end());
    page.after = seen.back();
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(JobOperationsTest, CountsTellStatesQueuesAndTheOldestDueAge) {
  const auto me = start_node("a");
  add();
  add_for_later();
  add_dead(me);
  db.exec("UPDATE carillon.jobs SET run_at = now() - interval '90 seconds' WHERE run_at < now()");
  std::map<std::string, job_count> by_state;
  const auto counts = jobs.count(scope::tenant(data.tenant));
  ASSERT_TRUE(counts);
  for (const auto& row : *counts)
    by_state[row.state] = row;
  ASSERT_EQ(by_state.size(), 3u);
  EXPECT_EQ(by_state["available"].count, 1);
  EXPECT_GE(by_state["available"].oldest_due, 90s);
  EXPECT_EQ(by_state["scheduled"].count, 1);
  EXPECT_EQ(by_state["scheduled"].oldest_due, 0s);
  EXPECT_EQ(by_state["discarded"].kind, kinds::send_notification_email);
  EXPECT_TRUE(jobs.count(scope::tenant(tenant_id::make()))->empty());

  const auto top = *jobs.count_workspaces(everywhere, 5);
  ASSERT_EQ(top.size(), 1u);
  EXPECT_EQ(top[0].workspace, data.workspace);
  EXPECT_EQ(top[0].live, 2);
  EXPECT_EQ(top[0].due, 1);
}

// -- one job ----------------------------------------------------------------------

TEST_F(JobOperationsTest, EachActionOnOneJobLeavesOneAuditRow) {
  const auto admin = db.exec("INSERT INTO carillon.super_admin_users (id, email, password, name, role) VALUES "
                             "(gen_random_uuid(), 'root@carillon.example', '', 'Root', 'SUPER_ADMIN') RETURNING id");
  by.admin = parse_uuid(admin);
  const auto id = add();
  ASSERT_TRUE(jobs.cancel(everywhere, by, id));
  EXPECT_EQ(state_of(id), job_state::cancelled);
  EXPECT_EQ(audits(), 1);
  EXPECT_EQ(last_audit("description || ' ' || auditable_id || ' ' || tenant_id"),
            "Job cancelled " + to_string(id) + " " + to_string(data.tenant));
  EXPECT_EQ(last_audit("admin_id || ' ' || ip_address || ' ' || request_id"), admin + " 192.0.2.7 request-1");
  ASSERT_TRUE(jobs.retry(everywhere, by, id));
  ASSERT_TRUE(jobs.discard(everywhere, by, id));
  EXPECT_EQ(state_of(id), job_state::discarded);
  EXPECT_EQ(audits(), 3);
  EXPECT_THAT(jobs.find(everywhere, id)->errors, HasSubstr("discarded by an operator"));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.notifications"), "0") << "an operator needs no notice of it";
}

TEST_F(JobOperationsTest, WhatIsImpossibleIsAConflictAndLeavesNoAuditRow) {
  const auto me = start_node("a");
  const auto done = add();
  fail(me, done, job_report::kind::succeeded, {});
  for (const auto& refused : {jobs.retry(everywhere, by, done), jobs.cancel(everywhere, by, done),
                              jobs.discard(everywhere, by, done)})
    EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_EQ(jobs.retry(everywhere, by, job_id::make()).error().code, errc::not_found);
  EXPECT_EQ(jobs.discard(scope::tenant(tenant_id::make()), by, done).error().code, errc::not_found);
  EXPECT_EQ(audits(), 0);
}

TEST_F(JobOperationsTest, ADeadLetterWhoseUniqueKeyIsTakenAgainStaysDead) {
  const auto me = start_node("a");
  const auto dead = add_dead(me, "no", "key");
  const auto holder = add("key");
  const auto refused = jobs.retry(everywhere, by, dead);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_THAT(refused.error().detail, HasSubstr("unique key key"));
  EXPECT_EQ(state_of(dead), job_state::discarded);
  EXPECT_THAT(why(dead), ElementsAre(StartsWith("It is over: discarded at "), HasSubstr(to_string(holder))));
}

TEST_F(JobOperationsTest, ARevivedJobHasAllItsTriesItsErrorsAndItsKindsRetention) {
  const auto me = start_node("a");
  const auto id = add();
  for (int i = 0; i < 3; ++i)
    fail(me, id, job_report::kind::retry, "broke", 1min);
  ASSERT_EQ(state_of(id), job_state::discarded);
  const auto again = jobs.retry(everywhere, by, id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attempt, 0);
  EXPECT_EQ(json::parse(again->errors).size(), 3u);
  EXPECT_EQ(db.exec("SELECT j.retention = k.retention AND k.kind = j.kind FROM carillon.jobs j "
                    "JOIN carillon.job_kinds k USING (kind)"), "t");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_history"), "0");
  fail(me, id, job_report::kind::succeeded, {});
  EXPECT_EQ(state_of(id), job_state::succeeded);
}

TEST_F(JobOperationsTest, ARunningJobIsNotRetriedUnderItsRun) {
  const auto me = start_node("a");
  const auto id = add();
  db.exec("UPDATE carillon.jobs SET attempt = 1, state = 'retrying'");
  ASSERT_EQ(take(me).batches.size(), 1u);
  const auto refused = jobs.retry(everywhere, by, id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_THAT(refused.error().detail, HasSubstr("in hand"));
  EXPECT_EQ(*jobs.retry_all(everywhere, by, {}, 10), 0);
  EXPECT_EQ(jobs.find(everywhere, id)->attempt, 1);
  ASSERT_TRUE(jobs.cancel(everywhere, by, id)) << "giving it up is possible";
  fail(me, id, job_report::kind::succeeded, {});
  EXPECT_EQ(state_of(id), job_state::cancelled) << "what ran meanwhile does not bring it back";
}

// -- many jobs --------------------------------------------------------------------

TEST_F(JobOperationsTest, RetryAllMeetsDeadLettersAndFailingJobsButNoScheduledOnes) {
  const auto me = start_node("a");
  const auto dead = add_dead(me);
  const auto failing = add();
  fail(me, failing, job_report::kind::retry, "later", 1h);
  const auto scheduled = add_for_later();
  const auto cancelled = add();
  ASSERT_TRUE(jobs.cancel(everywhere, by, cancelled));
  const auto done = add();
  fail(me, done, job_report::kind::succeeded, {});

  EXPECT_EQ(*jobs.count_affected(everywhere, {}, job_action::retry), 2);
  const auto before = audits();
  EXPECT_EQ(*jobs.retry_all(everywhere, by, {}, 100), 2);
  EXPECT_EQ(audits(), before + 1) << "one row for all of them";
  EXPECT_EQ(last_audit("description || ' ' || (metadata ->> 'count')"), "Jobs retried 2");
  EXPECT_EQ(state_of(dead), job_state::available);
  EXPECT_EQ(state_of(failing), job_state::available);
  EXPECT_EQ(state_of(cancelled), job_state::cancelled);
  EXPECT_GT(jobs.find(everywhere, scheduled)->run_at, system_clock{}.now() + 50min);

  job_filter named;
  named.state = job_state::cancelled;
  EXPECT_EQ(*jobs.retry_all(everywhere, by, named, 100), 1);
  named.state = job_state::available;
  EXPECT_EQ(*jobs.retry_all(everywhere, by, named, 100), 1) << "the scheduled one alone: the others are due";
  named.state = job_state::succeeded;
  EXPECT_EQ(*jobs.retry_all(everywhere, by, named, 100), 0);
}

TEST_F(JobOperationsTest, ActionsOnManyKeepToLimitFilterAndTenant) {
  const auto me = start_node("a");
  const test::seed rival{db};
  auto theirs = make_job();
  theirs.tenant = rival.tenant;
  theirs.workspace = rival.workspace;
  const auto foreign = *jobs.enqueue(theirs);
  for (int i = 0; i < 5; ++i)
    add();
  // Newer ones that the action passes over must not use up its limit.
  for (int i = 0; i < 4; ++i)
    fail(me, add(), job_report::kind::succeeded, {});
  const auto ours = scope::tenant(data.tenant);
  EXPECT_EQ(*jobs.count_affected(ours, {}, job_action::cancel), 5);
  EXPECT_EQ(*jobs.cancel_all(ours, by, {}, 2), 2);
  EXPECT_EQ(*jobs.count_affected(ours, {}, job_action::discard), 3);
  EXPECT_EQ(*jobs.discard_all(ours, by, {}, 2), 2);
  EXPECT_EQ(*jobs.discard_all(ours, by, {}, 2), 1);
  EXPECT_EQ(*jobs.discard_all(ours, by, {}, 2), 0);
  EXPECT_EQ(state_of(foreign), job_state::available);
  EXPECT_EQ(*jobs.retry_all(scope::tenant(rival.tenant), by, {}, 100), 0);
  EXPECT_EQ(*jobs.retry_all(ours, by, {}, 2), 2);
  EXPECT_EQ(*jobs.retry_all(ours, by, {}, 2), 1);

  job_filter nothing;
  nothing.kind = "no_such_kind";
  EXPECT_EQ(*jobs.cancel_all(everywhere, by, nothing, 100), 0);
  EXPECT_EQ(last_audit("metadata -> 'filter' ->> 'kind'"), "no_such_kind");
}

TEST_F(JobOperationsTest, OfDeadLettersWithOneUniqueKeyOneIsRevived) {
  const auto me = start_node("a");
  add_dead(me, "no", "key");
  add_dead(me, "no", "key");
  add_dead(me, "no");
  EXPECT_EQ(*jobs.retry_all(everywhere, by, {}, 100), 2);
  EXPECT_EQ(*jobs.retry_all(everywhere, by, {}, 100), 0);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs WHERE unique_key = 'key'"), "1");
}

// -- controls ---------------------------------------------------------------------

TEST_F(JobOperationsTest, AControlIsWrittenReplacedAndAudited) {
  job_control control;
  control.scope = job_control::about::kind;
  control.name = "publish_post";
  control.paused = true;
  control.max_running = 4;
  control.rate = rate_budget{2.5, 10};
  ASSERT_TRUE(jobs.set_control(by, control));
  auto found = *jobs.load_controls();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].paused);
  EXPECT_EQ(found[0].max_running, 4);
  EXPECT_EQ(found[0].rate->per_second, 2.5);
  EXPECT_EQ(found[0].rate->burst, 10);
  EXPECT_EQ(last_audit("description || ' ' || (metadata ->> 'name')"), "Job control changed publish_post");

  control.paused = false;
  control.max_running.reset();
  control.rate.reset();
  ASSERT_TRUE(jobs.set_control(by, control));
  found = *jobs.load_controls();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].paused || found[0].max_running || found[0].rate);
  EXPECT_EQ(audits(), 2);
}

// -- explain ----------------------------------------------------------------------

TEST_F(JobOperationsTest, AWaitingJobSaysUntilWhen) {
  const auto me = start_node("a");
  const auto scheduled = add_for_later();
  const auto at = format_api_time(jobs.find(everywhere, scheduled)->run_at);
  EXPECT_THAT(why(scheduled), ElementsAre("Scheduled for " + at + "."));
  const auto failing = add();
  fail(me, failing, job_report::kind::retry, "broke", 1h);
  EXPECT_THAT(why(failing), ElementsAre(StartsWith("Waits for its next try (2 of 3) at ")));
}

TEST_F(JobOperationsTest, WithoutAReasonToWaitTheOwnerIsNamed) {
  start_node("a");
  EXPECT_THAT(why(add()), ElementsAre("Nothing holds it back: node a picks it up within a second."));
}

TEST_F(JobOperationsTest, AJobWithoutALiveOwnerSaysSo) {
  const auto id = add();
  EXPECT_THAT(why(id), ElementsAre(StartsWith("No node owns its shard")));
  start_node("a");
  db.exec("UPDATE carillon.node_leases SET expires_at = now() - interval '1 second'");
  EXPECT_THAT(why(id), ElementsAre(StartsWith("Its owner a has stopped renewing")));
}

TEST_F(JobOperationsTest, PausesOfKindQueueAndWorkspaceAreNamed) {
  start_node("a");
  const auto id = add();
  const auto found = *jobs.find(everywhere, id);
  add_control("kind", "publish_post");
  EXPECT_THAT(why(id), Not(Contains(HasSubstr("Paused"))));
  for (const auto& [scope_name, name] : std::vector<std::pair<std::string, std::string>>{
         {"kind", found.kind}, {"queue", found.queue}, {"workspace", to_string(data.workspace)}}) {
    add_control(scope_name, name);
    EXPECT_THAT(why(id), ElementsAre("Paused by an operator: " + scope_name + " " + name + "."));
    db.exec("DELETE FROM carillon.job_controls WHERE scope = " + sql_literal(scope_name) + " AND name = " + sql_literal(name));
  }
}

TEST_F(JobOperationsTest, AKindThatNoProgramKnowsIsNamed) {
  start_node("a");
  const auto id = job_id::parse(enqueue(here()));
  ASSERT_TRUE(id);
  EXPECT_THAT(why(*id), ElementsAre(HasSubstr("knows the kind greet")));
}

TEST_F(JobOperationsTest, WhatTheOwnerHoldsBackIsExplainedAndAnotherKeysBlockIsNot) {
  const auto me = start_node("a");
  const auto id = add();
  const std::string kind{kinds::send_notification_email};
  ASSERT_TRUE(jobs.record_blocks(me, {{kind, "somebody-else", "rate", 1min}, {"publish_post", "", "circuit", 1min}}));
  EXPECT_THAT(why(id), ElementsAre(StartsWith("Nothing holds it back")));
  ASSERT_TRUE(jobs.record_blocks(me, {{kind, "", "rate", 1min}, {kind, "", "circuit", 1min}, {kind, "", "cap", {}}}));
  EXPECT_THAT(why(id), AllOf(Contains(StartsWith("The rate budget of " + kind + " is used up until ")),
                             Contains(StartsWith("The circuit breaker of what " + kind + " depends on is open until ")),
                             Contains(StartsWith("As many jobs of " + kind))));
  add_control("kind", kind, "max_running", "0");
  EXPECT_THAT(why(id), Contains(HasSubstr("max_running 0")));
}

TEST_F(JobOperationsTest, AJobInHandSaysInWhose) {
  const auto me = start_node("a");
  const auto id = add();
  ASSERT_EQ(take(me).batches.size(), 1u);
  EXPECT_THAT(why(id), ElementsAre(StartsWith("It is in the hands of node a")));
  fail(me, id, job_report::kind::retry, "broke", 1h);
  EXPECT_THAT(why(id), ElementsAre(StartsWith("Waits for its next try"))) << "though its manifest is still there";
}

TEST_F(JobOperationsTest, AConcludedJobSaysHowItEndedAndAnUnknownOneIsNotFound) {
  const auto me = start_node("a");
  const auto id = add();
  fail(me, id, job_report::kind::succeeded, {});
  EXPECT_THAT(why(id), ElementsAre(StartsWith("It is over: succeeded at ")));
  EXPECT_EQ(jobs.explain(everywhere, job_id::make()).error().code, errc::not_found);
  EXPECT_EQ(jobs.explain(scope::tenant(tenant_id::make()), id).error().code, errc::not_found);
}

// -- carillon.enqueue ---------------------------------------------------------------

class SqlEnqueueTest : public JobOperationsTest {
protected:
  std::string column(const std::string& name) {
    return db.exec("SELECT " + name + " FROM carillon.jobs");
  }
};

TEST_F(SqlEnqueueTest, AKnownKindGetsItsPolicyAndAnUnknownOneTheDefaults) {
  db.exec("INSERT INTO carillon.job_kinds (kind, queue, priority, max_attempts, retention) "
          "VALUES ('greet', 'polite', 2, 7, 'short')");
  const auto id = job_id::parse(enqueue(here() + ", '{\"name\": \"Ada\"}'"));
  ASSERT_TRUE(id);
  EXPECT_EQ(column("concat_ws(' ', queue, priority, max_attempts, retention, state, run_at <= now())"),
            "polite 2 7 short available t");
  EXPECT_EQ(json::parse(column("payload")), (json{{"v", 1}, {"name", "Ada"}}));
  db.exec("DELETE FROM carillon.jobs");
  ASSERT_TRUE(job_id::parse(enqueue("'unheard_of', " + sql_literal(data.tenant))));
  EXPECT_EQ(column("concat_ws(' ', queue, priority, max_attempts, retention)"), "default 5 3 standard");
  EXPECT_EQ(column("workspace_id"), to_string(data.tenant)) << "work of the tenant itself";
}

TEST_F(SqlEnqueueTest, WhatTheCallerNamesWinsOverThePolicy) {
  ASSERT_TRUE(job_id::parse(enqueue(
    here() + ", run_at => '2035-01-01T00:00:00Z', priority => 0, max_attempts => 1, rate_key => 'k', "
             "correlation_id => 'c', payload => '{\"v\": 2}'")));
  EXPECT_EQ(column("concat_ws(' ', priority, max_attempts, rate_key, correlation_id, payload ->> 'v', run_at = "
                   "'2035-01-01T00:00:00Z')"),
            "0 1 k c 2 t");
}

TEST_F(SqlEnqueueTest, WhatBelongsToNobodyOrToAnotherTenantIsRefused) {
  const test::seed rival{db};
  for (const auto& [arguments, reason] : std::vector<std::pair<std::string, std::string>>{
         {"'greet', " + sql_literal(tenant_id::make()), "there is no tenant"},
         {"'greet', " + sql_literal(data.tenant) + ", " + sql_literal(workspace_id::make()), "has no workspace"},
         {"'greet', " + sql_literal(data.tenant) + ", " + sql_literal(rival.workspace), "has no workspace"},
         {"'greet', NULL", "are required"},
         {"NULL, " + sql_literal(data.tenant), "are required"},
         {"'', " + sql_literal(data.tenant), "are required"}})
    EXPECT_THAT(enqueue(arguments), AllOf(StartsWith("refused"), HasSubstr(reason))) << arguments;
  EXPECT_EQ(column("count(*)"), "0");
}

TEST_F(SqlEnqueueTest, APayloadIsAnObjectOfAtMostAQuarterMegabyteWithAVersion) {
  for (const auto* payload : {"'[]'", "'1'", "'\"text\"'", "'null'", "NULL", "'{\"v\": \"1\"}'", "'{\"v\": null}'",
                              "jsonb_build_object('text', (SELECT string_agg(md5(n::text), '') "
                              "FROM generate_series(1, 20000) AS n))"})
    EXPECT_THAT(enqueue(here() + ", " + payload), StartsWith("refused")) << payload;
  for (const auto* bad : {"priority => 10", "priority => -1", "on_conflict => 'ignore'", "max_attempts => 0",
                          "max_attempts => 101"})
    EXPECT_THAT(enqueue(here() + ", " + std::string{bad}), StartsWith("refused")) << bad;
  EXPECT_EQ(column("count(*)"), "0");
}

TEST_F(SqlEnqueueTest, ALiveUniqueKeyIsMetAsTheModeSays) {
  const auto again = [&](const std::string& mode, const std::string& payload) {
    return enqueue(here() + ", payload => '{\"n\": " + payload + "}', unique_key => 'one'" + mode);
  };
  const auto id = again("", "1");
  ASSERT_TRUE(job_id::parse(id));
  EXPECT_EQ(again("", "2"), "") << "a kind rejects by default";
  EXPECT_EQ(column("concat_ws(' ', payload ->> 'n', revision)"), "1 0");
  EXPECT_EQ(again(", on_conflict => 'rerun'", "3"), id);
  EXPECT_EQ(column("concat_ws(' ', payload ->> 'n', revision)"), "1 1");
  EXPECT_EQ(again(", on_conflict => 'replace', run_at => '2035-01-01T00:00:00Z'", "4"), id);
  EXPECT_EQ(column("concat_ws(' ', payload ->> 'n', revision, run_at = '2035-01-01T00:00:00Z')"), "4 2 t");
  db.exec("INSERT INTO carillon.job_kinds (kind, on_conflict) VALUES ('greet', 'replace')");
  EXPECT_EQ(again("", "5"), id) << "the kind's own mode";
  const test::seed rival{db};
  EXPECT_EQ(enqueue("'greet', " + sql_literal(rival.tenant) + ", unique_key => 'one', on_conflict => 'replace'"), "")
    << "another tenant's job is never replaced";
  EXPECT_EQ(column("payload ->> 'n'"), "5");
}

TEST_F(SqlEnqueueTest, ARolledBackTransactionLeavesNothing) {
  auto out = db.connection().transact("test", [&](pqxx::work& tx) -> result<done> {
    tx.exec("SELECT carillon.enqueue(" + here() + ")");
    return failure{errc::cancelled, "changed my mind", {}, {}};
  });
  EXPECT_FALSE(out);
  EXPECT_EQ(column("count(*)"), "0");
}

/// What a session heard.
class hearing final : public pqxx::notification_receiver {
public:
  hearing(pqxx::connection& session, const std::string& channel) : pqxx::notification_receiver{session, channel} {
  }
  void operator()(const std::string& payload, int) override {
    heard.push_back(payload);
  }
  std::vector<std::string> heard;
};

TEST_F(SqlEnqueueTest, TheOwnerIsNotifiedOnceATransactionAndOnlyOfDueWork) {
  start_node("a");
  pqxx::connection session{db.url()};
  hearing ear{session, "carillon_a"};
  const auto send = [&](const std::string& more) {
    EXPECT_TRUE(db.connection().transact("test", [&](pqxx::work& tx) -> result<done> {
      tx.exec("SELECT carillon.enqueue(" + here() + more + ") FROM generate_series(1, 3)");
      return done{};
    }));
  };
  send(", run_at => now() + interval '1 hour'");
  send("");
  while (ear.heard.empty())
    ASSERT_GT(session.await_notification(30, 0), 0) << "nobody was told";
  session.get_notifs();
  EXPECT_THAT(ear.heard, ElementsAre("1 sweep "));
}

// -- failure notices ----------------------------------------------------------------

TEST_F(JobOperationsTest, DeadLettersOfOneCauseAreOneNoticeAnAdminWhoseCountRises) {
  const auto me = start_node("a");
  test::add_user(db, data.tenant, "second", tenant_role::admin);
  test::add_user(db, data.tenant, "member");
  db.exec("INSERT INTO carillon.job_kinds (kind) VALUES ('greet')");
  const auto die = [&](const std::string& error) {
    const auto id = job_id::parse(enqueue(here()));
    ASSERT_TRUE(id);
    fail(me, *id, job_report::kind::discarded, error);
  };
  const auto notices = [&](const std::string& what) {
    return db.exec("SELECT string_agg(" + what + ", ' ' ORDER BY created_at, id) FROM carillon.notifications");
  };
  die("host 10.0.0.1 refused after 31 ms\nwith a trace");
  EXPECT_EQ(notices("type || ':' || (data ->> 'count')"), "system_announcement:1 system_announcement:1")
    << "owner and admin, no member";
  die("host 10.0.0.2 refused after 7 ms\nwith another trace");
  EXPECT_EQ(notices("data ->> 'count'"), "2 2") << "one cause, though its numbers differ";
  EXPECT_THAT(notices("message"), HasSubstr("2 background jobs (greet)"));
  die("quite another failure");
  EXPECT_EQ(notices("data ->> 'count'"), "2 2 1 1");
  db.exec("UPDATE carillon.failure_notices SET hour = hour - interval '1 hour'");
  die("quite another failure");
  EXPECT_EQ(notices("data ->> 'count'"), "2 2 1 1 1 1") << "a new hour tells again";
}

// -- history ------------------------------------------------------------------------

TEST_F(JobOperationsTest, MaintenanceMakesDaysAheadAndDropsOldOnesAsTheProgramsRole) {
  const auto days = [&](const std::string& condition) {
    return db.exec("SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relname ~ "
                   "'^job_history_(short|standard|long)_[0-9]{8}$' AND to_date(right(c.relname, 8), 'YYYYMMDD') "
                   + condition);
  };
  EXPECT_EQ(db.exec("SELECT count(*) FROM pg_class WHERE relname = 'job_history_short_' || "
                    "to_char(current_date + 7, 'YYYYMMDD')"), "1");
  db.exec("DROP TABLE carillon.job_history_short_" + db.exec("SELECT to_char(current_date + 7, 'YYYYMMDD')"));
  for (const auto* name : {"short", "long"})
    db.exec("DO $$ BEGIN EXECUTE format('CREATE TABLE carillon.job_history_" + std::string{name}
            + "_%s PARTITION OF carillon.job_history_" + name + " FOR VALUES FROM (%L) TO (%L)', "
              "to_char(current_date - 3, 'YYYYMMDD'), current_date - 3, current_date - 2); END $$");
  db.exec("INSERT INTO carillon.job_history (id, kind, queue, tenant_id, workspace_id, priority, payload, state, "
          "attempt, max_attempts, crashes, run_at, retention, errors, created_at, concluded_at) SELECT "
          "gen_random_uuid(), 'k', 'q', " + sql_literal(data.tenant) + ", " + sql_literal(data.workspace)
          + ", 5, '{\"v\":1}', 'discarded', 0, 3, 0, now(), r, '[]', now(), now() - d * interval '1 day' "
            "FROM unnest(ARRAY['short', 'long']) AS r, unnest(ARRAY[0, 3, 20]) AS d");
  EXPECT_EQ(*jobs.maintain_history(24h, 168h, 2160h), 2) << "one made, one dropped";
  EXPECT_EQ(days("> current_date"), "21");
  EXPECT_EQ(days("< current_date"), "1");
  EXPECT_EQ(db.exec("SELECT string_agg(retention || ' ' || (current_date - concluded_at::date), ', ' "
                    "ORDER BY retention DESC, concluded_at DESC) FROM carillon.job_history"),
            "short 0, long 0, long 3, long 20");
  EXPECT_EQ(*jobs.maintain_history(24h, 168h, 2160h), 0);
}

} // namespace

} // namespace carillon
