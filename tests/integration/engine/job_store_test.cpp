#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/clock.hpp"
#include "storage/job_repository.hpp"
#include "storage/job_writer.hpp"
#include "storage/ownership_repository.hpp"
#include "tests/support/noted_intake.hpp"
#include "tests/support/process.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class JobStoreTest : public ::testing::Test {
protected:
  new_job make_job(std::string unique_key = {}) {
    new_job out;
    out.kind = kinds::send_notification_email;
    out.tenant = data.tenant;
    out.workspace = data.workspace;
    out.payload = R"({"v":1})";
    out.unique_key = std::move(unique_key);
    return out;
  }

  static shard_list all_shards() {
    shard_list out;
    for (int i = 0; i < shard_count; ++i)
      out.push_back(static_cast<shard_id>(i));
    return out;
  }

  node_identity start_node(const std::string& name) {
    const auto me = *ownership.start_incarnation(name, 10s);
    EXPECT_TRUE(ownership.take_free(me, 256));
    return me;
  }

  void kill(const node_identity& node) {
    db.exec("UPDATE carillon.node_leases SET expires_at = now() - interval '1 second' WHERE incarnation = "
            + std::to_string(node.incarnation));
    EXPECT_EQ(*ownership.end_expired(), 1);
  }

  static due_query query(std::int64_t first_batch = 1, int limit = 500) {
    due_query out;
    out.shards = all_shards();
    for (const auto& policy : job_policies())
      out.kinds.emplace_back(policy.kind);
    out.limit = limit;
    out.first_batch = first_batch;
    return out;
  }

  static hinted_query hinted(std::vector<workspace_id> workspaces, std::int64_t batch = 1) {
    hinted_query out;
    out.workspaces = std::move(workspaces);
    out.shards = all_shards();
    for (const auto& policy : job_policies())
      out.kinds.emplace_back(policy.kind);
    out.batch = batch;
    return out;
  }

  static std::vector<job_report> success_of(const std::vector<job>& taken) {
    std::vector<job_report> out;
    for (const auto& work : taken) {
      out.push_back(report(work.id, job_report::kind::succeeded));
      out.back().place = work.place;
    }
    return out;
  }

  static job_report report(const job_id& id, job_report::kind how, std::string error = {},
                           std::optional<std::chrono::milliseconds> delay = {}) {
    return {id, how, std::move(error), delay, 0};
  }

  std::vector<job> take(const node_identity& me, const std::vector<job_id>& busy = {}, int limit = 500) {
    auto wanted = query(next_batch, limit);
    const std::unordered_set<job_id> in_hand{busy.begin(), busy.end()};
    wanted.in_hand = &in_hand;
    auto due = jobs.take_due(me, wanted);
    EXPECT_TRUE(due);
    std::vector<job> out;
    for (auto& batch : due->batches) {
      next_batch = batch.number + 1;
      last_batches.push_back(batch.number);
      out.insert(out.end(), batch.jobs.begin(), batch.jobs.end());
    }
    return out;
  }

  test::test_database db;
  test::seed data{db};
  storage::job_repository jobs{db.connection()};
  storage::ownership_repository ownership{db.connection()};
  std::int64_t next_batch = 1;
  std::vector<std::int64_t> last_batches;
};

TEST_F(JobStoreTest, EnqueueInARolledBackTransactionLeavesNothing) {
  auto rolled_back = db.connection().transact("test", [&](pqxx::work& tx) -> result<done> {
    EXPECT_TRUE(storage::insert_job(tx, make_job()));
    return failure{errc::cancelled, "changed my mind", {}, {}};
  });
  EXPECT_FALSE(rolled_back);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
}

class TakingTest : public JobStoreTest {
protected:
  std::string manifests() {
    return db.exec("SELECT coalesce(string_agg(batch || ':' || array_to_string(job_ids, ','), ' '), '') "
                   "FROM carillon.job_manifests");
  }
  std::vector<take_outcome> outcomes() const {
    std::vector<take_outcome> out;
    for (const auto& [what, how] : intake.ended)
      out.push_back(how);
    return out;
  }

  node_identity me = start_node("a");
  test::noted_intake intake;
  storage::connection session{test::session_with(db, intake), db.log()};
  storage::job_repository own{session};
};

