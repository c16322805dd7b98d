// Spec §8.1 and §12: PublishScheduledPosts.

#include "tests/integration/engine/publishing_fixture.hpp"

namespace carillon {

namespace {

using PublishScheduledPostsJobTest = test::publishing_fixture;

TEST_F(PublishScheduledPostsJobTest, ADuePostMovesToPublishingWithItsTargetsAndOneJob) {
  const auto account = data.add_account(data.workspace);
  const auto post = data.add_scheduled_post(data.workspace, "hello", "now() - interval '1 second'");
  const auto target = data.add_target(post, account);
  const auto started = publishing.start_due(me, all_shards(), 100);
  ASSERT_TRUE(started);
  EXPECT_EQ(started->started, 1);
  EXPECT_EQ(post_status(post), "publishing");
  EXPECT_EQ(target_status(target), "publishing");
  EXPECT_EQ(job_of(post).payload.find(to_string(post)) != std::string::npos, true);
  EXPECT_EQ(publishing.start_due(me, all_shards(), 100)->started, 0);
}

TEST_F(PublishScheduledPostsJobTest, APostIsNeverStartedBeforeItsTimeOnTheDatabasesClock) {
  const auto account = data.add_account(data.workspace);
  const auto post = data.add_scheduled_post(data.workspace, "later", "now() + interval '1 hour'");
  data.add_target(post, account);
  const auto started = publishing.start_due(me, all_shards(), 100);
  EXPECT_EQ(started->started, 0);
  ASSERT_TRUE(started->next_in);
  EXPECT_GT(*started->next_in, std::chrono::minutes{59});
  EXPECT_EQ(post_status(post), "scheduled");
}

TEST_F(PublishScheduledPostsJobTest, OneBadPostDoesNotStopTheRestAndItsAuthorIsToldOnce) {
  const auto account = data.add_account(data.workspace);
  const auto bad = data.add_scheduled_post(data.workspace, "no accounts", "now() - interval '2 seconds'");
  const auto good = data.add_scheduled_post(data.workspace, "fine", "now() - interval '1 second'");
  data.add_target(good, account);
  const auto started = publishing.start_due(me, all_shards(), 100);
  EXPECT_EQ(started->started, 1);
  EXPECT_FALSE(started->next_in) << "a post that cannot start must not keep the sweep busy";
  EXPECT_EQ(post_status(bad), "scheduled");
  EXPECT_EQ(post_status(good), "publishing");
  EXPECT_EQ(*publishing.repair(me, all_shards()), 1);
  EXPECT_EQ(*publishing.repair(me, all_shards()), 0);
  EXPECT_EQ(count("notifications"), "1");
}

TEST_F(PublishScheduledPostsJobTest, ShardsOfAnotherNodeAreLeftAlone) {
  const auto account = data.add_account(data.workspace);
  const auto post = data.add_scheduled_post(data.workspace, "theirs", "now() - interval '1 second'");
  data.add_target(post, account);
  const auto other = static_cast<shard_id>(shard_of(data.workspace) ^ 1);
  EXPECT_EQ(publishing.start_due(me, {other}, 100)->started, 0);
}

TEST_F(PublishScheduledPostsJobTest, AFencedOutNodeStartsNothing) {
  const auto account = data.add_account(data.workspace);
  const auto post = data.add_scheduled_post(data.workspace, "mine", "now() - interval '1 second'");
  data.add_target(post, account);
  kill(me);
  EXPECT_EQ(publishing.start_due(me, all_shards(), 100).error().code, errc::cancelled);
  EXPECT_EQ(post_status(post), "scheduled");
}

TEST_F(PublishScheduledPostsJobTest, APostLeftPublishingWithoutAJobGetsOne) {
  const auto account = data.add_account(data.workspace);
  const auto post = data.add_scheduled_post(data.workspace, "orphan", "now() - interval '1 second'");
  data.add_target(post, account);
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  db.exec("DELETE FROM carillon.jobs");
  EXPECT_EQ(*publishing.repair(me, all_shards()), 1);
  EXPECT_EQ(job_of(post).kind, kinds::publish_post);
}

} // namespace

} // namespace carillon
