// The job feed in virtual time, between a queue in memory whose reads and
// conclusions the test holds back, and the region that it plays itself.
#include "actors/jobs/job_feed.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

#include <caf/scheduler/test_coordinator.hpp>
#include <gtest/gtest.h>

#include "actors/protocol/ownership.hpp"
#include "actors/protocol/region.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

constexpr auto taking = "take-due-jobs";
constexpr auto taking_hinted = "take-hinted-jobs";
constexpr auto concluding = "conclude-jobs";
constexpr auto adopting = "adopt-orphans";

class queue_in_memory final : public job_store {
public:
  result<due_jobs> take_due(const node_identity&, const due_query& query) override {
    ++reads;
    if (scans_too_long && std::any_of(query.parked.begin(), query.parked.end(), [](auto& p) { return p.limit > 0; }))
      return failure{errc::transient, "statement timeout", {}, {}};
    due_jobs out;
    out.next = query.from;
    job_batch batch{query.first_batch, {}};
    const auto is_wanted = [&](const job& row) {
      return std::find(query.shards.begin(), query.shards.end(), shard_of(row.workspace)) != query.shards.end()
             && std::find(query.kinds.begin(), query.kinds.end(), row.kind) != query.kinds.end()
             && !(query.in_hand && query.in_hand->contains(row.id));
    };
    std::vector<job> in_order;
    for (const auto& [id, row] : rows)
      in_order.push_back(row);
    std::stable_sort(in_order.begin(), in_order.end(), [](auto& a, auto& b) { return a.run_at < b.run_at; });
    // How many were met, whatever is in hand of them.
    const auto read_on = [&](const due_cursor& from, int limit, due_cursor& next, auto is_of_it) {
      int met = 0;
      for (const auto& row : in_order) {
        if (met == limit)
          break;
        if (!is_of_it(row) || std::pair{row.run_at, row.id} <= std::pair{from.run_at, from.id})
          continue;
        ++met;
        next = {row.run_at, row.id};
        if (is_wanted(row))
          batch.jobs.push_back(row);
      }
      return met;
    };
    const int read = read_on(query.from[5], query.limit, out.next[5], [&](const job& row) {
      return std::none_of(query.parked.begin(), query.parked.end(),
                          [&](const auto& p) { return p.workspace == row.workspace; });
    });
    for (const auto& p : query.parked) {
      if (p.limit == 0)
        continue;
      auto next = p.from;
      if (read_on(p.from[5], p.limit, next[5], [&](const job& row) { return row.workspace == p.workspace; }) < p.limit)
        out.exhausted.push_back(p.workspace);
      else
        out.parked_next.emplace_back(p.workspace, next);
    }
    out.complete = read < query.limit;
    for (const auto& row : batch.jobs)
      open[batch.number].insert(row.id);
    if (!batch.jobs.empty())
      out.batches.push_back(std::move(batch));
    return out;
  }
  result<hinted_jobs> take_hinted(const node_identity&, const hinted_query& query) override {
    hinted_jobs out;
    out.batch.number = query.batch;
    const auto holds = [](const auto& all, const auto& one) { return std::find(all.begin(), all.end(), one) != all.end(); };
    for (const auto& [id, row] : rows)
      if (holds(query.workspaces, row.workspace) && holds(query.shards, shard_of(row.workspace))
          && !holds(query.in_hand, id)) {
        out.batch.jobs.push_back(row);
        open[query.batch].insert(id);
      }
    return out;
  }
  result<concluded_jobs> conclude(const node_identity&, const std::vector<job_report>& reports,
                                  const std::vector<std::int64_t>& finished) override {
    ++conclusions;
    if (broken)
      return failure{errc::transient, "no database", {}, {}};
    for (const auto& report : reports) {
      if (report.how == job_report::kind::succeeded)
        rows.erase(report.id);
      for (auto& [number, jobs] : open)
        jobs.erase(report.id);
    }
    for (const auto number : finished) {
      ended_too_early = ended_too_early || !open[number].empty();
      open.erase(number);
    }
    return concluded_jobs{};
  }
  result<std::vector<job>> adopt(const node_identity&, const shard_list&, int) override {
    ++adoptions;
    if (adopts_nothing)
      return failure{errc::transient, "no database", {}, {}};
    return std::vector<job>{};
  }
  result<std::vector<job_control>> load_controls() override { return controls; }
  result<done> record_blocks(const node_identity&, const std::vector<job_block>&) override { return done{}; }
  result<int> maintain_history(std::chrono::hours, std::chrono::hours, std::chrono::hours) override { return 0; }
  result<done> announce_kinds() override { return done{}; }

