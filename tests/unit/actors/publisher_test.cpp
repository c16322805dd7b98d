// The publisher between a scripted store and a scripted network: what becomes
// of runs when plans and outcomes cannot be written as hoped.
#include "actors/workspace/publisher.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/database.hpp"
#include "actors/jobs/publish_desk.hpp"
#include "tests/unit/actors/scripted_publishing.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr auto publisher_patience = 30s;

/// Keeps calls until as many are there as the test waits for, then accepts
/// them all.
class patient_network final : public social_gateway {
public:
  explicit patient_network(std::size_t together) : together_(together) {
  }

  network platform() const noexcept override {
    return network::mastodon;
  }
  void publish(outgoing_post post, publish_callback done) override {
    std::vector<std::pair<std::string, publish_callback>> ready;
    {
      std::lock_guard lock{mutex_};
      waiting_.emplace_back(std::move(post.text), std::move(done));
      most_at_once_ = std::max(most_at_once_, waiting_.size());
      if (waiting_.size() >= together_)
        ready.swap(waiting_);
    }
    for (auto& [text, answer] : ready) {
      public_post accepted;
      accepted.id = text;
      answer(std::move(accepted));
    }
  }
  std::size_t most_at_once() {
    std::lock_guard lock{mutex_};
    return most_at_once_;
  }
  void list_recent(account_credentials, instant, std::chrono::milliseconds, list_callback done) override {
    done(failure{errc::permanent, "unasked", {}, {}});
  }
  void find_published(outgoing_post, instant, std::chrono::milliseconds, list_callback done) override {
    done(failure{errc::permanent, "unasked", {}, {}});
  }

private:
  const std::size_t together_;
  std::mutex mutex_;
  std::size_t most_at_once_ = 0;
  std::vector<std::pair<std::string, publish_callback>> waiting_;
};

class publisher_log final : public logger {
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

class PublisherTest : public ::testing::Test {
protected:
  struct ending {
    job_report::kind how;
    std::optional<std::chrono::milliseconds> delay;
    std::string error;
  };

