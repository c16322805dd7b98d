#include "storage/auth_repository.hpp"

#include "tests/support/test_database.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace carillon::storage {
namespace {

using namespace std::chrono_literals;

class AuthRepositoryTest : public testing::Test {
protected:
  AuthRepositoryTest() {
    add_tenant(tenant_);
    add_tenant(other_tenant_);
    add_user(user_, tenant_, "Owner@Acme.example");
  }

  void add_tenant(tenant_id id) {
    db_.exec("INSERT INTO carillon.tenants (id, name, slug) VALUES ('"
             + to_string(id) + "', 'T', '" + to_string(id) + "')");
  }

  void add_user(user_id id, tenant_id tenant, const std::string& email) {
    db_.exec("INSERT INTO carillon.users (id, tenant_id, email, name, status, "
             "role_in_tenant, password) VALUES ('"
             + to_string(id) + "', '" + to_string(tenant) + "', '" + email
             + "', 'Ü. Name', 'active', 'owner', '$2b$04$hash')");
  }

  new_token make_token() {
    new_token t;
    t.secret_hash = std::string(63 - std::to_string(made_).size(), '0') + "x"
                    + std::to_string(made_);
    ++made_;
    return t;
  }

  std::int64_t add_token(bool login = true) {
    auto id = auth_.add_token(here(), user_, make_token(), login);
    EXPECT_TRUE(id) << (id ? "" : id.error().detail);
    return id ? *id : 0;
  }

  void set_token(std::int64_t id, const std::string& assignment) {
    db_.exec("UPDATE carillon.personal_access_tokens SET " + assignment
             + " WHERE id = " + std::to_string(id));
  }

  void set_user(const std::string& assignment) {
    db_.exec("UPDATE carillon.users SET " + assignment + " WHERE id = '"
             + to_string(user_) + "'");
  }

  int token_count() {
    return std::stoi(
      db_.exec("SELECT count(*) FROM carillon.personal_access_tokens"));
  }

  bool exists(std::int64_t id) {
    auto found = auth_.find_token(anywhere_, id);
    return found && found->has_value();
  }

  scope here() const {
    return scope::tenant(tenant_);
  }

