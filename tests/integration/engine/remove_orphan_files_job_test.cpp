#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "actors/jobs/kinds/remove_orphan_files.hpp"
#include "domain/ports/ownership_store.hpp"
#include "domain/ports/post_store.hpp"
#include "outbound/object_store/directory/directory_store.hpp"
#include "storage/pg_store.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class RemoveOrphanFilesJobTest : public ::testing::Test {
protected:
  /// Below the workspace's part of the store.
  fs::path put(const std::string& path, std::chrono::minutes age = 25h) {
    return put_key(object_key(data.tenant, data.workspace, path), age);
  }

  fs::path put_key(const std::string& key, std::chrono::minutes age = 25h) {
    const auto file = root / key;
    fs::create_directories(file.parent_path());
    std::ofstream{file} << "x";
    fs::last_write_time(file, fs::file_time_type::clock::now() - age);
    return file;
  }

  std::string add_post_with(const std::string& path, const std::string& status) {
    const auto post = post_id::make();
    db.exec("INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, status, content_text, scheduled_at) VALUES ("
            + test::sql_literal(post) + ", " + test::sql_literal(data.tenant) + ", " + test::sql_literal(data.workspace)
            + ", " + test::sql_literal(data.author) + ", " + test::sql_literal(status) + ", 'text', now() + interval '1 day')");
    db.exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, storage_path) VALUES "
            "(gen_random_uuid(), " + test::sql_literal(data.tenant) + ", " + test::sql_literal(post)
            + ", 'image', 'a.png', " + test::sql_literal(path) + ")");
    return to_string(post);
  }

  job work() const {
    job out;
    out.kind = kinds::cleanup_old_notifications;
    out.tenant = data.tenant;
    out.workspace = data.workspace;
    return out;
  }

  job_outcome run() {
    return remove_orphan_files(*all, files, me, work(), db.log());
  }

  test::test_database db;
  test::seed data{db};
  test::scratch_folder folder;
  fs::path root = folder.path() / "objects";
  std::unique_ptr<store> all = storage::make_pg_store({.url = db.url()}, test::test_cipher(), db.log());
  outbound::directory_store files{root, db.log()};
  node_identity me = *all->ownership().start_incarnation("n1", 30s);
};

TEST_F(RemoveOrphanFilesJobTest, AFileThatNoPostNamesGoesAfterADay) {
  const auto orphan = put("uploads/orphan.png");
  const auto young = put("uploads/young.png", 23h);
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_TRUE(fs::exists(young)) << "its upload may not have its row yet";
}

TEST_F(RemoveOrphanFilesJobTest, WhatAPostNeedsStaysWhateverItsStatus) {
  std::vector<fs::path> needed;
  for (const auto* status : {"draft", "scheduled", "publishing", "published", "failed", "cancelled"}) {
    const auto path = std::string{"uploads/"} + status + ".png";
    needed.push_back(put(path));
    add_post_with(path, status);
  }
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  for (const auto& file : needed)
    EXPECT_TRUE(fs::exists(file)) << file;
}

TEST_F(RemoveOrphanFilesJobTest, AFileIsKeptForTheLastOfTheCopiesThatNameIt) {
  const auto shared = put("uploads/shared.png");
  const auto first = add_post_with("uploads/shared.png", "draft");
  const auto copy = add_post_with("uploads/shared.png", "draft");
  db.exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = '" + first + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_TRUE(fs::exists(shared));
  db.exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = '" + copy + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(shared));
}

TEST_F(RemoveOrphanFilesJobTest, WhatWasNotUploadedHereAndWhatIsAnothersStays) {
  const auto by_hand = put("folder/a.png");
  const auto beside = put("a.png");
  const auto deeper = put("uploads/deeper/a.png");
  const auto theirs = put_key(object_key(data.tenant, workspace_id::make(), "uploads/a.png"));
  const auto foreign = put_key(object_key(tenant_id::make(), data.workspace, "uploads/a.png"));
  const auto outside = folder.path() / "outside.png";
  std::ofstream{outside} << "x";
  fs::create_directories(root / object_key(data.tenant, data.workspace, "uploads"));
  fs::create_symlink(outside, root / object_key(data.tenant, data.workspace, "uploads/link.png"));
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  for (const auto& file : {by_hand, beside, deeper, theirs, foreign, outside})
    EXPECT_TRUE(fs::exists(file)) << file;
}

