#include "storage/token_cipher.hpp"

#include <set>

#include <gtest/gtest.h>

namespace carillon::storage {

namespace {

const std::string old_key(32, 'a');
const std::string new_key(32, 'b');

TEST(TokenCipherTest, DecryptsWhatItEncrypted) {
  const token_cipher cipher{new_key};
  for (const std::string& secret :
       {std::string{}, std::string{"x"}, std::string{"\0\xff", 2},
        std::string(10'000, 's')}) {
    const auto stored = cipher.encrypt(secret, "account-1");
    ASSERT_TRUE(stored);
    const auto back = cipher.decrypt(*stored, "account-1");
    ASSERT_TRUE(back) << back.error().detail;
    EXPECT_EQ(*back, secret);
  }
}

TEST(TokenCipherTest, TheSameSecretNeverLooksTheSame) {
  const token_cipher cipher{new_key};
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i)
    seen.insert(*cipher.encrypt("secret", "account-1"));
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(TokenCipherTest, FormNamesVersionAndKey) {
  const token_cipher cipher{new_key};
  const auto stored = *cipher.encrypt("secret", "account-1");
  EXPECT_TRUE(stored.starts_with("v1:" + cipher.key_id() + ":"));
  EXPECT_EQ(cipher.key_id().size(), 8u);
  EXPECT_EQ(stored.find("secret"), std::string::npos);
}

TEST(TokenCipherTest, AnotherOwnerCannotDecrypt) {
  const token_cipher cipher{new_key};
  const auto stored = *cipher.encrypt("secret", "account-1");
  EXPECT_FALSE(cipher.decrypt(stored, "account-2"));
  EXPECT_FALSE(cipher.decrypt(stored, ""));
}

TEST(TokenCipherTest, EveryChangedCharacterIsNoticed) {
  const token_cipher cipher{new_key};
  const auto stored = *cipher.encrypt("sixteen bytes ok", "a");
  // Every other character: some differ only in bits that base64 drops.
  constexpr std::string_view alphabet
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:\n ";
  for (std::size_t i = 0; i < stored.size(); ++i) {
    for (const char other : alphabet) {
      if (other == stored[i])
        continue;
      auto changed = stored;
      changed[i] = other;
      EXPECT_FALSE(cipher.decrypt(changed, "a")) << i << " is now " << other;
    }
  }
  for (std::size_t size = 0; size < stored.size(); ++size)
    EXPECT_FALSE(cipher.decrypt(stored.substr(0, size), "a")) << size;
}

TEST(TokenCipherTest, AnythingElseIsRefused) {
  const token_cipher cipher{new_key};
  for (const std::string& text :
       {std::string{}, std::string{"v1:"}, std::string{"plain text token"},
        "v1:" + cipher.key_id() + ":", "v1:" + cipher.key_id() + ":====",
        "v2:" + cipher.key_id() + ":AAAA", std::string(200, ':')}) {
    const auto back = cipher.decrypt(text, "a");
    ASSERT_FALSE(back) << text;
    EXPECT_EQ(back.error().code, errc::permanent);
  }
}

TEST(TokenCipherTest, FormerKeysStillDecrypt) {
  const auto stored = *token_cipher{old_key}.encrypt("secret", "a");
  EXPECT_FALSE(token_cipher{new_key}.decrypt(stored, "a"));
  const token_cipher rotated{new_key, {old_key}};
  EXPECT_EQ(*rotated.decrypt(stored, "a"), "secret");
  EXPECT_TRUE(rotated.encrypt("x", "a")->starts_with(
    "v1:" + token_cipher{new_key}.key_id()));
}

TEST(TokenCipherTest, KeysHaveThirtyTwoBytes) {
  EXPECT_THROW(token_cipher{"short"}, std::invalid_argument);
  EXPECT_THROW((token_cipher{new_key, {"short"}}), std::invalid_argument);
  EXPECT_EQ(*parse_token_key(
              "6262626262626262626262626262626262626262626262626262626262626262"),
            new_key);
  EXPECT_FALSE(parse_token_key(""));
  EXPECT_FALSE(parse_token_key(std::string(63, '6')));
  EXPECT_FALSE(parse_token_key(std::string(62, '6') + "-1"));
  EXPECT_FALSE(parse_token_key(std::string(62, '6') + "0x"));
}

} // namespace

} // namespace carillon::storage
