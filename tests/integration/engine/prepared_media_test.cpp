// Files that are uploaded before their post is due: what is chosen, what is
// kept, and what of it a due post may use.

#include <gmock/gmock.h>

#include "tests/integration/engine/publishing_fixture.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PreparedMediaTest : public test::publishing_fixture {
protected:
  post_id add_post(const std::string& due = "now() + interval '5 minutes'", int files = 1) {
    const auto post = data.add_scheduled_post(data.workspace, "hello " + std::to_string(++posts_), due);
    add_files(post, files);
    return post;
  }
  void add_files(post_id post, int count) {
    for (int i = 1; i <= count; ++i)
      db.exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, mime_type, storage_path, alt_text, "
              "sort_order) SELECT gen_random_uuid(), tenant_id, id, 'image', 'a.png', 'image/png', 'uploads/a"
              + std::to_string(i) + ".png', 'A bell', " + std::to_string(i) + " FROM carillon.posts WHERE id = "
              + test::sql_literal(post));
  }

  result<std::vector<planned_preparation>> ask(std::vector<social_account_id> busy = {}, int limit = 16) {
    return publishing.plan_preparations(me, all_shards(), networks, busy, limit, true);
  }
  std::vector<planned_preparation> wanted(std::vector<social_account_id> busy = {}, int limit = 16) {
    auto found = ask(std::move(busy), limit);
    EXPECT_TRUE(found) << (found ? "" : found.error().detail);
    return found ? std::move(*found) : std::vector<planned_preparation>{};
  }
  std::vector<target_id> wanted_targets(std::vector<social_account_id> busy = {}, int limit = 16) {
    std::vector<target_id> out;
    for (const auto& one : wanted(std::move(busy), limit))
      out.push_back(one.target);
    return out;
  }

  void keep(const planned_preparation& of, const std::string& reference = "media-", std::chrono::milliseconds holds = 1h) {
    std::vector<prepared_file> files;
    for (const auto& file : of.files)
      files.push_back({file.id, reference.empty() ? "" : reference + std::to_string(files.size() + 1), holds});
    EXPECT_TRUE(publishing.record_preparation(of, files, {}));
  }

  /// The post is due now; what its call would upload or not.
  std::vector<std::string> references_when_due(post_id post) {
    db.exec("UPDATE carillon.posts SET scheduled_at = now() - interval '1 second' WHERE id = " + test::sql_literal(post));
    EXPECT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
    const auto planned = plan(job_of(post));
    std::vector<std::string> out;
    EXPECT_TRUE(planned && planned->calls.size() == 1);
    if (planned && planned->calls.size() == 1)
      for (const auto& media : planned->calls[0].post.media)
        out.push_back(media.reference);
    return out;
  }

  std::vector<preparing_network> networks{{network::mastodon, 10min}};

private:
  int posts_ = 0;
};

TEST_F(PreparedMediaTest, APostWithFilesThatIsDueSoonIsFoundWithAllThatUploadingThemTakes) {
  const auto account = data.add_account(data.workspace, "mastodon", "https://m.example");
  const auto post = add_post("now() + interval '5 minutes'", 2);
  const auto target = data.add_target(post, account);
  const auto found = wanted();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].target, target);
  EXPECT_EQ(found[0].account_id, account);
  EXPECT_EQ(found[0].account.instance_url, "https://m.example");
  EXPECT_EQ(found[0].account.access_token, "sandbox-acme");
  EXPECT_GT(found[0].due_in, 4min);
  EXPECT_LE(found[0].due_in, 5min);
  ASSERT_THAT(found[0].files, SizeIs(2));
  EXPECT_EQ(found[0].files[0].media.path,
            to_string(data.tenant) + "/" + to_string(data.workspace) + "/uploads/a1.png");
  EXPECT_EQ(found[0].files[1].media.path,
            to_string(data.tenant) + "/" + to_string(data.workspace) + "/uploads/a2.png");
  EXPECT_EQ(found[0].files[0].media.alt_text, "A bell");
}

