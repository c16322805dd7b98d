// How runs on database workers are told to stop, in virtual time. The test plays
// the pools and the supervisor: a run goes on until the test answers for it.
#include "actors/workspace/steward.hpp"

#include <algorithm>
#include <map>

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

#include "domain/run_deadline.hpp"
#include "tests/support/jobs_without_queue.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class jobs_that_end final : public test::jobs_without_queue {
public:
  result<std::vector<job_id>> find_ended(const std::vector<job_id>& jobs) override {
    std::vector<job_id> out;
    std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(out),
                 [&](const job_id& id) { return std::find(ended.begin(), ended.end(), id) != ended.end(); });
    return out;
  }

  std::vector<job_id> ended;
};

class store_of_jobs final : public test::store_without_ports {
public:
  explicit store_of_jobs(job_store& jobs) : jobs_(jobs) {
  }
  job_store& jobs() override { return jobs_; }

private:
  job_store& jobs_;
};

caf::actor_system_config& steward_in_virtual_time(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

class StewardTest : public ::testing::Test {
protected:
  struct held_run {
    db_task_ptr task;
    caf::response_promise promise;
  };

  StewardTest() {
    context->handlers[std::string{kinds::cleanup_old_notifications}] = stoppable_handler{
      [this](store&, const node_identity&, const job& work, const std::stop_token& stop) {
        tokens[work.id] = stop;
        const auto end = run_deadline::current();
        had_deadline = end.has_value();
        if (end)
          time_left = *end - std::chrono::steady_clock::now();
        return job_outcome{};
      }};
    background = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return {[this, self](atom::run, const db_task_ptr& task) -> caf::result<atom::done> {
                auto promise = self->make_response_promise();
                held.push_back({task, promise});
                return caf::delegated<atom::done>{};
              },
              // A promise is kept from within.
              [this](atom::flush) {
                for (auto& one : held)
                  one.promise.deliver(atom::done_v);
                held.clear();
              },
              [](atom::report) { return actor_report{}; }};
    });
    interactive = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](atom::run, const db_task_ptr& task) -> caf::result<atom::done> {
                ++looks;
                if (silent)
                  return caf::delegated<atom::done>{};
                store_of_jobs db{jobs};
                task->run(db);
                return atom::done_v;
              },
              [](atom::report) { return actor_report{}; }};
    });
    supervisor = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](atom::conclude, const run_reports& reports) {
        for (const auto& one : reports.all)
          said.push_back(one);
      }};
    });
    context->databases.background = caf::actor_cast<database_actor>(background);
    context->databases.interactive = caf::actor_cast<database_actor>(interactive);
    steward = spawn_steward(system, context, caf::actor_cast<workspace_actor>(supervisor));
    run();
  }

  ~StewardTest() override {
    end_runs();
    caf::anon_send_exit(steward, caf::exit_reason::user_shutdown);
    for (auto& one : {background, interactive, supervisor})
      caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
    context->databases = {};
    run();
  }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  void run() {
    scheduler().run();
  }
  void pass(std::chrono::milliseconds time) {
    scheduler().advance_time(time);
    run();
  }

  /// Its handler has been called; it does not end before end_runs().
  job_id begin_run(caf::actor_clock::time_point end = caf::actor_clock::time_point::max()) {
    auto work = std::make_shared<job>();
    work->id = job_id::make();
    work->kind = kinds::cleanup_old_notifications;
    caf::anon_send(steward, atom::job_v,
                   job_handout{{std::make_shared<const running_job>(running_job{{"n1", 1}, work, ++last_run, end})}});
    run();
    store_of_jobs db{jobs};
    held.back().task->run(db);
    return work->id;
  }
  void end_runs() {
    caf::anon_send(background, atom::flush_v);
    run();
  }

  caf::actor_system_config config;
  caf::actor_system system{steward_in_virtual_time(config)};
  std::shared_ptr<engine_context> context = std::make_shared<engine_context>();
  caf::actor background;
  caf::actor interactive;
  caf::actor supervisor;
  job_runner_actor steward;
  jobs_that_end jobs;
  std::vector<held_run> held;
  std::vector<run_report> said;
  std::map<job_id, std::stop_token> tokens;
  bool had_deadline = false;
  std::chrono::steady_clock::duration time_left{};
  int looks = 0;
  /// No question about jobs is answered.
  bool silent = false;
  std::int64_t last_run = 0;
};

TEST_F(StewardTest, ARunIsToldToStopWhenItsTimeIsOver) {
  const auto timeout = find_job_policy(kinds::cleanup_old_notifications)->timeout;
  const auto one = begin_run();
  pass(timeout - 1s);
  EXPECT_FALSE(tokens.at(one).stop_requested());
  pass(2s);
  EXPECT_TRUE(tokens.at(one).stop_requested());
}

TEST_F(StewardTest, TheTimeOfARunIsCountedFromWhenTheFeedGaveItOut) {
  const auto timeout = find_job_policy(kinds::cleanup_old_notifications)->timeout;
  const auto waited = begin_run(scheduler().clock().now() + 60s);
  EXPECT_GT(time_left, 0s);
  EXPECT_LE(time_left, 60s);
  const auto prompt = begin_run(scheduler().clock().now() + timeout);
  for (int i = 0; i < 55; ++i)
    pass(1s);
  EXPECT_FALSE(tokens.at(waited).stop_requested());
  for (int i = 0; i < 10; ++i)
    pass(1s);
  EXPECT_TRUE(tokens.at(waited).stop_requested());
  EXPECT_FALSE(tokens.at(prompt).stop_requested());
}

TEST_F(StewardTest, RunsAreToldToStopWhenTheirStewardEnds) {
  const auto one = begin_run();
  EXPECT_FALSE(tokens.at(one).stop_requested());
  caf::anon_send_exit(steward, caf::exit_reason::kill);
  run();
  EXPECT_TRUE(tokens.at(one).stop_requested());
}

TEST_F(StewardTest, ARunIsToldToStopInTimeThoughTheDatabaseDoesNotSayWhichHaveEnded) {
  const auto timeout = find_job_policy(kinds::cleanup_old_notifications)->timeout;
  silent = true;
  const auto one = begin_run();
  for (auto left = timeout + 2s; left > 0s; left -= 1s)
    pass(1s);
  EXPECT_TRUE(tokens.at(one).stop_requested());
}

TEST_F(StewardTest, ARunIsToldToStopWhenItsJobHasEndedWithoutIt) {
  const auto one = begin_run();
  const auto other = begin_run();
  pass(5s);
  EXPECT_FALSE(tokens.at(one).stop_requested());
  jobs.ended = {one};
  pass(5s);
  EXPECT_TRUE(tokens.at(one).stop_requested());
  EXPECT_FALSE(tokens.at(other).stop_requested());
}

TEST_F(StewardTest, NothingIsAskedOfTheDatabaseWhileNothingRuns) {
  begin_run();
  pass(5s);
  EXPECT_GT(looks, 0);
  end_runs();
  pass(5s);
  const auto before = looks;
  pass(60s);
  EXPECT_EQ(looks, before);
}

TEST_F(StewardTest, WhatARunAsksOfTheDatabaseIsBoundedByItsTimeAndItsOutcomeIsReported) {
  begin_run();
  EXPECT_TRUE(had_deadline);
  EXPECT_FALSE(run_deadline::current());
  end_runs();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].run, 1);
  EXPECT_EQ(said[0].report.how, job_report::kind::succeeded);
}

} // namespace

} // namespace carillon