  result<job_id> enqueue(const new_job&, hints&) override { not_used(); }
  result<std::int64_t> enqueue_many(const std::vector<new_job>&, const std::optional<node_identity>&) override {
    not_used();
  }
  result<std::vector<job>> list(const scope&, const job_filter&) override { not_used(); }
  result<job> find(const scope&, job_id) override { not_used(); }
  result<std::vector<job_count>> count(const scope&) override { not_used(); }
  result<std::vector<job_count>> count_owned(const std::string&) override { not_used(); }
  result<std::vector<workspace_job_count>> count_workspaces(const scope&, int) override { not_used(); }
  result<std::int64_t> count_matching(const scope&, const job_filter&) override { not_used(); }
  result<std::int64_t> count_affected(const scope&, const job_filter&, job_action) override { not_used(); }
  result<job> retry(const scope&, const operator_identity&, job_id) override { not_used(); }
  result<job> cancel(const scope&, const operator_identity&, job_id) override { not_used(); }
  result<job> discard(const scope&, const operator_identity&, job_id) override { not_used(); }
  result<std::int64_t> retry_all(const scope&, const operator_identity&, const job_filter&, int) override { not_used(); }
  result<std::int64_t> cancel_all(const scope&, const operator_identity&, const job_filter&, int) override { not_used(); }
  result<std::int64_t> discard_all(const scope&, const operator_identity&, const job_filter&, int) override {
    not_used();
  }
  result<done> set_control(const operator_identity&, const job_control&) override { not_used(); }
  result<std::vector<std::string>> explain(const scope&, job_id) override { not_used(); }

  /// Ids sort as they were made.
  std::map<job_id, job> rows;
  /// Manifests, and what of each is not concluded.
  std::map<std::int64_t, std::set<job_id>> open;
  bool ended_too_early = false;
  int conclusions = 0;
  int adoptions = 0;
  int reads = 0;
  std::vector<job_control> controls;
  bool broken = false;
  bool adopts_nothing = false;
  /// Whatever reads a workspace by itself.
  bool scans_too_long = false;

private:
  [[noreturn]] static void not_used() {
    throw std::logic_error{"not used by the job feed"};
  }
};

class queue_alone final : public test::store_without_ports {
public:
  explicit queue_alone(job_store& jobs) : jobs_(jobs) {
  }
  job_store& jobs() override { return jobs_; }

private:
  job_store& jobs_;
};

class feed_log final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