TEST_F(PreparedMediaTest, OthersAreLeftAlone) {
  const auto account = [&] { return data.add_account(data.workspace); };
  data.add_target(add_post("now() + interval '5 minutes'", 0), account());
  data.add_target(add_post("now() + interval '11 minutes'"), account());
  data.add_target(add_post("now() - interval '1 second'"), account());
  data.add_target(add_post(), data.add_account(data.workspace, "bluesky"));
  data.add_target(add_post(), data.add_account(data.workspace, "facebook"));
  const auto with_account = [&](const std::string& column) {
    const auto id = account();
    data.add_target(add_post(), id);
    db.exec("UPDATE carillon.social_accounts SET " + column + " WHERE id = " + test::sql_literal(id));
  };
  with_account("status = 'disconnected'");
  with_account("token_expires_at = now() - interval '1 minute'");
  with_account("uploads_wait_until = now() + interval '1 minute'");
  with_account("calls_wait_until = now() + interval '1 minute'");
  const auto with_post = [&](const std::string& column) {
    const auto id = add_post();
    data.add_target(id, account());
    db.exec("UPDATE carillon.posts SET " + column + " WHERE id = " + test::sql_literal(id));
  };
  with_post("status = 'cancelled'");
  with_post("deleted_at = now()");
  EXPECT_THAT(wanted_targets(), IsEmpty());
  networks.push_back({network::bluesky, 1min});
  EXPECT_THAT(wanted_targets(), IsEmpty()) << "not that early on this network";
  networks[1].ahead = 6min;
  EXPECT_THAT(wanted_targets(), SizeIs(1));
  db.exec("INSERT INTO carillon.social_platform_integrations (id, provider, display_name, platforms, is_enabled, status) "
          "VALUES (gen_random_uuid(), 'bluesky', 'Bluesky', '[\"bluesky\"]', false, 'disabled')");
  EXPECT_THAT(wanted_targets(), IsEmpty()) << "switched off";
}

TEST_F(PreparedMediaTest, EachAccountHasItsFirstPostPreparedAndThoseAtWorkAreLeftOut) {
  const auto busy = data.add_account(data.workspace);
  const auto free = data.add_account(data.workspace);
  const auto post = add_post("now() + interval '4 minutes'");
  const auto later = data.add_target(add_post("now() + interval '6 minutes'"), free);
  const auto first = data.add_target(post, busy);
  const auto second = data.add_target(post, free);
  EXPECT_THAT(wanted_targets(), ::testing::UnorderedElementsAre(first, second));
  EXPECT_THAT(wanted_targets({busy}), ElementsAre(second));
  EXPECT_THAT(wanted_targets({}, 1), SizeIs(1));
  keep(wanted({busy}).at(0));
  EXPECT_THAT(wanted_targets({busy}), ElementsAre(later));
}

TEST_F(PreparedMediaTest, ADuePostUsesWhatWasPreparedAlsoWhenAnotherNodeHasTakenOver) {
  const auto post = add_post("now() + interval '5 minutes'", 2);
  data.add_target(post, data.add_account(data.workspace));
  keep(wanted().at(0));
  EXPECT_THAT(wanted(), IsEmpty()) << "once";
  kill(me);
  me = start_node("b");
  EXPECT_THAT(wanted(), IsEmpty()) << "also for the next owner";
  EXPECT_THAT(references_when_due(post), ElementsAre("media-1", "media-2"));
}

TEST_F(PreparedMediaTest, OfAPostThatWasChangedNothingIsUsedAndAllIsPreparedAgain) {
  const auto post = add_post();
  data.add_target(post, data.add_account(data.workspace));
  const auto before = wanted().at(0);
  keep(before, "old-");
  db.exec("UPDATE carillon.posts SET revision = revision + 1");
  ASSERT_THAT(wanted(), SizeIs(1));
  keep(before, "late-");
  ASSERT_THAT(wanted(), SizeIs(1)) << "an upload that was under way meanwhile is not the changed post's";
  keep(wanted().at(0), "new-");
  EXPECT_THAT(references_when_due(post), ElementsAre("new-1"));
}

TEST_F(PreparedMediaTest, AChangedPostThatIsDueAtOnceIsUploadedWithItsCall) {
  const auto post = add_post();
  data.add_target(post, data.add_account(data.workspace));
  keep(wanted().at(0));
  db.exec("UPDATE carillon.posts SET revision = revision + 1");
  EXPECT_THAT(references_when_due(post), ElementsAre(""));
}

TEST_F(PreparedMediaTest, WhatDoesNotHoldUntilThePostIsDueIsPreparedAgainAndWhatIsOverIsNotUsed) {
  const auto post = add_post();
  data.add_target(post, data.add_account(data.workspace));
  keep(wanted().at(0), "short-", 1min);
  EXPECT_THAT(wanted(), SizeIs(1));
  db.exec("UPDATE carillon.prepared_media SET holds_until = now() - interval '1 second'");
  EXPECT_THAT(references_when_due(post), ElementsAre(""));
}

