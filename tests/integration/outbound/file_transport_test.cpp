#include "outbound/delivery/mail/file_transport.hpp"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbound/delivery/mail/mime_writer.hpp"
#include "tests/integration/outbound/waiting.hpp"
#include "tests/support/scratch_folder.hpp"

namespace carillon::outbound {

namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using carillon::done;

class FileTransportTest : public ::testing::Test {
protected:
  static mail_message message(const std::string& id = "notification-1@acme.example") {
    mail_message m;
    m.message_id = id;
    m.from_address = "no-reply@acme.example";
    m.to_address = "ada@users.example";
    m.subject = "It is out 🔔";
    m.text_body = "Hello\n";
    m.html_body = "<p>Hello</p>";
    m.date = *parse_time("2026-02-07T10:00:00+00:00");
    return m;
  }

  result<done> send(const mail_message& mail) {
    return test::wait_for<result<done>>([&](auto callback) { transport.send(mail, callback); });
  }

  /// Names, hidden ones included.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& file : fs::directory_iterator{directory})
      out.push_back(file.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }

  std::string content(const std::string& name) const {
    std::ifstream in{directory / name, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  test::scratch_folder scratch;
  fs::path directory = scratch.path() / "made" / "when missing";
  curl_loop loop;
  file_transport transport{loop, {directory}};
};

TEST_F(FileTransportTest, AMailBecomesAnEmlFileWithTheBytesOfTheMail) {
  ASSERT_TRUE(send(message()));
  EXPECT_THAT(names(), ElementsAre("2026-02-07T10-00-00-notification-1@acme.example.eml"));
  EXPECT_EQ(content(names()[0]), *write_mime(message()));
}

TEST_F(FileTransportTest, TheSameMailAgainReplacesItsFile) {
  ASSERT_TRUE(send(message()));
  auto again = message();
  again.text_body = "Hello again\n";
  ASSERT_TRUE(send(again));
  ASSERT_THAT(names(), SizeIs(1));
  EXPECT_THAT(content(names()[0]), HasSubstr("Hello again"));
}

TEST_F(FileTransportTest, AnIdNeverLeavesTheFolder) {
  ASSERT_TRUE(send(message("../../etc/passwd@acme.example"))
                ? true
                : !is_mail_address("../../etc/passwd@acme.example"));
  ASSERT_TRUE(send(message("a/b|c`d@acme.example")));
  EXPECT_THAT(names(), ElementsAre("2026-02-07T10-00-00-a-b-c-d@acme.example.eml"));
  const auto long_id = std::string(64, 'x') + "@" + std::string(60, 'y') + "." + std::string(60, 'z') + ".example";
  ASSERT_TRUE(send(message(long_id)));
  EXPECT_THAT(names(), SizeIs(2));
}

TEST_F(FileTransportTest, ManyAtOnceAreAllThereAndNoDraftStays) {
  std::vector<std::future<bool>> all;
  for (int i = 0; i < 100; ++i) {
    auto promise = std::make_shared<std::promise<bool>>();
    all.push_back(promise->get_future());
    transport.send(message("n" + std::to_string(i) + "@acme.example"),
                   [promise](const result<done>& r) { promise->set_value(r.has_value()); });
  }
  for (auto& one : all) {
    ASSERT_EQ(one.wait_for(test::patience), std::future_status::ready);
    EXPECT_TRUE(one.get());
  }
  const auto files = names();
  EXPECT_THAT(files, SizeIs(100));
  for (const auto& name : files)
    EXPECT_TRUE(name.ends_with(".eml") && !name.starts_with('.')) << name;
}

TEST_F(FileTransportTest, AnAddressThatIsNoneIsPermanentAndLeavesNothing) {
  auto bad = message();
  bad.to_address = "nobody";
  const auto refused = send(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::permanent);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(FileTransportTest, TroubleWithTheDiskIsTransient) {
  fs::remove_all(directory);
  const auto failed = send(message());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::transient);
  EXPECT_THAT(failed.error().detail, HasSubstr(directory.string()));
  fs::create_directories(directory);
  EXPECT_TRUE(send(message()));
}

TEST_F(FileTransportTest, AFolderThatCannotBeMadeStopsTheStart) {
  const auto file = scratch.path() / "file";
  std::ofstream{file} << "in the way";
  EXPECT_THROW((file_transport{loop, {file / "below"}}), fs::filesystem_error);
}

TEST_F(FileTransportTest, AfterTheLoopStoppedItIsTransient) {
  loop.stop();
  EXPECT_EQ(send(message()).error().code, errc::transient);
}

} // namespace

} // namespace carillon::outbound