TEST_F(TakingTest, AJobOfTheNodesOwnIsTakenWithTheTransactionThatEnqueuesIt) {
  intake.owner = me;
  hints after_commit;
  auto fresh = make_job("one");
  fresh.correlation_id = "c";
  fresh.rate_key = "r";
  const auto id = own.enqueue(fresh, after_commit);
  ASSERT_TRUE(id) << id.error().detail;
  EXPECT_THAT(after_commit, ::testing::IsEmpty()) << "nobody has to be told";
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::taken));
  EXPECT_EQ(manifests(), "71:" + to_string(*id));
  ASSERT_EQ(intake.taken.size(), 1u);
  const auto& work = intake.taken[0];
  const auto read = take(me);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(work.id, read[0].id);
  EXPECT_EQ(work.kind, read[0].kind);
  EXPECT_EQ(work.tenant, read[0].tenant);
  EXPECT_EQ(work.workspace, read[0].workspace);
  EXPECT_EQ(work.attempt, read[0].attempt);
  EXPECT_EQ(work.max_attempts, read[0].max_attempts);
  EXPECT_EQ(work.priority, read[0].priority);
  EXPECT_EQ(work.revision, read[0].revision);
  EXPECT_EQ(work.place, read[0].place);
  EXPECT_EQ(work.run_at, read[0].run_at);
  EXPECT_EQ(work.unique_key, read[0].unique_key);
  EXPECT_EQ(work.rate_key, read[0].rate_key);
  EXPECT_EQ(work.correlation_id, read[0].correlation_id);
  ASSERT_TRUE(jobs.conclude(me, success_of({work}), {71}));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
  EXPECT_EQ(db.exec("SELECT state FROM carillon.job_history"), "succeeded");
}

TEST_F(TakingTest, AnEndedLifeTakesNothingAndTheJobIsThereToBeRead) {
  intake.owner = me;
  kill(me);
  hints after_commit;
  ASSERT_TRUE(own.enqueue(make_job(), after_commit));
  EXPECT_EQ(after_commit.size(), 1u);
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::not_taken));
  EXPECT_EQ(manifests(), "");
  EXPECT_EQ(take(start_node("b")).size(), 1u);
}

TEST_F(TakingTest, AJobThatIsThereAlreadyIsNotTakenASecondTime) {
  intake.owner = me;
  ASSERT_TRUE(own.enqueue(make_job("one")));
  hints after_commit;
  EXPECT_EQ(own.enqueue(make_job("one"), after_commit).error().code, errc::conflict);
  EXPECT_THAT(after_commit, ::testing::IsEmpty());
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::taken, take_outcome::not_taken));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "1");
}

TEST_F(TakingTest, AJobThatIsEnqueuedAgainIsLeftToItsOwner) {
  intake.owner = me;
  auto again = make_job("again");
  again.kind = kinds::send_notification_digest;
  ASSERT_TRUE(own.enqueue(again));
  again.id = job_id::make();
  hints after_commit;
  ASSERT_TRUE(own.enqueue(again, after_commit));
  EXPECT_EQ(after_commit.size(), 1u);
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::taken, take_outcome::not_taken));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "1");
}

TEST_F(TakingTest, TheSameJobAgainWhileItIsLiveIsLeftToItsOwner) {
  intake.owner = me;
  auto same = make_job("same");
  same.kind = kinds::send_notification_digest;
  ASSERT_TRUE(jobs.enqueue(same));
  hints after_commit;
  ASSERT_TRUE(own.enqueue(same, after_commit));
  EXPECT_EQ(after_commit.size(), 1u);
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::not_taken)) << "a read that is told of it decides";
  EXPECT_EQ(manifests(), "");
}

TEST_F(TakingTest, ATakeThatWaitsForTheEndOfItsLifeIsNone) {
  intake.owner = me;
  auto other = db.connect();
  std::future<result<job_id>> late;
  const auto ended = other->transact("end", [&](pqxx::work& tx) -> result<done> {
    tx.exec("UPDATE carillon.node_incarnations SET ended_at = now() WHERE incarnation = "
            + std::to_string(me.incarnation));
    late = std::async(std::launch::async, [&] { return own.enqueue(make_job()); });
    EXPECT_TRUE(test::eventually([&] {
      return db.exec("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%held%'") == "1";
    }));
    return done{};
  });
  ASSERT_TRUE(ended);
  EXPECT_TRUE(late.get());
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::not_taken));
  EXPECT_EQ(manifests(), "");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "1");
}

