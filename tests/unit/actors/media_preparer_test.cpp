// The preparer of media between a scripted store and a scripted network.
#include "actors/jobs/media_preparer.hpp"

#include <algorithm>
#include <condition_variable>
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
using ::testing::SizeIs;

constexpr auto preparer_patience = 30s;
/// Of the workspace that all posts of these tests are of.
const shard_id preparer_shard = shard_of(workspace_id{});

/// What happens, in order, until a test has seen what it waits for.
class preparer_events {
public:
  void add(std::string what) {
    std::lock_guard lock{mutex_};
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  bool wait_for(const std::string& what, int times = 1) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, preparer_patience,
                             [&] { return std::count(all_.begin(), all_.end(), what) >= times; });
  }
  std::vector<std::string> all() {
    std::lock_guard lock{mutex_};
    return all_;
  }
  std::ptrdiff_t count(const std::string& what) {
    std::lock_guard lock{mutex_};
    return std::count(all_.begin(), all_.end(), what);
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

/// Hands out what a test has put there, each once, but not for busy accounts.
class preparing_store final : public publish_store {
public:
  explicit preparing_store(preparer_events& events) : events_(events) {
  }

  void put(const std::string& name, social_account_id account, const std::vector<std::string>& paths) {
    planned_preparation one;
    one.account_id = account;
    one.target = target_id::make();
    one.account.platform = network::mastodon;
    one.account.platform_account_id = name;
    one.due_in = 60s;
    for (const auto& path : paths)
      one.files.push_back({make_uuid_v7(), {path, "image/png", ""}});
    std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(one));
  }
  std::map<std::string, std::vector<prepared_file>> recorded() {
    std::lock_guard lock{mutex_};
    return recorded_;
  }
  std::vector<preparing_network> asked_networks() {
    std::lock_guard lock{mutex_};
    return networks_;
  }

  result<std::vector<planned_preparation>> plan_preparations(const node_identity&, const shard_list& shards,
                                                             const std::vector<preparing_network>& networks,
                                                             const std::vector<social_account_id>& busy, int limit,
                                                             bool) override {
    std::lock_guard lock{mutex_};
    networks_ = networks;
    events_.add("look");
    std::vector<planned_preparation> out;
    std::vector<planned_preparation> left;
    std::vector<social_account_id> taken = busy;
    for (auto& one : waiting_) {
      const bool is_free = std::find(taken.begin(), taken.end(), one.account_id) == taken.end();
      const bool fits = !shards.empty() && is_free && static_cast<int>(out.size()) < limit;
      if (fits)
        taken.push_back(one.account_id);
      (fits ? out : left).push_back(std::move(one));
    }
    waiting_ = std::move(left);
    return out;
  }
  result<done> record_preparation(const planned_preparation& of, const std::vector<prepared_file>& files,
                                  const account_rates&) override {
    {
      std::lock_guard lock{mutex_};
      recorded_[of.account.platform_account_id] = files;
    }
    events_.add("recorded " + of.account.platform_account_id);
    return done{};
  }
  result<int> forget_preparations(const node_identity&, const shard_list&) override {
    events_.add("forget");
    return 0;
  }

  result<started_posts> start_due(const node_identity&, const shard_list&, int) override {
    return never();
  }
  result<int> repair(const node_identity&, const shard_list&) override {
    return never();
  }
  result<std::vector<publish_plan>> plan(const node_identity&, const std::vector<const job*>&, const publish_rules&,
                                         std::chrono::milliseconds) override {
    return never();
  }
  result<recorded_outcomes> record(const node_identity&, const std::vector<call_outcome>&, const publish_rules&) override {
    return never();
  }
  result<publish_progress> record_check(const node_identity&, const job&, attempt_id,
                                        const result<std::vector<public_post>>&, std::chrono::milliseconds,
                                        const publish_rules&) override {
    return never();
  }
  result<done> remember_rates(const job&, attempt_id, const account_rates&) override {
    return never();
  }
  result<publish_progress> give_up(const node_identity&, const job&, const std::string&) override {
    return never();
  }

private:
  static failure never() {
    ADD_FAILURE() << "nobody should ask for this";
    return {errc::permanent, "unasked", {}, {}};
  }

  preparer_events& events_;
  std::mutex mutex_;
  std::vector<planned_preparation> waiting_;
  std::map<std::string, std::vector<prepared_file>> recorded_;
  std::vector<preparing_network> networks_;
};

class preparing_only final : public test::store_without_ports {
public:
  explicit preparing_only(preparing_store& publishing) : publishing_(publishing) {
  }
  publish_store& publishing() override {
    return publishing_;
  }

private:
  preparing_store& publishing_;
};

