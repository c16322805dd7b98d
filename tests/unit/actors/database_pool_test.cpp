// The pool on real threads: workers are detached, so there is no virtual time
// for them. Tasks wait for the test, and the test waits for events.
#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/database.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto patience = 30s;

/// Counts the stores that live; tasks of these tests touch no port.
class counted_store final : public test::store_without_ports {
public:
  struct counters {
    std::atomic<int> made{0};
    std::atomic<int> living{0};
  };

  explicit counted_store(std::shared_ptr<counters> all) : all_(std::move(all)) {
    ++all_->made;
    ++all_->living;
  }
  ~counted_store() override {
    --all_->living;
  }

private:
  std::shared_ptr<counters> all_;
};

class recorder final : public logger {
public:
  void write(log_level level, std::string_view event, std::initializer_list<log_field> fields) noexcept override {
    std::lock_guard lock{mutex_};
    std::string line{level == log_level::error ? "error " : ""};
    line += event;
    for (const auto& f : fields)
      line += " " + std::string{f.key} + "=" + f.value;
    lines_.push_back(line);
  }
  std::vector<std::string> lines() {
    std::lock_guard lock{mutex_};
    return lines_;
  }

private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// What became of one task.
struct outcome {
  std::weak_ptr<db_task> task;
  std::mutex mutex;
  std::condition_variable changed;
  int ran = 0;
  int refused = 0;
  int answered = 0;
  failure why;
  std::string error;

  template <class Change>
  void note(Change change) {
    {
      std::lock_guard lock{mutex};
      change();
    }
    changed.notify_all();
  }
  bool wait_answered() {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, patience, [this] { return answered > 0; });
  }
};
using outcome_ptr = std::shared_ptr<outcome>;

class system_config final : public caf::actor_system_config {
public:
  system_config() {
    set("scheduler.max-threads", 2u);
    add_message_types<caf::id_block::carillon>();
  }
};

class DatabasePoolTest : public ::testing::Test {
protected:
  void start(std::size_t workers, std::size_t queue_limit,
             std::function<std::unique_ptr<store>()> make_store = {}) {
    if (!make_store)
      make_store = [all = stores] { return std::make_unique<counted_store>(all); };
    pool = spawn_database(system, {"test", workers, queue_limit, std::move(make_store), &log});
  }

  /// Hands `body` to the pool from an actor of its own.
  outcome_ptr run(std::function<void(store&)> body, std::chrono::milliseconds within = patience,
                  db_lane lane = db_lane::normal) {
    auto out = std::make_shared<outcome>();
    auto task = std::make_shared<db_task>();
    out->task = task;
    task->name = "task";
    task->expires = std::chrono::steady_clock::now() + within;
    task->lane = lane;
    task->run = [out, body = std::move(body)](store& db) {
      out->note([&] { ++out->ran; });
      body(db);
    };
    task->refuse = [out](failure f) {
      out->note([&] {
        ++out->refused;
        out->why = std::move(f);
      });
    };
    system.spawn([out, task, to = pool](caf::event_based_actor* self) {
      self->request(to, caf::infinite, atom::run_v, task)
        .then([out](atom::done) { out->note([&] { ++out->answered; }); },
              [out, self](caf::error& e) {
                out->note([&] {
                  ++out->answered;
                  out->error = self->system().render(e);
                });
              });
    });
    return out;
  }

  /// The time of a task runs out while it waits. Only between two messages
  /// that the pool has answered: nobody else looks at it then.
  static void expire(const outcome_ptr& waiting) {
    waiting->task.lock()->expires = std::chrono::steady_clock::now() - 1ms;
  }

  static std::function<void(store&)> nothing() {
    return [](store&) {};
  }