caf::actor_system_config& in_virtual_time(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

class JobFeedTest : public ::testing::Test {
protected:
  struct held_task {
    db_task_ptr task;
    caf::typed_response_promise<atom::done> promise;
  };

  void start(int batch_size, int max_in_flight) {
    context->log = &log;
    context->settings.batch_size = batch_size;
    context->hot.jobs_max_in_flight = max_in_flight;
    database = system.spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return {[this, self](atom::run, const db_task_ptr& task) -> caf::result<atom::done> {
                auto promise = self->make_response_promise<atom::done>();
                if (held_names.contains(task->name))
                  held.push_back({task, promise});
                else
                  carry_out({task, promise});
                return promise;
              },
              [this](atom::release) {
                carry_out(held.front());
                held.pop_front();
              }};
    });
    context->databases.background = caf::actor_cast<database_actor>(database);
    region = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](atom::job, const job_handout& handout) {
        tray = handout.tray;
        for (const auto& run : handout.jobs)
          handed_out.push_back(run);
      }};
    });
    feed = spawn_job_feed(system, context);
    context->intake->connect(feed);
    caf::anon_send(feed, atom::configure_v, caf::actor_cast<caf::strong_actor_ptr>(region));
    shard_list all;
    for (int i = 0; i < shard_count; ++i)
      all.push_back(static_cast<shard_id>(i));
    caf::anon_send(feed, atom::gained_v, node_identity{"n1", 1}, all);
    run();
  }

  ~JobFeedTest() override {
    for (auto left = held.size(); left > 0; --left)
      caf::anon_send(database, atom::release_v);
    run();
    context->intake->connect({});
    caf::anon_send_exit(feed, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(region, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(database, caf::exit_reason::user_shutdown);
    context->databases = {};
    run();
  }

  void carry_out(held_task one) {
    queue_alone db{queue};
    one.task->run(db);
    one.promise.deliver(atom::done_v);
  }
  std::ptrdiff_t under_way(const std::string& name) {
    return std::count_if(held.begin(), held.end(), [&](const held_task& h) { return h.task->name == name; });
  }
  /// Of those of this name, the one that has waited longest, or the newest.
  void let_through(const std::string& name, bool newest = false) {
    const auto is_it = [&](const held_task& h) { return h.task->name == name; };
    auto i = std::find_if(held.begin(), held.end(), is_it);
    if (newest)
      for (auto later = i; later != held.end(); ++later)
        if (is_it(*later))
          i = later;
    ASSERT_NE(i, held.end()) << name << " is not under way";
    std::rotate(held.begin(), i, i + 1);
    caf::anon_send(database, atom::release_v);
    run();
  }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }
  void run() {
    while (coordinator().has_job())
      coordinator().run_once();
  }
  void pass(std::chrono::milliseconds time) {
    for (; time > 0ms; time -= 5ms) {
      coordinator().advance_time(5ms);
      run();
    }
  }

  /// `apart`: further behind than any look back, so that only a cursor or a
  /// full read comes to it.
  void due(const workspace_id& workspace, int count, std::chrono::seconds apart = 0s) {
    for (int i = 0; i < count; ++i)
      due_at(workspace, instant{std::chrono::hours{1}} + i * apart);
  }
  job_id due_at(const workspace_id& workspace, instant when) {
    job one;
    one.id = job_id::make();
    one.kind = kinds::cleanup_old_notifications;
    one.workspace = workspace;
    one.run_at = when;
    queue.rows[one.id] = one;
    return one.id;
  }
  bool was_started(const job_id& id) {
    return std::any_of(handed_out.begin(), handed_out.end(), [&](const auto& one) { return one->work().id == id; });
  }
  void pause(const workspace_id& workspace, bool paused) {
    job_control control;
    control.scope = job_control::about::workspace;
    control.name = to_string(workspace);
    control.paused = paused;
    queue.controls = {control};
    caf::anon_send(feed, atom::controls_v);
    run();
  }
  void report(std::size_t from, std::size_t count, job_report::kind how = job_report::kind::succeeded) {
    ASSERT_LE(from + count, handed_out.size());
    run_reports out;
    for (std::size_t i = from; i < from + count; ++i)
      out.all.push_back(report_of(*handed_out[i], how));
    caf::anon_send(feed, atom::conclude_v, std::move(out));
    run();
  }
  void hint_at(const workspace_id& workspace) {
    caf::anon_send(feed, atom::hint_v, hint{hint::subject::job_ready, workspace, instant{}});
    run();
  }
  /// A job as the transaction that enqueues it begins to write it.
  job enqueued(const workspace_id& of) {
    job one;
    one.id = job_id::make();
    one.kind = kinds::cleanup_old_notifications;
    one.workspace = of;
    one.run_at = instant{std::chrono::hours{1}};
    return one;
  }
  std::optional<reserved_take> reserve(const job& one) {
    return context->intake->reserve(one.id, one.workspace);
  }
  /// Its transaction has ended.
  void settle(const reserved_take& what, take_outcome how, const job& one) {
    if (how == take_outcome::taken) {
      queue.rows[one.id] = one;
      queue.open[what.batch].insert(one.id);
    }
    context->intake->settle(what, how, one);
    run();
  }
  void drain(const workspace_id& of) {
    asker->send(feed, atom::drain_v, shard_list{shard_of(of)});
    run();
  }
  bool was_drained() {
    bool out = false;
    asker->receive([&](atom::drained, const shard_list&) { out = true; }, caf::after(0ms) >> [] {});
    return out;
  }
  /// Workspaces of jobs that were handed out, each once.
  std::set<workspace_id> started() {
    std::set<workspace_id> out;
    for (const auto& one : handed_out)
      out.insert(one->work().workspace);
    return out;
  }

  static workspace_id workspace_of_shard(std::uint8_t shard) {
    auto out = workspace_id::make();
    out.value.bytes[15] = shard;
    return out;
  }

  feed_log log;
  queue_in_memory queue;
  std::set<std::string, std::less<>> held_names;
  std::deque<held_task> held;
  std::vector<running_job_ptr> handed_out;
  std::shared_ptr<report_tray> tray;
  engine_context_ptr context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{in_virtual_time(config)};
  caf::scoped_actor asker{system};
  caf::actor database;
  caf::actor region;
  job_feed_actor feed;
  workspace_id workspace = workspace_of_shard(1);
};

TEST_F(JobFeedTest, AJobStaysInHandUntilItsOwnConclusionIsThroughThoughALaterOneWas) {
  due(workspace, 8);
  held_names = {concluding};
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 8u);
  report(0, 4);
  report(4, 4);
  EXPECT_EQ(under_way(concluding), 2);
  let_through(concluding, true);
  EXPECT_EQ(queue.rows.size(), 4u);
  caf::anon_send(feed, atom::sweep_v);
  pass(100ms);
  EXPECT_EQ(handed_out.size(), 8u) << "the first four are still in hand";
  let_through(concluding);
  EXPECT_TRUE(queue.rows.empty());
}

