// Spec §8.2, §12 and §14: PublishPost, its retries and its four outcomes.

#include <future>
#include <map>
#include <set>

#include "storage/post_repository.hpp"
#include "tests/integration/engine/publishing_fixture.hpp"
#include "tests/support/noted_intake.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;

class PublishPostJobTest : public test::publishing_fixture {
protected:
  /// A post under way on `targets` accounts of its own.
  post_id start_post(int target_count, const std::string& text = "hello") {
    const auto post = data.add_scheduled_post(data.workspace, text, "now() - interval '1 second'");
    for (int i = 0; i < target_count; ++i)
      targets.push_back(data.add_target(post, data.add_account(data.workspace)));
    EXPECT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
    return post;
  }

  static failure unknown() {
    return {errc::outcome_unknown, "connection lost after the request was sent", {}, {}};
  }

  std::vector<target_id> targets;
};

TEST_F(PublishPostJobTest, PlanningCommitsAnOpenAttemptWithADeterministicKeyBeforeAnyCall) {
  const auto post = start_post(1);
  const auto planned = plan(job_of(post));
  ASSERT_EQ(planned->calls.size(), 1u);
  EXPECT_EQ(planned->calls[0].post.text, "hello");
  EXPECT_EQ(planned->calls[0].post.account.access_token, "sandbox-acme");
  EXPECT_EQ(planned->calls[0].post.idempotency_key, "carillon-" + to_string(targets[0]) + "-1");
  EXPECT_EQ(count("publish_attempts WHERE state = 'open'"), "1");
}

TEST_F(PublishPostJobTest, APostThatIsPublishedNowOrAgainIsTakenByTheNodeThatWasAsked) {
  const auto post = data.add_scheduled_post(data.workspace, "hello", "now() + interval '1 hour'");
  targets.push_back(data.add_target(post, data.add_account(data.workspace)));
  test::noted_intake intake;
  intake.owner = me;
  storage::connection session{test::session_with(db, intake), db.log()};
  storage::post_repository posts{session};
  const post_actor actor{data.author, "Author", ""};
  const auto who = scope::tenant(data.tenant);
  hints told;
  ASSERT_TRUE(posts.publish(who, data.workspace, post, actor, told));
  ASSERT_EQ(intake.taken.size(), 1u);
  EXPECT_EQ(intake.taken[0].unique_key, "publish-post-" + to_string(post));
  EXPECT_TRUE(told.empty());
  const auto planned = plan(intake.taken[0]);
  ASSERT_TRUE(planned);
  ASSERT_EQ(planned->calls.size(), 1u);
  ASSERT_TRUE(record(intake.taken[0], planned->calls[0].attempt,
                     result<public_post>{failure{errc::permanent, "no", {}, {}}}));
  EXPECT_EQ(post_status(post), "failed");
  ASSERT_TRUE(posts.retry(who, data.workspace, post, actor, false, told));
  EXPECT_EQ(intake.taken.size(), 2u);
  EXPECT_TRUE(told.empty());

  const auto refused = posts.publish(who, data.workspace, post, actor, told);
  EXPECT_FALSE(refused);
  EXPECT_EQ(intake.taken.size(), 2u);
}

TEST_F(PublishPostJobTest, WherePublishingNowIsAnothersToTakeItsOwnerIsTold) {
  const auto post = data.add_scheduled_post(data.workspace, "hello", "now() + interval '1 hour'");
  targets.push_back(data.add_target(post, data.add_account(data.workspace)));
  storage::post_repository posts{db.connection()};
  hints told;
  ASSERT_TRUE(posts.publish(scope::tenant(data.tenant), data.workspace, post, {data.author, "Author", ""}, told));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].about, hint::subject::job_ready);
}

TEST_F(PublishPostJobTest, AnOpenAttemptIsTheOnlyLicenceToCall) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  ASSERT_EQ(plan(j)->calls.size(), 1u);
  const auto again = plan(j);
  EXPECT_TRUE(again->calls.empty());
  EXPECT_TRUE(again->checks.empty()) << "the first call may still be running";
  EXPECT_TRUE(again->resumes_in);
}

TEST_F(PublishPostJobTest, TheLastSuccessRollsUpPostJobAndNotificationTogether) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto planned = plan(j);
  const auto progress = record(j, planned->calls[0].attempt, accepted("42"));
  ASSERT_TRUE(progress);
  EXPECT_TRUE(progress->settled);
  EXPECT_EQ(post_status(post), "published");
  EXPECT_EQ(target_column(targets[0], "external_post_id"), "42");
  EXPECT_EQ(count("jobs WHERE kind = 'publish_post'"), "0");
  EXPECT_EQ(jobs.find(scope::maintenance("test"), j.id)->state, job_state::succeeded);
  EXPECT_EQ(count("notifications WHERE type = 'post_published'"), "1");
  EXPECT_EQ(count("jobs WHERE kind = 'send_notification_email'"), "1");
  EXPECT_EQ(count("audit_logs WHERE auditable_type = 'post'"), "1");
}

TEST_F(PublishPostJobTest, RecordingTheSameSuccessTwiceChangesNothing) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  ASSERT_TRUE(record(j, attempt, accepted("42")));
  ASSERT_TRUE(record(j, attempt, accepted("42")));
  EXPECT_EQ(count("notifications"), "1");
}

