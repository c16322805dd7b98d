// What the tests of push and SMS jobs share: a node, a user with both
// channels on, and notifications with a job.
#pragma once

#include <gtest/gtest.h>

#include "storage/job_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::test {

class message_job_fixture : public ::testing::Test {
protected:
  explicit message_job_fixture(std::string_view kind) : kind_(kind) {
    db.exec("INSERT INTO carillon.notification_preferences (id, tenant_id, user_id, notification_type, push_enabled, "
            "sms_enabled) VALUES (gen_random_uuid(), " + sql_literal(data.tenant) + ", " + sql_literal(data.author)
            + ", 'post_failed', true, true)");
  }

  notification_id add_notice(const std::string& type = "post_failed") {
    const auto id = notification_id::make();
    db.exec("INSERT INTO carillon.notifications (id, tenant_id, user_id, type, title, message, action_url) VALUES ("
            + sql_literal(id) + ", " + sql_literal(data.tenant) + ", " + sql_literal(data.author) + ", " + sql_literal(type)
            + ", 'Title', 'Message', '/posts/1')");
    return id;
  }

  job enqueue(const std::string& payload) {
    new_job fresh;
    fresh.kind = kind_;
    fresh.tenant = data.tenant;
    fresh.workspace = data.workspace;
    fresh.payload = payload;
    const auto id = jobs.enqueue(fresh);
    EXPECT_TRUE(id) << (id ? "" : id.error().detail);
    return *jobs.find(scope::maintenance("test"), *id);
  }
  job enqueue(notification_id notice) {
    return enqueue("{\"v\": 1, \"notification_id\": \"" + to_string(notice) + "\"}");
  }

  /// `state: reason`
  std::string delivery(notification_id notice, const std::string& channel) {
    return db.exec("SELECT state || coalesce(': ' || reason, '') FROM carillon.notification_deliveries WHERE channel = "
                   + sql_literal(channel) + " AND notification_id = " + sql_literal(notice));
  }
  std::string job_state_of(const job& work) {
    return db.exec("SELECT state FROM carillon.jobs WHERE id = " + sql_literal(work.id) + " UNION ALL "
                   "SELECT state FROM carillon.job_history WHERE id = " + sql_literal(work.id));
  }
  std::string count(const std::string& from) {
    return db.exec("SELECT count(*) FROM carillon." + from);
  }
  void end_node() {
    ASSERT_TRUE(ownership.end_own(me));
  }

  test_database db;
  seed data{db};
  storage::ownership_repository ownership{db.connection()};
  storage::job_repository jobs{db.connection()};
  node_identity me = *ownership.start_incarnation("a", std::chrono::seconds{10});

private:
  std::string kind_;
};

} // namespace carillon::test