TEST_F(JobFeedTest, JobsThatHaveToRunAloneLeaveTheOthersAsMuchTimeAsTheyTook) {
  const auto suspect = [this] {
    const auto id = due_at(workspace, instant{std::chrono::hours{1}});
    queue.rows[id].suspicion = 2;
    return id;
  };
  const std::set<job_id> suspects{suspect(), suspect(), suspect()};
  const auto other = workspace_of_shard(2);
  const auto alone = [&] {
    return std::count_if(handed_out.begin(), handed_out.end(),
                         [&](const auto& run) { return suspects.contains(run->work().id); });
  };
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 1u);
  ASSERT_EQ(alone(), 1);
  due(other, 1);
  hint_at(other);
  pass(2'000ms);
  EXPECT_EQ(handed_out.size(), 1u) << "it runs alone";
  report(0, 1);
  pass(100ms);
  ASSERT_EQ(handed_out.size(), 2u);
  EXPECT_TRUE(started().contains(other));
  due(other, 1);
  hint_at(other);
  pass(1'000ms);
  EXPECT_EQ(handed_out.size(), 3u) << "still their turn";
  report(1, 2);
  pass(1'500ms);
  EXPECT_EQ(alone(), 2) << "now its own";
  pass(2'000ms);
  report(3, 1);
  pass(100ms);
  EXPECT_EQ(alone(), 3) << "nothing else is due";
}

TEST_F(JobFeedTest, OthersHaveTheirTurnThoughTheReadThatLooksForThemOutlastsIt) {
  const std::set<job_id> suspects{due_at(workspace, instant{std::chrono::hours{1}}),
                                  due_at(workspace, instant{std::chrono::hours{1}})};
  for (const auto& id : suspects)
    queue.rows[id].suspicion = 2;
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 1u);
  const auto other = workspace_of_shard(2);
  due(other, 1);
  held_names = {"take-due-jobs"};
  report(0, 1);
  pass(50ms);
  ASSERT_GE(under_way("take-due-jobs"), 1);
  pass(500ms);
  held_names.clear();
  let_through("take-due-jobs");
  ASSERT_EQ(handed_out.size(), 2u);
  EXPECT_TRUE(started().contains(other));
  report(1, 1);
  pass(1'500ms);
  EXPECT_EQ(handed_out.size(), 3u);
}

TEST_F(JobFeedTest, ABatchEndsInTheTransactionThatConcludesTheLastOfItsJobs) {
  due(workspace, 3);
  start(4, 100);
  report(0, 3);
  pass(50ms);
  EXPECT_TRUE(queue.rows.empty());
  EXPECT_TRUE(queue.open.empty());
  EXPECT_EQ(queue.conclusions, 1);
}

TEST_F(JobFeedTest, ABatchWithJobsInAnotherConclusionUnderWayDoesNotEndBeforeIt) {
  due(workspace, 8);
  held_names = {concluding};
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 8u);
  report(0, 2);
  report(2, 4);
  ASSERT_EQ(under_way(concluding), 2);
  let_through(concluding, true);
  held_names.clear();
  report(6, 2);
  pass(50ms);
  let_through(concluding);
  pass(50ms);
  EXPECT_FALSE(queue.ended_too_early);
  EXPECT_TRUE(queue.open.empty());
}

TEST_F(JobFeedTest, ABatchWhoseConclusionFailedEndsWithTheOneThatSucceeds) {
  due(workspace, 3);
  start(4, 100);
  queue.broken = true;
  report(0, 3);
  pass(50ms);
  EXPECT_FALSE(queue.open.empty());
  queue.broken = false;
  pass(1'000ms);
  EXPECT_FALSE(queue.ended_too_early);
  EXPECT_TRUE(queue.open.empty());
}

TEST_F(JobFeedTest, NoMoreThanTwoConclusionsAreUnderWayAndTheNextTakesAllThatIsLeft) {
  due(workspace, 8);
  due(workspace_of_shard(2), 8);
  held_names = {concluding};
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 16u);
  for (std::size_t from = 0; from < 16; from += 4)
    report(from, 4);
  pass(1'000ms);
  EXPECT_EQ(under_way(concluding), 2);
  let_through(concluding);
  pass(10ms);
  EXPECT_EQ(under_way(concluding), 2);
  let_through(concluding);
  let_through(concluding);
  EXPECT_TRUE(queue.rows.empty());
}

TEST_F(JobFeedTest, FailuresAreNeverWrittenByTwoTransactionsAtATime) {
  due(workspace, 12);
  held_names = {concluding};
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 12u);
  report(0, 4, job_report::kind::retry);
  report(4, 4, job_report::kind::retry);
  pass(100ms);
  EXPECT_EQ(under_way(concluding), 1);
  let_through(concluding);
  pass(100ms);
  EXPECT_EQ(under_way(concluding), 1);
  report(8, 4);
  EXPECT_EQ(under_way(concluding), 2) << "successes need not wait for them";
}

TEST_F(JobFeedTest, AConclusionThatFailedIsWrittenAgainALittleLaterAndNotWithEachReport) {
  due(workspace, 12);
  start(4, 100);
  queue.broken = true;
  report(0, 4);
  EXPECT_EQ(queue.conclusions, 1);
  report(4, 4);
  report(8, 4);
  pass(100ms);
  EXPECT_EQ(queue.conclusions, 1);
  queue.broken = false;
  pass(1'000ms);
  EXPECT_TRUE(queue.rows.empty());
}

TEST_F(JobFeedTest, AStopIsAnsweredWhenEveryConclusionIsThrough) {
  due(workspace, 8);
  held_names = {concluding};
  start(4, 100);
  report(0, 4);
  report(4, 4);
  ASSERT_EQ(under_way(concluding), 2);
  asker->send(feed, atom::stop_v);
  run();
  const auto was_answered = [&] {
    bool out = false;
    asker->receive([&](atom::done) { out = true; }, caf::after(0ms) >> [] {});
    return out;
  };
  let_through(concluding);
  pass(50ms);
  EXPECT_FALSE(was_answered());
  held_names.clear();
  let_through(concluding);
  pass(50ms);
  EXPECT_TRUE(was_answered());
}

TEST_F(JobFeedTest, ReportsThatLieInTheTrayAreConcludedWithOneMessage) {
  due(workspace, 3);
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 3u);
  ASSERT_TRUE(tray);
  EXPECT_TRUE(tray->add({report_of(*handed_out[0], job_report::kind::succeeded)}));
  EXPECT_FALSE(tray->add({report_of(*handed_out[1], job_report::kind::succeeded),
                          report_of(*handed_out[2], job_report::kind::succeeded)}))
    << "the feed is told already";
  caf::anon_send(feed, atom::conclude_v);
  pass(50ms);
  EXPECT_TRUE(queue.rows.empty());
}

TEST_F(JobFeedTest, AHandOverDoesNotWaitForReadsThatBeganAfterIt) {
  const auto leaving = workspace_of_shard(7);
  due(leaving, 1);
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 1u);
  drain(leaving);
  held_names = {taking};
  pass(2'000ms);
  ASSERT_EQ(under_way(taking), 1);
  EXPECT_FALSE(was_drained()) << "its job still runs";
  report(0, 1);
  pass(50ms);
  EXPECT_EQ(under_way(taking), 1);
  EXPECT_TRUE(was_drained());
}

TEST_F(JobFeedTest, AHandOverWaitsForAReadThatBeganBeforeItAndTakesNothingOfIt) {
  const auto leaving = workspace_of_shard(7);
  start(4, 100);
  held_names = {taking};
  due(leaving, 1);
  pass(2'000ms);
  ASSERT_EQ(under_way(taking), 1);
  drain(leaving);
  EXPECT_FALSE(was_drained());
  let_through(taking);
  EXPECT_TRUE(was_drained());
  EXPECT_TRUE(handed_out.empty());
}

TEST_F(JobFeedTest, AJobConcludedWhileAReadWasUnderWayIsNotTakenAgain) {
  due(workspace, 1);
  start(4, 100);
  ASSERT_EQ(handed_out.size(), 1u);
  // The read's snapshot is as old as the read.
  const auto as_it_was = queue.rows;
  held_names = {taking};
  pass(2'000ms);
  ASSERT_EQ(under_way(taking), 1);
  report(0, 1);
  pass(50ms);
  ASSERT_TRUE(queue.rows.empty());
  queue.rows = as_it_was;
  let_through(taking);
  pass(50ms);
  EXPECT_EQ(handed_out.size(), 1u);
}

TEST_F(JobFeedTest, AHintedWorkspaceIsReadAndStartedBesideAHandFullOfAnothers) {
  context->settings.ready.running_per_workspace = 2;
  due(workspace, 20);
  start(8, 8);
  ASSERT_EQ(handed_out.size(), 2u);
  const auto hinted = workspace_of_shard(9);
  due(hinted, 1);
  hint_at(hinted);
  pass(50ms);
  EXPECT_TRUE(started().contains(hinted));
}

TEST_F(JobFeedTest, HintsTakeNoMoreThanAQuarterBeyondWhatMayBeInFlight) {
  context->settings.ready.running_per_workspace = 1;
  due(workspace, 40);
  start(16, 16);
  for (std::uint8_t shard = 20; shard < 40; ++shard) {
    const auto hinted = workspace_of_shard(shard);
    due(hinted, 1);
    hint_at(hinted);
    pass(50ms);
  }
  // One of the flood and four that were hinted at.
  EXPECT_EQ(handed_out.size(), 5u);
  held_names = {taking_hinted};
  hint_at(workspace_of_shard(50));
  EXPECT_EQ(under_way(taking_hinted), 0);
  const auto mine = std::find_if(handed_out.begin(), handed_out.end(),
                                 [&](const auto& one) { return one->work().workspace != workspace; });
  ASSERT_NE(mine, handed_out.end());
  report(static_cast<std::size_t>(mine - handed_out.begin()), 1);
  pass(50ms);
  hint_at(workspace_of_shard(51));
  EXPECT_EQ(under_way(taking_hinted), 1) << "there is room again";
}

TEST_F(JobFeedTest, WhatComesLateToAWorkspaceWithAFloodIsReadBeforeTheFloodIsOver) {
  due(workspace, 400, 10s);
  start(16, 64);
  ASSERT_EQ(handed_out.size(), 16u) << "a share, and it is parked";
  const auto late = due_at(workspace, instant{std::chrono::hours{1}} + 5s);
  caf::anon_send(feed, atom::sweep_v);
  pass(50ms);
  EXPECT_FALSE(was_started(late)) << "it has more than half of its share in hand";
  report(0, 10);
  pass(50ms);
  EXPECT_TRUE(was_started(late));
  EXPECT_LT(handed_out.size(), 100u);
}

TEST_F(JobFeedTest, APassedOverFullReadOfAWorkspaceIsStillOwedWhenTheReadThatWasToDoItFailed) {
  due(workspace, 400, 10s);
  start(16, 64);
  ASSERT_EQ(handed_out.size(), 16u);
  const auto late = due_at(workspace, instant{std::chrono::hours{1}} + 5s);
  caf::anon_send(feed, atom::sweep_v);
  pass(50ms);
  queue.scans_too_long = true;
  report(0, 10);
  pass(50ms);
  ASSERT_FALSE(was_started(late));
  queue.scans_too_long = false;
  pass(5'000ms);
  EXPECT_TRUE(was_started(late));
}

TEST_F(JobFeedTest, AReadOfOneWorkspaceThatTakesTooLongDoesNotStopThoseOfTheOthers) {
  due(workspace, 400, 10s);
  start(16, 64);
  ASSERT_EQ(handed_out.size(), 16u);
  queue.scans_too_long = true;
  report(0, 16);
  const auto other = workspace_of_shard(9);
  due(other, 1, 10s);
  pass(5'000ms);
  EXPECT_TRUE(started().contains(other));
}

TEST_F(JobFeedTest, AWorkspacePausedWhileItWasReadIsReadFromTheBeginningWhenItMayRunAgain) {
  due(workspace, 400, 10s);
  start(16, 64);
  ASSERT_EQ(handed_out.size(), 16u);
  // Past the first full read, long before the next.
  pass(2'000ms);
  held_names = {taking};
  report(0, 16);
  ASSERT_EQ(under_way(taking), 1);
  pause(workspace, true);
  held_names.clear();
  let_through(taking);
  pass(1'000ms);
  EXPECT_EQ(handed_out.size(), 16u);
  pause(workspace, false);
  pass(2'000ms);
  ASSERT_GT(handed_out.size(), 16u);
  for (std::size_t i = 16; i < handed_out.size(); ++i)
    EXPECT_EQ(handed_out[i]->work().run_at - handed_out[i - 1]->work().run_at, 10s) << "some were passed over";
}

TEST_F(JobFeedTest, APausedWorkspaceIsNoReasonToReadWithoutEnd) {
  due(workspace, 10);
  start(16, 64);
  report(0, 10);
  pause(workspace, true);
  due(workspace, 20, 10s);
  const auto before = queue.reads;
  pass(3'000ms);
  EXPECT_LT(queue.reads - before, 20);
  EXPECT_EQ(handed_out.size(), 10u);
}

TEST_F(JobFeedTest, AShardGivenAwayWhileItWasTakenOverStaysAway) {
  const auto leaving = workspace_of_shard(7);
  held_names = {adopting};
  start(4, 100);
  ASSERT_EQ(under_way(adopting), 1);
  drain(leaving);
  EXPECT_TRUE(was_drained());
  due(leaving, 1);
  due(workspace, 1);
  held_names.clear();
  let_through(adopting);
  pass(2'000ms);
  EXPECT_EQ(started(), std::set{workspace});
}

TEST_F(JobFeedTest, AShardGivenAwayBetweenTwoTriesToTakeItOverStaysAway) {
  const auto leaving = workspace_of_shard(7);
  queue.adopts_nothing = true;
  start(4, 100);
  ASSERT_EQ(queue.adoptions, 1);
  drain(leaving);
  EXPECT_TRUE(was_drained());
  due(leaving, 1);
  due(workspace, 1);
  queue.adopts_nothing = false;
  pass(5'000ms);
  EXPECT_EQ(queue.adoptions, 2);
  EXPECT_EQ(started(), std::set{workspace});
}

TEST_F(JobFeedTest, AJobThatItsTransactionTookRunsWithoutARead) {
  start(4, 100);
  held_names = {taking, taking_hinted};
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  EXPECT_EQ(take->owner.incarnation, 1);
  settle(*take, take_outcome::taken, one);
  ASSERT_EQ(handed_out.size(), 1u);
  EXPECT_EQ(handed_out[0]->work().id, one.id);
  EXPECT_EQ(under_way(taking) + under_way(taking_hinted), 0);
  report(0, 1);
  pass(50ms);
  EXPECT_TRUE(queue.rows.empty());
  EXPECT_TRUE(queue.open.empty()) << "its manifest ends with it";
}

TEST_F(JobFeedTest, AReadThatMeetsAJobBeforeItsTakeIsKnownLeavesItToTheTake) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  queue.rows[one.id] = one;
  caf::anon_send(feed, atom::sweep_v);
  hint_at(workspace);
  pass(2'000ms);
  EXPECT_TRUE(handed_out.empty());
  settle(*take, take_outcome::taken, one);
  EXPECT_EQ(handed_out.size(), 1u);
  report(0, 1);
  pass(2'000ms);
  EXPECT_EQ(handed_out.size(), 1u);
  EXPECT_TRUE(queue.open.empty());
}

TEST_F(JobFeedTest, ATakenJobThatEndedWhileAReadWasUnderWayIsNotTakenAgain) {
  start(4, 100);
  held_names = {taking};
  pass(2'000ms);
  ASSERT_EQ(under_way(taking), 1);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  settle(*take, take_outcome::taken, one);
  ASSERT_EQ(handed_out.size(), 1u);
  report(0, 1);
  pass(50ms);
  ASSERT_TRUE(queue.rows.empty());
  // The read's snapshot is older than the end.
  queue.rows[one.id] = one;
  let_through(taking);
  pass(50ms);
  EXPECT_EQ(handed_out.size(), 1u);
}

TEST_F(JobFeedTest, AJobThatWasNotTakenAfterAllIsReadThoughReadsHavePassedItOver) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  queue.rows[one.id] = one;
  caf::anon_send(feed, atom::sweep_v);
  // Far ahead, so that only a full read comes back to it.
  due_at(workspace, instant{std::chrono::hours{2}});
  pass(2'000ms);
  ASSERT_EQ(handed_out.size(), 1u);
  settle(*take, take_outcome::unknown, one);
  pass(50ms);
  EXPECT_TRUE(was_started(one.id));
}

TEST_F(JobFeedTest, NothingComesOfATakeWhoseTransactionWroteNothing) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  const auto reads = queue.reads;
  settle(*take, take_outcome::not_taken, one);
  EXPECT_TRUE(handed_out.empty());
  EXPECT_EQ(queue.reads, reads);
  EXPECT_TRUE(context->intake->is_idle());
}

TEST_F(JobFeedTest, AHandOverWaitsForATakeThatIsUnderWayAndBeginsNoOther) {
  const auto leaving = workspace_of_shard(7);
  start(4, 100);
  const auto one = enqueued(leaving);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  drain(leaving);
  EXPECT_FALSE(was_drained());
  EXPECT_FALSE(reserve(enqueued(leaving)));
  EXPECT_TRUE(reserve(enqueued(workspace))) << "the other shards stay";
  settle(*take, take_outcome::taken, one);
  EXPECT_TRUE(was_drained());
  EXPECT_TRUE(handed_out.empty()) << "it is the next owner's";
}

TEST_F(JobFeedTest, AStopWaitsForATakeThatIsUnderWayAndBeginsNoOther) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  asker->send(feed, atom::stop_v);
  run();
  bool was_answered = false;
  const auto look = [&] { asker->receive([&](atom::done) { was_answered = true; }, caf::after(0ms) >> [] {}); };
  look();
  EXPECT_FALSE(was_answered);
  EXPECT_FALSE(reserve(enqueued(workspace)));
  settle(*take, take_outcome::taken, one);
  pass(50ms);
  look();
  EXPECT_TRUE(was_answered);
  EXPECT_TRUE(handed_out.empty());
}

TEST_F(JobFeedTest, WhatAnEndedLifeTookIsReadByTheNextOne) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  caf::anon_send(feed, atom::lost_v);
  run();
  EXPECT_FALSE(reserve(enqueued(workspace))) << "no life, no takes";
  queue.rows[one.id] = one;
  caf::anon_send(feed, atom::gained_v, node_identity{"n1", 2}, shard_list{shard_of(workspace)});
  pass(50ms);
  EXPECT_TRUE(handed_out.empty()) << "its take may still come";
  settle(*take, take_outcome::taken, one);
  pass(50ms);
  ASSERT_EQ(handed_out.size(), 1u);
  EXPECT_EQ(handed_out[0]->owner.incarnation, 2);
}

TEST_F(JobFeedTest, WhatMayNotRunIsNotTakenAndWaitsForItsTime) {
  start(4, 100);
  job_control control;
  control.scope = job_control::about::kind;
  control.name = kinds::cleanup_old_notifications;
  control.paused = true;
  queue.controls = {control};
  caf::anon_send(feed, atom::controls_v);
  run();
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  settle(*take, take_outcome::taken, one);
  pass(500ms);
  EXPECT_TRUE(handed_out.empty());
  EXPECT_TRUE(queue.open.empty()) << "it takes up no room";
  queue.controls = {};
  caf::anon_send(feed, atom::controls_v);
  pass(50ms);
  EXPECT_TRUE(was_started(one.id));
}

TEST_F(JobFeedTest, NothingIsTakenBeforeWhatIsOlderHasBeenRead) {
  context->settings.ready.running_per_workspace = 1;
  for (std::uint8_t shard = 20; shard < 60; ++shard)
    due(workspace_of_shard(shard), 1);
  held_names = {taking};
  start(4, 100);
  ASSERT_EQ(under_way(taking), 1);
  let_through(taking);
  ASSERT_EQ(handed_out.size(), 4u) << "more is due";
  EXPECT_FALSE(reserve(enqueued(workspace)));
  held_names.clear();
  while (under_way(taking) > 0)
    let_through(taking);
  pass(50ms);
  ASSERT_EQ(handed_out.size(), 40u);
  EXPECT_TRUE(reserve(enqueued(workspace)));
}

TEST_F(JobFeedTest, AJobThatAReadPassedOverIsReadThoughItsTakeCameToNothing) {
  start(4, 100);
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  // Another transaction has written the same job.
  queue.rows[one.id] = one;
  due_at(workspace, instant{std::chrono::hours{2}});
  caf::anon_send(feed, atom::sweep_v);
  pass(2'000ms);
  ASSERT_EQ(handed_out.size(), 1u);
  settle(*take, take_outcome::not_taken, one);
  pass(50ms);
  EXPECT_TRUE(was_started(one.id));
}

TEST_F(JobFeedTest, AJobWhoseIdIsUsedAgainIsTakenThoughTheFirstOneEndedDuringARead) {
  start(4, 100);
  const auto one = enqueued(workspace);
  settle(reserve(one).value(), take_outcome::taken, one);
  held_names = {taking};
  pass(2'000ms);
  ASSERT_EQ(under_way(taking), 1);
  report(0, 1);
  pass(50ms);
  ASSERT_TRUE(queue.rows.empty());
  settle(reserve(one).value(), take_outcome::taken, one);
  EXPECT_EQ(handed_out.size(), 2u);
}

TEST_F(JobFeedTest, WhereOneThatHasToRunAloneWaitsNothingIsTaken) {
  start(4, 100);
  due(workspace, 1);
  hint_at(workspace);
  ASSERT_EQ(handed_out.size(), 1u);
  const auto suspect = due_at(workspace, instant{std::chrono::hours{1}});
  queue.rows[suspect].suspicion = 2;
  const auto one = enqueued(workspace);
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  caf::anon_send(feed, atom::sweep_v);
  pass(50ms);
  EXPECT_FALSE(reserve(enqueued(workspace)));
  report(0, 1);
  pass(50ms);
  EXPECT_FALSE(was_started(suspect)) << "another one may still come into hand";
  settle(*take, take_outcome::not_taken, one);
  EXPECT_TRUE(was_started(suspect));
}

TEST_F(JobFeedTest, WhereMoreIsDueThanItsShareATakenJobDoesNotPassWhatWasDueBefore) {
  context->settings.ready.running_per_workspace = 1;
  due(workspace, 40);
  start(16, 64);
  ASSERT_EQ(handed_out.size(), 1u);
  auto one = enqueued(workspace);
  one.run_at += 1h;
  const auto take = reserve(one);
  ASSERT_TRUE(take);
  settle(*take, take_outcome::taken, one);
  pass(500ms);
  EXPECT_FALSE(queue.open.contains(take->batch)) << "it takes up no room";
  for (std::size_t i = 0; i < handed_out.size(); ++i) {
    EXPECT_EQ(was_started(one.id), i == 40) << i;
    report(i, 1);
    pass(50ms);
  }
  EXPECT_EQ(handed_out.size(), 41u);
}

TEST_F(JobFeedTest, WhatIsTakenLeavesRoomForAReadOfWhatIsOlder) {
  context->settings.ready.running_per_workspace = 1;
  start(16, 16);
  std::size_t taken = 0;
  for (std::uint8_t shard = 20; shard < 60; ++shard) {
    const auto one = enqueued(workspace_of_shard(shard));
    if (const auto take = reserve(one)) {
      ++taken;
      settle(*take, take_outcome::taken, one);
    }
  }
  EXPECT_EQ(taken, 9u) << "one more than half of the hand";
  due_at(workspace, instant{});
  caf::anon_send(feed, atom::sweep_v);
  pass(50ms);
  EXPECT_TRUE(started().contains(workspace));
  report(0, 1);
  report(9, 1);
  pass(50ms);
  EXPECT_TRUE(reserve(enqueued(workspace_of_shard(60)))) << "there is room again";
}

} // namespace

} // namespace carillon