TEST_F(PublishPostJobTest, ATransientFailureRetriesOnlyThatTargetThreeTimesAtSixtySeconds) {
  const auto post = start_post(2);
  const auto j = job_of(post);
  auto planned = plan(j);
  ASSERT_EQ(planned->calls.size(), 2u);
  const auto failing = planned->calls[0].target;
  ASSERT_TRUE(record(j, planned->calls[1].attempt, accepted("1")));
  ASSERT_TRUE(record(j, planned->calls[0].attempt, failure{errc::transient, "refused", {}, {}}));
  EXPECT_EQ(target_column(failing, "retry_count"), "1");
  EXPECT_EQ(target_column(failing, "next_action_at BETWEEN now() + interval '53 seconds' AND now() + interval '67 seconds'"), "t");
  auto waiting = plan(j);
  EXPECT_TRUE(waiting->calls.empty());
  ASSERT_TRUE(waiting->resumes_in);
  EXPECT_GT(*waiting->resumes_in, 50s);
  for (int retry = 1; retry <= 3; ++retry) {
    skip_waits();
    planned = plan(j);
    ASSERT_EQ(planned->calls.size(), 1u) << "retry " << retry;
    EXPECT_EQ(planned->calls[0].target, failing) << "a target that is live was touched";
    ASSERT_TRUE(record(j, planned->calls[0].attempt, failure{errc::transient, "refused", {}, {}}));
  }
  EXPECT_EQ(target_status(failing), "failed");
  EXPECT_EQ(post_status(post), "published") << "partial success is published";
  EXPECT_EQ(count("notifications WHERE type = 'post_published'"), "1");
}

TEST_F(PublishPostJobTest, AThrottledTargetWaitsAtLeastAsLongAsTheNetworkAsks) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  ASSERT_TRUE(record(j, plan(j)->calls[0].attempt, failure{errc::throttled, "429", {}, 600s}));
  EXPECT_EQ(target_column(targets[0], "next_action_at > now() + interval '590 seconds'"), "t");
}

TEST_F(PublishPostJobTest, ARefusalIsFinalAndTheAuthorHearsWhy) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto progress = record(j, plan(j)->calls[0].attempt, failure{errc::permanent, "Text is too long", {}, {}});
  EXPECT_TRUE(progress->settled);
  EXPECT_EQ(post_status(post), "failed");
  EXPECT_EQ(target_column(targets[0], "error_code"), "PUBLISH_ERROR");
  EXPECT_EQ(db.exec("SELECT data ->> 'failure_reason' FROM carillon.notifications WHERE type = 'post_failed'"),
            "Text is too long");
}

TEST_F(PublishPostJobTest, ATokenThatIsRefusedMarksTheAccount) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  ASSERT_TRUE(record(j, plan(j)->calls[0].attempt, failure{errc::unauthorized, "401", {}, {}}));
  EXPECT_EQ(target_column(targets[0], "error_code"), "TOKEN_EXPIRED");
  EXPECT_EQ(count("social_accounts WHERE status = 'token_expired'"), "1");
}

TEST_F(PublishPostJobTest, AnAccountThatIsRefusedIsToldOfOnceHoweverManyPostsItHas) {
  const auto account = data.add_account(data.workspace);
  for (int i = 0; i < 3; ++i)
    data.add_target(data.add_scheduled_post(data.workspace, "post " + std::to_string(i), "now() - interval '1 second'"),
                    account);
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 3);
  const auto all = *jobs.list(scope::maintenance("test"), publish_jobs());
  std::vector<attempt_id> open;
  for (const auto& j : all)
    open.push_back(plan(j)->calls.at(0).attempt);
  for (std::size_t i = 0; i < all.size(); ++i)
    ASSERT_TRUE(record(all[i], open[i], failure{errc::unauthorized, "401", {}, {}}));
  EXPECT_EQ(count("post_targets WHERE error_code = 'TOKEN_EXPIRED'"), "3");
  EXPECT_EQ(count("notifications WHERE type = 'account_token_expired'"), "1");
  EXPECT_EQ(db.exec("SELECT data ->> 'account_id' FROM carillon.notifications WHERE type = 'account_token_expired'"),
            to_string(account));
}

TEST_F(PublishPostJobTest, NoTransientTroubleEverDisconnectsAnAccount) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  for (int i = 0; i < 4; ++i) {
    skip_waits();
    ASSERT_TRUE(record(j, plan(j)->calls.at(0).attempt, failure{i % 2 ? errc::throttled : errc::transient, "no", {}, {}}));
  }
  EXPECT_EQ(target_status(targets[0]), "failed");
  EXPECT_EQ(count("social_accounts WHERE status = 'connected'"), "1");
  EXPECT_EQ(count("notifications WHERE type = 'account_token_expired'"), "0");
}

TEST_F(PublishPostJobTest, AWaitThatIsKeptWithoutACallUsesUpNoTry) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  for (int i = 0; i < 6; ++i) {
    skip_waits();
    ASSERT_TRUE(record(j, plan(j)->calls.at(0).attempt, failure{errc::cancelled, "not sent", {}, 300s}));
    EXPECT_EQ(target_column(targets[0], "next_action_at > now() + interval '290 seconds'"), "t");
  }
  EXPECT_EQ(target_column(targets[0], "retry_count"), "0");
  EXPECT_EQ(target_status(targets[0]), "publishing");
}