TEST_F(TakingTest, AJobForLaterIsNotTaken) {
  intake.owner = me;
  auto later = make_job();
  later.run_at = system_clock{}.now() + 1h;
  hints after_commit;
  ASSERT_TRUE(own.enqueue(later, after_commit));
  EXPECT_EQ(intake.reserved, 0);
  ASSERT_EQ(after_commit.size(), 1u);
  EXPECT_EQ(after_commit[0].at, *later.run_at);
}

TEST_F(TakingTest, ATakeOfARolledBackTransactionIsNone) {
  intake.owner = me;
  EXPECT_FALSE(session.transact("test", [&](pqxx::work& tx) -> result<done> {
    EXPECT_EQ(storage::insert_job_to_run(tx, make_job()), storage::inserted::taken);
    return failure{errc::cancelled, "changed my mind", {}, {}};
  }));
  EXPECT_FALSE(session.transact("test", [&](pqxx::work& tx) -> result<done> {
    EXPECT_EQ(storage::insert_job_to_run(tx, make_job()), storage::inserted::taken);
    tx.exec("SELECT 1/0");
    return done{};
  }));
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::not_taken, take_outcome::not_taken));
  EXPECT_EQ(manifests(), "");
}

TEST_F(TakingTest, AMalformedPayloadIsRefusedAndNothingIsTaken) {
  intake.owner = me;
  for (const auto* payload : {"{}", "[1]", "{\"v\":"}) {
    auto bad = make_job();
    bad.payload = payload;
    EXPECT_FALSE(own.enqueue(bad)) << payload;
  }
  EXPECT_THAT(outcomes(), ::testing::Each(take_outcome::not_taken));
  EXPECT_EQ(outcomes().size(), 3u);
}

TEST_F(TakingTest, ATakeWhoseTransactionIsInDoubtIsLeftToBeRead) {
  intake.owner = me;
  {
    storage::job_takes page{&intake};
    ASSERT_TRUE(storage::job_takes::current()->reserve(job_id::make(), data.workspace));
    page.took({});
    page.settle(storage::job_takes::ending::unknown);
  }
  EXPECT_EQ(storage::job_takes::current(), nullptr);
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::unknown));
}

TEST_F(TakingTest, ASessionThatEndsWithTheStatementLeavesItInDoubt) {
  intake.owner = me;
  db.exec("CREATE FUNCTION carillon.end_session() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
          "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$; "
          "CREATE TRIGGER end_session BEFORE INSERT ON carillon.jobs FOR EACH ROW EXECUTE FUNCTION carillon.end_session()");
  EXPECT_EQ(own.enqueue(make_job()).error().code, errc::outcome_unknown);
  EXPECT_THAT(outcomes(), ::testing::ElementsAre(take_outcome::unknown));
}

TEST_F(TakingTest, ATakenJobOfADeadNodeBecomesASuspectLikeAnyThatItHadInHand) {
  intake.owner = me;
  ASSERT_TRUE(own.enqueue(make_job()));
  kill(me);
  const auto next = start_node("b");
  ASSERT_TRUE(jobs.adopt(next, all_shards(), 3));
  const auto again = take(next);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_GT(again[0].suspicion, 0);
  EXPECT_EQ(again[0].crashes, 1) << "it was alone";
}

TEST_F(JobStoreTest, OfJobsThatRunThoseThatHaveEndedAreFound) {
  const auto kept = *jobs.enqueue(make_job());
  const auto gone = *jobs.enqueue(make_job());
  ASSERT_TRUE(jobs.cancel(scope::maintenance("test"), {}, gone));
  EXPECT_EQ(*jobs.find_ended({kept, gone}), std::vector{gone});
}

TEST_F(JobStoreTest, ALiveUniqueKeyRefusesASecondJob) {
  ASSERT_TRUE(jobs.enqueue(make_job("once")));
  EXPECT_EQ(jobs.enqueue(make_job("once")).error().code, errc::conflict);
}

TEST_F(JobStoreTest, TakingWritesOneManifestAndLeavesOutWhatIsInFlight) {
  const auto me = start_node("a");
  ASSERT_TRUE(jobs.enqueue(make_job()));
  ASSERT_TRUE(jobs.enqueue(make_job()));
  const auto taken = take(me);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(db.exec("SELECT cardinality(job_ids) FROM carillon.job_manifests"), "2");
  EXPECT_TRUE(take(me, {taken[0].id, taken[1].id}).empty());
}

