#include "outbound/social/admission.hpp"

#include <gtest/gtest.h>

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;

class AdmissionTest : public ::testing::Test {
protected:
  static http_response answer(int status) {
    http_response out;
    out.how = http_response::delivery::answered;
    out.status = status;
    return out;
  }
  static outgoing_post post(const std::string& key) {
    outgoing_post out;
    out.account = {network::mastodon, url, "acme", "secret"};
    out.idempotency_key = key;
    return out;
  }
  void break_down() {
    for (int i = 0; i < 5; ++i)
      circuits->learn(url, answer(500));
  }
  result<rate_budgets::permit> admit(const outgoing_post& p) {
    return admit_post(way, *rates, p, {}, std::chrono::steady_clock::now() + 30s);
  }

  static constexpr auto url = "https://m.example";
  curl_loop loop;
  http_client http{loop};
  std::shared_ptr<host_circuits> circuits = std::make_shared<host_circuits>(circuit_options{5, 60s, 60s});
  std::shared_ptr<rate_budgets> rates = std::make_shared<rate_budgets>();
  social_http way{http, circuits};
};

TEST_F(AdmissionTest, AServerThatIsDownRefusesBeforeAnythingOfTheRatesIsTaken) {
  auto known = answer(200);
  known.headers = {{"x-ratelimit-limit", "300"}, {"x-ratelimit-remaining", "290"}, {"x-ratelimit-reset", "300"}};
  rates->learn(post("").account, rate_scope::account, known, {});
  break_down();
  for (int i = 0; i < 100; ++i) {
    const auto refused = admit(post("down-" + std::to_string(i)));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, errc::cancelled);
  }
  circuits->learn(url, answer(200));
  std::vector<rate_budgets::permit> permits;
  for (int i = 0; i < 30; ++i) {
    auto permit = admit(post("up-" + std::to_string(i)));
    ASSERT_TRUE(permit) << "of a burst, those that were refused have the places: " << i;
    permits.push_back(std::move(*permit));
  }
}

TEST_F(AdmissionTest, APostThatHasWaitedEnoughGoesToAServerThatIsDownButNotBeyondItsRates) {
  break_down();
  auto last = post("last");
  EXPECT_FALSE(admit(last));
  last.has_waited_enough = true;
  EXPECT_TRUE(admit(last));
  rates->close(last.account, rate_scope::account, 60s);
  EXPECT_FALSE(admit(last));
}

TEST_F(AdmissionTest, AFileThatCouldGoLaterIsHeldBackByBoth) {
  early_upload file;
  file.account = post("").account;
  const auto early = [&] { return admit_early(way, *rates, file, {1, 1, 0}); };
  EXPECT_TRUE(early());
  break_down();
  EXPECT_FALSE(early());
  circuits->learn(url, answer(404));
  EXPECT_TRUE(early());
  rates->close(file.account, rate_scope::uploads, 60s);
  EXPECT_FALSE(early());
}

} // namespace

} // namespace carillon::outbound
