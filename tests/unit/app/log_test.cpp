#include "app/log.hpp"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace carillon::app {
namespace {

constexpr auto now = "2026-02-07T10:00:00.123456Z";

TEST(LogLine, JsonHasTimeLevelEventNodeAndFieldsInOrder) {
  EXPECT_EQ(format_json_line(now, log_level::info, "shard-taken", "a1",
                             {{"shard", "3"}, {"correlation_id", "c"}}),
            R"({"ts":"2026-02-07T10:00:00.123456Z","level":"info","event":"shard-taken",)"
            R"("node":"a1","shard":"3","correlation_id":"c"})");
}

TEST(LogLine, JsonStaysJsonWhateverAFieldHolds) {
  const std::string nasty{"a\"b\\c\n\xff\0d", 9};
  const auto line = format_json_line(now, log_level::error, "e", "", {{"text", nasty}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto parsed = nlohmann::json::parse(line, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << line;
  EXPECT_EQ(parsed["text"], std::string("a\"b\\c\n\xef\xbf\xbd\0d", 11));
  EXPECT_FALSE(parsed.contains("node"));
}

TEST(LogLine, AFieldCannotPoseAsTheLinesOwn) {
  const auto line = format_json_line(now, log_level::warn, "e", "a1", {{"level", "debug"}, {"node", "b"}});
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["level"], "warn");
  EXPECT_EQ(parsed["node"], "a1");
  EXPECT_EQ(parsed["field_level"], "debug");
  EXPECT_EQ(parsed["field_node"], "b");
}

TEST(LogLine, TextQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(format_text_line(now, log_level::warn, "mail-failed",
                             {{"code", "550"}, {"why", "no such box"}, {"empty", ""}}),
            R"(2026-02-07T10:00:00.123456Z warn  mail-failed code=550 why="no such box" empty="")");
}

TEST(Log, WritesOneLineAnEventAndHeedsItsLevel) {
  testing::internal::CaptureStderr();
  {
    stderr_log log{{log_level::info, config::log_format::text, "a1"}};
    log.debug("hidden");
    log.info("shown", {{"k", "v"}});
    log.set_level(log_level::debug);
    log.debug("shown-now");
    log.set_level(log_level::error);
    log.warn("hidden");
  }
  const auto out = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2) << out;
  EXPECT_NE(out.find("shown k=v\n"), std::string::npos) << out;
  EXPECT_NE(out.find("shown-now\n"), std::string::npos) << out;
}

} // namespace
} // namespace carillon::app