TEST_F(JobStoreTest, OthersShardsAndLaterJobsStayAndTheNextDueTimeIsTold) {
  const auto me = start_node("a");
  auto later = make_job();
  later.run_at = system_clock{}.now() + 1h;
  ASSERT_TRUE(jobs.enqueue(later));
  ASSERT_TRUE(jobs.enqueue(make_job()));
  auto elsewhere = query();
  elsewhere.shards = {static_cast<shard_id>(shard_of(data.workspace) ^ 1)};
  auto none = jobs.take_due(me, elsewhere);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->batches.empty());
  EXPECT_FALSE(none->next_in) << "else it is asked for without end";
  auto due = jobs.take_due(me, query());
  ASSERT_EQ(due->batches.size(), 1u);
  EXPECT_EQ(due->batches[0].jobs.size(), 1u);
  ASSERT_TRUE(due->next_in);
  EXPECT_GT(*due->next_in, 59min);
}

TEST_F(JobStoreTest, AJobOfAnUnknownKindStaysWhereItIs) {
  const auto me = start_node("a");
  db.exec("INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) VALUES "
          "(gen_random_uuid(), 'from_the_future', 'x', '" + to_string(data.tenant) + "', '"
          + to_string(data.workspace) + "', '{\"v\":1}', 1)");
  EXPECT_TRUE(take(me).empty());
  EXPECT_EQ(jobs.list(scope::tenant(data.tenant), {})->size(), 1u);
}

// The cursor is only an accelerator: a row that commits late lies behind
// everything read meanwhile and must still be run.
TEST_F(JobStoreTest, AJobWhoseTransactionWasOpenAcrossTenThousandLaterCommitsIsStillTaken) {
  const auto me = start_node("a");
  auto slow = db.connect();
  const auto late = make_job();
  auto outcome = slow->transact("slow", [&](pqxx::work& tx) -> result<done> {
    storage::insert_job(tx, late);
    pqxx::connection other{db.url()};
    pqxx::nontransaction autocommit{other};
    autocommit.exec(
      "DO $$ BEGIN FOR i IN 1..10000 LOOP "
      "INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) VALUES "
      "(gen_random_uuid(), 'send_notification_email', 'notifications', '" + to_string(data.tenant)
      + "', '" + to_string(data.workspace) + "', '{\"v\":1}', 3); COMMIT; END LOOP; END $$");
    std::size_t taken = 0;
    while (taken < 10'000) {
      const auto batch = take(me);
      if (batch.empty())
        break;
      taken += batch.size();
      std::vector<job_report> reports;
      for (const auto& j : batch)
        reports.push_back(report(j.id, job_report::kind::succeeded));
      EXPECT_TRUE(jobs.conclude(me, reports, last_batches));
    }
    EXPECT_EQ(taken, 10'000u);
    return done{};
  });
  ASSERT_TRUE(outcome);
  const auto found = take(me);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, late.id);
}

TEST_F(JobStoreTest, ConcludedJobsMoveToTheHistoryAndTheManifestGoes) {
  const auto me = start_node("a");
  const auto id = *jobs.enqueue(make_job());
  ASSERT_EQ(take(me).size(), 1u);
  ASSERT_TRUE(jobs.conclude(me, {report(id, job_report::kind::succeeded)}, last_batches));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "0");
  EXPECT_EQ(jobs.find(scope::tenant(data.tenant), id)->state, job_state::succeeded);
}

TEST_F(JobStoreTest, AFailedTryKeepsItsErrorAndTheLastOneIsADeadLetter) {
  const auto me = start_node("a");
  const auto id = *jobs.enqueue(make_job());
  for (int attempt = 1; attempt <= 3; ++attempt) {
    auto discarded = jobs.conclude(me, {report(id, job_report::kind::retry, "it \"broke\" \\ again", 1min)}, {});
    ASSERT_TRUE(discarded);
    EXPECT_EQ(discarded->discarded.size(), attempt == 3 ? 1u : 0u);
  }
  const auto dead = jobs.find(scope::maintenance("test"), id);
  ASSERT_TRUE(dead);
  EXPECT_EQ(dead->state, job_state::discarded);
  EXPECT_EQ(dead->attempt, 3);
  EXPECT_EQ(db.exec("SELECT jsonb_array_length(errors) FROM carillon.job_history"), "3");
}

TEST_F(JobStoreTest, AFencedOutNodeCanNeitherTakeNorConclude) {
  const auto old = start_node("a");
  const auto id = *jobs.enqueue(make_job());
  ASSERT_EQ(take(old).size(), 1u);
  kill(old);
  EXPECT_EQ(jobs.take_due(old, query(5)).error().code, errc::cancelled);
  EXPECT_EQ(jobs.conclude(old, {report(id, job_report::kind::succeeded)}, {}).error().code, errc::cancelled);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "1");
}

