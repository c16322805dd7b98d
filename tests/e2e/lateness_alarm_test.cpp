// Operators get one mail when too many posts are late, however many nodes see it.

#include <fstream>
#include <iterator>

#include "tests/e2e/main_job_fixture.hpp"

namespace carillon {

namespace {

class LatenessAlarmTest : public test::main_job_fixture {
protected:
  test::carillon_node::environment settings() const {
    return {{"CARILLON_PUBLISHING__SWEEP_EVERY", "1s"},
            {"CARILLON_OPERATIONS__NOTIFY", "night@ops.example, day@ops.example"}};
  }

  /// Mails to an address, by the files of mail.directory.
  std::vector<std::string> mails_to(const std::string& address) {
    std::vector<std::string> out;
    if (!std::filesystem::exists(folder.path() / "mail"))
      return out;
    for (const auto& file : std::filesystem::recursive_directory_iterator{folder.path() / "mail"})
      if (file.path().extension() == ".eml") {
        std::ifstream in{file.path()};
        std::string text{std::istreambuf_iterator<char>{in}, {}};
        if (text.find("To: <" + address + ">") != text.npos || text.find("To: " + address) != text.npos)
          out.push_back(std::move(text));
      }
    return out;
  }
};

TEST_F(LatenessAlarmTest, TwoNodesSendOneMailToEachOperator) {
  // Due long ago, as after an outage.
  schedule_posts(6, add_accounts(2), "now() - interval '5 minutes'");
  test::carillon_node first{db.url(), folder.path(), settings()};
  test::carillon_node second{db.url(), folder.path(), settings()};
  ASSERT_TRUE(settled());
  ASSERT_TRUE(test::eventually([this] { return count("operator_alarms WHERE told_at IS NOT NULL") == 1; }));
  // Both look again, and have nothing to tell.
  const auto looked = "operator_alarms WHERE next_look_at > told_at + interval '2 seconds'";
  ASSERT_TRUE(test::eventually([&] { return count(looked) == 1; }));
  for (const auto* address : {"night@ops.example", "day@ops.example"}) {
    const auto mails = mails_to(address);
    ASSERT_EQ(mails.size(), 1u) << address;
    EXPECT_NE(mails[0].find("Subject: Posts leave late: "), std::string::npos) << mails[0];
  }
}

} // namespace

} // namespace carillon
