#include "outbound/object_store/directory/directory_store.hpp"

#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/scratch_folder.hpp"
#include "tests/unit/http/recording_logger.hpp"

namespace carillon::outbound {

namespace {

namespace fs = std::filesystem;

class DirectoryStoreTest : public ::testing::Test {
protected:
  static std::string text_of_file(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  std::size_t files_below(const fs::path& where) const {
    std::size_t out = 0;
    if (fs::exists(where))
      for (const auto& entry : fs::recursive_directory_iterator{where})
        out += entry.is_regular_file() ? 1 : 0;
    return out;
  }
  void put(const std::string& key, const std::string& content) {
    auto writer = store.create(key);
    ASSERT_TRUE(writer) << writer.error().detail;
    ASSERT_TRUE((*writer)->write(content));
    ASSERT_TRUE((*writer)->commit());
  }

  test::scratch_folder folder;
  test::recording_logger log;
  fs::path root = folder.path() / "objects";
  directory_store store{root, log};
};

TEST_F(DirectoryStoreTest, AnObjectIsThereWhenItIsWhole) {
  {
    auto writer = store.create("tenant/workspace/a.png");
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->write("first "));
    ASSERT_TRUE((*writer)->write(""));
    ASSERT_TRUE((*writer)->write("second"));
    EXPECT_EQ(store.local_file("tenant/workspace/a.png").error().code, errc::not_found) << "not before the end";
    ASSERT_TRUE((*writer)->commit());
  }
  const auto file = store.local_file("tenant/workspace/a.png");
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of_file(*file), "first second");
  EXPECT_EQ(files_below(root), 1u);
  put("tenant/workspace/a.png", "replaced");
  EXPECT_EQ(text_of_file(*file), "replaced");
}

TEST_F(DirectoryStoreTest, AWriterThatIsDroppedLeavesNothing) {
  {
    auto writer = store.create("tenant/workspace/a.png");
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->write("half"));
    EXPECT_EQ(files_below(root), 1u);
  }
  EXPECT_EQ(files_below(root), 0u);
}

TEST_F(DirectoryStoreTest, RemovingTwiceIsRemoving) {
  put("tenant/a", "x");
  EXPECT_TRUE(store.remove("tenant/a"));
  EXPECT_TRUE(store.remove("tenant/a"));
  EXPECT_TRUE(store.remove("never/there/b"));
  EXPECT_EQ(store.local_file("tenant/a").error().code, errc::not_found);
}

TEST_F(DirectoryStoreTest, KeysNeverLeaveTheFolder) {
  std::ofstream{folder.path() / "secret"} << "secret";
  for (const auto* key : {"../secret", "tenant/../../secret", "/etc/passwd", "", "tenant//a", ".unfinished/a", "tenant/.."}) {
    EXPECT_EQ(store.create(key).error().code, errc::invalid_argument) << key;
    EXPECT_EQ(store.local_file(key).error().code, errc::invalid_argument) << key;
    EXPECT_EQ(store.remove(key).error().code, errc::invalid_argument) << key;
  }
  EXPECT_EQ(text_of_file(folder.path() / "secret"), "secret");
  EXPECT_EQ(store.local_file("tenant").error().code, errc::not_found) << "a folder is no object";
}

TEST_F(DirectoryStoreTest, ADiskThatRefusesIsToldAsAnotherTimePerhaps) {
  std::ofstream{folder.path() / "a-file"} << "x";
  directory_store blocked{folder.path() / "a-file" / "below", log};
  EXPECT_EQ(blocked.create("tenant/a").error().code, errc::transient);
}

TEST_F(DirectoryStoreTest, AVisitShowsTheOldFilesOfAFolderAndNoOthers) {
  for (const auto* key : {"tenant/w/uploads/a", "tenant/w/uploads/b", "tenant/w/uploads/new", "tenant/w/uploads/deeper/c", "tenant/w/d"}) {
    put(key, "x");
    if (!std::string_view{key}.ends_with("new"))
      fs::last_write_time(root / key, fs::file_time_type::clock::now() - std::chrono::hours{25});
  }
  std::set<std::string> seen;
  const auto see = [&](const std::string& key) { return seen.insert(key).second; };
  ASSERT_TRUE(store.visit_old("tenant/w/uploads/", std::chrono::hours{24}, see));
  EXPECT_EQ(seen, (std::set<std::string>{"tenant/w/uploads/a", "tenant/w/uploads/b"}));
  int visited = 0;
  ASSERT_TRUE(store.visit_old("tenant/w/uploads/", std::chrono::hours{24}, [&](const std::string&) {
    ++visited;
    return false;
  }));
  EXPECT_EQ(visited, 1) << "false ends it";
  seen.clear();
  EXPECT_TRUE(store.visit_old("never/there/", std::chrono::hours{24}, see)) << "no folder, no files";
  EXPECT_TRUE(seen.empty());
  for (const auto* folder_name : {"../", "tenant/../", "", "/", "tenant", ".unfinished/"})
    EXPECT_EQ(store.visit_old(folder_name, std::chrono::hours{24}, see).error().code, errc::invalid_argument) << folder_name;
}

TEST_F(DirectoryStoreTest, TheNextStartRemovesWhatDeadWritersLeft) {
  put("tenant/a", "x");
  const auto old = root / ".unfinished" / "old";
  const auto fresh = root / ".unfinished" / "fresh";
  std::ofstream{old} << "x";
  std::ofstream{fresh} << "x";
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours{25});
  const directory_store next{root, log};
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh)) << "its writer may live";
  EXPECT_TRUE(store.local_file("tenant/a"));
}

} // namespace

} // namespace carillon::outbound
