// A user who wants push messages and texts, on a running node.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"

namespace carillon::test {

class message_fixture : public ::testing::Test {
protected:
  message_fixture() {
    const std::string secret = "secret";
    const auto number = db.exec(
      "INSERT INTO carillon.personal_access_tokens (tokenable_type, tokenable_id, tenant_id, name, token, abilities, "
      "expires_at) VALUES ('user', " + sql_literal(data.author) + ", " + sql_literal(data.tenant) + ", 'auth-token', encode(sha256('"
      + secret + "'), 'hex'), '[\"*\"]', now() + interval '1 day') RETURNING id");
    token_ = number + "|" + secret;
  }

  carillon_node::environment settings() const {
    return {{"CARILLON_PUSH__TRUSTED_HOSTS", "127.0.0.1"}};
  }

  web_client user(const carillon_node& node) const {
    return web_client{node.web().base_url(), token_};
  }

  void want(const web_client& who, bool push, bool sms) const {
    const auto answer = who.put("/api/v1/notifications/preferences",
                                {{"notification_type", "post_failed"}, {"email_enabled", false},
                                 {"push_enabled", push}, {"sms_enabled", sms}});
    ASSERT_EQ(answer.status, 200) << answer.body;
  }

  /// As another program of the platform does it.
  std::string notify(const std::string& title, const std::string& message = "Message") {
    return db.exec("SELECT carillon.notify(" + sql_literal(data.tenant) + ", " + sql_literal(data.author) + ", 'post_failed', "
                   + sql_literal(title) + ", " + sql_literal(message) + ", action_url := '/posts/1', workspace_id := "
                   + sql_literal(data.workspace) + ")");
  }

  /// `state: reason`
  std::string delivery(const std::string& notice, const std::string& channel) {
    return db.exec("SELECT state || coalesce(': ' || reason, '') FROM carillon.notification_deliveries WHERE channel = "
                   + sql_literal(channel) + " AND notification_id = " + sql_literal(notice));
  }

  /// Waits until the delivery has come to an end; says which.
  std::string end_of(const std::string& notice, const std::string& channel) {
    std::string last;
    eventually([&] {
      last = delivery(notice, channel);
      return last.starts_with("sent") || last.starts_with("failed") || last.starts_with("skipped");
    }, std::chrono::seconds{60});
    return last;
  }

  test_database db;
  seed data{db};
  scratch_folder folder;

private:
  std::string token_;
};

} // namespace carillon::test
