// Who may include whom (architecture page, "Folders, and who may include
// whom"; docs/adr/0001). Everything under one include root compiles whatever
// CMake links, so the rules are checked here, line by line.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace carillon::test {
namespace {

namespace fs = std::filesystem;

struct folder_rule {
  std::string_view folder;
  /// Of our own: path prefixes. Its own folder is always allowed.
  std::vector<std::string_view> ours;
  std::vector<std::string_view> libraries;
};

const std::vector<folder_rule>& rules() {
  static const std::vector<folder_rule> all = {
    {"domain", {}, {"date"}},
    {"config", {"domain/"}, {"toml++"}},
    {"storage", {"domain/"}, {"pqxx", "nlohmann", "openssl"}},
    {"outbound", {"domain/"}, {"curl", "openssl", "nlohmann", "archive", "mustache", "utf8proc"}},
    {"actors", {"domain/", "config/"}, {"caf", "boost-unordered"}},
    {"http",
     {"domain/", "config/", "actors/protocol/", "actors/caf.hpp"},
     {"caf", "boost", "nlohmann", "openssl", "crypt", "utf8proc"}},
    {"app",
     {"domain/", "config/", "storage/", "outbound/", "actors/", "http/"},
     {"date", "toml++", "pqxx", "nlohmann", "openssl", "curl", "mustache", "caf", "boost",
      "crypt", "CLI11", "spdlog", "prometheus"}},
  };
  return all;
}

struct library_prefix {
  std::string_view header;
  std::string_view library;
};

constexpr library_prefix library_prefixes[] = {
  {"CLI/", "CLI11"},         {"archive", "archive"},       {"boost/unordered/", "boost-unordered"},
  {"boost/", "boost"},
  {"caf/", "caf"},           {"crypt.h", "crypt"},         {"curl/", "curl"},
    {"utf8proc.h", "utf8proc"},
  {"date/", "date"},         {"fmt/", "spdlog"},           {"kainjow/", "mustache"},
  {"mustache", "mustache"},  {"nlohmann/", "nlohmann"},    {"openssl/", "openssl"},
  {"pqxx/", "pqxx"},         {"prometheus/", "prometheus"}, {"spdlog/", "spdlog"},
  {"toml++/", "toml++"},
};

/// The operating system's: open to everyone, like the standard library.
constexpr std::string_view system_prefixes[] = {
  "arpa/", "dirent.h", "fcntl.h", "net/", "netdb.h", "netinet/", "poll.h",
  "pwd.h", "signal.h", "sys/", "time.h", "unistd.h"};

const folder_rule* find_rule(std::string_view folder) {
  for (const auto& rule : rules())
    if (rule.folder == folder)
      return &rule;
  return nullptr;
}

bool is_standard(std::string_view header) {
  return std::all_of(header.begin(), header.end(), [](unsigned char c) {
    return std::islower(c) || std::isdigit(c) || c == '_';
  });
}

/// What is wrong with `folder` including `header`; nothing when it may.
std::optional<std::string> judge(const folder_rule& rule, std::string_view header) {
  const auto first = header.substr(0, header.find('/'));
  if (first == rule.folder || first == "assets")
    return std::nullopt;
  for (auto prefix : rule.ours)
    if (header.starts_with(prefix))
      return std::nullopt;
  if (find_rule(first) || first == "tests")
    return std::string{rule.folder} + " must not include " + std::string{header};
  for (const auto& known : library_prefixes)
    if (header.starts_with(known.header)) {
      const auto& allowed = rule.libraries;
      if (std::find(allowed.begin(), allowed.end(), known.library) != allowed.end())
        return std::nullopt;
      return std::string{rule.folder} + " must not use " + std::string{known.library};
    }
  for (auto prefix : system_prefixes)
    if (header.starts_with(prefix))
      return std::nullopt;
  if (is_standard(header))
    return std::nullopt;
  return "no rule knows " + std::string{header};
}

bool is_source(const fs::path& path) {
  return path.extension() == ".hpp" || path.extension() == ".cpp";
}

/// One text per broken rule: `storage/x.cpp:3: storage must not use boost`.
std::vector<std::string> broken_rules(const fs::path& root) {
  static const std::regex include_line{R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])"};
  std::vector<std::string> out;
  for (const auto& rule : rules()) {
    if (!fs::exists(root / rule.folder))
      continue;
    for (const auto& entry : fs::recursive_directory_iterator{root / rule.folder}) {
      const auto name = entry.path().filename().string();
      const auto shown = fs::relative(entry.path(), root).string();
      if (entry.is_directory() && (name == "util" || name == "utils" || name == "common"))
        out.push_back(shown + ": a helper lives beside its user");
      if (!is_source(entry.path()))
        continue;
      std::ifstream in{entry.path()};
      std::string line;
      for (int number = 1; std::getline(in, line); ++number) {
        std::smatch match;
        if (!std::regex_search(line, match, include_line))
          continue;
        if (auto wrong = judge(rule, match[1].str()))
          out.push_back(shown + ':' + std::to_string(number) + ": " + *wrong);
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(IncludeRules, AreKeptEverywhere) {
  const auto found = broken_rules(CARILLON_SOURCE_DIR);
  for (const auto& text : found)
    ADD_FAILURE() << text;
}

TEST(IncludeRules, EveryFolderOfTheTableExists) {
  for (const auto& rule : rules())
    EXPECT_TRUE(fs::is_directory(fs::path{CARILLON_SOURCE_DIR} / rule.folder)) << rule.folder;
}

/// A tree of its own with one planted file.
class PlantedInclude : public testing::Test {
protected:
  PlantedInclude() {
    std::string pattern = (fs::temp_directory_path() / "carillon-rules-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~PlantedInclude() override {
    fs::remove_all(root_);
  }

  std::vector<std::string> plant(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream{root_ / file} << text;
    return broken_rules(root_);
  }

  fs::path root_;
};

using lines = std::vector<std::string>;

TEST_F(PlantedInclude, OfADatabaseLibraryOutsideStorageIsRejected) {
  EXPECT_EQ(plant("http/x.cpp", "#include <string>\n\n# include <pqxx/pqxx>\n"),
            lines{"http/x.cpp:3: http must not use pqxx"});
}

TEST_F(PlantedInclude, OfBeastInActorsIsRejected) {
  EXPECT_EQ(plant("actors/node/x.hpp", "#include <boost/beast.hpp>\n"),
            lines{"actors/node/x.hpp:1: actors must not use boost"});
}

TEST_F(PlantedInclude, OfJsonInDomainIsRejected) {
  EXPECT_EQ(plant("domain/x.hpp", "#include <nlohmann/json_fwd.hpp>\n"),
            lines{"domain/x.hpp:1: domain must not use nlohmann"});
}

TEST_F(PlantedInclude, OfARepositoryInActorsIsRejected) {
  EXPECT_EQ(plant("actors/x.cpp", "#include \"storage/connection.hpp\"\n"),
            lines{"actors/x.cpp:1: actors must not include storage/connection.hpp"});
}

TEST_F(PlantedInclude, OfAnActorThatIsNoProtocolInHttpIsRejected) {
  EXPECT_EQ(plant("http/x.cpp", "#include \"actors/protocol/database.hpp\"\n"
                                "#include \"actors/database.hpp\"\n"),
            lines{"http/x.cpp:2: http must not include actors/database.hpp"});
}

TEST_F(PlantedInclude, OfTheLogLibraryOutsideAppIsRejected) {
  EXPECT_EQ(plant("outbound/x.cpp", "#include <spdlog/spdlog.h>\n"),
            lines{"outbound/x.cpp:1: outbound must not use spdlog"});
}

TEST_F(PlantedInclude, OfAnUnknownLibraryIsRejected) {
  EXPECT_EQ(plant("app/x.cpp", "#include <yaml-cpp/yaml.h>\n"),
            lines{"app/x.cpp:1: no rule knows yaml-cpp/yaml.h"});
}

TEST_F(PlantedInclude, OfTestsInTheProgramIsRejected) {
  EXPECT_EQ(plant("app/x.cpp", "#include \"tests/support/test_database.hpp\"\n"),
            lines{"app/x.cpp:1: app must not include tests/support/test_database.hpp"});
}

TEST_F(PlantedInclude, FolderNamedUtilIsRejected) {
  EXPECT_EQ(plant("http/util/x.cpp", ""),
            lines{"http/util: a helper lives beside its user"});
}

TEST_F(PlantedInclude, ThatIsAllowedIsLeftAlone) {
  EXPECT_EQ(plant("storage/x.cpp", "#include \"storage/x.hpp\"\n#include \"domain/job.hpp\"\n"
                                   "#include <pqxx/pqxx>\n#include <vector>\n#include <unistd.h>\n"),
            lines{});
}

} // namespace
} // namespace carillon::test
