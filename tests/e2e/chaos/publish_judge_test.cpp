// What the chaos of publishing is judged by can tell good from bad.

#include "tests/e2e/chaos/publish_judge.hpp"

#include <gtest/gtest.h>

namespace carillon {

namespace {

using namespace std::chrono_literals;

const instant noon{std::chrono::hours{12}};

test::judged_target published(const std::string& text, const std::string& id) {
  return {"n", "a", text, noon, "published", "", id};
}

test::judged_target failed(const std::string& text, const std::string& code) {
  return {"n", "a", text, noon, "failed", code, ""};
}

test::seen_post seen(const std::string& text, const std::string& id, instant when = noon) {
  return {"n", "a", text, id, when};
}

test::network_verdict verdict(const std::vector<test::judged_target>& targets, const std::vector<test::seen_post>& posts) {
  return test::judge(targets, posts)["n"];
}

TEST(PublishJudgeTest, EveryTargetOnceIsClean) {
  const auto v = verdict({published("x", "1"), published("y", "2"), failed("z", "EXCEPTION")},
                         {seen("x", "1"), seen("y", "2", noon + 1s)});
  EXPECT_TRUE(v.is_clean());
  EXPECT_EQ(v.published, 2);
  EXPECT_EQ(v.failed.at("EXCEPTION"), 1);
}

TEST(PublishJudgeTest, APublishedPostThatIsNotThereIsLost) {
  EXPECT_EQ(verdict({published("x", "1")}, {}).lost, 1);
}

TEST(PublishJudgeTest, ASecondPostOfATargetIsADouble) {
  EXPECT_EQ(verdict({published("x", "1")}, {seen("x", "1"), seen("x", "2")}).doubled, 1);
}

TEST(PublishJudgeTest, APostOfATargetThatWasCalledFailedIsADouble) {
  EXPECT_EQ(verdict({failed("x", "EXCEPTION")}, {seen("x", "1")}).doubled, 1);
}

TEST(PublishJudgeTest, AnUnknownOutcomeMayBeThereOnceOrNot) {
  EXPECT_TRUE(verdict({failed("x", "OUTCOME_UNKNOWN")}, {}).is_clean());
  EXPECT_TRUE(verdict({failed("x", "OUTCOME_UNKNOWN")}, {seen("x", "1")}).is_clean());
  EXPECT_EQ(verdict({failed("x", "OUTCOME_UNKNOWN")}, {seen("x", "1"), seen("x", "2")}).doubled, 1);
}

TEST(PublishJudgeTest, TwoTargetsWithOneTextNeedTwoPosts) {
  EXPECT_TRUE(verdict({published("x", "1"), published("x", "2")}, {seen("x", "1"), seen("x", "2")}).is_clean());
  EXPECT_EQ(verdict({published("x", "1"), published("x", "2")}, {seen("x", "1")}).lost, 1);
  EXPECT_EQ(verdict({published("x", "1"), published("x", "1")}, {seen("x", "1"), seen("x", "2")}).strange, 1);
}

TEST(PublishJudgeTest, AnIdOfAnotherTextIsStrange) {
  EXPECT_EQ(verdict({published("x", "2"), published("y", "1")}, {seen("x", "1"), seen("y", "2")}).strange, 2);
}

TEST(PublishJudgeTest, APostBeforeItsInstantIsEarly) {
  EXPECT_EQ(verdict({published("x", "1")}, {seen("x", "1", noon - 1ms)}).early, 1);
}

TEST(PublishJudgeTest, AnEarlyPostIsSeenThoughAnotherOfTheSameWordsStaysUnknown) {
  auto later = published("x", "1");
  later.due = noon + 10s;
  EXPECT_EQ(verdict({failed("x", "OUTCOME_UNKNOWN"), later}, {seen("x", "1", noon + 1s)}).early, 1);
}

TEST(PublishJudgeTest, ATargetWithoutAnEndIsOpen) {
  EXPECT_EQ(verdict({{"n", "a", "x", noon, "publishing", "", ""}}, {}).open, 1);
}

} // namespace

} // namespace carillon
