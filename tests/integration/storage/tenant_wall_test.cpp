// The first wall between tenants, repository by repository: with the scope of
// one, the rows of another are not there, and nothing of them changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/clock.hpp"
#include "storage/auth_repository.hpp"
#include "storage/delivery_repository.hpp"
#include "storage/job_repository.hpp"
#include "storage/notification_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/post_repository.hpp"
#include "storage/schedule_repository.hpp"
#include "storage/social_account_repository.hpp"
#include "storage/workspace_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::storage {

namespace {

using ::testing::IsEmpty;

class TenantWallTest : public ::testing::Test {
protected:
  TenantWallTest() {
    db.exec("UPDATE carillon.tenants SET name = 'Acme' WHERE id = " + test::sql_literal(acme.tenant));
    acme.add_target(post, account);
    new_notification notice;
    notice.tenant = acme.tenant;
    notice.user = acme.author;
    notice.workspace = acme.workspace;
    notice.title = "Secret title";
    notice.message = "Secret message";
    hints ignored;
    notification = notifications.send(scope::tenant(acme.tenant), notice, ignored).value().id;
    job = *job_id::parse(db.exec("SELECT id FROM carillon.jobs"));
    before = everything();
  }

  /// All rows of all tables that hold tenant data, as one text; but not what
  /// the rival's own commands left in his own audit trail.
  std::string everything() {
    std::string out;
    for (const auto* table :
         {"tenants", "users", "workspaces", "workspace_memberships", "posts", "post_targets", "approval_decisions",
          "social_accounts", "notifications", "notification_preferences", "notification_deliveries", "jobs",
          "job_history", "personal_access_tokens", "schedule_entries"})
      out += db.exec("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM carillon."
                     + std::string{table} + " t") + "\n";
    return out + db.exec("SELECT count(*) FROM carillon.audit_logs WHERE tenant_id = " + test::sql_literal(acme.tenant));
  }

  void TearDown() override {
    EXPECT_EQ(everything(), before) << "something was written";
    EXPECT_THAT(hinted, IsEmpty());
  }

  template <class T>
  static void expect_not_found(const result<T>& r) {
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, errc::not_found) << r.error().detail;
  }

  test::test_database db;
  test::seed acme{db};
  test::seed rival{db};
  scope there = scope::tenant(rival.tenant);
  social_account_id account = acme.add_account(acme.workspace);
  post_id post = acme.add_scheduled_post(acme.workspace, "Secret text", "now() + interval '1 day'");
  notification_id notification;
  job_id job;
  hints hinted;
  std::string before;

  auth_repository auth{db.connection()};
  delivery_repository deliveries{db.connection()};
  job_repository jobs{db.connection()};
  notification_repository notifications{db.connection()};
  ownership_repository ownership{db.connection()};
  post_repository posts{db.connection()};
  schedule_repository schedules{db.connection()};
  social_account_repository accounts{db.connection(), test::test_cipher()};
  workspace_repository workspaces{db.connection()};
};

TEST_F(TenantWallTest, PostsAreNeitherReadNorChanged) {
  const post_actor actor{rival.author, "Rival", "trace"};
  // Whether through the owner's workspace or through one's own.
  for (const auto workspace : {acme.workspace, rival.workspace}) {
    expect_not_found(posts.load(there, workspace, post));
    expect_not_found(posts.update(there, workspace, post, actor, {}));
    expect_not_found(posts.remove(there, workspace, post, actor));
    expect_not_found(posts.set_targets(there, workspace, post, actor, {}));
    expect_not_found(posts.remove_target(there, workspace, post, target_id::make(), actor));
    expect_not_found(posts.submit(there, workspace, post, actor, hinted));
    expect_not_found(posts.approve(there, workspace, post, actor, {}, hinted));
    expect_not_found(posts.reject(there, workspace, post, actor, "no", {}, hinted));
    expect_not_found(posts.approvals(there, workspace, post));
    expect_not_found(posts.schedule(there, workspace, post, actor, system_clock{}.now() + std::chrono::hours{1}, {},
                                    true, hinted));
    expect_not_found(posts.publish(there, workspace, post, actor, hinted));
    expect_not_found(posts.cancel(there, workspace, post, actor));
    expect_not_found(posts.retry(there, workspace, post, actor, true, hinted));
    expect_not_found(posts.duplicate(there, workspace, post, actor));
    expect_not_found(posts.attempts(there, workspace, post));
    expect_not_found(posts.add_media(there, workspace, post, actor, {}));
    expect_not_found(posts.order_media(there, workspace, post, actor, {}));
    expect_not_found(posts.remove_media(there, workspace, post, make_uuid_v7(), actor));
    const auto listed = posts.list(there, workspace, {});
    EXPECT_TRUE(!listed || (listed->total == 0 && listed->items.empty()));
  }
  expect_not_found(posts.create(there, acme.workspace, actor, {}));
  expect_not_found(posts.create(there, workspace_id::make(), actor, {}));
}

TEST_F(TenantWallTest, APostCannotTargetAnotherTenantsAccount) {
  const post_actor actor{rival.author, "Rival", "trace"};
  new_post draft;
  draft.content.content_text = "hello";
  draft.accounts = {account};
  const auto refused = posts.create(there, rival.workspace, actor, draft);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  ASSERT_EQ(refused.error().fields.size(), 1u);
  EXPECT_EQ(refused.error().fields[0].field, "social_account_ids.0");
}

