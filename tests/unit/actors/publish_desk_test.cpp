// The desk between many workspaces and one store: what shares a transaction,
// and what becomes of those that share one that fails.
#include "actors/jobs/publish_desk.hpp"

#include <algorithm>
#include <condition_variable>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/database.hpp"
#include "tests/unit/actors/scripted_publishing.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::Each;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr auto desk_patience = 30s;

class desk_log final : public logger {
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

/// Closed at first.
class gate {
public:
  void wait() {
    std::unique_lock lock{mutex_};
    opened_.wait(lock, [this] { return open_; });
  }
  void open() {
    std::lock_guard lock{mutex_};
    open_ = true;
    opened_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

class PublishDeskTest : public ::testing::Test {
protected:
  PublishDeskTest() {
    context->log = &log;
    context->databases.background
      = spawn_database(system, {.name = "background",
                                .workers = 2,
                                .queue_limit = 100,
                                .make_store = [this] { return std::make_unique<test::publishing_only>(store); },
                                .log = &log});
    desk = spawn_publish_desk(system, context,
                              caf::actor_cast<job_feed_actor>(caf::actor_cast<caf::strong_actor_ptr>(feed)));
  }
  ~PublishDeskTest() override {
    caf::anon_send_exit(desk, caf::exit_reason::user_shutdown);
    context->databases = {};
  }

  static running_job_ptr job_named(const std::string& name, std::int64_t incarnation = 1) {
    auto work = std::make_shared<job>();
    work->id = job_id::make();
    work->workspace = workspace_id::make();
    work->payload = name;
    return std::make_shared<const running_job>(running_job{{"a", incarnation}, work, 1});
  }
  plan_order_ptr ask(const std::string& name, std::int64_t incarnation = 1, std::chrono::seconds within = 60s) {
    auto order = std::make_shared<plan_order>();
    order->job = job_named(name, incarnation);
    order->call_timeout = 30s;
    order->expires = std::chrono::steady_clock::now() + within;
    pending.push_back(caller->request(desk, desk_patience, atom::run_v, order));
    return order;
  }
  void receive_answers() {
    for (auto& one : pending)
      one.receive([](atom::done) {}, [&](caf::error& e) { ADD_FAILURE() << system.render(e); });
    pending.clear();
  }
  /// The desk has seen all that was asked so far.
  std::string waiting_plans() {
    std::string out;
    caller->request(desk, desk_patience, atom::report_v)
      .receive([&](const actor_report& r) { out = r.facts.at(0).second; }, [](caf::error&) {});
    return out;
  }
  bool becomes(const std::string& waiting) {
    const auto until = std::chrono::steady_clock::now() + desk_patience;
    while (waiting_plans() != waiting)
      if (std::chrono::steady_clock::now() > until)
        return false;
    return true;
  }

  desk_log log;
  test::scripted_publishing store;
  engine_context_ptr context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor caller{system};
  caf::scoped_actor feed{system};
  publish_desk_actor desk;
  using response = decltype(caller->request(desk, desk_patience, atom::run_v, plan_order_ptr{}));
  std::vector<response> pending;
};

TEST_F(PublishDeskTest, WhatComesWhileTransactionsRunSharesTheNextOneWhateverItsWorkspace) {
  gate both_busy;
  store.before_plan = [&](const auto& asked) {
    if (asked.size() == 1)
      both_busy.wait();
  };
  ask("first");
  EXPECT_TRUE(becomes("0"));
  ask("second");
  EXPECT_TRUE(becomes("0"));
  std::vector<plan_order_ptr> orders;
  for (const auto* name : {"c", "d", "e", "f"})
    orders.push_back(ask(name));
  EXPECT_TRUE(becomes("4"));
  both_busy.open();
  receive_answers();
  EXPECT_THAT(store.plans(), Contains(UnorderedElementsAre("c", "d", "e", "f")));
  for (const auto& order : orders) {
    ASSERT_TRUE(order->answer);
    EXPECT_EQ(order->answer->calls.at(0).post.text, order->job->work().payload) << "each gets its own plan";
  }
}

TEST_F(PublishDeskTest, OneToBlameFailsAloneAndTheOthersAreDoneAllTheSame) {
  store.plan_fails = [](const auto& asked) -> std::optional<failure> {
    const bool has_bad = std::find(asked.begin(), asked.end(), "bad") != asked.end();
    return has_bad ? std::optional{failure{errc::permanent, "no such thing", {}, {}}} : std::nullopt;
  };
  gate started;
  store.before_plan = [&](const auto&) { started.wait(); };
  std::vector<plan_order_ptr> good;
  for (int i = 0; i < 40; ++i)
    good.push_back(ask("good " + std::to_string(i)));
  const auto bad = ask("bad");
  started.open();
  receive_answers();
  for (const auto& order : good)
    EXPECT_TRUE(order->answer) << order->job->work().payload;
  ASSERT_FALSE(bad->answer);
  EXPECT_EQ(bad->answer.error().detail, "no such thing");
}

TEST_F(PublishDeskTest, HoweverManyAreToBlameNobodyElseAnswersForThem) {
  store.plan_fails = [](const auto& asked) -> std::optional<failure> {
    const bool has_bad = std::any_of(asked.begin(), asked.end(), [](const auto& name) { return name.starts_with("bad"); });
    return has_bad ? std::optional{failure{errc::conflict, "there already", {}, {}}} : std::nullopt;
  };
  gate started;
  store.before_plan = [&](const auto&) { started.wait(); };
  std::vector<plan_order_ptr> good;
  std::vector<plan_order_ptr> bad;
  for (int i = 0; i < 64; ++i)
    (i % 3 == 0 ? bad : good).push_back(ask((i % 3 == 0 ? "bad " : "good ") + std::to_string(i)));
  started.open();
  receive_answers();
  for (const auto& order : good)
    EXPECT_TRUE(order->answer) << order->job->work().payload;
  for (const auto& order : bad)
    EXPECT_FALSE(order->answer) << order->job->work().payload;
}

TEST_F(PublishDeskTest, WhenNothingWorksEveryOneIsToldAndTheDatabaseIsNotAskedForEachAlone) {
  store.plan_fails = [](const auto&) { return std::optional{failure{errc::transient, "down", {}, {}}}; };
  gate started;
  store.before_plan = [&](const auto&) { started.wait(); };
  std::vector<plan_order_ptr> orders;
  for (int i = 0; i < 64; ++i)
    orders.push_back(ask(std::to_string(i)));
  started.open();
  receive_answers();
  for (const auto& order : orders)
    EXPECT_EQ(order->answer.error().code, errc::transient);
  EXPECT_LT(store.plans().size(), 64u + 40u) << "each alone would be 127";
}

TEST_F(PublishDeskTest, WhatMayHaveHappenedAndWhatIsFencedOutIsNotTriedAgain) {
  for (const auto code : {errc::outcome_unknown, errc::cancelled}) {
    gate started;
    store.plan_fails = [code](const auto&) { return std::optional{failure{code, "gone", {}, {}}}; };
    store.before_plan = [&](const auto&) { started.wait(); };
    const auto before = store.planned().size();
    std::vector<plan_order_ptr> orders;
    for (const auto* name : {"a", "b", "c", "d"})
      orders.push_back(ask(name));
    started.open();
    receive_answers();
    for (const auto& order : orders)
      EXPECT_EQ(order->answer.error().code, code);
    EXPECT_EQ(store.planned().size() - before, 4u);
  }
}

TEST_F(PublishDeskTest, TheFeedHearsOfJobsThatWereMadeAlsoWhenWhoeverAskedHasEnded) {
  auto asking = std::make_unique<caf::scoped_actor>(system);
  auto order = std::make_shared<record_order>();
  order->job = job_named("its publisher ends");
  order->attempt = attempt_id::make();
  order->said = std::make_shared<const result<public_post>>(public_post{});
  order->expires = std::chrono::steady_clock::now() + 60s;
  (*asking)->send(desk, atom::run_v, order);
  asking.reset();
  bool heard = false;
  feed->receive([&](atom::hint, std::int64_t in) { heard = in == 0; }, caf::after(desk_patience) >> [] {});
  EXPECT_TRUE(heard);
  EXPECT_THAT(store.records(), SizeIs(1));
}

TEST_F(PublishDeskTest, OrdersOfTwoLivesOfTheNodeShareNoTransaction) {
  gate both_busy;
  store.before_plan = [&](const auto& asked) {
    if (asked[0] == "first" || asked[0] == "second")
      both_busy.wait();
  };
  ask("first");
  EXPECT_TRUE(becomes("0"));
  ask("second");
  EXPECT_TRUE(becomes("0"));
  ask("old", 1);
  ask("new", 2);
  EXPECT_TRUE(becomes("2"));
  both_busy.open();
  receive_answers();
  EXPECT_THAT(store.plans(), Each(SizeIs(1)));
}

TEST_F(PublishDeskTest, WhoWaitedTooLongIsToldAndNothingHappensForHim) {
  gate both_busy;
  store.before_plan = [&](const auto&) { both_busy.wait(); };
  ask("first");
  EXPECT_TRUE(becomes("0"));
  ask("second");
  EXPECT_TRUE(becomes("0"));
  const auto late = ask("late", 1, 0s);
  EXPECT_TRUE(becomes("1"));
  both_busy.open();
  receive_answers();
  ASSERT_FALSE(late->answer);
  EXPECT_EQ(late->answer.error().code, errc::transient);
  EXPECT_THAT(store.planned(), UnorderedElementsAre("first", "second"));
}

} // namespace

} // namespace carillon
