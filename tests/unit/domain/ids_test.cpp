#include "domain/ids.hpp"

#include <set>
#include <thread>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace carillon {
namespace {

TEST(Uuid, VersionSevenGrowsStrictly) {
  auto last = make_uuid_v7();
  for (int i = 0; i < 100'000; ++i) {
    const auto next = make_uuid_v7();
    ASSERT_LT(last, next) << i;
    last = next;
  }
}

TEST(Uuid, VersionAndVariantAreThoseOfRfc9562) {
  for (int i = 0; i < 100; ++i) {
    const auto text = to_string(make_uuid_v7());
    ASSERT_EQ(text.size(), 36U);
    EXPECT_EQ(text[14], '7') << text;
    EXPECT_NE(std::string_view{"89ab"}.find(text[19]), std::string_view::npos) << text;
  }
}

TEST(Uuid, ManyThreadsNeverMakeTheSame) {
  constexpr int threads = 4;
  constexpr int each = 20'000;
  std::vector<std::vector<uuid>> made(threads);
  {
    std::vector<std::jthread> running;
    for (auto& mine : made)
      running.emplace_back([&mine] {
        for (int i = 0; i < each; ++i)
          mine.push_back(make_uuid_v7());
      });
  }
  std::set<uuid> all;
  for (const auto& mine : made)
    all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(threads) * each);
}

TEST(Uuid, LastByteSpreadsOverTheShards) {
  std::set<shard_id> seen;
  for (int i = 0; i < 10'000; ++i)
    seen.insert(shard_of(workspace_id::make()));
  EXPECT_GT(seen.size(), 200U);
}

TEST(Uuid, IsReadInAnyCaseAndAnyVersion) {
  const auto upper = parse_uuid("0190A7C2-5D0E-7C3B-9F5E-2B1C4D6E8F00");
  ASSERT_TRUE(upper);
  EXPECT_EQ(to_string(*upper), "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f00");
  EXPECT_TRUE(parse_uuid("f47ac10b-58cc-4372-a567-0e02b2c3d479"));
  EXPECT_TRUE(parse_uuid("00000000-0000-0000-0000-000000000000")->is_nil());
}

class NotAUuid : public testing::TestWithParam<std::string> {};

TEST_P(NotAUuid, IsRefused) {
  EXPECT_FALSE(parse_uuid(GetParam())) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
  Texts, NotAUuid,
  testing::Values("", "1", "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f0",
                  "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f000",
                  "0190a7c25d0e7c3b9f5e2b1c4d6e8f00", "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8fg0",
                  "0190a7c2_5d0e_7c3b_9f5e_2b1c4d6e8f00", "{190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f0}",
                  "0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f0 ", "0190a7c2-5d0e7-c3b-9f5e-2b1c4d6e8f00",
                  std::string("0190a7c2-5d0e-7c3b-9f5e-2b1c4d6e8f\0" "0", 36)));

TEST(StrongId, RoundTripsAndHashes) {
  const auto id = post_id::make();
  EXPECT_EQ(post_id::parse(to_string(id)), id);
  EXPECT_FALSE(post_id::parse("no"));
  std::unordered_set<post_id> set{id};
  EXPECT_TRUE(set.contains(id));
}

TEST(StrongId, TenantsOwnWorkRunsInItsRootWorkspace) {
  const auto tenant = tenant_id::make();
  EXPECT_EQ(root_workspace(tenant).value, tenant.value);
  EXPECT_EQ(shard_of(root_workspace(tenant)), tenant.value.bytes[15]);
}

} // namespace
} // namespace carillon
