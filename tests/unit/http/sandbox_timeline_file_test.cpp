// A timeline that survives restarts, also rude ones.
#include "http/sandbox/timeline_file.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace carillon::http::sandbox {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class SandboxTimelineFileTest : public testing::Test {
protected:
  SandboxTimelineFileTest() {
    std::string pattern
      = (std::filesystem::temp_directory_path() / "carillon-sandbox-XXXXXX")
          .string();
    folder_ = mkdtemp(pattern.data());
    file_ = folder_ / "deep" / "timeline.jsonl";
  }
  ~SandboxTimelineFileTest() override {
    std::filesystem::remove_all(folder_);
  }

  /// One run of the program: reads, then posts.
  network run(const std::vector<std::string>& texts = {}, capacity most = {}) {
    network net{most};
    timeline_file file{file_, log_};
    file.read_into(net, now);
    for (const auto& text : texts) {
      draft d;
      d.text = text;
      d.idempotency_key = "key of " + text;
      now += 1ms;
      file.append(*net.publish("acme", d, now, {delay_, false})->what);
    }
    return net;
  }

  std::vector<std::string> texts(network& net) {
    std::vector<std::string> out;
    for (const auto& [id, p] : net.all_posts(now))
      out.push_back(p.text);
    return out;
  }

  std::string content() const {
    std::ostringstream out;
    out << std::ifstream{file_}.rdbuf();
    return out.str();
  }
  void append(const std::string& bytes) const {
    std::ofstream{file_, std::ios::app} << bytes;
  }

  test::recording_logger log_;
  std::filesystem::path folder_;
  std::filesystem::path file_;
  std::chrono::milliseconds delay_{0};
  instant now{std::chrono::sys_days{std::chrono::year{2026} / 2 / 7}};
};

TEST_F(SandboxTimelineFileTest, PostsSurviveARestart) {
  run({"one", "two\nlines \"quoted\" \U0001F514"});
  auto again = run({"three"});
  EXPECT_THAT(texts(again),
              ElementsAre("one", "two\nlines \"quoted\" \U0001F514", "three"));
  auto last = run();
  EXPECT_EQ(texts(last).size(), 3U);
  EXPECT_EQ(last.counts(now).visible, 3U);
  EXPECT_FALSE(log_.has("sandbox-timeline-cut"));
}

TEST_F(SandboxTimelineFileTest, KeysSurviveARestartForTheirHour) {
  run({"one"});
  auto again = run();
  draft d;
  d.text = "one";
  d.idempotency_key = "key of one";
  EXPECT_TRUE(again.publish("acme", d, now)->repeated);
  now += 1h;
  auto later = run();
  EXPECT_FALSE(later.publish("acme", d, now)->repeated);
}

TEST_F(SandboxTimelineFileTest,
       APostThatWasNotVisibleYetBecomesSoAfterARestart) {
  delay_ = 10s;
  run({"late"});
  auto again = run();
  EXPECT_EQ(again.counts(now).not_visible_yet, 1U);
  now += 10s;
  EXPECT_EQ(again.counts(now).visible, 1U);
}

TEST_F(SandboxTimelineFileTest, ALastLineThatWasCutOffIsCutAway) {
  run({"one", "two"});
  const auto good = content();
  const auto last = good.rfind('\n', good.size() - 2) + 1;
  for (auto length = last + 1; length < good.size(); ++length) {
    std::ofstream{file_, std::ios::trunc} << good.substr(0, length);
    auto net = run();
    EXPECT_THAT(texts(net), ElementsAre("one")) << length;
    EXPECT_EQ(content(), good.substr(0, last));
  }
  EXPECT_TRUE(log_.has("sandbox-timeline-cut"));
  auto net = run({"three"});
  EXPECT_THAT(texts(net), ElementsAre("one", "three"));
  auto again = run();
  EXPECT_THAT(texts(again), ElementsAre("one", "three"));
}

TEST_F(SandboxTimelineFileTest, LinesThatAreNoneOfOursAreSkippedWithAWarning) {
  run({"one"});
  append("nonsense\n{\"id\":1}\n[]\n\n{\"removed\":\"x\"}\n"
         + std::string(300'000, '{') + "\n");
  append(
    "{\"id\":2,\"account\":\"../x\",\"text\":\"t\",\"visibility\":\"public\","
    "\"created_us\":1,\"visible_us\":1}\n");
  auto net = run({"two"});
  EXPECT_THAT(texts(net), ElementsAre("one", "two"));
  EXPECT_TRUE(log_.has("sandbox-timeline-unreadable"));
}

TEST_F(SandboxTimelineFileTest, RemovalsAndResetSurviveARestart) {
  {
    network net;
    timeline_file file{file_, log_};
    draft d;
    d.text = "oops";
    const auto id = net.publish("acme", d, now)->what->id;
    file.append(*net.find(id));
    file.append_removal(id);
  }
  auto net = run();
  EXPECT_EQ(net.counts(now).deleted, 1U);
  EXPECT_EQ(net.counts(now).visible, 0U);
  timeline_file{file_, log_}.clear();
  auto empty = run();
  EXPECT_EQ(empty.counts(now).posts, 0U);
}

TEST_F(SandboxTimelineFileTest, AFileThatHoldsMoreThanIsKeptIsWrittenAnew) {
  run({"1", "2", "3", "4", "5"});
  const auto before = content().size();
  auto net = run({}, {.posts = 2});
  EXPECT_THAT(texts(net), ElementsAre("4", "5"));
  EXPECT_LT(content().size(), before);
  auto again = run({"6"});
  EXPECT_THAT(texts(again), ElementsAre("4", "5", "6"));
}

TEST_F(SandboxTimelineFileTest, OneProcessHasTheFileAtATime) {
  timeline_file first{file_, log_};
  EXPECT_THROW((timeline_file{file_, log_}), std::system_error);
}

TEST_F(SandboxTimelineFileTest, AFileThatCannotBeMadeIsReported) {
  std::ofstream{folder_ / "deep"} << "a file where a folder should be";
  EXPECT_THROW((timeline_file{file_, log_}), std::system_error);
}

} // namespace
} // namespace carillon::http::sandbox
