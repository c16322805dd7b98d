#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/workspace_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using test::sql_literal;
using ::testing::ElementsAre;

class WorkspaceTest : public ::testing::Test {
protected:
  std::vector<std::string> names(const workspace_filter& f) {
    auto page = store.list_workspaces(here, emil, f);
    EXPECT_TRUE(page);
    std::vector<std::string> out;
    for (const auto& w : page->items)
      out.push_back(w.name);
    return out;
  }

  test::test_database db;
  workspace_repository store{db.connection()};
  tenant_id acme = test::add_tenant(db, "acme");
  tenant_id other = test::add_tenant(db, "other", "suspended");
  user_id emil = test::add_user(db, acme, "emil");
  workspace_id shop = test::add_workspace(db, acme, "shop");
  workspace_id blog = test::add_workspace(db, acme, "blog");
  workspace_id foreign = test::add_workspace(db, other, "foreign");
  scope here = scope::tenant(acme);
};

TEST_F(WorkspaceTest, TenantStatusIsFoundForTheGate) {
  EXPECT_EQ(*store.find_tenant_status(here), tenant_status::active);
  EXPECT_EQ(*store.find_tenant_status(scope::tenant(other)),
            tenant_status::suspended);
  EXPECT_EQ(store.find_tenant_status(scope::tenant(tenant_id::make()))
              .error()
              .code,
            errc::not_found);
  db.exec("UPDATE carillon.tenants SET deleted_at = now()");
  EXPECT_EQ(store.find_tenant_status(here).error().code, errc::not_found);
}

TEST_F(WorkspaceTest, AccessTellsTheMembership) {
  test::add_member(db, acme, shop, emil, workspace_role::editor);
  const auto member = store.find_access(here, shop, emil);
  ASSERT_TRUE(member);
  EXPECT_EQ(member->id, shop);
  EXPECT_EQ(member->membership, workspace_role::editor);
  const auto outsider = store.find_access(here, blog, emil);
  ASSERT_TRUE(outsider);
  EXPECT_FALSE(outsider->membership);
}

TEST_F(WorkspaceTest, WhatIsForeignOrDeletedIsNotFound) {
  EXPECT_EQ(store.find_access(here, foreign, emil).error().code,
            errc::not_found);
  EXPECT_EQ(store.load_workspace(here, foreign, emil).error().code,
            errc::not_found);
  db.exec("UPDATE carillon.workspaces SET status = 'deleted' WHERE id = "
          + sql_literal(shop));
  EXPECT_EQ(store.find_access(here, shop, emil).error().code, errc::not_found);
  EXPECT_EQ(store.load_workspace(here, shop, emil).error().code,
            errc::not_found);
  EXPECT_THAT(names({}), ElementsAre("blog"));
}

TEST_F(WorkspaceTest, ListShowsEveryWorkspaceOfTheTenantNewestFirst) {
  const auto nina = test::add_user(db, acme, "nina");
  test::add_member(db, acme, shop, emil, workspace_role::viewer);
  test::add_member(db, acme, shop, nina, workspace_role::owner);
  const auto page = store.list_workspaces(here, emil, {});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->total, 2);
  EXPECT_THAT(names({}), ElementsAre("blog", "shop"));
  EXPECT_FALSE(page->items[0].role);
  EXPECT_EQ(page->items[0].member_count, 0);
  EXPECT_EQ(page->items[1].role, workspace_role::viewer);
  EXPECT_EQ(page->items[1].member_count, 2);
}

TEST_F(WorkspaceTest, ListFiltersAndPages) {
  db.exec("UPDATE carillon.workspaces SET status = 'suspended', "
          "description = 'Our 50% sale' WHERE id = "
          + sql_literal(shop));
  workspace_filter f;
  f.status = workspace_status::suspended;
  EXPECT_THAT(names(f), ElementsAre("shop"));
  f.status = workspace_status::deleted;
  EXPECT_THAT(names(f), ElementsAre());
  f = {};
  f.search = "50% SALE";
  EXPECT_THAT(names(f), ElementsAre("shop"));
  f.search = "LOG";
  EXPECT_THAT(names(f), ElementsAre("blog"));
  f.search = "_";
  EXPECT_THAT(names(f), ElementsAre());
  f = {};
  f.per_page = 1;
  f.page = 2;
  EXPECT_THAT(names(f), ElementsAre("shop"));
  EXPECT_EQ(store.list_workspaces(here, emil, f)->total, 2);
}

TEST_F(WorkspaceTest, TenantCarriesProfileAndSettings) {
  db.exec("INSERT INTO carillon.tenant_profiles (id, tenant_id, website) "
          "VALUES (gen_random_uuid(), "
          + sql_literal(acme) + ", 'https://acme.example')");
  db.exec("UPDATE carillon.tenants SET settings = '{\"timezone\":\"UTC\"}' "
          "WHERE id = "
          + sql_literal(acme));
  const auto t = store.load_tenant(here);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->id, acme);
  EXPECT_EQ(t->website, "https://acme.example");
  EXPECT_EQ(t->settings, "{\"timezone\": \"UTC\"}");
}

TEST_F(WorkspaceTest, ATeamIsChangedWhilePostsAreBeingWritten) {
  const auto zoe = test::add_user(db, acme, "zoe");
  const workspace_actor actor{emil, "Emil", "trace"};
  hints hinted;
  const auto writer = db.connect();
  // Its row refers to the workspace and to the tenant, and is not committed.
  const auto written = writer->transact("write-post", [&](pqxx::work& tx) -> result<done> {
    tx.exec("INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id) VALUES (gen_random_uuid(), "
            + sql_literal(acme) + ", " + sql_literal(shop) + ", " + sql_literal(emil) + ")");
    const auto added = store.add_member(here, shop, actor, zoe, workspace_role::viewer, hinted);
    EXPECT_TRUE(added) << added.error().detail;
    const auto made = store.create_workspace(here, actor, {"new one", {}, {}, {}});
    EXPECT_TRUE(made) << made.error().detail;
    return done{};
  });
  EXPECT_TRUE(written);
}

} // namespace

} // namespace carillon::storage