TEST_F(PreparedMediaTest, AnUploadThatFailedIsTriedAgainAfterItsTimeAndIsNoFailureOfThePost) {
  const auto post = add_post("now() + interval '5 minutes'", 2);
  data.add_target(post, data.add_account(data.workspace));
  auto planned = wanted().at(0);
  ASSERT_TRUE(publishing.record_preparation(planned, {{planned.files[0].id, "media-1", 1h}, {planned.files[1].id, "", 1min}}, {}));
  EXPECT_THAT(wanted(), IsEmpty());
  db.exec("UPDATE carillon.prepared_media SET holds_until = now() - interval '1 second' WHERE reference IS NULL");
  planned = wanted().at(0);
  ASSERT_THAT(planned.files, SizeIs(1)) << "only what is missing";
  EXPECT_THAT(planned.files[0].media.path, ::testing::EndsWith("a2.png"));
  EXPECT_THAT(references_when_due(post), ElementsAre("media-1", ""));
}

TEST_F(PreparedMediaTest, WhatANetworkRefusedIsForgottenWithTheRefusalAndTheNextTryUploadsAnew) {
  const auto post = add_post("now() + interval '5 minutes'", 2);
  const auto target = data.add_target(post, data.add_account(data.workspace));
  keep(wanted().at(0));
  db.exec("UPDATE carillon.posts SET scheduled_at = now() - interval '1 second' WHERE id = " + test::sql_literal(post));
  ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
  const auto job = job_of(post);
  const auto planned = plan(job);
  ASSERT_TRUE(planned && planned->calls.size() == 1);
  EXPECT_EQ(planned->calls[0].post.media.at(1).reference, "media-2");
  ASSERT_TRUE(record(job, planned->calls[0].attempt, failure{errc::permanent, "media not found", {}, {}}));
  EXPECT_EQ(target_status(target), "failed");
  EXPECT_EQ(count("prepared_media"), "0");
  // The author tries again.
  db.exec("UPDATE carillon.posts SET status = 'scheduled' WHERE id = " + test::sql_literal(post));
  EXPECT_THAT(references_when_due(post), ElementsAre("", ""));
}

TEST_F(PreparedMediaTest, AFailureThatIsNoRefusalKeepsWhatWasPrepared) {
  for (const auto code : {errc::transient, errc::throttled, errc::outcome_unknown}) {
    const auto post = add_post();
    data.add_target(post, data.add_account(data.workspace));
    const auto ready = wanted();
    ASSERT_THAT(ready, SizeIs(1));
    keep(ready[0]);
    db.exec("UPDATE carillon.posts SET scheduled_at = now() - interval '1 second' WHERE id = " + test::sql_literal(post));
    ASSERT_EQ(publishing.start_due(me, all_shards(), 100)->started, 1);
    const auto job = job_of(post);
    const auto planned = plan(job);
    ASSERT_TRUE(planned && planned->calls.size() == 1);
    ASSERT_TRUE(record(job, planned->calls[0].attempt, failure{code, "not now", {}, {}}));
    EXPECT_EQ(count("prepared_media WHERE reference IS NOT NULL"), "1") << to_string(code);
    db.exec("DELETE FROM carillon.prepared_media");
  }
}

TEST_F(PreparedMediaTest, WhatANetworkAskedOfAnAccountWhileItWasPreparedIsKept) {
  data.add_target(add_post(), data.add_account(data.workspace));
  const auto planned = wanted().at(0);
  ASSERT_TRUE(publishing.record_preparation(planned, {{planned.files[0].id, "", 1ms}}, {.uploads_wait = 300s}));
  EXPECT_EQ(db.exec("SELECT uploads_wait_until > now() + interval '200 seconds' AND calls_wait_until IS NULL "
                    "FROM carillon.social_accounts"), "t");
  EXPECT_THAT(wanted(), IsEmpty());
}

TEST_F(PreparedMediaTest, WhatIsLeftOfAWindowAfterAnUploadIsKnownToTheNextOne) {
  data.add_target(add_post(), data.add_account(data.workspace));
  const auto planned = wanted().at(0);
  EXPECT_TRUE(planned.known_rates.is_none());
  ASSERT_TRUE(publishing.record_preparation(planned, {}, {.uploads = rate_window{30, 4, 600s}}));
  const auto next = wanted().at(0);
  EXPECT_FALSE(next.known_rates.calls);
  ASSERT_TRUE(next.known_rates.uploads);
  EXPECT_EQ(next.known_rates.uploads->left, 4);
  EXPECT_GT(next.known_rates.uploads->ends_in, 300s);
}

TEST_F(PreparedMediaTest, AWaitForUploadsDoesNotHoldBackAPostThatHasNothingToUpload) {
  const auto post = add_post();
  data.add_target(post, data.add_account(data.workspace));
  keep(wanted().at(0));
  db.exec("UPDATE carillon.social_accounts SET uploads_wait_until = now() + interval '5 minutes'");
  EXPECT_THAT(references_when_due(post), ElementsAre("media-1"));
}