TEST_F(JobStoreTest, ADeadNodesJobsBecomeSuspectsEachAloneInItsNextManifest) {
  const auto old = start_node("a");
  ASSERT_TRUE(jobs.enqueue(make_job()));
  ASSERT_TRUE(jobs.enqueue(make_job()));
  ASSERT_EQ(take(old).size(), 2u);
  kill(old);
  const auto next = start_node("b");
  EXPECT_TRUE(jobs.adopt(next, all_shards(), 3)->empty());
  auto due = jobs.take_due(next, query());
  ASSERT_EQ(due->batches.size(), 2u);
  EXPECT_EQ(due->batches[0].jobs[0].crashes, 0) << "an innocent neighbour was charged";
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests WHERE cardinality(job_ids) = 1"), "2");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests WHERE incarnation = "
                    + std::to_string(old.incarnation)), "0");
}

TEST_F(JobStoreTest, AJobThatWasAloneAtThreeDeathsComesBackToBeDiscarded) {
  ASSERT_TRUE(jobs.enqueue(make_job()));
  for (int death = 1; death <= 3; ++death) {
    const auto node = start_node("n" + std::to_string(death));
    auto crashed = jobs.adopt(node, all_shards(), 3);
    ASSERT_TRUE(crashed);
    EXPECT_TRUE(crashed->empty());
    ASSERT_EQ(take(node).size(), 1u);
    kill(node);
  }
  const auto last = start_node("last");
  auto crashed = jobs.adopt(last, all_shards(), 3);
  ASSERT_EQ(crashed->size(), 1u);
  EXPECT_EQ(crashed->front().crashes, 3);
  EXPECT_EQ(crashed->front().attempt, 0) << "a crash is not an attempt";
}

TEST_F(JobStoreTest, ConcludingWhereTheRowLayMeetsNoOtherJobThatLiesThereNow) {
  const auto me = start_node("a");
  const auto first = *jobs.enqueue(make_job());
  const auto taken = take(me);
  ASSERT_EQ(taken.size(), 1u);
  ASSERT_NE(taken[0].place, 0u);
  const auto bystander = *jobs.enqueue(make_job());
  const auto place = db.exec("SELECT ctid FROM carillon.jobs WHERE id = '" + to_string(bystander) + "'");
  ASSERT_EQ(place.front(), '(');
  const auto comma = place.find(',');
  const auto there = (std::stoull(place.substr(1, comma - 1)) << 16) | std::stoull(place.substr(comma + 1));
  ASSERT_NE(there, taken[0].place);
  auto said = report(first, job_report::kind::succeeded);
  said.place = there;
  ASSERT_TRUE(jobs.conclude(me, {said}, last_batches));
  EXPECT_EQ(jobs.find(scope::tenant(data.tenant), first)->state, job_state::succeeded);
  EXPECT_EQ(jobs.find(scope::tenant(data.tenant), bystander)->state, job_state::available);
}

TEST_F(JobStoreTest, JobsWhoseRowsMovedSinceTheyWereReadAreConcludedAllTheSame) {
  const auto me = start_node("a");
  std::vector<new_job> many;
  for (int i = 0; i < 20; ++i)
    many.push_back(make_job());
  ASSERT_EQ(*jobs.enqueue_many(many, std::nullopt), 20);
  const auto taken = take(me);
  ASSERT_EQ(taken.size(), 20u);
  db.exec("UPDATE carillon.jobs SET updated_at = now() WHERE id < '" + to_string(taken[10].id) + "'");
  ASSERT_TRUE(jobs.conclude(me, success_of(taken), last_batches));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "0");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_history WHERE state = 'succeeded'"), "20");
}

TEST_F(JobStoreTest, AJobEnqueuedAgainWhileItRanStaysWhereverItsRowLies) {
  const auto me = start_node("a");
  const auto id = *jobs.enqueue(make_job("again"));
  const auto taken = take(me);
  ASSERT_EQ(taken.size(), 1u);
  db.exec("UPDATE carillon.jobs SET revision = revision + 1, run_at = now() - interval '1 hour'");
  auto said = report(id, job_report::kind::succeeded);
  said.place = taken[0].place;
  ASSERT_TRUE(jobs.conclude(me, {said}, last_batches));
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.jobs"), "1");
  EXPECT_EQ(db.exec("SELECT run_at > now() - interval '1 minute' AND run_at <= now() FROM carillon.jobs"), "t")
    << "no read that goes on from a cursor would come to it";
}

