// Networks that accept and then say nothing, show posts late, or ignore
// idempotency keys never get a post twice.

#include <atomic>

#include "domain/clock.hpp"
#include "tests/e2e/main_job_fixture.hpp"
#include "tests/support/scripted_server.hpp"

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

TEST_F(MisbehavingNetworkTest, PostsWaitForAServerThatIsDownAndGoOutOnceWhenItIsBack) {
  network.stop();
  schedule_posts(40, add_accounts(4), "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path(), {{"CARILLON_PUBLISHING__RETRY_DELAYS", "3s, 3s, 3s, 3s, 3s, 3s"}}};
  const auto metrics = [&] { return node.internal().get("/metrics").body; };
  ASSERT_TRUE(test::eventually([&] { return count("publish_attempts WHERE error_code = 'NOT_SENT'") > 0; }))
    << node.self().output();
  EXPECT_NE(metrics().find("carillon_host_circuits_open 1"), std::string::npos);
  network.start();
  ASSERT_TRUE(settled()) << node.self().output();
  expect_each_exactly_once(40);
  EXPECT_NE(metrics().find("carillon_host_circuits_open 0"), std::string::npos);
  EXPECT_NE(node.self().output().find("host-circuit-opened"), std::string::npos);
  EXPECT_NE(node.self().output().find("host-circuit-closed"), std::string::npos);
}

TEST_F(MisbehavingNetworkTest, ALargeBurstOfOneAccountIsSpreadAndEachPostIsSentOnce) {
  std::atomic<int> made{0};
  test::scripted_server counting{[&](test::scripted_exchange& e) {
    test::scripted_request q;
    while (e.receive(q)) {
      const auto n = ++made;
      const auto now = system_clock{}.now();
      const nlohmann::json status{{"id", std::to_string(n)},
                                  {"url", "https://counting.invalid/" + std::to_string(n)},
                                  {"content", nlohmann::json::parse(q.body).at("status")},
                                  {"created_at", format_api_time(now)}};
      e.send(test::http_answer(200, status.dump(),
                               {"X-RateLimit-Limit: 300", "X-RateLimit-Remaining: " + std::to_string(300 - n),
                                "X-RateLimit-Reset: " + format_api_time(now + std::chrono::seconds{200})}));
    }
  }};
  const auto account = add_account();
  db.exec("UPDATE carillon.social_accounts SET metadata = jsonb_build_object('instance_url', "
          + test::sql_literal(counting.url()) + ")");
  schedule_posts(90, {account}, "now() + interval '1 second'");
  test::carillon_node node{db.url(), folder.path()};
  ASSERT_TRUE(settled()) << node.self().output();
  EXPECT_EQ(count("posts WHERE status = 'published'"), 90);
  EXPECT_EQ(made, 90);
  EXPECT_EQ(count("post_targets WHERE retry_count > 0"), 0);
  const auto held = count("publish_attempts WHERE error_code = 'NOT_SENT'");
  EXPECT_GE(held, 10) << "30 may go at once, and those that were under way before the first answer";
  EXPECT_LE(held, 60) << "each has a slot of its own: nobody asks twice";
}

TEST_F(MisbehavingNetworkTest, ANodeThatTakesOverDoesNotCallAnAccountThatWasAskedToWait) {
  network.misbehave({{"rate_429", 1.0}, {"retry_after", 600}});
  const auto account = add_account();
  schedule_posts(1, {account}, "now() + interval '1 second'", "first");
  {
    test::carillon_node first{db.url(), folder.path()};
    ASSERT_TRUE(test::eventually([&] { return count("social_accounts WHERE calls_wait_until > now() + interval '500 seconds'") == 1; }))
      << first.self().output();
  }
  network.misbehave(nlohmann::json::object());
  schedule_posts(3, {account}, "now()", "second");
  schedule_posts(1, {add_account()}, "now()", "of another account");
  test::carillon_node second{db.url(), folder.path()};
  ASSERT_TRUE(test::eventually([&] {
    return count("post_targets WHERE status = 'publishing' AND next_action_at > now() + interval '400 seconds'") == 4
           && count("posts WHERE status = 'published'") == 1;
  })) << second.self().output();
  EXPECT_EQ(network.counts().size(), 1u);
  EXPECT_EQ(count("publish_attempts"), 2) << "of the first post's only call, and of the other account's";
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
