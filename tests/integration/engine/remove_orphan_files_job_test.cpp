#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>

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

  /// Where an upload lies; the same for the same name.
  static std::string upload(const std::string& name) {
    static std::map<std::string, std::string> known;
    auto& path = known[name];
    if (path.empty())
      path = "uploads/" + to_string(make_uuid_v7()) + ".png";
    return path;
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
  const auto orphan = put(upload("orphan"));
  const auto young = put(upload("young"), 23h);
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_TRUE(fs::exists(young)) << "its upload may not have its row yet";
}

TEST_F(RemoveOrphanFilesJobTest, WhatAPostNeedsStaysWhateverItsStatus) {
  std::vector<fs::path> needed;
  for (const auto* status : {"draft", "scheduled", "publishing", "published", "failed", "cancelled"}) {
    const auto path = upload(status);
    needed.push_back(put(path));
    add_post_with(path, status);
  }
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  for (const auto& file : needed)
    EXPECT_TRUE(fs::exists(file)) << file;
}

TEST_F(RemoveOrphanFilesJobTest, AFileIsKeptForTheLastOfTheCopiesThatNameIt) {
  const auto shared = put(upload("shared"));
  const auto first = add_post_with(upload("shared"), "draft");
  const auto copy = add_post_with(upload("shared"), "draft");
  db.exec("DELETE FROM carillon.post_media WHERE post_id = '" + first + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_TRUE(fs::exists(shared));
  db.exec("DELETE FROM carillon.post_media WHERE post_id = '" + copy + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(shared));
}

TEST_F(RemoveOrphanFilesJobTest, AnyRowKeepsItsFileAlsoADeletedPostsAndOneOfAnotherTenantsName) {
  const auto deleted = put(upload("deleted"));
  db.exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = '" + add_post_with(upload("deleted"), "draft") + "'");
  const auto odd = put(upload("odd"));
  const test::seed rival{db};
  db.exec("UPDATE carillon.post_media SET tenant_id = " + test::sql_literal(rival.tenant) + " WHERE post_id = '"
          + add_post_with(upload("odd"), "draft") + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_TRUE(fs::exists(deleted));
  EXPECT_TRUE(fs::exists(odd));
}

TEST_F(RemoveOrphanFilesJobTest, OnlyWhatIsNamedAsUploadsAreIsRemoved) {
  const auto id = to_string(make_uuid_v7());
  std::string upper = id;
  for (char& c : upper)
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
  std::vector<fs::path> others;
  for (const auto& name : {std::string{"report.png"}, std::string{".nfs00000000012345670000001a"}, id, id + ".txt", id + ".png.bak",
                           id + ".x.png", id + ".PNG", "x" + id + ".png", upper + ".png"})
    others.push_back(put("uploads/" + name));
  const auto orphan = put("uploads/" + id + ".mp4");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  for (const auto& file : others)
    EXPECT_TRUE(fs::exists(file)) << file;
  EXPECT_FALSE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, WhatWasNotUploadedHereAndWhatIsAnothersStays) {
  const auto by_hand = put("folder/a.png");
  const auto beside = put("a.png");
  const auto deeper = put("uploads/deeper/" + upload("a").substr(8));
  const auto theirs = put_key(object_key(data.tenant, workspace_id::make(), upload("a")));
  const auto foreign = put_key(object_key(tenant_id::make(), data.workspace, upload("a")));
  const auto outside = folder.path() / "outside.png";
  std::ofstream{outside} << "x";
  fs::create_directories(root / object_key(data.tenant, data.workspace, "uploads"));
  fs::create_symlink(outside, root / object_key(data.tenant, data.workspace, upload("link")));
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  for (const auto& file : {by_hand, beside, deeper, theirs, foreign, outside})
    EXPECT_TRUE(fs::exists(file)) << file;
  EXPECT_TRUE(fs::is_symlink(root / object_key(data.tenant, data.workspace, upload("link"))));
}

TEST_F(RemoveOrphanFilesJobTest, APostOfAnotherWorkspaceDoesNotKeepAFileOfTheSameName) {
  const auto orphan = put(upload("a"));
  const auto post = add_post_with(upload("a"), "draft");
  const auto other = data.add_workspace();
  db.exec("UPDATE carillon.posts SET workspace_id = " + test::sql_literal(other) + " WHERE id = '" + post + "'");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_FALSE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, ManyGoInChunksWithinOneRun) {
  for (int i = 0; i < 61; ++i)
    put(upload(std::to_string(i)));
  const auto kept = put(upload("kept"));
  add_post_with(upload("kept"), "draft");
  EXPECT_EQ(run().how, job_report::kind::succeeded);
  EXPECT_EQ(std::distance(fs::directory_iterator{kept.parent_path()}, fs::directory_iterator{}), 1);
  EXPECT_TRUE(fs::exists(kept));
}

TEST_F(RemoveOrphanFilesJobTest, AWorkspaceWithoutFilesHasNothingToDo) {
  EXPECT_EQ(run().how, job_report::kind::succeeded);
}

TEST_F(RemoveOrphanFilesJobTest, AFencedOutNodeRemovesNothing) {
  const auto orphan = put(upload("orphan"));
  ASSERT_TRUE(all->ownership().end_own(me));
  EXPECT_EQ(run().how, job_report::kind::concluded);
  EXPECT_TRUE(fs::exists(orphan));
}

TEST_F(RemoveOrphanFilesJobTest, ARunThatIsToldToStopRemovesNothingMoreAndComesAgain) {
  const auto orphan = put(upload("orphan"));
  std::stop_source told;
  told.request_stop();
  EXPECT_EQ(remove_orphan_files(*all, files, me, work(), db.log(), told.get_token()).how, job_report::kind::retry);
  EXPECT_TRUE(fs::exists(orphan));
}

/// The real one but for what a test puts in its way.
class disturbed_store final : public object_store {
public:
  explicit disturbed_store(object_store& real) : real_(real) {
  }
  std::function<bool(const std::string& key)> refuses = [](const std::string&) { return false; };
  std::function<void()> before_visit = [] {};
  bool visit_fails = false;
  int visits = 0;
  int removals = 0;

  result<std::unique_ptr<object_writer>> create(const std::string& key) override {
    return real_.create(key);
  }
  result<done> remove(const std::string& key) override {
    ++removals;
    if (refuses(key))
      return failure{errc::transient, "the disk is away", {}, {}};
    return real_.remove(key);
  }
  result<done> visit_old(const std::string& where, std::chrono::hours age,
                         const std::function<bool(const std::string&)>& visit) override {
    ++visits;
    before_visit();
    if (visit_fails)
      return failure{errc::transient, "the disk is away", {}, {}};
    return real_.visit_old(where, age, visit);
  }
  result<std::string> local_file(const std::string& key) override {
    return real_.local_file(key);
  }

private:
  object_store& real_;
};

TEST_F(RemoveOrphanFilesJobTest, AFileThatTheDiskKeepsIsPassedOverAndTheJobSucceeds) {
  const auto stuck = put(upload("stuck"));
  std::vector<fs::path> others;
  for (int i = 0; i < 45; ++i)
    others.push_back(put(upload("other " + std::to_string(i))));
  disturbed_store disk{files};
  disk.refuses = [&](const std::string& key) { return key.ends_with(stuck.filename().string()); };
  EXPECT_EQ(remove_orphan_files(*all, disk, me, work(), db.log()).how, job_report::kind::succeeded);
  EXPECT_TRUE(fs::exists(stuck));
  for (const auto& file : others)
    EXPECT_FALSE(fs::exists(file)) << file;
}

TEST_F(RemoveOrphanFilesJobTest, AFolderThatCannotBeListedIsNoFailureOfTheJob) {
  disturbed_store disk{files};
  disk.visit_fails = true;
  EXPECT_EQ(remove_orphan_files(*all, disk, me, work(), db.log()).how, job_report::kind::succeeded);
}

TEST_F(RemoveOrphanFilesJobTest, OnlyOneRunIsAtTheDiskAndTheOthersSucceedWithoutRemoving) {
  const auto orphan = put(upload("orphan"));
  disturbed_store disk{files};
  std::optional<job_report::kind> second;
  disk.before_visit = [&] {
    second = remove_orphan_files(*all, disk, me, work(), db.log()).how;
  };
  EXPECT_EQ(remove_orphan_files(*all, disk, me, work(), db.log()).how, job_report::kind::succeeded);
  EXPECT_EQ(second, job_report::kind::succeeded);
  EXPECT_EQ(disk.visits, 1);
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_EQ(remove_orphan_files(*all, disk, me, work(), db.log()).how, job_report::kind::succeeded);
  EXPECT_EQ(disk.visits, 2) << "its turn has ended";
}

TEST_F(RemoveOrphanFilesJobTest, ARunThatIsToldToStopInTheMiddleEndsWithTheTransactionItIsIn) {
  for (int i = 0; i < 50; ++i)
    put(upload("one " + std::to_string(i)));
  disturbed_store disk{files};
  std::stop_source told;
  disk.refuses = [&](const std::string&) {
    told.request_stop();
    return false;
  };
  EXPECT_EQ(remove_orphan_files(*all, disk, me, work(), db.log(), told.get_token()).how, job_report::kind::retry);
  EXPECT_EQ(disk.removals, 20);
}

TEST_F(RemoveOrphanFilesJobTest, OnlyWhatNoPostNamesIsHandedOutForRemoval) {
  const auto file = put("uploads/a.png");
  add_post_with("uploads/a.png", "draft");
  int removed = 0;
  const auto done = all->posts().remove_unnamed_files(me, work(), {"uploads/a.png", "uploads/gone.png"},
                                                      [&](const std::string& path) {
                                                        ++removed;
                                                        EXPECT_EQ(path, "uploads/gone.png");
                                                        return true;
                                                      });
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, 1);
  EXPECT_EQ(removed, 1);
  EXPECT_TRUE(fs::exists(file));
}

} // namespace

} // namespace carillon
