// Two thousand requests on one user's notifications, as from many open browsers
// while things happen. The same below HTTP:
// integration/storage/notification_race_test.cpp.

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

class NotificationStormTest : public api_suite {};

TEST_F(NotificationStormTest, MarksAndArrivalsAtOnceLeaveBadgeListAndDatabaseInAgreement) {
  constexpr int browsers = 20;
  constexpr int steps = 100;
  const std::string notices = "/api/v1/notifications";
  const json arrival{{"tenant_id", to_string(tenant)}, {"user_id", to_string(editor.id)}, {"type", "post_failed"},
                     {"title", "Publishing failed"},   {"message", "The network said no"}};
  std::atomic<int> arrived{0};
  std::atomic<int> unexpected{0};
  std::vector<std::thread> all;
  for (int browser = 0; browser < browsers; ++browser)
    all.emplace_back([&, browser] {
      const auto internal = node().internal();
      std::vector<std::string> known;
      for (int step = 0; step < steps; ++step) {
        const auto turn = (step + browser) % 10;
        web_answer answer;
        int good = 200;
        if (turn < 5) {
          answer = internal.post("/internal/notifications", arrival);
          good = 201;
          if (answer.status == 201) {
            ++arrived;
            known.push_back(answer.json()["data"]["notification_ids"][0].get<std::string>());
          }
        } else if (turn < 8 && !known.empty()) {
          answer = editor.web.post(notices + "/" + known[static_cast<std::size_t>(step) % known.size()] + "/read");
        } else if (turn == 8 && !known.empty()) {
          const auto some = std::min<std::ptrdiff_t>(5, std::ssize(known));
          answer = editor.web.post(notices + "/read-multiple",
                                   {{"ids", std::vector<std::string>(known.end() - some, known.end())}});
        } else {
          answer = editor.web.post(notices + "/read-all");
        }
        unexpected += answer.status == good ? 0 : 1;
      }
    });
  for (auto& thread : all)
    thread.join();
  EXPECT_EQ(unexpected, 0);
  // A few more, so that what is to agree is not nothing.
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(node().internal().post("/internal/notifications", arrival).status, 201);

  const auto of_editor = "notifications WHERE channel = 'in_app' AND user_id = " + sql_literal(editor.id);
  EXPECT_EQ(count(of_editor), arrived + 3) << "none lost, none doubled";
  const auto unread = count(of_editor + " AND read_at IS NULL");
  EXPECT_GE(unread, 3);
  EXPECT_EQ(data_of(editor.web.get(notices + "/unread-count"))["count"], unread);
  int listed = 0;
  int total = 0;
  for (int page = 1; page == 1 || listed < total; ++page) {
    const auto body = editor.web.get(notices + "?per_page=100&page=" + std::to_string(page)).json();
    total = body["meta"]["total"];
    if (body["data"].empty())
      break;
    listed += static_cast<int>(body["data"].size());
  }
  EXPECT_EQ(total, arrived + 3);
  EXPECT_EQ(listed, total);
  EXPECT_EQ(editor.web.get(notices + "?is_read=0&per_page=1").json()["meta"]["total"], unread);
}

} // namespace

} // namespace carillon