TEST_F(RemoveOrphanFilesJobTest, APostOfAnotherWorkspaceDoesNotKeepAFileOfTheSameName) {
  const auto orphan = put("uploads/a.png");
  const auto post = add_post_with("uploads/a.png", "draft");
  const auto other = data.add_workspace();
  db.exec("UPDATE carillon.posts SET workspace_id = " + test::sql_literal(other) + " WHERE id = '" + post + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, ManyGoInChunksWithinOneRun) {
  for (int i = 0; i < 1'201; ++i)
    put("uploads/" + std::to_string(i) + ".png");
  const auto kept = put("uploads/kept.png");
  add_post_with("uploads/kept.png", "draft");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(std::distance(fs::directory_iterator{kept.parent_path()}, fs::directory_iterator{}), 1);
  EXPECT_TRUE(fs::exists(kept));
}

TEST_F(RemoveOrphanFilesJobTest, AWorkspaceWithoutFilesHasNothingToDo) {
  EXPECT_EQ(run().how, job_report::kind::succeeded);
}

TEST_F(RemoveOrphanFilesJobTest, AFencedOutNodeRemovesNothing) {
  const auto orphan = put("uploads/orphan.png");
  ASSERT_TRUE(all->ownership().end_own(me));
  EXPECT_EQ(run().how, job_report::kind::concluded);
  EXPECT_TRUE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, ARunThatIsToldToStopRemovesNothingMoreAndComesAgain) {
  const auto orphan = put("uploads/orphan.png");
  std::stop_source told;
  told.request_stop();
  EXPECT_EQ(remove_orphan_files(*all, files, me, work(), db.log(), told.get_token()).how, job_report::kind::retry);
  EXPECT_TRUE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, ADiskThatRefusesIsTriedAgain) {
  const auto blocked = root / object_key(data.tenant, data.workspace, "uploads");
  put("uploads/a.png");
  class refusing final : public object_store {
  public:
    explicit refusing(object_store& real) : real_(real) {
    }
    result<std::unique_ptr<object_writer>> create(const std::string& key) override {
      return real_.create(key);
    }
    result<done> remove(const std::string&) override {
      return failure{errc::transient, "the disk is away", {}, {}};
    }
    result<done> visit_old(const std::string& where, std::chrono::hours age,
                           const std::function<bool(const std::string&)>& visit) override {
      return real_.visit_old(where, age, visit);
    }
    result<std::string> local_file(const std::string& key) override {
      return real_.local_file(key);
    }

  private:
    object_store& real_;
  } away{files};
  const auto outcome = remove_orphan_files(*all, away, me, work(), db.log());
  EXPECT_EQ(outcome.how, job_report::kind::retry);
  EXPECT_NE(outcome.error.find("away"), std::string::npos);
  EXPECT_TRUE(fs::exists(blocked / "a.png"));
}

TEST_F(RemoveOrphanFilesJobTest, OnlyWhatNoPostNamesIsHandedOutForRemoval) {
  const auto file = put("uploads/a.png");
  add_post_with("uploads/a.png", "draft");
  int removed = 0;
  const auto done = all->posts().remove_unnamed_files(me, work(), {"uploads/a.png", "uploads/gone.png"},
                                                      [&](const std::string& path) -> result<carillon::done> {
                                                        ++removed;
                                                        EXPECT_EQ(path, "uploads/gone.png");
                                                        return carillon::done{};
                                                      });
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, 1);
  EXPECT_EQ(removed, 1);
  EXPECT_TRUE(fs::exists(file));
}

} // namespace

} // namespace carillon