TEST_F(PublishPostJobTest, WhatANetworkAskedOfAnAccountIsKeptByWhoeverOwnsTheWorkspaceNext) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls.at(0).attempt;
  ASSERT_TRUE(publishing.remember_rates(j, attempt, {.calls_wait = 300s}));
  ASSERT_TRUE(record(j, attempt, failure{errc::throttled, "429", {}, 300s}));
  kill(me);
  const auto next_owner = start_node("b");
  const auto connection = db.connect();
  storage::publish_repository theirs{*connection, test::test_cipher()};
  skip_waits();
  const auto plans = theirs.plan(next_owner, {&j}, rules, 5s);
  ASSERT_TRUE(plans) << plans.error().detail;
  EXPECT_TRUE(plans->at(0).calls.empty());
  ASSERT_TRUE(plans->at(0).resumes_in);
  EXPECT_GT(*plans->at(0).resumes_in, 290s);
  EXPECT_LE(*plans->at(0).resumes_in, 300s);
  EXPECT_EQ(count("publish_attempts"), "1") << "no licence is taken that could not be used";
  db.exec("UPDATE carillon.social_accounts SET calls_wait_until = now() - interval '1 second'");
  skip_waits();
  EXPECT_EQ(plan_as(next_owner, j)->calls.size(), 1u);
}

TEST_F(PublishPostJobTest, WhatIsLeftOfANetworksWindowIsKnownToWhoeverOwnsTheWorkspaceNext) {
  const auto j = job_of(start_post(1));
  const auto first = plan(j);
  EXPECT_FALSE(first->calls.at(0).post.known_rates.calls);
  const auto attempt = first->calls[0].attempt;
  ASSERT_TRUE(publishing.remember_rates(j, attempt, {.calls = rate_window{300, 40, 200s}, .uploads = rate_window{30, 2, 900s}}));
  ASSERT_TRUE(publishing.remember_rates(j, attempt, {.calls = rate_window{300, 20, 190s}}));
  ASSERT_TRUE(record(j, attempt, failure{errc::transient, "no answer", {}, {}}));
  kill(me);
  const auto next_owner = start_node("b");
  skip_waits();
  const auto known = plan_as(next_owner, j)->calls.at(0).post.known_rates;
  ASSERT_TRUE(known.calls);
  EXPECT_EQ(known.calls->limit, 300);
  EXPECT_EQ(known.calls->left, 20);
  EXPECT_GT(known.calls->ends_in, 60s);
  EXPECT_LE(known.calls->ends_in, 190s);
  ASSERT_TRUE(known.uploads) << "each is kept on its own";
  EXPECT_EQ(known.uploads->left, 2);
}

TEST_F(PublishPostJobTest, AWindowThatHasEndedIsForgotten) {
  const auto j = job_of(start_post(1));
  const auto attempt = plan(j)->calls.at(0).attempt;
  ASSERT_TRUE(publishing.remember_rates(j, attempt, {.calls = rate_window{300, 1, 200s}}));
  ASSERT_TRUE(record(j, attempt, failure{errc::transient, "no answer", {}, {}}));
  db.exec("UPDATE carillon.social_accounts SET calls_window_ends = now() - interval '1 second'");
  skip_waits();
  EXPECT_FALSE(plan(j)->calls.at(0).post.known_rates.calls);
}

TEST_F(PublishPostJobTest, AWaitForUploadsHoldsBackOnlyPostsWithFiles) {
  const auto j = job_of(start_post(1));
  const auto attempt = plan(j)->calls.at(0).attempt;
  ASSERT_TRUE(publishing.remember_rates(j, attempt, {.uploads_wait = 300s}));
  ASSERT_TRUE(record(j, attempt, failure{errc::throttled, "429", {}, {}}));
  skip_waits();
  const auto again = plan(j);
  ASSERT_EQ(again->calls.size(), 1u);
  ASSERT_TRUE(record(j, again->calls[0].attempt, failure{errc::throttled, "429", {}, {}}));
  db.exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, file_name, mime_type, storage_path, type) "
          "SELECT carillon.uuid_v7(), tenant_id, id, 'a.png', 'image/png', '/nowhere/a.png', 'image' FROM carillon.posts");
  skip_waits();
  const auto with_file = plan(j);
  EXPECT_TRUE(with_file->calls.empty());
  EXPECT_GT(with_file->resumes_in, 290s);
}

TEST_F(PublishPostJobTest, AfterTheReconcileDeadlineACallIsMadeEvenToAServerThatIsDown) {
  const auto j = job_of(start_post(1));
  const auto first = plan(j);
  EXPECT_FALSE(first->calls.at(0).post.has_waited_enough);
  ASSERT_TRUE(record(j, first->calls[0].attempt, failure{errc::cancelled, "down", {}, 5s}));
  db.exec("UPDATE carillon.post_targets SET publishing_since = now() - interval '15 minutes'");
  // Then its tries are used up, and it comes to its end.
  for (int i = 0; i < 4; ++i) {
    skip_waits();
    const auto late = plan(j);
    ASSERT_EQ(late->calls.size(), 1u);
    EXPECT_TRUE(late->calls[0].post.has_waited_enough);
    ASSERT_TRUE(record(j, late->calls[0].attempt, failure{errc::transient, "no connection", {}, {}}));
  }
  EXPECT_EQ(target_status(targets[0]), "failed");
  EXPECT_EQ(count("notifications WHERE type = 'post_failed'"), "1");
}

