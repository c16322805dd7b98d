// Networks that accept and then say nothing, show posts late, or ignore
// idempotency keys never get a post twice.

#include "tests/e2e/main_job_fixture.hpp"

namespace carillon {

namespace {

using MisbehavingNetworkTest = test::main_job_fixture;

TEST_F(MisbehavingNetworkTest, AcceptThenDropNeverDoubles) {
  network.misbehave({{"accept_then_drop", 1.0}, {"ignore_idempotency_keys", true}});
  schedule_posts(20, add_accounts(4), "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(20);
}

TEST_F(MisbehavingNetworkTest, AcceptThenHangNeverDoubles) {
  network.misbehave({{"accept_then_hang", 1.0}, {"hang_ms", 6000}, {"ignore_idempotency_keys", true}});
  schedule_posts(10, add_accounts(10), "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(10);
}

TEST_F(MisbehavingNetworkTest, PostsThatBecomeVisibleLateNeverDouble) {
  network.misbehave({{"accept_then_drop", 1.0}, {"visibility_delay_ms", 1500}, {"ignore_idempotency_keys", true}});
  schedule_posts(20, add_accounts(4), "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(20);
}

TEST_F(MisbehavingNetworkTest, TwoLegitimatePostsWithTheSameTextBothAppearOnce) {
  network.misbehave({{"accept_then_drop", 1.0}, {"ignore_idempotency_keys", true}});
  const auto account = add_account();
  for (int i = 0; i < 2; ++i)
    data.add_target(data.add_scheduled_post(data.workspace, "Good morning!", "now() + interval '1 second'"), account);
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << node.self().output();
  EXPECT_EQ(network.counts()["Good morning!"], 2);
  EXPECT_EQ(count("posts WHERE status = 'published'"), 2);
  EXPECT_EQ(db.exec("SELECT count(DISTINCT external_post_id) FROM carillon.post_targets"), "2");
}

TEST_F(MisbehavingNetworkTest, TwoNetworksWithFaultsOfEveryKindGetEachPostOnce) {
  network.misbehave({{"accept_then_drop", 0.2}, {"drop_before_accept", 0.1}, {"accept_then_5xx", 0.1}, {"rate_5xx", 0.1},
                     {"visibility_delay_ms", 300}, {"ignore_idempotency_keys", true}, {"seed", 11}});
  std::vector<social_account_id> accounts;
  for (int i = 0; i < 6; ++i)
    accounts.push_back(add_account(i % 2 ? carillon::network::bluesky : carillon::network::mastodon));
  schedule_posts(30, accounts, "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path(),
                           {{"CARILLON_PUBLISHING__RETRY_DELAYS", "1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s"}}};
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(30);
  EXPECT_EQ(count("post_targets WHERE platform_code = 'bluesky' AND external_post_id LIKE 'at://%'"), 15);
}

TEST_F(MisbehavingNetworkTest, AServerAtAPrivateAddressIsNotCalledUnlessItIsAllowed) {
  schedule_posts(2, {add_account(), add_account(carillon::network::bluesky)}, "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path(), {{"CARILLON_PUBLISHING__PRIVATE_NETWORKS", "10.0.0.0/8"}}};
  ASSERT_TRUE(settled()) << node.self().output();
  EXPECT_EQ(count("post_targets WHERE status = 'failed' AND error_message LIKE '%no public address%'"), 2);
  EXPECT_TRUE(network.counts().empty());
}

TEST_F(MisbehavingNetworkTest, ServerErrorsAndThrottlingAreRetriedAndPublishedOnce) {
  network.misbehave({{"rate_5xx", 0.3}, {"rate_429", 0.2}, {"retry_after", 1}, {"seed", 7}});
  schedule_posts(30, add_accounts(5), "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path(),
                           {{"CARILLON_PUBLISHING__RETRY_DELAYS", "1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s"}}};
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(30);
}

} // namespace

} // namespace carillon