  /// `name=value` of the pool's report.
  std::string fact(const std::string& name) {
    caf::scoped_actor self{system};
    std::string out;
    self->request(pool, patience, atom::report_v)
      .receive(
        [&](const actor_report& r) {
          for (const auto& [key, value] : r.facts)
            if (key == name)
              out = value;
        },
        [&](caf::error& e) { ADD_FAILURE() << system.render(e); });
    return out;
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline)
        return false;
      std::this_thread::yield();
    }
    return true;
  }

  /// Occupies a worker until it is let go, at the latest at the test's end.
  struct occupation {
    std::latch began{1};
    std::latch ends{1};
    std::once_flag once;
    outcome_ptr result;

    void let_go() {
      std::call_once(once, [this] { ends.count_down(); });
    }
  };
  std::shared_ptr<occupation> occupy() {
    auto out = std::make_shared<occupation>();
    out->result = run([out](store&) {
      out->began.count_down();
      out->ends.wait();
    });
    out->began.wait();
    occupations.push_back(out);
    return out;
  }

  void TearDown() override {
    for (const auto& busy : occupations)
      busy->let_go();
  }

  std::vector<std::shared_ptr<occupation>> occupations;
  recorder log;
  std::shared_ptr<counted_store::counters> stores = std::make_shared<counted_store::counters>();
  system_config settings;
  caf::actor_system system{settings};
  database_actor pool;
};

TEST_F(DatabasePoolTest, ATaskRunsOnceOnAWorkersStoreAndIsAnswered) {
  start(2, 10);
  const auto out = run(nothing());
  ASSERT_TRUE(out->wait_answered());
  EXPECT_EQ(out->ran, 1);
  EXPECT_EQ(out->refused, 0);
  EXPECT_EQ(out->error, "");
}

TEST_F(DatabasePoolTest, AsManyTasksRunAtOnceAsThereAreWorkers) {
  start(4, 10);
  std::latch together{4};
  std::vector<outcome_ptr> all;
  for (int i = 0; i < 4; ++i)
    all.push_back(run([&](store&) { together.arrive_and_wait(); }));
  for (const auto& out : all)
    EXPECT_TRUE(out->wait_answered()) << "a task never had company";
  EXPECT_EQ(stores->made, 4);
}

TEST_F(DatabasePoolTest, WhatIsUrgentKeepsToOneSessionAndTheRestToAnother) {
  start(4, 10);
  std::vector<const store*> urgent;
  std::vector<const store*> normal;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run([&](store& db) { urgent.push_back(&db); }, patience, db_lane::urgent)->wait_answered());
    ASSERT_TRUE(run([&](store& db) { normal.push_back(&db); })->wait_answered());
  }
  EXPECT_THAT(urgent, ::testing::Each(urgent.front()));
  EXPECT_THAT(normal, ::testing::Each(normal.front()));
  EXPECT_NE(urgent.front(), normal.front());
}

TEST_F(DatabasePoolTest, WhatWaitsRunsInOrder) {
  start(1, 10);
  const auto busy = occupy();
  std::vector<int> order;
  std::vector<outcome_ptr> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(run([&order, i](store&) { order.push_back(i); }));
    ASSERT_TRUE(eventually([&] { return fact("queued") == std::to_string(i + 1); }));
  }
  busy->let_go();
  for (const auto& out : waiting)
    ASSERT_TRUE(out->wait_answered());
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(DatabasePoolTest, UrgentTasksGoFirstAndStarveNobody) {
  start(1, 20);
  const auto busy = occupy();
  std::string order;
  std::vector<outcome_ptr> waiting;
  const auto add = [&](char name, db_lane lane) {
    waiting.push_back(run([&order, name](store&) { order.push_back(name); }, patience, lane));
    EXPECT_TRUE(eventually([&] { return fact("queued") == std::to_string(waiting.size()); }));
  };
  for (const char name : {'a', 'b', 'c'})
    add(name, db_lane::normal);
  for (const char name : {'1', '2', '3', '4', '5'})
    add(name, db_lane::urgent);
  busy->let_go();
  for (const auto& out : waiting)
    ASSERT_TRUE(out->wait_answered());
  EXPECT_EQ(order, "1234a5bc");
}

TEST_F(DatabasePoolTest, AFullQueueRefusesAtOnceWithThrottled) {
  start(1, 2);
  const auto busy = occupy();
  const auto first = run(nothing());
  const auto second = run(nothing());
  ASSERT_TRUE(eventually([&] { return fact("queued") == "2"; }));
  const auto third = run(nothing());
  ASSERT_TRUE(third->wait_answered()) << "the worker is still busy";
  EXPECT_EQ(third->ran, 0);
  EXPECT_EQ(third->refused, 1);
  EXPECT_EQ(third->why.code, errc::throttled);
  EXPECT_TRUE(third->why.retry_after);
  EXPECT_EQ(fact("refused"), "1");
  busy->let_go();
  for (const auto& out : {busy->result, first, second}) {
    ASSERT_TRUE(out->wait_answered());
    EXPECT_EQ(out->ran, 1);
    EXPECT_EQ(out->refused, 0);
  }
  EXPECT_EQ(third->ran, 0);
}