TEST_F(PublishPostJobTest, ANetworkWithoutAGatewaySaysWhyInWords) {
  const auto post = data.add_scheduled_post(data.workspace, "hello", "now() - interval '1 second'");
  std::map<std::string, target_id> on;
  for (const std::string platform : {"facebook", "instagram", "linkedin", "twitter", "whatsapp", "bluesky"})
    on.emplace(platform, data.add_target(post, data.add_account(data.workspace, platform)));
  rules.networks = {network::mastodon, network::bluesky};
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto planned = plan(job_of(post));
  EXPECT_EQ(planned->calls.size(), 1u) << "Bluesky can be called";
  for (const std::string platform : {"facebook", "instagram", "linkedin", "twitter"}) {
    EXPECT_EQ(target_column(on.at(platform), "error_code"), "UNKNOWN_PLATFORM") << platform;
    EXPECT_EQ(target_column(on.at(platform), "error_message LIKE '%not available in this version%'"), "t");
  }
  EXPECT_EQ(target_column(on.at("whatsapp"), "error_code"), "PUBLISH_ERROR");
  EXPECT_EQ(target_column(on.at("whatsapp"), "error_message LIKE '%nothing can be scheduled%'"), "t");
}

TEST_F(PublishPostJobTest, ANetworksOwnTextCommentAndAudienceGoOutThere) {
  const auto post = start_post(2);
  db.exec("UPDATE carillon.posts SET post_type = 'thread', first_comment = 'For all', content_variations = "
          "'{\"mastodon\": {\"text\": \"Own words\", \"first_comment\": \"Own comment\", \"visibility\": \"unlisted\"}}'");
  db.exec("UPDATE carillon.post_targets SET content_override = 'Only here' WHERE id = '" + to_string(targets[1]) + "'");
  const auto planned = plan(job_of(post));
  ASSERT_EQ(planned->calls.size(), 2u);
  for (const auto& call : planned->calls) {
    EXPECT_EQ(call.post.text, call.target == targets[1] ? "Only here" : "Own words");
    EXPECT_EQ(call.post.first_comment, "Own comment");
    EXPECT_EQ(call.post.visibility, "unlisted");
    EXPECT_TRUE(call.post.is_thread);
    EXPECT_NE(call.post.made_at, instant{});
  }
}

TEST_F(PublishPostJobTest, WhatIsMissingOfAPublishedPostIsSeenOnItsTarget) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  auto partly = *accepted("42");
  partly.left_out = "The first comment was not published: HTTP 422";
  ASSERT_TRUE(record(j, plan(j)->calls.at(0).attempt, partly));
  EXPECT_EQ(target_status(targets[0]), "published");
  EXPECT_EQ(target_column(targets[0], "error_code"), "INCOMPLETE");
  EXPECT_EQ(target_column(targets[0], "error_message"), "The first comment was not published: HTTP 422");
  EXPECT_EQ(post_status(post), "published");
}

TEST_F(PublishPostJobTest, WhatCannotBeCalledFailsWithItsCode) {
  const auto post = data.add_scheduled_post(data.workspace, "hello", "now() - interval '1 second'");
  const auto elsewhere = data.add_target(post, data.add_account(data.workspace, "linkedin"));
  const auto gone_account = data.add_account(data.workspace);
  db.exec("UPDATE carillon.social_accounts SET status = 'disconnected' WHERE id = '" + to_string(gone_account) + "'");
  const auto gone = data.add_target(post, gone_account);
  const auto expired_account = data.add_account(data.workspace);
  db.exec("UPDATE carillon.social_accounts SET token_expires_at = now() - interval '1 day' WHERE id = '"
          + to_string(expired_account) + "'");
  const auto expired = data.add_target(post, expired_account);
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto planned = plan(job_of(post));
  EXPECT_TRUE(planned->settled);
  EXPECT_EQ(target_column(elsewhere, "error_code"), "UNKNOWN_PLATFORM");
  EXPECT_EQ(target_column(gone, "error_code"), "ACCOUNT_UNAVAILABLE");
  EXPECT_EQ(target_column(expired, "error_code"), "TOKEN_EXPIRED");
  EXPECT_EQ(post_status(post), "failed");
}

TEST_F(PublishPostJobTest, ADisabledIntegrationIsNotCalled) {
  const auto post = start_post(1);
  db.exec("INSERT INTO carillon.social_platform_integrations (id, provider, display_name, platforms, is_enabled) "
          "VALUES (gen_random_uuid(), 'mastodon', 'Mastodon', '[\"mastodon\"]', false)");
  ASSERT_TRUE(plan(job_of(post))->settled);
  EXPECT_EQ(target_column(targets[0], "error_code"), "INTEGRATION_DISABLED");
}

// -- unknown outcomes ---------------------------------------------------------

TEST_F(PublishPostJobTest, AnUnknownOutcomeIsAskedForAndNeverBlindlyRetried) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  ASSERT_TRUE(record(j, plan(j)->calls[0].attempt, unknown()));
  EXPECT_EQ(target_status(targets[0]), "publishing");
  skip_waits();
  const auto planned = plan(j);
  EXPECT_TRUE(planned->calls.empty());
  ASSERT_EQ(planned->checks.size(), 1u);
  const std::vector<public_post> seen{*accepted("7")};
  const auto progress = publishing.record_check(me, j, planned->checks[0].attempt, seen, 10ms, rules);
  EXPECT_TRUE(progress->settled);
  EXPECT_EQ(target_column(targets[0], "external_post_id"), "7");
  EXPECT_EQ(post_status(post), "published");
}