  ~PublisherTest() override {
    caf::anon_send_exit(publisher, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(desk, caf::exit_reason::user_shutdown);
    context->databases = {};
  }

  void start(std::size_t calls_answered_together, std::chrono::milliseconds lease = 30s) {
    context->log = &log;
    network_ = std::make_shared<patient_network>(calls_answered_together);
    context->gateways[network::mastodon] = network_;
    context->lease.extend_until(lease_clock::steady::now() + lease);
    context->databases.background
      = spawn_database(system, {.name = "background",
                                .workers = 1,
                                .queue_limit = 100,
                                .make_store = [this] { return std::make_unique<test::publishing_only>(store); },
                                .log = &log});
    const auto me = caf::actor_cast<caf::strong_actor_ptr>(engine);
    desk = spawn_publish_desk(system, context, caf::actor_cast<job_feed_actor>(me));
    publisher = spawn_publisher(system, context, caf::actor_cast<workspace_actor>(me),
                                caf::actor_cast<job_feed_actor>(me), desk);
  }

  void hand_out(const std::vector<std::string>& names) {
    job_handout out;
    for (const auto& name : names) {
      auto work = std::make_shared<job>();
      work->id = job_id::make();
      work->kind = kinds::publish_post;
      work->payload = name;
      name_of[work->id] = name;
      out.jobs.push_back(std::make_shared<const running_job>(running_job{{"a", 1}, work, 1}));
    }
    engine->send(publisher, atom::job_v, std::move(out));
  }

  /// By name, once each; an empty map when that takes too long.
  std::map<std::string, ending> endings(std::size_t count) {
    std::map<std::string, ending> out;
    bool in_time = true;
    while (in_time && out.size() < count)
      engine->receive(
        [&](atom::conclude, const run_reports& reports) {
          for (const auto& one : reports.all) {
            const auto& name = name_of.at(one.report.id);
            EXPECT_TRUE(out.emplace(name, ending{one.report.how, one.report.delay, one.report.error}).second) << name;
          }
        },
        caf::after(publisher_patience) >> [&] { in_time = false; });
    EXPECT_EQ(out.size(), count);
    return out;
  }

  publisher_log log;
  test::scripted_publishing store;
  engine_context_ptr context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor engine{system};
  std::shared_ptr<patient_network> network_;
  publish_desk_actor desk;
  job_runner_actor publisher;
  std::map<job_id, std::string> name_of;
};

TEST_F(PublisherTest, EachPostIsPlannedOnceAndEndsOnce) {
  start(3);
  hand_out({"a", "b", "c"});
  for (const auto& [name, how] : endings(3))
    EXPECT_EQ(how.how, job_report::kind::concluded) << name;
  EXPECT_THAT(store.planned(), UnorderedElementsAre("a", "b", "c"));
}

TEST_F(PublisherTest, NoMorePostsOfAWorkspaceAreUnderWayThanItsLimit) {
  context->hot.publishing_per_workspace = 2;
  start(2);
  hand_out({"a", "b", "c", "d"});
  EXPECT_EQ(endings(4).size(), 4u);
  EXPECT_EQ(network_->most_at_once(), 2u);
}

TEST_F(PublisherTest, WithoutTimeLeftInTheLeaseNothingIsDecidedAndEveryRunIsPutOff) {
  start(1, 400ms);
  hand_out({"a", "b"});
  for (const auto& [name, how] : endings(2)) {
    EXPECT_EQ(how.how, job_report::kind::postponed) << name;
    EXPECT_EQ(how.delay, 1s) << name;
  }
  EXPECT_THAT(store.plans(), IsEmpty());
  context->lease.extend_until(lease_clock::steady::now() + 30s);
  hand_out({"c"});
  EXPECT_EQ(endings(1).at("c").how, job_report::kind::concluded);
}

TEST_F(PublisherTest, OneThatCannotBePlannedFailsAlone) {
  store.plan_fails = [](const auto& asked) -> std::optional<failure> {
    const bool has_bad = std::find(asked.begin(), asked.end(), "bad") != asked.end();
    return has_bad ? std::optional{failure{errc::permanent, "no such thing", {}, {}}} : std::nullopt;
  };
  start(1);
  hand_out({"a", "bad", "c"});
  const auto ended = endings(3);
  EXPECT_EQ(ended.at("a").how, job_report::kind::concluded);
  EXPECT_EQ(ended.at("c").how, job_report::kind::concluded);
  EXPECT_EQ(ended.at("bad").how, job_report::kind::retry);
  EXPECT_EQ(ended.at("bad").error, "no such thing");
}

TEST_F(PublisherTest, RunsOfALifeThatIsOverEndWithoutAWord) {
  store.plan_fails = [](const auto&) { return std::optional{failure{errc::cancelled, "fenced out", {}, {}}}; };
  start(1);
  hand_out({"a", "b"});
  for (const auto& [name, how] : endings(2))
    EXPECT_EQ(how.how, job_report::kind::concluded) << name;
  EXPECT_THAT(store.planned(), UnorderedElementsAre("a", "b")) << "nothing is asked again";
}

TEST_F(PublisherTest, OneOutcomeThatCannotBeWrittenKeepsNoOther) {
  store.record_fails = [](const auto& asked) -> std::optional<failure> {
    const bool has_bad = std::find(asked.begin(), asked.end(), "bad") != asked.end();
    return has_bad ? std::optional{failure{errc::permanent, "no such thing", {}, {}}} : std::nullopt;
  };
  // Only its first plan has a call; the next one finds nothing to do.
  store.plan_fails = [seen = 0](const auto& asked) mutable -> std::optional<failure> {
    const bool again = asked == test::scripted_publishing::names{"bad"} && seen++ >= 0;
    return again ? std::optional{failure{errc::cancelled, "fenced out", {}, {}}} : std::nullopt;
  };
  start(4);
  hand_out({"a", "b", "bad", "c"});
  const auto ended = endings(4);
  EXPECT_EQ(ended.size(), 4u);
  std::vector<std::string> alone;
  for (const auto& written : store.records())
    if (written.size() == 1)
      alone.push_back(written[0]);
  EXPECT_EQ(std::count(alone.begin(), alone.end(), "bad"), 1);
}

TEST_F(PublisherTest, AnAnswerOutlivesAMomentsTroubleWithTheDatabase) {
  store.record_fails = [left = 2](const auto&) mutable -> std::optional<failure> {
    return left-- > 0 ? std::optional{failure{errc::transient, "connection lost", {}, {}}} : std::nullopt;
  };
  start(1);
  hand_out({"a"});
  EXPECT_EQ(endings(1).at("a").how, job_report::kind::concluded);
  EXPECT_THAT(store.records(), ElementsAre(ElementsAre("a"), ElementsAre("a"), ElementsAre("a")));
  EXPECT_EQ(store.plans().size(), 1u) << "and the call is not made again";
}

} // namespace

} // namespace carillon