TEST_F(JobStoreTest, AJobEnqueuedAgainDuringItsConclusionRunsOnceMoreAndTheOthersAreConcluded) {
  const auto me = start_node("a");
  const auto again = *jobs.enqueue(make_job("again"));
  std::vector<new_job> many(20);
  std::generate(many.begin(), many.end(), [this] { return make_job(); });
  ASSERT_EQ(*jobs.enqueue_many(many, std::nullopt), 20);
  const auto taken = take(me);
  ASSERT_EQ(taken.size(), 21u);

  pqxx::connection other{db.url()};
  pqxx::work change{other};
  change.exec("UPDATE carillon.jobs SET revision = revision + 1 WHERE id = '" + to_string(again) + "'");
  auto concluded = std::async(std::launch::async, [&] {
    const auto session = db.connect();
    return storage::job_repository{*session}.conclude(me, success_of(taken), last_batches);
  });
  EXPECT_TRUE(test::eventually([&] {
    return db.exec("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
           == "1";
  })) << "the conclusion meets the row that is being changed";
  change.commit();
  ASSERT_TRUE(concluded.get());
  EXPECT_EQ(db.exec("SELECT id::text || revision FROM carillon.jobs"), to_string(again) + "1");
  EXPECT_EQ(db.exec("SELECT count(*) || ',' || count(DISTINCT id) FROM carillon.job_history WHERE state = 'succeeded'"),
            "20,20");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "0");
}

TEST_F(JobStoreTest, ManyConclusionsOfWhichSomeFailedAreWrittenTogether) {
  const auto me = start_node("a");
  std::vector<new_job> many(30);
  std::generate(many.begin(), many.end(), [this] { return make_job(); });
  ASSERT_EQ(*jobs.enqueue_many(many, std::nullopt), 30);
  auto reports = success_of(take(me));
  ASSERT_EQ(reports.size(), 30u);
  reports[3].how = job_report::kind::retry;
  reports[3].error = "no";
  reports[3].delay = 1h;
  reports[7].how = job_report::kind::discarded;
  reports[7].error = "never";
  const auto concluded = jobs.conclude(me, reports, last_batches);
  ASSERT_TRUE(concluded);
  EXPECT_THAT(concluded->discarded, ::testing::ElementsAre(reports[7].id));
  EXPECT_EQ(db.exec("SELECT id::text || state || attempt FROM carillon.jobs"), to_string(reports[3].id) + "retrying1");
  EXPECT_EQ(db.exec("SELECT string_agg(state || n, ',' ORDER BY state) FROM"
                    " (SELECT state, count(*) AS n FROM carillon.job_history GROUP BY state) AS h"),
            "discarded1,succeeded28");
}

TEST_F(JobStoreTest, JobsThatHintsNamedOneByOneAreNoStrongerSuspectsThanThoseOfOneRead) {
  const auto me = start_node("a");
  for (int i = 0; i < 3; ++i) {
    auto one = make_job();
    one.workspace = workspace_id::make();
    ASSERT_TRUE(jobs.enqueue(one));
    const auto due = jobs.take_hinted(me, hinted({one.workspace}, i + 1));
    ASSERT_TRUE(due);
    ASSERT_EQ(due->batch.jobs.size(), 1u);
  }
  kill(me);
  const auto next = start_node("b");
  ASSERT_TRUE(jobs.adopt(next, all_shards(), 3)->empty());
  EXPECT_EQ(db.exec("SELECT string_agg(suspicion::text || crashes, ',') FROM carillon.jobs"), "10,10,10");
}