TEST_F(PublishPostJobTest, AbsenceNeedsTwoReadsAfterTheVisibilityDelay) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  ASSERT_TRUE(record(j, attempt, unknown()));
  const std::vector<public_post> nothing;
  ASSERT_TRUE(publishing.record_check(me, j, attempt, nothing, 0ms, rules));
  EXPECT_EQ(count("publish_attempts WHERE absence_reads = 0 AND state = 'unknown'"), "1")
    << "a read before the delay proves nothing";
  db.exec("UPDATE carillon.publish_attempts SET deadline_at = now() - interval '31 seconds'");
  ASSERT_TRUE(publishing.record_check(me, j, attempt, nothing, 0ms, rules));
  EXPECT_EQ(count("publish_attempts WHERE state = 'unknown'"), "1") << "one read is not proof";
  ASSERT_TRUE(publishing.record_check(me, j, attempt, nothing, 0ms, rules));
  EXPECT_EQ(count("publish_attempts WHERE state = 'absent'"), "1");
  skip_waits();
  EXPECT_EQ(plan(j)->calls.size(), 1u) << "only a proven absence is tried again";
}

TEST_F(PublishPostJobTest, AReadThatBeganTooEarlyDoesNotCountAsAbsence) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  ASSERT_TRUE(record(j, attempt, unknown()));
  db.exec("UPDATE carillon.publish_attempts SET deadline_at = now() - interval '31 seconds'");
  const std::vector<public_post> nothing;
  ASSERT_TRUE(publishing.record_check(me, j, attempt, nothing, 5s, rules));
  EXPECT_EQ(count("publish_attempts WHERE absence_reads = 0"), "1");
}

TEST_F(PublishPostJobTest, APublicPostThatAnotherTargetOwnsIsNotClaimed) {
  const auto first = start_post(1);
  const auto j = job_of(first);
  ASSERT_TRUE(record(j, plan(j)->calls[0].attempt, accepted("7")));
  const auto account = social_account_id::parse(db.exec("SELECT social_account_id FROM carillon.post_targets"));
  const auto second = data.add_scheduled_post(data.workspace, "hello", "now() - interval '1 second'");
  const auto target = data.add_target(second, *account);
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto k = job_of(second);
  const auto attempt = plan(k)->calls.at(0).attempt;
  ASSERT_TRUE(record(k, attempt, unknown()));
  const std::vector<public_post> seen{*accepted("7")};
  ASSERT_TRUE(publishing.record_check(me, k, attempt, seen, 0ms, rules));
  EXPECT_EQ(target_status(target), "publishing");
}

TEST_F(PublishPostJobTest, TwoPostsWithTheSameTextAreNeverUnsettledTogetherOnOneAccount) {
  const auto account = data.add_account(data.workspace);
  for (int i = 0; i < 2; ++i)
    data.add_target(data.add_scheduled_post(data.workspace, "same  words", "now() - interval '1 second'"), account);
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 2);
  const auto both = *jobs.list(scope::maintenance("test"), publish_jobs());
  ASSERT_EQ(both.size(), 2u);
  const auto planned = plan(both[0]);
  ASSERT_EQ(planned->calls.size(), 1u);
  EXPECT_TRUE(plan(both[1])->calls.empty()) << "the second could not be told apart when read back";
  ASSERT_TRUE(record(both[0], planned->calls[0].attempt, accepted("1")));
  skip_waits();
  EXPECT_EQ(plan(both[1])->calls.size(), 1u);
}

TEST_F(PublishPostJobTest, PostsOfAWorkspaceArePlannedTogetherEachByItself) {
  const auto account = data.add_account(data.workspace);
  std::vector<post_id> posts;
  for (const char* text : {"one", "same words", "same  words", "cancelled", "two accounts"}) {
    posts.push_back(data.add_scheduled_post(data.workspace, text, "now() - interval '1 second'"));
    data.add_target(posts.back(), account);
  }
  const auto other = data.add_target(posts[4], data.add_account(data.workspace));
  db.exec("UPDATE carillon.social_accounts SET status = 'disconnected' WHERE id <> '" + to_string(account) + "'");
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 5);
  std::vector<job> works;
  for (const auto post : posts)
    works.push_back(job_of(post));
  db.exec("UPDATE carillon.posts SET status = 'cancelled' WHERE id = '" + to_string(posts[3]) + "'");

  std::vector<const job*> wanted;
  for (const auto& work : works)
    wanted.push_back(&work);
  const auto plans = publishing.plan(me, wanted, rules, 5s);
  ASSERT_TRUE(plans);
  ASSERT_EQ(plans->size(), 5u);
  const auto calls = [&](std::size_t i) { return (*plans)[i].calls.size(); };
  ASSERT_EQ(calls(0), 1u);
  EXPECT_EQ((*plans)[0].calls[0].post.text, "one");
  EXPECT_EQ(calls(1) + calls(2), 1u) << "two posts with the same text on one account could not be told apart";
  EXPECT_TRUE((*plans)[calls(1) == 0 ? 1 : 2].resumes_in);
  EXPECT_TRUE((*plans)[3].settled);
  EXPECT_EQ(calls(4), 1u);
  EXPECT_EQ(target_column(other, "error_code"), "ACCOUNT_UNAVAILABLE");
  EXPECT_EQ(count("publish_attempts WHERE state = 'open'"), "3");
}