TEST_F(DatabasePoolTest, ATaskThatWaitedTooLongIsRefusedAndNeverRun) {
  start(1, 10);
  const auto busy = occupy();
  const auto late = run(nothing());
  const auto patient = run(nothing());
  ASSERT_TRUE(eventually([&] { return fact("queued") == "2"; }));
  expire(late);
  busy->let_go();
  ASSERT_TRUE(late->wait_answered());
  ASSERT_TRUE(patient->wait_answered());
  EXPECT_EQ(late->ran, 0);
  EXPECT_EQ(late->refused, 1);
  EXPECT_EQ(late->why.code, errc::transient);
  EXPECT_EQ(patient->ran, 1);
}

TEST_F(DatabasePoolTest, ATaskThatArrivesTooLateIsRefusedThoughAWorkerIsFree) {
  start(1, 10);
  const auto late = run(nothing(), -1ms);
  ASSERT_TRUE(late->wait_answered());
  EXPECT_EQ(late->ran, 0);
  EXPECT_EQ(late->why.code, errc::transient);
}

TEST_F(DatabasePoolTest, ExpiredTasksHoldNoPlaceInAFullQueue) {
  start(1, 2);
  const auto busy = occupy();
  const auto late = run(nothing());
  const auto later = run(nothing());
  ASSERT_TRUE(eventually([&] { return fact("queued") == "2"; }));
  expire(late);
  expire(later);
  const auto fresh = run(nothing());
  ASSERT_TRUE(late->wait_answered());
  ASSERT_TRUE(later->wait_answered());
  EXPECT_EQ(late->why.code, errc::transient);
  EXPECT_EQ(fact("queued"), "1");
  busy->let_go();
  ASSERT_TRUE(fresh->wait_answered());
  EXPECT_EQ(fresh->ran, 1);
}

TEST_F(DatabasePoolTest, ATaskThatThrowsCostsItsWorkerAndNothingElse) {
  start(1, 10);
  const auto bad = run([](store&) { throw std::runtime_error{"a bug"}; });
  ASSERT_TRUE(bad->wait_answered());
  EXPECT_NE(bad->error, "");
  EXPECT_EQ(bad->refused, 0) << "it ran: exactly one of the two";
  const auto good = run(nothing());
  ASSERT_TRUE(good->wait_answered());
  EXPECT_EQ(good->ran, 1);
  EXPECT_EQ(good->error, "");
  EXPECT_EQ(stores->made, 2) << "a new worker with a new connection";
  EXPECT_TRUE(eventually([&] { return stores->living == 1; })) << "the old one's is closed";
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("error database-worker-crashed pool=test task=task"));
  EXPECT_THAT(log.lines()[0], HasSubstr("a bug"));
}

TEST_F(DatabasePoolTest, AlsoWhatIsNoStdExceptionIsSurvived) {
  start(1, 10);
  const auto bad = run([](store&) { throw 42; });
  ASSERT_TRUE(bad->wait_answered());
  EXPECT_NE(bad->error, "");
  const auto good = run(nothing());
  ASSERT_TRUE(good->wait_answered());
  EXPECT_EQ(good->ran, 1);
}

TEST_F(DatabasePoolTest, OthersRunOnWhileOneWorkerCrashes) {
  start(2, 100);
  const auto busy = occupy();
  std::vector<outcome_ptr> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(run([i](store&) {
      if (i % 2 == 0)
        throw std::runtime_error{"a bug"};
    }));
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(all[i]->wait_answered());
    EXPECT_EQ(all[i]->ran, 1);
    EXPECT_EQ(all[i]->error.empty(), i % 2 == 1);
  }
  ASSERT_TRUE(run(nothing())->wait_answered());
  busy->let_go();
  ASSERT_TRUE(busy->result->wait_answered());
  EXPECT_EQ(busy->result->error, "") << "the other worker was left alone";
  EXPECT_EQ(stores->made, 2 + 25);
  EXPECT_TRUE(eventually([&] { return stores->living == 2; }));
  EXPECT_TRUE(eventually([&] { return fact("busy") == "0"; }));
}

