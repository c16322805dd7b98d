// Operators see whose posts leave late.

#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

const std::string lateness_path = "/api/v1/admin/publishing/lateness";

class AdminPublishingTest : public api_suite {
protected:
  AdminPublishingTest() : looker{add_super_admin("VIEWER")} {
  }

  /// Published at the first try, so many seconds after its instant.
  void add_published(social_account_id account, double seconds_late, const std::string& published_at = "now()") {
    const auto post = add_post(owner, "published", account);
    db().exec("UPDATE carillon.posts SET published_at = " + published_at + ", scheduled_at = " + published_at
              + " - interval '" + std::to_string(seconds_late) + " s' WHERE id = " + sql_literal(post));
    db().exec("UPDATE carillon.post_targets t SET platform_code = s.platform FROM carillon.social_accounts s "
              "WHERE s.id = t.social_account_id AND t.post_id = " + sql_literal(post));
    db().exec("INSERT INTO carillon.publish_attempts (id, tenant_id, workspace_id, post_id, target_id, social_account_id, "
              "number, idempotency_key, text_hash, state, node, incarnation, started_at, deadline_at, concluded_at, latency_ms) "
              "SELECT carillon.uuid_v7(), p.tenant_id, p.workspace_id, p.id, t.id, t.social_account_id, 1, 'k', 'h', 'succeeded', "
              "'n', 1, p.published_at - interval '100 ms', p.published_at + interval '1 min', p.published_at, 100 "
              "FROM carillon.posts p JOIN carillon.post_targets t ON t.post_id = p.id WHERE p.id = " + sql_literal(post));
  }

  web_answer ask(const std::string& query = {}) {
    return looker.web.get(lateness_path + "?tenant_id=" + to_string(tenant) + query);
  }

  person looker; ///< The role VIEWER.
};

TEST_F(AdminPublishingTest, TheWorstWorkspaceAndNetworkComeFirst) {
  const auto slow = add_account(workspace, "mastodon");
  const auto prompt = add_account(workspace, "bluesky");
  add_published(slow, 90);
  add_published(slow, 2);
  for (int i = 0; i < 3; ++i)
    add_published(prompt, 1.5);
  const auto answer = ask();
  const auto rows = data_of(answer);
  ASSERT_EQ(column(rows, "network"), (json{"mastodon", "bluesky"}));
  EXPECT_EQ(rows[0]["workspace_id"], to_string(workspace));
  EXPECT_EQ(rows[0]["tenant_id"], to_string(tenant));
  EXPECT_EQ(column(rows, "posts"), (json{2, 3}));
  EXPECT_EQ(column(rows, "late"), (json{1, 0}));
  EXPECT_EQ(rows[0]["late_share"], 0.5);
  EXPECT_EQ(rows[0]["p50_ms"], 2'000);
  EXPECT_EQ(rows[0]["max_ms"], 90'000);
  EXPECT_EQ(rows[1]["p99_ms"], 1'500);
  EXPECT_EQ(answer.json()["meta"], (json{{"hours", 24}, {"limit", 50}, {"late_after_ms", 60'000}, {"posts", 5}, {"late", 1},
                                         {"waiting", 0}, {"retried", 0}}));
}

TEST_F(AdminPublishingTest, FiltersAndLimitHoldAndTheSumsAreOfAll) {
  const auto mastodon = add_account(workspace, "mastodon");
  const auto bluesky = add_account(workspace, "bluesky");
  add_published(mastodon, 90);
  add_published(mastodon, 1, "now() - interval '3 hours'");
  add_published(bluesky, 1);
  EXPECT_EQ(column(data_of(ask("&hours=2")), "posts"), (json{1, 1}));
  EXPECT_EQ(column(data_of(ask("&network=mastodon")), "posts"), (json{2}));
  const auto page = ask("&limit=1").json();
  EXPECT_EQ(page["data"].size(), 1u);
  EXPECT_EQ(page["meta"]["posts"], 3);
  EXPECT_EQ(data_of(ask("&workspace_id=" + to_string(workspace))).size(), 2u);
  EXPECT_EQ(data_of(ask("&workspace_id=" + to_string(elsewhere))), json::array());
  EXPECT_EQ(data_of(looker.web.get(lateness_path + "?workspace_id=" + to_string(workspace))).size(), 2u) << "of every tenant";
}

TEST_F(AdminPublishingTest, WhatMakesNoSenseIsRefusedByName) {
  EXPECT_TRUE(refuses(looker.web.get(lateness_path + "?hours=0&limit=101&network=fax&tenant_id=x&workspace_id=y&since=z"),
                      {"hours", "limit", "network", "tenant_id", "workspace_id", "since"}));
  EXPECT_TRUE(refuses(ask("&hours=169"), "hours"));
}

TEST_F(AdminPublishingTest, ItIsForSuperAdminsOnly) {
  EXPECT_TRUE(is_problem(owner.web.get(lateness_path), 403));
  EXPECT_TRUE(is_problem(node().web().get(lateness_path), 401));
}

} // namespace

} // namespace carillon