TEST_F(PreparedMediaTest, AnAccountWhoseTokenCannotBeReadIsNotAskedForAgainAndAgain) {
  const auto broken = data.add_account(data.workspace);
  data.add_target(add_post(), broken);
  const auto good = data.add_target(add_post(), data.add_account(data.workspace));
  db.exec("UPDATE carillon.social_accounts SET access_token_encrypted = 'nonsense' WHERE id = " + test::sql_literal(broken));
  EXPECT_THAT(wanted_targets(), ElementsAre(good));
  EXPECT_EQ(count("prepared_media WHERE reference IS NULL"), "1");
}

TEST_F(PreparedMediaTest, WhatNoPostWillUseAnyMoreIsForgotten) {
  std::vector<post_id> posts;
  for (int i = 0; i < 8; ++i) {
    posts.push_back(add_post());
    data.add_target(posts.back(), data.add_account(data.workspace));
  }
  for (const auto& one : wanted())
    keep(one);
  EXPECT_EQ(*publishing.forget_preparations(me, all_shards()), 0);
  EXPECT_EQ(count("prepared_media"), "8");
  const auto of = [&](std::size_t i) { return test::sql_literal(posts[i]); };
  db.exec("UPDATE carillon.posts SET status = 'cancelled' WHERE id = " + of(0));
  db.exec("UPDATE carillon.posts SET revision = 2 WHERE id = " + of(1));
  db.exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = " + of(2));
  db.exec("UPDATE carillon.post_targets SET status = 'published', external_post_id = 'x' WHERE post_id = " + of(3));
  db.exec("UPDATE carillon.social_accounts SET status = 'disconnected' WHERE id = (SELECT social_account_id FROM "
          "carillon.post_targets WHERE post_id = " + of(4) + ")");
  db.exec("DELETE FROM carillon.post_media WHERE post_id = " + of(5));
  db.exec("UPDATE carillon.prepared_media SET holds_until = now() WHERE target_id = (SELECT id FROM carillon.post_targets "
          "WHERE post_id = " + of(6) + ")");
  const auto other = shard_of(data.workspace) == 0 ? shard_id{1} : shard_id{0};
  EXPECT_EQ(*publishing.forget_preparations(me, {other}), 0) << "another owner's";
  EXPECT_EQ(*publishing.forget_preparations(me, all_shards()), 6);
  EXPECT_EQ(db.exec("SELECT t.post_id FROM carillon.prepared_media r JOIN carillon.post_targets t ON t.id = r.target_id"),
            to_string(posts[7]));
}

TEST_F(PreparedMediaTest, WhoForgetsDoesNotWaitForWhoRecordsAndLeavesItsRowsToTheNextTime) {
  for (int i = 0; i < 2; ++i)
    data.add_target(add_post(), data.add_account(data.workspace));
  const auto planned = wanted();
  for (const auto& one : planned)
    keep(one);
  db.exec("UPDATE carillon.posts SET status = 'cancelled'");
  const auto recorder = db.connect();
  const auto recorded = recorder->transact("record", [&](pqxx::work& tx) -> result<done> {
    tx.exec_params("SELECT FROM carillon.prepared_media WHERE target_id = $1 FOR UPDATE", to_string(planned.at(0).target));
    EXPECT_EQ(*publishing.forget_preparations(me, all_shards()), 1);
    return done{};
  });
  ASSERT_TRUE(recorded);
  EXPECT_EQ(db.exec("SELECT target_id FROM carillon.prepared_media"), to_string(planned.at(0).target));
  EXPECT_EQ(*publishing.forget_preparations(me, all_shards()), 1);
}

TEST_F(PreparedMediaTest, ANodeWhoseLeaseWasEndedDecidesNothing) {
  data.add_target(add_post(), data.add_account(data.workspace));
  const auto planned = wanted().at(0);
  kill(me);
  EXPECT_EQ(ask().error().code, errc::cancelled);
  EXPECT_EQ(publishing.forget_preparations(me, all_shards()).error().code, errc::cancelled);
  keep(planned);
  EXPECT_EQ(count("prepared_media"), "1") << "but what it has learned is kept";
}

TEST_F(PreparedMediaTest, OfAnotherTenantsPostNothingIsKept) {
  data.add_target(add_post(), data.add_account(data.workspace));
  auto planned = wanted().at(0);
  test::seed rival{db};
  planned.tenant = rival.tenant;
  planned.workspace = rival.workspace;
  keep(planned);
  EXPECT_EQ(count("prepared_media"), "0");
}

} // namespace

} // namespace carillon