TEST_F(TenantWallTest, JobsAreNeitherSeenNorTouched) {
  EXPECT_THAT(*jobs.list(there, {}), IsEmpty());
  job_filter of_their_workspace;
  of_their_workspace.workspace = acme.workspace;
  EXPECT_THAT(*jobs.list(there, of_their_workspace), IsEmpty());
  EXPECT_THAT(*jobs.count(there), IsEmpty());
  EXPECT_EQ(*jobs.count_matching(there, of_their_workspace), 0);
  expect_not_found(jobs.find(there, job));
  expect_not_found(jobs.retry(there, {}, job));
  expect_not_found(jobs.cancel(there, {}, job));
  expect_not_found(jobs.discard(there, {}, job));
  expect_not_found(jobs.explain(there, job));
  EXPECT_EQ(*jobs.retry_all(there, {}, of_their_workspace, 100), 0);
  EXPECT_EQ(*jobs.cancel_all(there, {}, of_their_workspace, 100), 0);
  EXPECT_EQ(*jobs.discard_all(there, {}, of_their_workspace, 100), 0);
}

TEST_F(TenantWallTest, NotificationsAreNeitherReadNorMarked) {
  expect_not_found(notifications.mark_as_read(there, acme.author, notification));
  EXPECT_EQ(*notifications.mark_all_as_read(there, acme.author), 0);
  EXPECT_EQ(notifications.mark_multiple_as_read(there, acme.author, {notification}).error().code,
            errc::invalid_argument);
  EXPECT_EQ(notifications.list(there, acme.author, {})->total, 0);
  EXPECT_EQ(*notifications.unread_count(there, acme.author), 0);
  EXPECT_THAT(*notifications.recent(there, acme.author, 10), IsEmpty());
  expect_not_found(notifications.preferences(there, acme.author));
  expect_not_found(notifications.update_preference(there, acme.author,
                                                   {notification_type::post_failed, false, false, false, false}));
  expect_not_found(notifications.load_email(there, notification));
  EXPECT_EQ(*notifications.delete_old(there, 0), 0);
}

TEST_F(TenantWallTest, AnEmailJobReachesOnlyItsOwnTenantsNotices) {
  carillon::job forged;
  forged.id = job_id::make();
  forged.tenant = rival.tenant;
  forged.workspace = rival.workspace;
  forged.payload = R"({"v":1,"notification_id":")" + to_string(notification) + "\"}";
  expect_not_found(deliveries.begin_email(forged));
  const auto node = *ownership.start_incarnation("a", std::chrono::seconds{10});
  EXPECT_TRUE(deliveries.conclude_email(node, forged, {email_outcome::kind::sent, {}}));
}

TEST_F(TenantWallTest, SocialAccountsAreNeitherReadNorChanged) {
  expect_not_found(accounts.load(there, acme.workspace, account));
  expect_not_found(accounts.load_credentials(there, account));
  expect_not_found(accounts.mark_status(there, account, social_account_status::disconnected));
  EXPECT_EQ(accounts.list(there, acme.workspace, {})->total, 0);
  new_social_account mine;
  mine.workspace = acme.workspace;
  mine.platform_account_id = "1";
  mine.account_name = "Mine";
  mine.access_token = "t";
  mine.connected_by = rival.author;
  expect_not_found(accounts.connect(there, mine));
}

TEST_F(TenantWallTest, WorkspacesAreNotThere) {
  expect_not_found(workspaces.find_access(there, acme.workspace, acme.author));
  expect_not_found(workspaces.load_workspace(there, acme.workspace, acme.author));
  const auto listed = workspaces.list_workspaces(there, acme.author, {});
  ASSERT_TRUE(listed);
  for (const auto& w : listed->items)
    EXPECT_EQ(w.tenant, rival.tenant);
  EXPECT_EQ(workspaces.load_tenant(there)->id, rival.tenant);
  const workspace_actor actor{rival.author, "Rival", "trace"};
  EXPECT_EQ(workspaces.list_members(there, acme.workspace, {})->total, 0);
  EXPECT_EQ(workspaces.load_dashboard(there, acme.workspace)->posts, 0);
  for (const auto user : {acme.author, rival.author}) {
    expect_not_found(workspaces.add_member(there, acme.workspace, actor, user, workspace_role::owner, hinted));
    expect_not_found(workspaces.change_role(there, acme.workspace, actor, user, workspace_role::owner, true, hinted));
    expect_not_found(workspaces.remove_member(there, acme.workspace, actor, user, true, hinted));
  }
}

TEST_F(TenantWallTest, SchedulesAreNeitherSeenNorRun) {
  db.exec("INSERT INTO carillon.schedule_entries (workspace_id, kind, tenant_id, time_zone, last_run_at, next_run_at) "
          "VALUES (" + test::sql_literal(acme.workspace) + ", 'cleanup_old_notifications', " + test::sql_literal(acme.tenant)
          + ", 'UTC', now(), now() + interval '1 hour')");
  before = everything();
  EXPECT_THAT(*schedules.summaries(there), IsEmpty());
  EXPECT_THAT(*schedules.upcoming(there, 100), IsEmpty());
  expect_not_found(schedules.find_workspace(there, acme.workspace));
  std::optional<workspace_id> after;
  expect_not_found(schedules.run_now(there, "cleanup_old_notifications", acme.workspace, after, 100));
}

TEST_F(TenantWallTest, UsersAreNotThere) {
  expect_not_found(auth.load_account(there, acme.author));
  expect_not_found(auth.add_token(there, acme.author, {"t", std::string(64, '0'), {}}, true));
  expect_not_found(auth.replace_tokens(there, acme.author, {"t", std::string(64, '0'), {}}));
}

} // namespace

} // namespace carillon::storage