TEST_F(PublishPostJobTest, MediaThatAreNotThereAreLookedForAgainBeforeThePostFails) {
  rules.media_are_objects = true;
  const auto post = start_post(1);
  db.exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, mime_type, storage_path) "
          "SELECT gen_random_uuid(), tenant_id, id, 'image', 'a.png', 'image/png', 'uploads/a.png' FROM carillon.posts");
  const auto j = job_of(post);
  for (int retry = 1; retry <= 4; ++retry) {
    const auto planned = plan(j);
    ASSERT_EQ(planned->calls.size(), 1u);
    EXPECT_EQ(planned->calls[0].post.media.at(0).path,
              to_string(data.tenant) + "/" + to_string(data.workspace) + "/uploads/a.png");
    EXPECT_TRUE(record(j, planned->calls[0].attempt, failure{errc::not_found, "the file a.png cannot be read", {}, {}}));
    EXPECT_EQ(target_column(targets[0], "retry_count"), std::to_string(std::min(retry, 3)));
    skip_waits();
  }
  EXPECT_EQ(target_column(targets[0], "error_code || ': ' || error_message"),
            "PUBLISH_ERROR: A media file of the post is not there.");
  EXPECT_EQ(post_status(post), "failed");
}

TEST_F(PublishPostJobTest, WhatStaysUnknownTooLongFailsAndSaysSo) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  ASSERT_TRUE(record(j, attempt, unknown()));
  db.exec("UPDATE carillon.publish_attempts SET started_at = now() - interval '16 minutes'");
  const result<std::vector<public_post>> unreadable{failure{errc::transient, "down", {}, {}}};
  const auto progress = publishing.record_check(me, j, attempt, unreadable, 0ms, rules);
  EXPECT_TRUE(progress->settled);
  EXPECT_EQ(target_column(targets[0], "error_code"), "OUTCOME_UNKNOWN");
  EXPECT_EQ(post_status(post), "failed");
}

TEST_F(PublishPostJobTest, ANetworkThatCannotBeReadIsAskedTheLessOftenTheLongerThatGoesOn) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  ASSERT_TRUE(record(j, attempt, unknown()));
  const result<std::vector<public_post>> unreadable{failure{errc::transient, "down", {}, {}}};
  const auto next_within = [&](const std::string& age, const std::string& least, const std::string& most) {
    db.exec("UPDATE carillon.publish_attempts SET started_at = now() - interval '" + age + "'");
    EXPECT_TRUE(publishing.record_check(me, j, attempt, unreadable, 0ms, rules));
    EXPECT_EQ(target_column(targets[0], "next_action_at BETWEEN now() + interval '" + least + "' AND now() + interval '"
                                          + most + "'"), "t") << age;
  };
  next_within("1 second", "3 seconds", "6 seconds");
  next_within("4 minutes", "25 seconds", "32 seconds");
  next_within("14 minutes", "55 seconds", "61 seconds");
}

// -- ownership ------------------------------------------------------------------

TEST_F(PublishPostJobTest, ADeadNodesOpenAttemptIsAskedForByTheNextOwner) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  ASSERT_EQ(plan(j)->calls.size(), 1u);
  kill(me);
  const auto next = start_node("b");
  const auto planned = plan_as(next, j);
  EXPECT_TRUE(planned->calls.empty());
  EXPECT_EQ(planned->checks.size(), 1u);
}

TEST_F(PublishPostJobTest, AFencedOutNodesYesIsKeptButItDecidesNothing) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  kill(me);
  const auto progress = record(j, attempt, accepted("42"));
  ASSERT_TRUE(progress);
  EXPECT_FALSE(progress->settled);
  EXPECT_EQ(target_column(targets[0], "external_post_id"), "42");
  EXPECT_EQ(post_status(post), "publishing") << "a fenced-out node rolled up";
  const auto next = start_node("b");
  EXPECT_TRUE(plan_as(next, j)->settled);
  EXPECT_EQ(post_status(post), "published");
}

TEST_F(PublishPostJobTest, AFencedOutNodesFailureBecomesAQuestionNotARetry) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  const auto attempt = plan(j)->calls[0].attempt;
  kill(me);
  ASSERT_TRUE(record(j, attempt, failure{errc::transient, "no", {}, {}}));
  EXPECT_EQ(target_column(targets[0], "retry_count"), "0");
  EXPECT_EQ(count("publish_attempts WHERE state = 'unknown'"), "1");
}

// Every outcome transaction locks its post first. Without that lock each of
// two last targets sees the other one open, and the post hangs.
TEST_F(PublishPostJobTest, TwoLastTargetsThatRecordAtTheSameInstantLeaveThePostRolledUp) {
  for (int round = 0; round < 20; ++round) {
    const auto post = start_post(2, "round " + std::to_string(round));
    const auto j = job_of(post);
    const auto planned = plan(j);
    ASSERT_EQ(planned->calls.size(), 2u);
    std::promise<void> go;
    const auto start = go.get_future().share();
    std::vector<std::future<bool>> recording;
    for (int i = 0; i < 2; ++i)
      recording.push_back(std::async(std::launch::async, [&, i] {
        auto connection = db.connect();
        storage::publish_repository own{*connection, test::test_cipher()};
        start.wait();
        auto progress = record_with(own, j, planned->calls[static_cast<std::size_t>(i)].attempt,
                                    accepted(std::to_string(round * 2 + i)));
        EXPECT_TRUE(progress);
        return progress && progress->settled;
      }));
    go.set_value();
    const int settled = recording[0].get() + recording[1].get();
    EXPECT_EQ(settled, 1);
    ASSERT_EQ(post_status(post), "published");
  }
  EXPECT_EQ(count("notifications"), "20");
}

