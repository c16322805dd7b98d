#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/social_account_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using test::sql_literal;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class SocialAccountTest : public ::testing::Test {
protected:
  new_social_account account(const std::string& platform_id = "7") {
    new_social_account a;
    a.workspace = shop;
    a.platform = network::mastodon;
    a.platform_account_id = platform_id;
    a.account_name = "Acme";
    a.account_username = "acme";
    a.access_token = "secret-access";
    a.refresh_token = "secret-refresh";
    a.connected_by = emil;
    a.instance_url = "https://social.example";
    a.metadata = R"({"note":"demo"})";
    return a;
  }

  social_account connected(const new_social_account& a) {
    auto out = store.connect(here, a);
    EXPECT_TRUE(out) << (out ? "" : out.error().detail);
    return out ? *out : social_account{};
  }

  test::test_database db;
  token_cipher cipher{std::string(32, 'k')};
  social_account_repository store{db.connection(), cipher};
  tenant_id acme = test::add_tenant(db, "acme");
  tenant_id other = test::add_tenant(db, "other");
  user_id emil = test::add_user(db, acme, "emil");
  user_id stranger = test::add_user(db, other, "stranger");
  workspace_id shop = test::add_workspace(db, acme, "shop");
  workspace_id blog = test::add_workspace(db, acme, "blog");
  scope here = scope::tenant(acme);
};

TEST_F(SocialAccountTest, TokensAreNeverStoredInClear) {
  const auto a = connected(account());
  const auto row = db.exec("SELECT social_accounts::text FROM "
                           "carillon.social_accounts");
  EXPECT_THAT(row, Not(HasSubstr("secret")));
  EXPECT_THAT(db.exec("SELECT access_token_encrypted FROM "
                      "carillon.social_accounts"),
              StartsWith("v1:" + cipher.key_id() + ":"));
  const auto back = store.load_credentials(here, a.id);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->credentials.access_token, "secret-access");
  EXPECT_EQ(back->credentials.instance_url, "https://social.example");
  EXPECT_EQ(back->credentials.platform, network::mastodon);
  EXPECT_EQ(back->credentials.platform_account_id, "7");
  EXPECT_EQ(back->status, social_account_status::connected);
  EXPECT_TRUE(back->integration_enabled);
}

TEST_F(SocialAccountTest, ConnectingAgainKeepsTheRow) {
  const auto first = connected(account());
  ASSERT_TRUE(
    store.mark_status(here, first.id, social_account_status::disconnected));
  auto again = account();
  again.access_token = "newer";
  again.account_name = "Acme & Co";
  const auto second = connected(again);
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.status, social_account_status::connected);
  EXPECT_EQ(second.account_name, "Acme & Co");
  EXPECT_EQ(store.load_credentials(here, first.id)->credentials.access_token,
            "newer");
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.social_accounts WHERE "
                    "disconnected_at IS NULL"),
            "1");
}

TEST_F(SocialAccountTest, OtherWorkspaceOrPlatformIsAnotherRow) {
  const auto first = connected(account());
  auto a = account();
  a.workspace = blog;
  EXPECT_NE(connected(a).id, first.id);
  a = account();
  a.platform = network::bluesky;
  EXPECT_NE(connected(a).id, first.id);
}

TEST_F(SocialAccountTest, TwoConnectsAtOnceMakeOneRow) {
  auto second = db.connect();
  social_account_repository other_store{*second, cipher};
  for (int i = 0; i < 10; ++i) {
    const auto a = account(std::to_string(i));
    std::optional<social_account_id> there;
    std::thread racer{[&] {
      if (auto out = other_store.connect(here, a))
        there = out->id;
    }};
    const auto mine = store.connect(here, a);
    racer.join();
    ASSERT_TRUE(mine);
    ASSERT_TRUE(there);
    EXPECT_EQ(mine->id, *there);
    EXPECT_TRUE(store.load_credentials(here, *there));
  }
}

TEST_F(SocialAccountTest, ForeignParentsAreNotFound) {
  auto a = account();
  a.connected_by = stranger;
  EXPECT_EQ(store.connect(here, a).error().code, errc::not_found);
  EXPECT_EQ(store.connect(scope::tenant(other), account()).error().code,
            errc::not_found);
  EXPECT_EQ(db.exec("SELECT count(*) FROM carillon.social_accounts"), "0");
}

TEST_F(SocialAccountTest, FieldsAreCheckedBeforeWriting) {
  auto a = account();
  a.platform_account_id = std::string(101, 'x');
  a.access_token.clear();
  const auto refused = store.connect(here, a);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  EXPECT_THAT(refused.error().fields, SizeIs(2));
}