TEST_F(JobStoreTest, AHintedWorkspaceIsReadWithoutTheFloodOfAnother) {
  const auto me = start_node("a");
  std::vector<new_job> flood;
  for (int i = 0; i < 2'000; ++i)
    flood.push_back(make_job());
  ASSERT_EQ(*jobs.enqueue_many(flood, std::nullopt), 2'000);
  auto wanted_job = make_job("wanted");
  wanted_job.workspace = workspace_id::make();
  wanted_job.correlation_id = "trace";
  const auto wanted = *jobs.enqueue(wanted_job);
  auto due = jobs.take_hinted(me, hinted({wanted_job.workspace}));
  ASSERT_TRUE(due);
  ASSERT_EQ(due->batch.jobs.size(), 1u);
  EXPECT_FALSE(due->more);
  EXPECT_EQ(db.exec("SELECT batch || array_to_string(job_ids, ',') FROM carillon.job_manifests"), "1" + to_string(wanted));
  next_batch = 2;
  const auto common = take(me, {}, 3'000);
  const auto same = std::find_if(common.begin(), common.end(), [&](const job& j) { return j.id == wanted; });
  const auto& met = due->batch.jobs[0];
  ASSERT_NE(same, common.end());
  EXPECT_EQ(met.run_at, same->run_at);
  EXPECT_EQ(met.place, same->place);
  EXPECT_EQ(met.id, wanted);
  EXPECT_EQ(met.kind, wanted_job.kind);
  EXPECT_EQ(met.tenant, wanted_job.tenant);
  EXPECT_EQ(met.workspace, wanted_job.workspace);
  EXPECT_EQ(met.payload, R"({"v": 1})");
  EXPECT_EQ(met.unique_key, "wanted");
  EXPECT_EQ(met.correlation_id, "trace");
  EXPECT_EQ(met.max_attempts, find_job_policy(met.kind)->max_attempts);

  auto flooded = hinted({data.workspace}, 102);
  flooded.limit = 10;
  EXPECT_TRUE(jobs.take_hinted(me, flooded)->batch.jobs.empty()) << "what came in bulk waits for the common read";
  for (int i = 0; i < 12; ++i)
    ASSERT_TRUE(jobs.enqueue(make_job()));
  due = jobs.take_hinted(me, flooded);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->batch.jobs.size(), 10u);
  EXPECT_TRUE(due->more);
  for (const auto& j : due->batch.jobs)
    flooded.in_hand.push_back(j.id);
  flooded.batch = 103;
  EXPECT_EQ(jobs.take_hinted(me, flooded)->batch.jobs.size(), 2u) << "what is in hand is passed over";
  auto later = hinted({wanted_job.workspace}, 104);
  later.after = system_clock{}.now() + 1h;
  EXPECT_TRUE(jobs.take_hinted(me, later)->batch.jobs.empty());
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests WHERE batch IN (101, 104)"), "0")
    << "nothing was found, nothing is written";
}

TEST_F(JobStoreTest, HintedJobsAreNotTakenByAFencedOutNodeAndSuspectsAreLeftToTheCommonRead) {
  const auto old = start_node("a");
  auto one = make_job();
  one.workspace = workspace_id::make();
  ASSERT_TRUE(jobs.enqueue(one));
  kill(old);
  EXPECT_EQ(jobs.take_hinted(old, hinted({one.workspace})).error().code, errc::cancelled);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.job_manifests"), "0");
  const auto me = start_node("a");
  db.exec("UPDATE carillon.jobs SET suspicion = 1");
  EXPECT_TRUE(jobs.take_hinted(me, hinted({one.workspace}))->batch.jobs.empty());
  EXPECT_EQ(take(me).size(), 1u);
}

TEST_F(JobStoreTest, AParkedWorkspaceIsReadOnFromItsCursorsWithoutTheOthersAndMostUrgentFirst) {
  const auto me = start_node("a");
  const auto other = workspace_id::make();
  std::vector<new_job> flood;
  for (int i = 0; i < 240; ++i) {
    flood.push_back(make_job());
    if (i % 3 == 2)
      flood.back().workspace = other;
  }
  ASSERT_EQ(*jobs.enqueue_many(flood, std::nullopt), 240);
  std::vector<new_job> urgent(flood.begin(), flood.begin() + 30);
  for (auto& one : urgent) {
    one.id = job_id::make();
    one.workspace = data.workspace;
    one.priority = 1;
  }
  ASSERT_EQ(*jobs.enqueue_many(urgent, std::nullopt), 30);

  auto parked = query();
  parked.limit = 0;
  parked.parked = {{data.workspace, 50, {}}, {other, 0, {}}};
  std::vector<std::size_t> sizes;
  std::vector<job> taken;
  for (int round = 0; round < 10 && parked.parked.size() == 2; ++round) {
    const auto due = jobs.take_due(me, parked);
    ASSERT_TRUE(due);
    sizes.push_back(0);
    for (const auto& batch : due->batches) {
      sizes.back() += batch.jobs.size();
      taken.insert(taken.end(), batch.jobs.begin(), batch.jobs.end());
      parked.first_batch = batch.number + 1;
    }
    for (const auto& [workspace, next] : due->parked_next) {
      ASSERT_EQ(workspace, data.workspace);
      parked.parked[0].from = next;
    }
    if (!due->exhausted.empty())
      parked.parked.erase(parked.parked.begin());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{50, 50, 50, 40}));
  ASSERT_EQ(taken.size(), 190u);
  std::unordered_set<job_id> all;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    EXPECT_EQ(taken[i].priority, i < 30 ? 1 : 5);
    EXPECT_EQ(taken[i].workspace, data.workspace);
    EXPECT_TRUE(all.insert(taken[i].id).second) << "read twice";
    if (i > 0 && taken[i].priority == taken[i - 1].priority) {
      EXPECT_LT(taken[i - 1].id, taken[i].id);
    }
  }
}

