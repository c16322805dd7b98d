#include "config/schema.hpp"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace carillon::config {
namespace {

using namespace std::chrono_literals;

std::string read_source_file(const std::string& path) {
  std::ifstream in{std::string{CARILLON_SOURCE_DIR} + '/' + path};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(ConfigSchema, ExampleFileIsWhatTheSchemaSays) {
  EXPECT_EQ(read_source_file("config/carillon.toml"), render_example_file())
    << "write it anew: carillon config --print-example > config/carillon.toml";
}

TEST(ConfigSchema, ReferencePageIsWhatTheSchemaSays) {
  EXPECT_EQ(read_source_file("docs/config.md"), render_reference())
    << "write it anew: carillon config --print-reference > docs/config.md";
}

TEST(ConfigSchema, EveryKeyHasOneDeclarationASectionAndHelp) {
  std::set<std::string> seen;
  std::set<std::string_view> known;
  for (const auto& section : sections())
    known.insert(section.name);
  for (const auto& key : schema()) {
    EXPECT_TRUE(seen.insert(key.key()).second) << key.key();
    EXPECT_TRUE(known.contains(key.section)) << key.key();
    EXPECT_TRUE(key.help.ends_with('.')) << key.key();
    EXPECT_EQ(find_key(key.section, key.name), &key);
  }
  EXPECT_EQ(find_key("http", "prot"), nullptr);
}

TEST(ConfigSchema, EveryValueSurvivesWritingAndReading) {
  const settings defaults;
  for (const auto& key : schema()) {
    settings copy;
    key.write(copy, key.read(defaults));
    EXPECT_EQ(key.read(copy), key.read(defaults)) << key.key();
  }
}

struct duration_text_case {
  std::string text;
  std::optional<std::chrono::milliseconds> expected;
};

class ConfigDuration : public testing::TestWithParam<duration_text_case> {};

TEST_P(ConfigDuration, IsReadAsWritten) {
  EXPECT_EQ(parse_duration(GetParam().text), GetParam().expected)
    << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
  Texts, ConfigDuration,
  testing::Values(duration_text_case{"500ms", 500ms}, duration_text_case{"10s", 10s},
                  duration_text_case{"5min", 5min}, duration_text_case{"2h", 2h},
                  duration_text_case{"1d", 24h}, duration_text_case{"0s", 0ms},
                  duration_text_case{"10", std::nullopt},
                  duration_text_case{"10 s", std::nullopt},
                  duration_text_case{"-1s", std::nullopt},
                  duration_text_case{"1.5s", std::nullopt},
                  duration_text_case{"1m", std::nullopt},
                  duration_text_case{"s", std::nullopt},
                  duration_text_case{"", std::nullopt},
                  duration_text_case{"9223372036854775807d", std::nullopt},
                  duration_text_case{"99999999999999999999s", std::nullopt}));

TEST(ConfigFormat, DurationsUseTheLargestUnitThatLosesNothing) {
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(300s), "5min");
  EXPECT_EQ(format_duration(48h), "2d");
}

TEST(ConfigFormat, TextsAreEscapedForTomlAndForTerminals) {
  EXPECT_EQ(format_toml(std::string{"a\"b\\c\nd"}), R"("a\"b\\c\u000Ad")");
}

TEST(ConfigSecrets, PasswordsOfUrlsAreHidden) {
  EXPECT_EQ(mask_password("postgresql://u:p@h/d"), "postgresql://u:***@h/d");
  EXPECT_EQ(mask_password("postgresql://u:p@ss@h:5432/d"), "postgresql://u:***@h:5432/d");
  EXPECT_EQ(mask_password("postgresql://u@h/d"), "postgresql://u@h/d");
  EXPECT_EQ(mask_password("postgresql:///d?host=/tmp/a"), "postgresql:///d?host=/tmp/a");
  EXPECT_EQ(mask_password("postgresql:///d?password=x&user=u"),
            "postgresql:///d?password=***&user=u");
  EXPECT_EQ(mask_password("host=h password=x dbname=d"), "host=h password=*** dbname=d");
  EXPECT_EQ(mask_password("password='a b' host=h"), "password=*** host=h");
  EXPECT_EQ(mask_password("host=h password="), "host=h password=***");
}

} // namespace
} // namespace carillon::config
