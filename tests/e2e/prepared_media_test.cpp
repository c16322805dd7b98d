// Prepare early, commit on time: files are at their network before the post is
// due, so that the due second holds one call. The sandbox counts.

#include <csignal>
#include <fstream>

#include "tests/e2e/main_job_fixture.hpp"

namespace carillon {

namespace {

class PreparedMediaE2eTest : public test::main_job_fixture {
protected:
  /// Due in a while, with one picture in the store.
  post_id schedule_with_picture(const std::string& text, const std::vector<social_account_id>& accounts) {
    const auto post = data.add_scheduled_post(data.workspace, text, "now() + interval '5 minutes'");
    for (const auto& account : accounts)
      data.add_target(post, account);
    const auto name = "uploads/" + to_string(post) + ".png";
    const auto file = folder.path() / "media" / to_string(data.tenant) / to_string(data.workspace) / name;
    std::filesystem::create_directories(file.parent_path());
    const std::string bytes{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde", 33};
    std::ofstream{file, std::ios::binary} << bytes << text;
    db.exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, mime_type, storage_path, alt_text) "
            "VALUES (gen_random_uuid(), " + test::sql_literal(data.tenant) + ", " + test::sql_literal(post)
            + ", 'image', 'bell.png', 'image/png', " + test::sql_literal(name) + ", 'A bell')");
    return post;
  }

  bool prepared(int files) {
    return test::eventually([&] { return count("prepared_media WHERE reference IS NOT NULL") == files; });
  }

  void make_due() {
    db.exec("UPDATE carillon.posts SET scheduled_at = now() WHERE status = 'scheduled'");
  }

  int calls() const {
    return test::web_client{network.url()}.get("/sandbox/stats").json()["calls"].get<int>();
  }

  void expect_published_with_picture(const std::string& text) {
    int found = 0;
    for (const auto& post : network.posts())
      if (post["text"] == text) {
        ++found;
        EXPECT_EQ(post["media"].size(), 1u) << post.dump();
      }
    EXPECT_EQ(found, 1) << text;
  }

  // These posts come without a hint: the sweep finds them.
  const test::carillon_node::environment settings{{"CARILLON_PUBLISHING__SWEEP_EVERY", "1s"}};
};

TEST_F(PreparedMediaE2eTest, FilesGoToEachNetworkBeforeTheirPostIsDueAndTheDueSecondHoldsOneCallForEach) {
  test::carillon_node node{db.url(), folder.path(), settings};
  const auto post = schedule_with_picture("prepared", {add_account(), add_account(carillon::network::bluesky)});
  ASSERT_TRUE(prepared(2)) << node.self().output();
  EXPECT_EQ(network.posts().size(), 0u) << "nothing is public before its time";
  const auto before = calls();
  make_due();
  ASSERT_TRUE(settled()) << node.self().output();
  EXPECT_EQ(calls(), before + 2);
  EXPECT_EQ(network.posts().size(), 2u);
  for (const auto& one : network.posts())
    EXPECT_EQ(one["media"].size(), 1u) << one.dump();
  EXPECT_EQ(db.exec("SELECT status FROM carillon.posts WHERE id = " + test::sql_literal(post)), "published");
  EXPECT_TRUE(test::eventually([this] { return count("prepared_media") == 0; })) << "nothing stays behind";
}

TEST_F(PreparedMediaE2eTest, AKillBetweenPreparationAndDueTimeCostsNoSecondUpload) {
  schedule_with_picture("survives", {add_account()});
  {
    test::carillon_node doomed{db.url(), folder.path(), settings};
    ASSERT_TRUE(prepared(1)) << doomed.self().output();
    doomed.self().signal(SIGKILL);
    doomed.self().wait();
  }
  const auto before = calls();
  test::carillon_node successor{db.url(), folder.path(), settings};
  make_due();
  ASSERT_TRUE(settled()) << successor.self().output();
  EXPECT_EQ(calls(), before + 1);
  expect_published_with_picture("survives");
}

TEST_F(PreparedMediaE2eTest, ANetworkThatHasForgottenTheFileGetsItAgainWithThePostAndNoTryIsUsedUp) {
  test::carillon_node node{db.url(), folder.path(), settings};
  schedule_with_picture("forgotten", {add_account()});
  ASSERT_TRUE(prepared(1)) << node.self().output();
  network.stop();
  network.start();
  make_due();
  ASSERT_TRUE(settled()) << node.self().output();
  expect_published_with_picture("forgotten");
  EXPECT_EQ(count("publish_attempts"), 1);
}

TEST_F(PreparedMediaE2eTest, SwitchedOffFilesGoWithTheirPostAndTheSwitchWorksWhileRunning) {
  const auto file = folder.path() / "carillon.toml";
  const auto write = [&](const std::string& before) {
    std::ofstream{file} << "[publishing]\nprepare_media_before = \"" + before + "\"\n";
  };
  write("0s");
  auto quiet = settings;
  quiet.emplace("CARILLON_CONFIG", file.string());
  test::carillon_node node{db.url(), folder.path(), quiet};
  schedule_with_picture("at its time", {add_account()});
  make_due();
  ASSERT_TRUE(settled()) << node.self().output();
  expect_published_with_picture("at its time");
  EXPECT_EQ(count("prepared_media"), 0);
  schedule_with_picture("early again", {add_account()});
  write("10min");
  node.self().signal(SIGHUP);
  EXPECT_TRUE(prepared(1)) << node.self().output();
}

} // namespace

} // namespace carillon
