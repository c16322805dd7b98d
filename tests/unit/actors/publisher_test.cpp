// The publisher between a scripted store and a scripted network: what becomes
// of runs when plans and outcomes cannot be written as hoped.
#include "actors/workspace/publisher.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/database.hpp"
#include "tests/support/store_without_ports.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto publisher_patience = 30s;

/// Which jobs each call was for, by their payloads; what it answers is the
/// test's to say.
class scripted_publishing final : public publish_store {
public:
  using names = std::vector<std::string>;

  std::function<std::optional<failure>(const names&)> plan_fails = [](const names&) { return std::nullopt; };
  std::function<std::optional<failure>(const names&)> record_fails = [](const names&) { return std::nullopt; };

  std::vector<names> plans() {
    std::lock_guard lock{mutex_};
    return plans_;
  }
  std::vector<names> records() {
    std::lock_guard lock{mutex_};
    return records_;
  }

  result<std::vector<publish_plan>> plan(const node_identity&, const std::vector<const job*>& jobs,
                                         const publish_rules&, std::chrono::milliseconds) override {
    names asked;
    std::vector<publish_plan> out;
    for (const auto* one : jobs) {
      asked.push_back(one->payload);
      planned_call call;
      call.attempt = attempt_id::make();
      call.target = target_id::make();
      call.post.text = one->payload;
      out.emplace_back().calls.push_back(std::move(call));
    }
    std::lock_guard lock{mutex_};
    plans_.push_back(asked);
    if (auto f = plan_fails(asked))
      return std::move(*f);
    return out;
  }
  result<recorded_outcomes> record(const node_identity&, const std::vector<call_outcome>& outcomes,
                                   const publish_rules&) override {
    names asked;
    for (const auto& one : outcomes)
      asked.push_back(one.job->payload);
    std::lock_guard lock{mutex_};
    records_.push_back(asked);
    if (auto f = record_fails(asked))
      return std::move(*f);
    return recorded_outcomes{std::vector<bool>(outcomes.size(), true), {}};
  }

  result<started_posts> start_due(const node_identity&, const shard_list&, int) override {
    return unasked();
  }
  result<int> repair(const node_identity&, const shard_list&) override {
    return unasked();
  }
  result<publish_progress> record_check(const node_identity&, const job&, attempt_id,
                                        const result<std::vector<public_post>>&, std::chrono::milliseconds,
                                        const publish_rules&) override {
    return unasked();
  }
  result<done> remember_rates(const job&, attempt_id, const account_rates&) override {
    return unasked();
  }
  result<std::vector<planned_preparation>> plan_preparations(const node_identity&, const shard_list&,
                                                             const std::vector<preparing_network>&,
                                                             const std::vector<social_account_id>&, int, bool) override {
    return unasked();
  }
  result<done> record_preparation(const planned_preparation&, const std::vector<prepared_file>&,
                                  const account_rates&) override {
    return unasked();
  }
  result<int> forget_preparations(const node_identity&, const shard_list&) override {
    return unasked();
  }
  result<publish_progress> give_up(const node_identity&, const job&, const std::string&) override {
    return unasked();
  }

private:
  static failure unasked() {
    ADD_FAILURE() << "nobody should ask for this";
    return {errc::permanent, "unasked", {}, {}};
  }

  std::mutex mutex_;
  std::vector<names> plans_;
  std::vector<names> records_;
};

class publishing_only final : public test::store_without_ports {
public:
  explicit publishing_only(scripted_publishing& publishing) : publishing_(publishing) {
  }
  publish_store& publishing() override {
    return publishing_;
  }

private:
  scripted_publishing& publishing_;
};

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
      if (waiting_.size() >= together_)
        ready.swap(waiting_);
    }
    for (auto& [text, answer] : ready) {
      public_post accepted;
      accepted.id = text;
      answer(std::move(accepted));
    }
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
    context->databases = {};
  }

  void start(std::size_t calls_answered_together, std::chrono::milliseconds lease = 30s) {
    context->log = &log;
    context->gateways[network::mastodon] = std::make_shared<patient_network>(calls_answered_together);
    context->lease.extend_until(lease_clock::steady::now() + lease);
    context->databases.background
      = spawn_database(system, {.name = "background",
                                .workers = 1,
                                .queue_limit = 100,
                                .make_store = [this] { return std::make_unique<publishing_only>(store); },
                                .log = &log});
    const auto me = caf::actor_cast<caf::strong_actor_ptr>(engine);
    publisher = spawn_publisher(system, context, caf::actor_cast<workspace_actor>(me),
                                caf::actor_cast<job_feed_actor>(me));
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
  scripted_publishing store;
  engine_context_ptr context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor engine{system};
  job_runner_actor publisher;
  std::map<job_id, std::string> name_of;
};

TEST_F(PublisherTest, PostsOfAWorkspaceArePlannedTogetherAndEachEndsOnce) {
  start(3);
  hand_out({"a", "b", "c"});
  for (const auto& [name, how] : endings(3))
    EXPECT_EQ(how.how, job_report::kind::concluded) << name;
  EXPECT_THAT(store.plans(), ElementsAre(ElementsAre("a", "b", "c")));
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

TEST_F(PublisherTest, RunsThatCannotBePlannedTogetherArePlannedOneByOne) {
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
  EXPECT_EQ(store.plans().size(), 1u) << "nothing is asked again";
}

TEST_F(PublisherTest, OutcomesThatCannotBeWrittenTogetherAreWrittenOneByOneAndOneToBlameIsNot) {
  store.record_fails = [](const auto& asked) -> std::optional<failure> {
    const bool has_bad = std::find(asked.begin(), asked.end(), "bad") != asked.end();
    return has_bad ? std::optional{failure{errc::permanent, "no such thing", {}, {}}} : std::nullopt;
  };
  // Only its first plan has a call; the next one finds nothing to do.
  store.plan_fails = [seen = 0](const auto& asked) mutable -> std::optional<failure> {
    const bool again = asked == scripted_publishing::names{"bad"} && seen++ >= 0;
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