// Deleted jobs that an old snapshot keeps in the indexes: a read that begins
// behind them must not meet them.
TEST_F(JobStoreTest, AReadBehindItsCursorMeetsNoDeletedJobThatAnOldSnapshotKeeps) {
  const auto me = start_node("a");
  pqxx::connection reader{db.url()};
  pqxx::work old_snapshot{reader};
  old_snapshot.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  old_snapshot.exec("SELECT count(*) FROM carillon.jobs");
  auto behind = query();
  for (int round = 0; round < 4; ++round) {
    std::vector<new_job> many;
    for (int i = 0; i < 2'000; ++i)
      many.push_back(make_job());
    ASSERT_EQ(*jobs.enqueue_many(many, std::nullopt), 2'000);
    behind.limit = 3'000;
    auto due = jobs.take_due(me, behind);
    ASSERT_TRUE(due);
    ASSERT_TRUE(due->complete);
    behind.from = due->next;
    std::vector<job_report> reports;
    for (const auto& j : due->batches.at(0).jobs) {
      reports.push_back(report(j.id, job_report::kind::succeeded));
      reports.back().place = j.place;
    }
    ASSERT_EQ(reports.size(), 2'000u);
    ASSERT_TRUE(jobs.conclude(me, reports, {behind.first_batch}));
    behind.first_batch = due->batches.at(0).number + 1;
  }
  // As autovacuum leaves it: all of it dead, none of it gone.
  {
    pqxx::connection session{db.url()};
    pqxx::nontransaction autocommit{session};
    autocommit.exec("VACUUM ANALYZE carillon.jobs");
  }
  // A session tells what it read when it ends.
  const auto pages_met = [&](storage::connection& done_with) {
    done_with.reset();
    EXPECT_TRUE(test::eventually([&] {
      return db.exec("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                     " AND backend_type = 'client backend' AND NOT pid IN (pg_backend_pid(), "
                     + std::to_string(reader.backendpid()) + ")")
             == "0";
    }));
    return std::stoll(db.exec("SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit"
                              " FROM pg_statio_all_tables WHERE schemaname = 'carillon' AND relname = 'jobs'"));
  };
  const auto before = pages_met(db.connection());
  ASSERT_TRUE(jobs.take_due(me, behind));
  const auto met = pages_met(db.connection()) - before;
  EXPECT_GT(met, 0);
  EXPECT_LT(met, 200) << "the whole of an index was read";
}

TEST_F(JobStoreTest, ADeadLetterCanBeRetriedAndASucceededJobCannot) {
  const auto me = start_node("a");
  const auto dead = *jobs.enqueue(make_job("k"));
  ASSERT_TRUE(jobs.conclude(me, {report(dead, job_report::kind::discarded, "no")}, {}));
  const auto again = jobs.retry(scope::maintenance("test"), {}, dead);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, job_state::available);
  EXPECT_EQ(again->attempt, 0);
  ASSERT_TRUE(jobs.conclude(me, {report(dead, job_report::kind::succeeded)}, {}));
  EXPECT_EQ(jobs.retry(scope::maintenance("test"), {}, dead).error().code, errc::conflict);
  EXPECT_EQ(jobs.cancel(scope::maintenance("test"), {}, dead).error().code, errc::conflict);
}

TEST_F(JobStoreTest, AnotherTenantsJobsAreNotThere) {
  const auto id = *jobs.enqueue(make_job());
  const auto stranger = scope::tenant(tenant_id::make());
  EXPECT_EQ(jobs.find(stranger, id).error().code, errc::not_found);
  EXPECT_EQ(jobs.cancel(stranger, {}, id).error().code, errc::not_found);
  EXPECT_TRUE(jobs.list(stranger, {})->empty());
}

} // namespace

} // namespace carillon
