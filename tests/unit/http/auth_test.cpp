// The pure parts of authentication: tokens, passwords, limits, login input.
#include "http/handlers/auth/login.hpp"
#include "http/password_hasher.hpp"
#include "http/rate_limiter.hpp"
#include "http/token.hpp"
#include "tests/unit/http/recording_logger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

namespace carillon::http {
namespace {

using namespace std::chrono_literals;

// -- tokens -------------------------------------------------------------------

TEST(TokenTest, ASecretIs40AlphanumericsAndTheirCrc) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto secret = make_token_secret();
    EXPECT_THAT(secret, testing::MatchesRegex("[A-Za-z0-9]{40}[0-9a-f]{8}"));
    seen.insert(secret);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(TokenTest, HashesWithSha256) {
  EXPECT_EQ(hash_token_secret("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(TokenTest, ReadsBothWireForms) {
  const auto with_id = parse_bearer("Bearer 42|secret|more");
  ASSERT_TRUE(with_id);
  EXPECT_EQ(with_id->id, 42);
  EXPECT_EQ(with_id->secret, "secret|more");
  const auto bare = parse_bearer("bEARER  secret");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->id, std::nullopt);
  EXPECT_EQ(bare->secret, "secret");
}

TEST(TokenTest, RefusesWhatIsNoToken) {
  for (const auto& text :
       {std::string{}, std::string{"Bearer"}, std::string{"Bearer "},
        std::string{"Bearer   "}, std::string{"Basic abc"},
        std::string{"Bearer 1|"}, std::string{"Bearer |x"},
        std::string{"Bearer -1|x"}, std::string{"Bearer 0|x"},
        std::string{"Bearer 1x|x"},
        std::string{"Bearer 99999999999999999999|x"},
        "Bearer " + std::string(10'000, 'x')})
    EXPECT_FALSE(parse_bearer(text)) << text;
}

TEST(TokenTest, ComparesWholeTexts) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

// -- passwords ----------------------------------------------------------------

TEST(PasswordTest, AHashVerifiesItsPasswordOnly) {
  const auto hash = hash_password("User@1234", 4);
  EXPECT_THAT(hash, testing::StartsWith("$2b$04$"));
  EXPECT_TRUE(verify_password("User@1234", hash));
  EXPECT_FALSE(verify_password("User@1235", hash));
  EXPECT_NE(hash, hash_password("User@1234", 4));
}

TEST(PasswordTest, ThePredecessorsHashesVerify) {
  // bcrypt's own test vector "U*U", with PHP's prefix.
  const std::string hash
    = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  EXPECT_TRUE(verify_password("U*U", hash));
  EXPECT_FALSE(verify_password("U*V", hash));
}

TEST(PasswordTest, NothingMatchesWhatIsNoHash) {
  for (const char* hash : {"", "*", "*0", "plain", "$2y$", "$2y$04$short"})
    EXPECT_FALSE(verify_password("plain", hash)) << hash;
}

TEST(PasswordTest, VeryLongPasswordsCountTheirFirst72Bytes) {
  const auto hash = hash_password(std::string(2'000, 'x'), 4);
  EXPECT_TRUE(verify_password(std::string(72, 'x'), hash));
  EXPECT_FALSE(verify_password(std::string(71, 'x'), hash));
}

TEST(PasswordTest, AnImpossibleCostThrows) {
  EXPECT_THROW(hash_password("x", 99), std::runtime_error);
}

TEST(PasswordHasherTest, AnswersOnItsOwnThreadAndRefusesWhenFull) {
  test::recording_logger log;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<bool> answers;
  bool open = false;
  int entered = 0;
  password_hasher hasher{{4, 2}, log};
  const auto then = [&](bool matches) {
    std::unique_lock lock{mutex};
    answers.push_back(matches);
    ++entered;
    changed.notify_all();
    changed.wait_for(lock, 30s, [&] { return open; });
  };
  const auto hash = hash_password("right", 4);
  ASSERT_TRUE(hasher.verify("right", hash, then));
  {
    std::unique_lock lock{mutex};
    ASSERT_TRUE(changed.wait_for(lock, 30s, [&] { return entered == 1; }));
  }
  EXPECT_TRUE(hasher.verify("wrong", hash, then));
  EXPECT_TRUE(hasher.verify("", "", then));
  EXPECT_FALSE(hasher.verify("right", hash, then));
  std::unique_lock lock{mutex};
  open = true;
  changed.notify_all();
  ASSERT_TRUE(changed.wait_for(lock, 30s, [&] { return entered == 3; }));
  EXPECT_THAT(answers, testing::ElementsAre(true, false, false));
}

// -- the limiter --------------------------------------------------------------

TEST(RateLimiterTest, CountsPerClientAndWindow) {
  rate_limiter limiter{{2, 60s}};
  const rate_limiter::time_point start{1000s};
  EXPECT_EQ(limiter.take("a", start).remaining, 1);
  EXPECT_EQ(limiter.take("a", start + 10s).remaining, 0);
  const auto refused = limiter.take("a", start + 20500ms);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.limit, 2);
  EXPECT_EQ(refused.retry_after, 40s);
  EXPECT_TRUE(limiter.take("b", start + 20s).allowed);
  EXPECT_TRUE(limiter.take("a", start + 60s).allowed);
}

TEST(RateLimiterTest, ZeroIsNoLimit) {
  rate_limiter limiter{{0, 60s}};
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(limiter.take("a", {}).allowed);
  limiter.configure({1, 60s});
  EXPECT_TRUE(limiter.take("a", {}).allowed);
  EXPECT_FALSE(limiter.take("a", {}).allowed);
}

TEST(RateLimiterTest, ForgetsClientsWhoseWindowHasEnded) {
  rate_limiter limiter{{1, 1s}};
  rate_limiter::time_point now{1000s};
  for (int i = 0; i < 30'000; ++i)
    EXPECT_TRUE(
      limiter.take(std::to_string(i), now += std::chrono::milliseconds{1})
        .allowed);
}

TEST(RateLimiterTest, AnIpv6CustomerIsOneClient) {
  EXPECT_EQ(rate_limit_client("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(rate_limit_client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(rate_limit_client("2001:db8:1:2::9"),
            rate_limit_client("2001:db8:1:2:ffff::1"));
}

// -- login input --------------------------------------------------------------

std::vector<std::string> refused_fields(std::string_view body) {
  const auto in = login::parse(body);
  std::vector<std::string> out;
  if (!in)
    for (const auto& e : in.error().fields)
      out.push_back(e.field);
  return out;
}

TEST(LoginInputTest, TakesWhatTheContractTakes) {
  const auto in
    = login::parse(R"({"email":"a@b.example","password":"x","remember":"1"})");
  ASSERT_TRUE(in);
  EXPECT_EQ(in->email, "a@b.example");
  EXPECT_TRUE(in->remember);
  EXPECT_FALSE(login::parse(R"({"email":"a@b","password":"x"})")->remember);
}

TEST(LoginInputTest, NamesEveryBadField) {
  using testing::ElementsAre;
  EXPECT_THAT(refused_fields("{}"), ElementsAre("email", "password"));
  EXPECT_THAT(refused_fields(R"({"email":1,"password":[],"remember":"yes"})"),
              ElementsAre("email", "password", "remember"));
  EXPECT_THAT(refused_fields(R"({"email":"","password":""})"),
              ElementsAre("email", "password"));
  EXPECT_THAT(refused_fields("{"), ElementsAre("body"));
  EXPECT_THAT(refused_fields(R"({"email":"a\u0000@b","password":"x"})"),
              ElementsAre("email"));
}

TEST(LoginInputTest, KnowsAnEmailAddress) {
  for (const char* email : {"a", "@b", "a@", "a@b@c", "a b@c", "a@b\tc"}) {
    const json body{{"email", email}, {"password", "x"}};
    EXPECT_THAT(refused_fields(body.dump()), testing::ElementsAre("email"))
      << email;
  }
}

} // namespace
} // namespace carillon::http