TEST_F(PublishPostJobTest, OutcomesThatComeTogetherAreWrittenTogetherEachAsItIs) {
  const auto published = start_post(2, "published");
  const auto refused = start_post(1, "refused");
  const auto waiting = start_post(2, "half");
  const std::vector<job> js{job_of(published), job_of(refused), job_of(waiting)};
  std::vector<publish_plan> plans;
  for (const auto& j : js)
    plans.push_back(*plan(j));
  const auto yes = accepted("1");
  const auto also = accepted("2");
  const auto half = accepted("3");
  const result<public_post> no = failure{errc::permanent, "Text is too long", {}, {}};
  const auto recorded = publishing.record(me,
                                          {{&js[0], plans[0].calls[0].attempt, &yes, 5ms},
                                           {&js[1], plans[1].calls[0].attempt, &no, 6ms},
                                           {&js[2], plans[2].calls[0].attempt, &half, 7ms},
                                           {&js[0], plans[0].calls[1].attempt, &also, 8ms}},
                                          rules);
  ASSERT_TRUE(recorded) << recorded.error().detail;
  EXPECT_EQ(recorded->settled, (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(post_status(published), "published");
  EXPECT_EQ(target_column(plans[0].calls[0].target, "external_post_id"), "1");
  EXPECT_EQ(target_column(plans[0].calls[1].target, "external_post_id"), "2");
  EXPECT_EQ(post_status(refused), "failed");
  EXPECT_EQ(target_column(plans[1].calls[0].target, "error_message"), "Text is too long");
  EXPECT_EQ(post_status(waiting), "publishing");
  EXPECT_EQ(target_status(plans[2].calls[0].target), "published");
  EXPECT_EQ(count("jobs WHERE kind = 'publish_post'"), "1");
  EXPECT_EQ(count("notifications WHERE type = 'post_published'"), "1");
  EXPECT_EQ(count("notifications WHERE type = 'post_failed'"), "1");
  EXPECT_EQ(db.exec("SELECT message FROM carillon.notifications WHERE type = 'post_published'"),
            "Your post \"published\" has been published.");
  EXPECT_EQ(count("audit_logs WHERE auditable_type = 'post'"), "2");
  EXPECT_EQ(count("publish_attempts WHERE state = 'succeeded' AND latency_ms IN (5, 7, 8)"), "3");
}

TEST_F(PublishPostJobTest, PostsOfManyWorkspacesAndTenantsSharePlanAndRecordEachInItsOwnPlace) {
  test::seed neighbour{db};
  const auto second = data.add_workspace();
  struct place {
    test::seed* of;
    workspace_id workspace;
  };
  const std::vector<place> places{{&data, data.workspace}, {&data, second}, {&neighbour, neighbour.workspace}};
  std::vector<post_id> posts;
  std::vector<job> works;
  for (const auto& [of, workspace] : places) {
    posts.push_back(of->add_scheduled_post(workspace, "hello", "now() - interval '1 second'"));
    of->add_target(posts.back(), of->add_account(workspace));
  }
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 3);
  std::vector<const job*> wanted;
  for (const auto post : posts)
    works.push_back(job_of(post));
  for (const auto& work : works)
    wanted.push_back(&work);

  const auto plans = publishing.plan(me, wanted, rules, 5s);
  ASSERT_TRUE(plans) << plans.error().detail;
  for (std::size_t i = 0; i < places.size(); ++i) {
    ASSERT_EQ(plans->at(i).calls.size(), 1u);
    EXPECT_EQ(db.exec("SELECT tenant_id || ' ' || workspace_id || ' ' || post_id FROM carillon.publish_attempts WHERE id = '"
                      + to_string(plans->at(i).calls[0].attempt) + "'"),
              to_string(places[i].of->tenant) + " " + to_string(places[i].workspace) + " " + to_string(posts[i]));
  }

  const auto yes = accepted("1");
  const auto also = accepted("2");
  const result<public_post> no = failure{errc::permanent, "Text is too long", {}, {}};
  const auto recorded = publishing.record(me,
                                          {{&works[0], plans->at(0).calls[0].attempt, &yes, 5ms},
                                           {&works[1], plans->at(1).calls[0].attempt, &no, 6ms},
                                           {&works[2], plans->at(2).calls[0].attempt, &also, 7ms}},
                                          rules);
  ASSERT_TRUE(recorded) << recorded.error().detail;
  EXPECT_EQ(recorded->settled, (std::vector<bool>{true, true, true}));
  EXPECT_EQ(post_status(posts[0]), "published");
  EXPECT_EQ(post_status(posts[1]), "failed");
  EXPECT_EQ(post_status(posts[2]), "published");
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto about = "data ->> 'post_id' = '" + to_string(posts[i]) + "'";
    EXPECT_EQ(db.exec("SELECT tenant_id || ' ' || user_id || ' ' || type FROM carillon.notifications WHERE " + about),
              to_string(places[i].of->tenant) + " " + to_string(places[i].of->author)
                + (i == 1 ? " post_failed" : " post_published"));
    EXPECT_EQ(db.exec("SELECT j.tenant_id || ' ' || j.workspace_id FROM carillon.jobs j "
                      "JOIN carillon.notifications n ON j.unique_key = 'notification-email-' || n.id WHERE n." + about),
              to_string(places[i].of->tenant) + " " + to_string(places[i].workspace));
    EXPECT_EQ(db.exec("SELECT tenant_id FROM carillon.audit_logs WHERE auditable_id = '" + to_string(posts[i]) + "'"),
              to_string(places[i].of->tenant));
  }
  std::set<workspace_id> hinted;
  for (const auto& one : recorded->after_commit)
    hinted.insert(one.workspace);
  EXPECT_EQ(hinted, (std::set<workspace_id>{data.workspace, second, neighbour.workspace}));
}