  const tenant_id tenant_ = tenant_id::make();
  const tenant_id other_tenant_ = tenant_id::make();
  const user_id user_ = user_id::make();
  const scope anywhere_ = scope::maintenance("test");
  test::test_database db_;
  auth_repository auth_{db_.connection()};
  int made_ = 0;
};

TEST_F(AuthRepositoryTest, ATokenIsFoundByIdAndByHash) {
  const auto token = make_token();
  const auto id = auth_.add_token(here(), user_, token, false);
  ASSERT_TRUE(id);
  for (const auto& found :
       {auth_.find_token(anywhere_, *id),
        auth_.find_token_by_hash(anywhere_, token.secret_hash)}) {
    ASSERT_TRUE(found);
    ASSERT_TRUE(*found);
    const auto& t = **found;
    EXPECT_EQ(t.id, *id);
    EXPECT_EQ(t.secret_hash, token.secret_hash);
    EXPECT_FALSE(t.expired);
    EXPECT_FALSE(t.used_lately);
    EXPECT_EQ(t.user, user_);
    EXPECT_EQ(t.tenant, tenant_);
    EXPECT_EQ(t.user_name, "Ü. Name");
    EXPECT_EQ(t.user_email, "Owner@Acme.example");
    EXPECT_EQ(t.role, tenant_role::owner);
  }
  EXPECT_FALSE(exists(*id + 1));
  EXPECT_FALSE(*auth_.find_token_by_hash(anywhere_, "unknown"));
}

TEST_F(AuthRepositoryTest, AnotherTenantsScopeFindsNothing) {
  const auto token = make_token();
  const auto id = auth_.add_token(here(), user_, token, false);
  ASSERT_TRUE(id);
  const auto elsewhere = scope::tenant(other_tenant_);
  EXPECT_FALSE(*auth_.find_token(elsewhere, *id));
  EXPECT_FALSE(*auth_.find_token_by_hash(elsewhere, token.secret_hash));
  EXPECT_FALSE(*auth_.find_credentials(elsewhere, "owner@acme.example"));
  EXPECT_EQ(auth_.load_account(elsewhere, user_).error().code, errc::not_found);
  EXPECT_EQ(auth_.add_token(elsewhere, user_, make_token(), true).error().code,
            errc::not_found);
  EXPECT_EQ(auth_.replace_tokens(elsewhere, user_, make_token()).error().code,
            errc::not_found);
  EXPECT_TRUE(auth_.revoke_token(elsewhere, user_, *id));
  EXPECT_TRUE(auth_.touch_token(elsewhere, *id));
  EXPECT_FALSE((*auth_.find_token(anywhere_, *id))->used_lately);
  EXPECT_TRUE(exists(*id));
}

TEST_F(AuthRepositoryTest, WhatBelongsToAUserNeedsATenant) {
  EXPECT_EQ(auth_.load_account(anywhere_, user_).error().code, errc::not_found);
  EXPECT_EQ(auth_.add_token(anywhere_, user_, make_token(), true).error().code,
            errc::not_found);
}

TEST_F(AuthRepositoryTest, ATokenExpiresByTheDatabasesClock) {
  auto token = make_token();
  token.lifetime = 30s;
  const auto id = auth_.add_token(here(), user_, token, false);
  ASSERT_TRUE(id);
  EXPECT_FALSE((*auth_.find_token(anywhere_, *id))->expired);
  set_token(*id, "expires_at = expires_at - interval '31 seconds'");
  EXPECT_TRUE((*auth_.find_token(anywhere_, *id))->expired);
  set_token(*id, "expires_at = NULL");
  EXPECT_FALSE((*auth_.find_token(anywhere_, *id))->expired);
}

TEST_F(AuthRepositoryTest, UseIsWrittenAtMostOnceAMinute) {
  const auto id = add_token();
  const auto used = [&] {
    return db_.exec("SELECT last_used_at FROM carillon.personal_access_tokens "
                    "WHERE id = "
                    + std::to_string(id));
  };
  EXPECT_EQ(used(), "");
  EXPECT_TRUE(auth_.touch_token(anywhere_, id));
  const auto first = used();
  EXPECT_NE(first, "");
  EXPECT_TRUE((*auth_.find_token(anywhere_, id))->used_lately);
  EXPECT_TRUE(auth_.touch_token(anywhere_, id));
  EXPECT_EQ(used(), first);
  set_token(id, "last_used_at = last_used_at - interval '61 seconds'");
  EXPECT_FALSE((*auth_.find_token(anywhere_, id))->used_lately);
  EXPECT_TRUE(auth_.touch_token(anywhere_, id));
  EXPECT_TRUE((*auth_.find_token(anywhere_, id))->used_lately);
}

TEST_F(AuthRepositoryTest, ManyTokensAreFoundAtOnceWithTheirTenantsStatus) {
  const auto first = add_token();
  const auto second = add_token();
  const auto third = add_token();
  const auto ids_of = [](const result<std::vector<token_holder>>& found) {
    std::set<std::int64_t> out;
    for (const auto& one : found.value())
      EXPECT_TRUE(out.insert(one.token.id).second);
    return out;
  };
  set_token(second, "expires_at = now()");
  const auto found = auth_.find_holders(anywhere_, {second, first, first, third + 1});
  EXPECT_EQ(ids_of(found), (std::set<std::int64_t>{first, second}));
  for (const auto& one : *found) {
    EXPECT_EQ(one.token.secret_hash, (*auth_.find_token(anywhere_, one.token.id))->secret_hash);
    EXPECT_EQ(one.token.expired, one.token.id == second);
    EXPECT_EQ(one.token.user, user_);
    EXPECT_EQ(one.token.tenant, tenant_);
    EXPECT_EQ(one.tenant, tenant_status::pending);
  }
  EXPECT_TRUE(ids_of(auth_.find_holders(scope::tenant(other_tenant_), {first, second})).empty());
  EXPECT_TRUE(ids_of(auth_.find_holders(anywhere_, {})).empty());

  EXPECT_TRUE(auth_.touch_tokens(scope::tenant(other_tenant_), {first, second}));
  EXPECT_FALSE((*auth_.find_token(anywhere_, first))->used_lately);
  EXPECT_TRUE(auth_.touch_tokens(anywhere_, {second, first, first}));
  const auto used = auth_.find_holders(anywhere_, {first, second, third}).value();
  EXPECT_EQ(used.size(), 3u);
  for (const auto& one : used)
    EXPECT_EQ(one.token.used_lately, one.token.id != third);

  const auto set_tenant = [&](const std::string& assignment) -> std::optional<tenant_status> {
    db_.exec("UPDATE carillon.tenants SET " + assignment + " WHERE id = '" + to_string(tenant_) + "'");
    return auth_.find_holders(anywhere_, {first})->at(0).tenant;
  };
  EXPECT_EQ(set_tenant("status = 'suspended'"), tenant_status::suspended);
  EXPECT_EQ(set_tenant("deleted_at = now()"), std::nullopt);
  set_user("deleted_at = now()");
  EXPECT_TRUE(auth_.find_holders(anywhere_, {first})->empty());
}

TEST_F(AuthRepositoryTest, ADeletedUsersTokensAreNotFound) {
  const auto id = add_token();
  set_user("deleted_at = now()");
  EXPECT_FALSE(exists(id));
  EXPECT_FALSE(*auth_.find_credentials(anywhere_, "owner@acme.example"));
  EXPECT_EQ(auth_.load_account(here(), user_).error().code, errc::not_found);
}

TEST_F(AuthRepositoryTest, ASuperAdminsTokenIsNoUsersToken) {
  const auto id = add_token();
  set_token(id, "tokenable_type = 'super_admin', tenant_id = NULL");
  EXPECT_FALSE(exists(id));
}

TEST_F(AuthRepositoryTest, CredentialsAreFoundByEmailInAnyCase) {
  set_user("mfa_enabled = true, email_verified_at = '2026-02-07T10:00:00Z', "
           "timezone = 'Europe/Vienna'");
  const auto found = auth_.find_credentials(anywhere_, "oWNER@acme.EXAMPLE");
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  const auto& c = **found;
  EXPECT_EQ(c.who.id, user_);
  EXPECT_EQ(c.who.tenant, tenant_);
  EXPECT_EQ(c.who.status, user_status::active);
  EXPECT_EQ(c.who.timezone, "Europe/Vienna");
  EXPECT_EQ(c.who.avatar_url, std::nullopt);
  EXPECT_EQ(format_api_time(*c.who.email_verified_at),
            "2026-02-07T10:00:00+00:00");
  EXPECT_EQ(c.password_hash, "$2b$04$hash");
  EXPECT_TRUE(c.mfa_enabled);
  EXPECT_FALSE(*auth_.find_credentials(anywhere_, "nobody@acme.example"));
}

TEST_F(AuthRepositoryTest, WhereTenantsShareAnEmailTheOldestUserIsMeant) {
  const auto younger = user_id::make();
  add_user(younger, other_tenant_, "owner@acme.example");
  EXPECT_EQ((*auth_.find_credentials(anywhere_, "owner@acme.example"))->who.id,
            user_);
  set_user("created_at = now() + interval '1 hour'");
  EXPECT_EQ((*auth_.find_credentials(anywhere_, "owner@acme.example"))->who.id,
            younger);
}

TEST_F(AuthRepositoryTest, AMissingPasswordIsEmpty) {
  set_user("password = NULL");
  EXPECT_EQ(
    (*auth_.find_credentials(anywhere_, "owner@acme.example"))->password_hash,
    "");
}

TEST_F(AuthRepositoryTest, AtMostTenLiveTokensRemain) {
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 10; ++i)
    ids.push_back(add_token());
  EXPECT_EQ(token_count(), 10);
  ids.push_back(add_token());
  EXPECT_EQ(token_count(), 10);
  EXPECT_FALSE(exists(ids[0]));
  EXPECT_TRUE(exists(ids[1]));
  EXPECT_TRUE(exists(ids[10]));
}