TEST_F(SocialAccountTest, ReadsStayWithinTenantAndWorkspace) {
  const auto a = connected(account());
  EXPECT_TRUE(store.load(here, shop, a.id));
  EXPECT_EQ(store.load(here, blog, a.id).error().code, errc::not_found);
  const auto there = scope::tenant(other);
  EXPECT_EQ(store.load(there, shop, a.id).error().code, errc::not_found);
  EXPECT_EQ(store.load_credentials(there, a.id).error().code, errc::not_found);
  EXPECT_EQ(store.mark_status(there, a.id, social_account_status::revoked)
              .error()
              .code,
            errc::not_found);
  EXPECT_EQ(store.list(there, shop, {})->total, 0);
  EXPECT_TRUE(store.load_credentials(scope::maintenance("publishing"), a.id));
}

TEST_F(SocialAccountTest, ListFiltersAndOrders) {
  const auto first = connected(account("1"));
  auto a = account("2");
  a.platform = network::twitter;
  const auto second = connected(a);
  ASSERT_TRUE(
    store.mark_status(here, first.id, social_account_status::token_expired));
  auto ids = [&](const social_account_filter& f) {
    std::vector<social_account_id> out;
    const auto page = store.list(here, shop, f);
    for (const auto& item : page->items)
      out.push_back(item.id);
    return out;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(ids({}), ElementsAre(second.id, first.id));
  social_account_filter f;
  f.connected_only = true;
  EXPECT_THAT(ids(f), ElementsAre(second.id));
  f = {};
  f.status = social_account_status::token_expired;
  EXPECT_THAT(ids(f), ElementsAre(first.id));
  f = {};
  f.platform = network::twitter;
  EXPECT_THAT(ids(f), ElementsAre(second.id));
  f = {};
  f.per_page = 1;
  f.page = 2;
  EXPECT_THAT(ids(f), ElementsAre(first.id));
}

TEST_F(SocialAccountTest, StatusNeverGoesBackByItself) {
  const auto a = connected(account());
  auto mark = [&](social_account_status s) {
    return store.mark_status(here, a.id, s).has_value();
  };
  auto now = [&] { return store.load(here, shop, a.id)->status; };
  using enum social_account_status;
  EXPECT_TRUE(mark(revoked));
  EXPECT_TRUE(mark(token_expired));
  EXPECT_EQ(now(), revoked);
  EXPECT_TRUE(mark(social_account_status::disconnected));
  EXPECT_TRUE(mark(revoked));
  EXPECT_EQ(now(), social_account_status::disconnected);
  EXPECT_FALSE(mark(social_account_status::connected));
}

TEST_F(SocialAccountTest, CopiedTokenDoesNotDecryptElsewhere) {
  const auto a = connected(account("1"));
  const auto b = connected(account("2"));
  db.exec("UPDATE carillon.social_accounts SET access_token_encrypted = "
          "(SELECT access_token_encrypted FROM carillon.social_accounts WHERE "
          "id = "
          + sql_literal(a.id) + ") WHERE id = " + sql_literal(b.id));
  const auto stolen = store.load_credentials(here, b.id);
  ASSERT_FALSE(stolen);
  EXPECT_EQ(stolen.error().code, errc::permanent);
  EXPECT_THAT(stolen.error().detail, Not(HasSubstr("secret")));
  db.exec("UPDATE carillon.social_accounts SET access_token_encrypted = "
          "refresh_token_encrypted WHERE id = "
          + sql_literal(a.id));
  EXPECT_FALSE(store.load_credentials(here, a.id));
}

TEST_F(SocialAccountTest, DisabledIntegrationIsTold) {
  const auto a = connected(account());
  db.exec("INSERT INTO carillon.social_platform_integrations (id, provider, "
          "display_name, platforms, is_enabled) VALUES (gen_random_uuid(), "
          "'fediverse', 'Fediverse', '[\"mastodon\"]', false)");
  EXPECT_FALSE(store.load_credentials(here, a.id)->integration_enabled);
  db.exec("UPDATE carillon.social_platform_integrations SET is_enabled = true");
  EXPECT_TRUE(store.load_credentials(here, a.id)->integration_enabled);
}

TEST_F(SocialAccountTest, NetworksOfANewerNodeAreListed) {
  const auto a = connected(account());
  db.exec("UPDATE carillon.social_accounts SET platform = 'threads'");
  const auto page = store.list(here, shop, {});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->items.at(0).platform_code, "threads");
  EXPECT_FALSE(page->items.at(0).platform);
  EXPECT_EQ(store.load_credentials(here, a.id).error().code, errc::permanent);
}

} // namespace

} // namespace carillon::storage