TEST_F(PublishPostJobTest, AJobThatNamesAPostOfAnotherTenantDoesNothingToIt) {
  test::seed neighbour{db};
  const auto mine = start_post(1);
  const auto theirs = neighbour.add_scheduled_post(neighbour.workspace, "theirs", "now() - interval '1 second'");
  neighbour.add_target(theirs, neighbour.add_account(neighbour.workspace));
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto honest = job_of(mine);
  auto forged = job_of(theirs);
  forged.tenant = data.tenant;
  forged.workspace = data.workspace;
  const auto plans = publishing.plan(me, {&honest, &forged}, rules, 5s);
  ASSERT_TRUE(plans);
  EXPECT_EQ(plans->at(0).calls.size(), 1u);
  EXPECT_TRUE(plans->at(1).settled);
  EXPECT_TRUE(plans->at(1).calls.empty());
  EXPECT_EQ(post_status(theirs), "publishing");
  EXPECT_EQ(count("publish_attempts"), "1");
}

TEST_F(PublishPostJobTest, AJobThatNamesAPostOfAnotherTenantKeepsTheRightfulOneFromNothing) {
  test::seed neighbour{db};
  const auto mine = start_post(1);
  const auto theirs = neighbour.add_scheduled_post(neighbour.workspace, "theirs", "now() - interval '1 second'");
  neighbour.add_target(theirs, neighbour.add_account(neighbour.workspace));
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto rightful = job_of(theirs);
  auto forged = job_of(mine);
  forged.payload = rightful.payload;
  const auto plans = publishing.plan(me, {&forged, &rightful}, rules, 5s);
  ASSERT_TRUE(plans);
  EXPECT_TRUE(plans->at(0).settled);
  EXPECT_TRUE(plans->at(0).calls.empty());
  EXPECT_EQ(plans->at(1).calls.size(), 1u);
}

TEST_F(PublishPostJobTest, PostsThatEndWithoutACallEndTogetherAndAnExpiredAccountIsToldOfOnce) {
  const auto account = data.add_account(data.workspace);
  std::vector<job> works;
  std::vector<post_id> posts;
  for (const char* text : {"one", "two", "three"}) {
    posts.push_back(data.add_scheduled_post(data.workspace, text, "now() - interval '1 second'"));
    data.add_target(posts.back(), account);
  }
  db.exec("UPDATE carillon.social_accounts SET token_expires_at = now() - interval '1 minute'");
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 3);
  for (const auto post : posts)
    works.push_back(job_of(post));
  const auto plans = publishing.plan(me, {&works[0], &works[1], &works[2]}, rules, 5s);
  ASSERT_TRUE(plans) << plans.error().detail;
  for (std::size_t i = 0; i < posts.size(); ++i) {
    EXPECT_TRUE(plans->at(i).settled);
    EXPECT_EQ(post_status(posts[i]), "failed");
  }
  EXPECT_EQ(count("post_targets WHERE error_code = 'TOKEN_EXPIRED'"), "3");
  EXPECT_EQ(count("notifications WHERE type = 'account_token_expired'"), "1");
  EXPECT_EQ(count("notifications WHERE type = 'post_failed'"), "3");
  EXPECT_EQ(count("jobs WHERE kind = 'publish_post'"), "0");
}

// Others may share the transaction (docs/adr/0006).
TEST_F(PublishPostJobTest, APostThatSomebodyHoldsLockedIsGivenUpForNowAndNotWaitedFor) {
  const auto held = start_post(1, "held");
  const auto j = job_of(held);
  std::promise<void> locked;
  std::promise<void> release;
  auto holder = std::async(std::launch::async, [&] {
    auto session = db.connect();
    return session->transact("hold", [&](pqxx::work& tx) -> result<done> {
      tx.exec("SELECT 1 FROM carillon.posts WHERE id = '" + to_string(held) + "' FOR UPDATE");
      locked.set_value();
      release.get_future().wait();
      return done{};
    }).has_value();
  });
  locked.get_future().wait();
  const auto planned = plan(j);
  release.set_value();
  EXPECT_TRUE(holder.get());
  ASSERT_FALSE(planned);
  EXPECT_EQ(planned.error().code, errc::transient);
  EXPECT_EQ(plan(j)->calls.size(), 1u);
}

TEST_F(PublishPostJobTest, GivingUpFailsThePostTellsTheAuthorAndKeepsTheDeadLetter) {
  const auto post = start_post(2);
  const auto j = job_of(post);
  const auto planned = plan(j);
  ASSERT_TRUE(record(j, planned->calls[0].attempt, accepted("1")));
  ASSERT_TRUE(publishing.give_up(me, j, "the process died 3 times"));
  EXPECT_EQ(post_status(post), "published");
  EXPECT_EQ(count("post_targets WHERE error_code = 'OUTCOME_UNKNOWN'"), "1");
  EXPECT_EQ(jobs.find(scope::maintenance("test"), j.id)->state, job_state::discarded);
  EXPECT_EQ(count("notifications"), "1");
}

TEST_F(PublishPostJobTest, AJobOfAPostThatIsNotPublishingEndsSilently) {
  const auto post = start_post(1);
  const auto j = job_of(post);
  db.exec("UPDATE carillon.posts SET status = 'cancelled'");
  EXPECT_TRUE(plan(j)->settled);
  EXPECT_EQ(count("notifications"), "0");
}

} // namespace

} // namespace carillon