/// Answers each file with its path; those that hang when a test says so.
class preparing_gateway final : public social_gateway {
public:
  explicit preparing_gateway(preparer_events& events) : events_(events) {
  }

  std::map<std::string, failure> failures;
  std::string hanging_path;

  void answer_hanging() {
    for (const auto& done : std::exchange(hanging_, {}))
      done(std::string{"late"});
  }

  network platform() const noexcept override {
    return network::mastodon;
  }
  std::chrono::seconds keeps_media() const noexcept override {
    return 12min;
  }
  void prepare_media(early_upload what, prepare_callback done) override {
    if (what.media.path == hanging_path) {
      hanging_.push_back(std::move(done));
      events_.add("upload " + what.media.path);
      return;
    }
    events_.add("upload " + what.media.path);
    if (const auto failing = failures.find(what.media.path); failing != failures.end())
      done(failing->second);
    else
      done("ref " + what.media.path);
  }
  void publish(outgoing_post, publish_callback done) override {
    done(failure{errc::permanent, "unasked", {}, {}});
  }
  void list_recent(account_credentials, instant, std::chrono::milliseconds, list_callback done) override {
    done(failure{errc::permanent, "unasked", {}, {}});
  }
  void find_published(outgoing_post, instant, std::chrono::milliseconds, list_callback done) override {
    done(failure{errc::permanent, "unasked", {}, {}});
  }

private:
  preparer_events& events_;
  std::vector<prepare_callback> hanging_;
};

class preparer_log final : public logger {
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

class MediaPreparerTest : public ::testing::Test {
protected:
  ~MediaPreparerTest() override {
    caf::anon_send_exit(preparer, caf::exit_reason::user_shutdown);
    context->databases = {};
  }

  void start(std::chrono::milliseconds before = 10min) {
    context->log = &log;
    context->gateways[network::mastodon] = gateway;
    context->hot.prepare_media_before = before;
    context->lease.extend_until(lease_clock::steady::now() + 600s);
    context->databases.background
      = spawn_database(system, {.name = "background",
                                .workers = 1,
                                .queue_limit = 100,
                                .make_store = [this] { return std::make_unique<preparing_only>(store); },
                                .log = &log});
    preparer = spawn_media_preparer(system, context);
    caf::anon_send(preparer, atom::gained_v, node_identity{"a", 1}, shard_list{preparer_shard});
  }

  preparer_events events;
  preparer_log log;
  preparing_store store{events};
  std::shared_ptr<preparing_gateway> gateway = std::make_shared<preparing_gateway>(events);
  engine_context_ptr context = std::make_shared<engine_context>();
  caf::actor_system_config config;
  caf::actor_system system{config};
  media_preparer_actor preparer;
};

TEST_F(MediaPreparerTest, TheFilesOfAPostGoOneAfterTheOtherAndAreKeptTogether) {
  store.put("one", social_account_id::make(), {"a", "b"});
  start();
  ASSERT_TRUE(events.wait_for("recorded one"));
  EXPECT_THAT(events.all(), ElementsAre("look", "upload a", "upload b", "recorded one"));
  const auto files = store.recorded().at("one");
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].reference, "ref a");
  EXPECT_EQ(files[1].reference, "ref b");
  EXPECT_EQ(files[0].holds, 12min) << "as long as the network keeps it";
}

TEST_F(MediaPreparerTest, AFileGoesNoEarlierThanHalfTheTimeForWhichTheNetworkKeepsIt) {
  start(10min);
  ASSERT_TRUE(events.wait_for("look"));
  ASSERT_THAT(store.asked_networks(), SizeIs(1));
  EXPECT_EQ(store.asked_networks()[0].ahead, 6min);
}

TEST_F(MediaPreparerTest, AnAccountThatHangsDelaysOnlyItself) {
  const auto slow = social_account_id::make();
  store.put("slow", slow, {"hangs"});
  store.put("slow-2", slow, {"waits"});
  for (int i = 0; i < 20; ++i)
    store.put("other", social_account_id::make(), {"quick"});
  gateway->hanging_path = "hangs";
  start();
  ASSERT_TRUE(events.wait_for("upload hangs"));
  ASSERT_TRUE(events.wait_for("recorded other", 20));
  EXPECT_EQ(events.count("upload waits"), 0) << "one at a time of an account";
  gateway->answer_hanging();
  ASSERT_TRUE(events.wait_for("recorded slow-2"));
}