TEST_F(AuthRepositoryTest, ExpiredTokensMakeRoomFirst) {
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 10; ++i)
    ids.push_back(add_token());
  set_token(ids[9], "expires_at = now() - interval '1 second'");
  add_token();
  EXPECT_TRUE(exists(ids[0]));
  EXPECT_FALSE(exists(ids[9]));
  EXPECT_EQ(token_count(), 10);
}

TEST_F(AuthRepositoryTest, LoginsAtTheSameTimeKeepTheLimit) {
  for (int i = 0; i < 10; ++i)
    add_token();
  std::vector<std::thread> logins;
  for (int k = 0; k < 4; ++k)
    logins.emplace_back([this, token = make_token()] {
      auto session = db_.connect();
      auth_repository auth{*session};
      EXPECT_TRUE(auth.add_token(here(), user_, token, true));
    });
  for (auto& l : logins)
    l.join();
  EXPECT_EQ(token_count(), 10);
}

TEST_F(AuthRepositoryTest, OnlyALoginIsNotedAsOne) {
  const auto last = [&] {
    return db_.exec("SELECT last_login_at FROM carillon.users WHERE id = '"
                    + to_string(user_) + "'");
  };
  add_token(false);
  EXPECT_EQ(last(), "");
  add_token(true);
  EXPECT_NE(last(), "");
}

TEST_F(AuthRepositoryTest, AnInactiveUserGetsNoToken) {
  set_user("status = 'suspended'");
  const auto refused = auth_.add_token(here(), user_, make_token(), true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  ASSERT_EQ(refused.error().fields.size(), 1U);
  EXPECT_EQ(refused.error().fields[0].field, "email");
  EXPECT_EQ(token_count(), 0);
}

TEST_F(AuthRepositoryTest, ReplaceLeavesTheNewTokenOnly) {
  const auto colleague = user_id::make();
  add_user(colleague, tenant_, "colleague@acme.example");
  ASSERT_TRUE(auth_.add_token(here(), colleague, make_token(), true));
  const auto old = add_token();
  add_token();
  const auto fresh = auth_.replace_tokens(here(), user_, make_token());
  ASSERT_TRUE(fresh);
  EXPECT_TRUE(exists(*fresh));
  EXPECT_FALSE(exists(old));
  EXPECT_EQ(token_count(), 2);
}

TEST_F(AuthRepositoryTest, RevokeTakesOneTokenOfThatUser) {
  const auto colleague = user_id::make();
  add_user(colleague, tenant_, "colleague@acme.example");
  const auto mine = add_token();
  const auto other = add_token();
  EXPECT_TRUE(auth_.revoke_token(here(), colleague, mine));
  EXPECT_TRUE(exists(mine));
  EXPECT_TRUE(auth_.revoke_token(here(), user_, mine));
  EXPECT_TRUE(auth_.revoke_token(here(), user_, mine));
  EXPECT_FALSE(exists(mine));
  EXPECT_TRUE(exists(other));
}

} // namespace
} // namespace carillon::storage