TEST_F(DatabasePoolTest, AStoreThatCannotBeMadeFailsTasksButNotThePool) {
  std::atomic<bool> broken{true};
  start(1, 10, [&]() -> std::unique_ptr<store> {
    if (broken)
      throw std::runtime_error{"no store today"};
    return std::make_unique<counted_store>(stores);
  });
  const auto bad = run(nothing());
  ASSERT_TRUE(bad->wait_answered());
  EXPECT_EQ(bad->ran, 0);
  EXPECT_NE(bad->error, "");
  broken = false;
  const auto good = run(nothing());
  ASSERT_TRUE(good->wait_answered());
  EXPECT_EQ(good->ran, 1);
}

TEST_F(DatabasePoolTest, APoolNobodyHoldsEndsWithItsConnections) {
  start(3, 10);
  std::latch together{3};
  for (int i = 0; i < 3; ++i)
    run([&](store&) { together.arrive_and_wait(); });
  ASSERT_TRUE(eventually([&] { return fact("busy") == "0" && stores->living == 3; }));
  pool = nullptr;
  EXPECT_TRUE(eventually([&] { return stores->living == 0; }));
}

TEST_F(DatabasePoolTest, WhatWaitsWhenThePoolEndsIsRefused) {
  start(1, 10);
  const auto busy = occupy();
  const auto waiting = run(nothing());
  ASSERT_TRUE(eventually([&] { return fact("queued") == "1"; }));
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  ASSERT_TRUE(waiting->wait_answered());
  EXPECT_EQ(waiting->ran, 0);
  EXPECT_EQ(waiting->refused, 1);
  EXPECT_EQ(waiting->why.code, errc::cancelled);
  busy->let_go();
  EXPECT_TRUE(eventually([&] { return stores->living == 0; }));
}

// -- ask_database -----------------------------------------------------------------

class AskDatabaseTest : public DatabasePoolTest {
protected:
  struct answer {
    std::latch came{1};
    std::atomic<int> times{0};
    std::optional<result<int>> value;
  };

  std::shared_ptr<answer> ask(std::function<result<int>(store&)> body, std::chrono::milliseconds within = patience) {
    auto out = std::make_shared<answer>();
    system.spawn([out, body, within, to = pool](caf::event_based_actor* self) {
      ask_database<int>(self, to, "ask", within, body, [out](result<int> r) {
        if (++out->times == 1) {
          out->value = std::move(r);
          out->came.count_down();
        }
      });
    });
    return out;
  }
};

TEST_F(AskDatabaseTest, ValuesAndFailuresOfTheBodyComeBack) {
  start(1, 10);
  const auto value = ask([](store&) -> result<int> { return 42; });
  value->came.wait();
  EXPECT_EQ(**value->value, 42);
  const auto refused = ask([](store&) -> result<int> { return failure{errc::forbidden, "no", {}, {}}; });
  refused->came.wait();
  EXPECT_EQ(refused->value->error().code, errc::forbidden);
}

TEST_F(AskDatabaseTest, OverloadComesBackAsThrottled) {
  start(1, 0);
  const auto busy = occupy();
  const auto refused = ask([](store&) -> result<int> { return 1; });
  refused->came.wait();
  EXPECT_EQ(refused->value->error().code, errc::throttled);
  busy->let_go();
}

TEST_F(AskDatabaseTest, ABodyThatThrowsMayHaveHappened) {
  start(1, 10);
  const auto odd = ask([](store&) -> result<int> { throw std::runtime_error{"a bug"}; });
  odd->came.wait();
  EXPECT_EQ(odd->value->error().code, errc::outcome_unknown);
  EXPECT_THAT(odd->value->error().detail, HasSubstr("a bug"));
  EXPECT_EQ(odd->times, 1);
}

TEST_F(AskDatabaseTest, WithoutAnAnswerInTimeItMayHaveHappened) {
  start(1, 10);
  auto gate = std::make_shared<std::latch>(1);
  const auto slow = ask([gate](store&) -> result<int> {
    gate->wait();
    return 1;
  }, 1ms);
  // It either never began, or nobody can say how it will end.
  slow->came.wait();
  EXPECT_THAT(slow->value->error().code, ::testing::AnyOf(errc::outcome_unknown, errc::transient));
  gate->count_down();
  const auto next = ask([](store&) -> result<int> { return 2; });
  next->came.wait();
  EXPECT_EQ(**next->value, 2);
  EXPECT_EQ(slow->times, 1);
}

} // namespace

} // namespace carillon