TEST_F(MediaPreparerTest, AFailureEndsThePostsTurnAndIsTriedAgainWhenItMayHelp) {
  store.put("down", social_account_id::make(), {"a", "transient", "b"});
  store.put("slow-down", social_account_id::make(), {"throttled"});
  store.put("refused", social_account_id::make(), {"permanent"});
  gateway->failures = {{"transient", {errc::transient, "no connection", {}, {}}},
                       {"throttled", {errc::throttled, "429", {}, 300s}},
                       {"permanent", {errc::permanent, "no such kind of file", {}, {}}}};
  start();
  for (const auto* name : {"down", "slow-down", "refused"})
    ASSERT_TRUE(events.wait_for(std::string{"recorded "} + name));
  const auto recorded = store.recorded();
  ASSERT_THAT(recorded.at("down"), SizeIs(2)) << "the third is not begun";
  EXPECT_EQ(recorded.at("down")[0].reference, "ref a");
  EXPECT_EQ(recorded.at("down")[1].reference, "");
  EXPECT_EQ(recorded.at("down")[1].holds, 60s);
  EXPECT_EQ(recorded.at("slow-down").at(0).holds, 300s);
  EXPECT_EQ(recorded.at("refused").at(0).holds, 12min) << "the due call says so";
}

TEST_F(MediaPreparerTest, WhatWasNotTriedIsNotWrittenAndItsAccountIsLeftAlone) {
  const auto account = social_account_id::make();
  store.put("held-back", account, {"cancelled"});
  store.put("next", account, {"a"});
  gateway->failures = {{"cancelled", {errc::cancelled, "the server does not answer", {}, 5s}}};
  start();
  ASSERT_TRUE(events.wait_for("upload cancelled"));
  store.put("other", social_account_id::make(), {"b"});
  caf::anon_send(preparer, atom::sweep_v);
  ASSERT_TRUE(events.wait_for("recorded other"));
  EXPECT_EQ(events.count("recorded held-back"), 0);
  EXPECT_EQ(events.count("upload a"), 0);
}

TEST_F(MediaPreparerTest, WhatIsPlannedForShardsThatAreGivenAwayIsNotBegun) {
  gateway->hanging_path = "hangs";
  for (int i = 0; i < 16; ++i)
    store.put("at-work", social_account_id::make(), {"hangs"});
  store.put("planned", social_account_id::make(), {"a"});
  start();
  ASSERT_TRUE(events.wait_for("upload hangs", 16));
  caf::anon_send(preparer, atom::drain_v, shard_list{preparer_shard});
  gateway->answer_hanging();
  ASSERT_TRUE(events.wait_for("recorded at-work", 16));
  EXPECT_EQ(events.count("upload a"), 0);
}

TEST_F(MediaPreparerTest, SwitchedOffNothingIsLookedForAndTheSweepStillForgets) {
  store.put("one", social_account_id::make(), {"a"});
  start(0ms);
  caf::anon_send(preparer, atom::sweep_v);
  ASSERT_TRUE(events.wait_for("forget"));
  caf::anon_send(preparer, atom::hint_v, std::int64_t{1'000});
  EXPECT_THAT(events.all(), ElementsAre("forget"));
  context->hot.prepare_media_before = std::chrono::milliseconds{600'000};
  caf::anon_send(preparer, atom::sweep_v);
  EXPECT_TRUE(events.wait_for("recorded one")) << "the switch works while it runs";
}

TEST_F(MediaPreparerTest, AHintOfAPostThatIsDueSoonIsEnough) {
  start();
  ASSERT_TRUE(events.wait_for("look"));
  store.put("one", social_account_id::make(), {"a"});
  caf::anon_send(preparer, atom::hint_v, std::int64_t{300'000});
  EXPECT_TRUE(events.wait_for("recorded one"));
}

TEST_F(MediaPreparerTest, WithoutAShardOrALeaseNothingIsUploaded) {
  store.put("one", social_account_id::make(), {"a"});
  start();
  ASSERT_TRUE(events.wait_for("recorded one"));
  caf::anon_send(preparer, atom::lost_v);
  store.put("two", social_account_id::make(), {"b"});
  caf::anon_send(preparer, atom::sweep_v);
  caf::anon_send(preparer, atom::gained_v, node_identity{"a", 2}, shard_list{});
  caf::anon_send(preparer, atom::gained_v, node_identity{"a", 2}, shard_list{preparer_shard});
  caf::anon_send(preparer, atom::sweep_v);
  ASSERT_TRUE(events.wait_for("forget"));
  EXPECT_EQ(events.count("forget"), 1) << "only once it has a shard";
  EXPECT_TRUE(events.wait_for("recorded two"));
}

} // namespace

} // namespace carillon
