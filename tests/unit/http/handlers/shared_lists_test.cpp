// Lists of several callers, where the mailbox changes between two statements.
#include "http/handlers/notifications/list_notifications.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

#include "tests/support/store_without_ports.hpp"

namespace carillon::http::notifications {

namespace {

/// Knows of shared lists only.
class shrinking_mailbox final : public notification_store {
public:
  std::vector<mailbox_index> index;
  std::vector<versioned_notification> rows;

  result<std::vector<mailbox_index>> newest(const scope&, const std::vector<mailbox_page>& asked) override {
    EXPECT_EQ(asked.size(), index.size());
    return index;
  }
  result<std::vector<versioned_notification>> load_items(const scope&, const std::vector<mailbox_item>&) override {
    return rows;
  }

  result<notification> send(const scope&, const new_notification&, hints&) override { absent(); }
  result<std::vector<notification>> send_to_users(const scope&, const new_notification&, const std::vector<user_id>&,
                                                  hints&) override {
    absent();
  }
  result<tenant_broadcast> send_to_tenant(const scope&, const new_notification&, hints&) override { absent(); }
  result<broadcast_progress> continue_broadcast(const node_identity&, const job&, int) override { absent(); }
  result<notification_answer> send_once(const scope&, const carillon::notification_request&, hints&) override {
    absent();
  }
  result<std::vector<notification_delivery>> deliveries(const scope&, user_id, notification_id) override { absent(); }
  result<notification_settings> settings(const scope&, user_id) override { absent(); }
  result<notification_settings> update_settings(const scope&, user_id, const settings_change&) override { absent(); }
  result<done> unsubscribe_email(const scope&, user_id, const std::vector<notification_type>&) override { absent(); }
  result<notification> mark_as_read(const scope&, user_id, notification_id) override { absent(); }
  result<std::int64_t> mark_all_as_read(const scope&, user_id) override { absent(); }
  result<std::int64_t> mark_multiple_as_read(const scope&, user_id, const std::vector<notification_id>&) override {
    absent();
  }
  result<notification_page> list(const scope&, user_id, const notification_filter&) override { absent(); }
  result<std::int64_t> unread_count(const scope&, user_id) override { absent(); }
  result<std::vector<std::int64_t>> unread_counts(const scope&, const std::vector<mailbox>&) override { absent(); }
  result<std::vector<notification>> recent(const scope&, user_id, int) override { absent(); }
  result<std::vector<notification_preference>> preferences(const scope&, user_id) override { absent(); }
  result<notification_preference> update_preference(const scope&, user_id, const preference_change&) override {
    absent();
  }
  result<std::vector<notification_preference>> update_preferences(const scope&, user_id,
                                                                  const std::vector<preference_change>&) override {
    absent();
  }
  result<std::int64_t> delete_old(const scope&, int) override { absent(); }
  result<std::int64_t> delete_expired(const node_identity&, const job&, std::chrono::hours, std::chrono::hours,
                                      int) override {
    absent();
  }
  result<notification_email> load_email(const scope&, notification_id) override { absent(); }

private:
  [[noreturn]] static void absent() {
    throw std::logic_error{"not part of this test"};
  }
};

struct mailbox_only_store final : test::store_without_ports {
  notification_store& notifications() override {
    return mailbox;
  }
  shrinking_mailbox mailbox;
};

versioned_notification row(const std::string& title) {
  versioned_notification out;
  out.item.id = out.version.id = notification_id::make();
  out.version.number = 1;
  out.item.title = title;
  return out;
}

TEST(SharedListsTest, ARowThatGoesBetweenIndexAndRowsIsNeitherShownNorCounted) {
  mailbox_only_store db;
  const auto stays = row("stays");
  const auto goes = row("goes");
  db.mailbox.index = {{{stays.version, goes.version}, 2}};
  db.mailbox.rows = {stays};
  request req;
  req.path = "/api/v1/notifications";
  const auto lists = share_list();
  for (int i = 0; i < 2; ++i) {
    const auto answers = lists.run(db, {{req, {}}});
    ASSERT_TRUE(answers);
    const auto body = json::parse(answers->at(0).raw.value());
    ASSERT_EQ(body["data"].size(), 1u);
    EXPECT_EQ(body["data"][0]["title"], "stays");
    EXPECT_EQ(body["meta"]["from"], 1);
    EXPECT_EQ(body["meta"]["to"], 1);
    EXPECT_EQ(body["meta"]["total"], 2);
  }
  // What was rendered then is shown again once the index says the same.
  db.mailbox.index = {{{stays.version}, 1}};
  db.mailbox.rows.clear();
  const auto answers = lists.run(db, {{req, {}}});
  ASSERT_TRUE(answers);
  const auto body = json::parse(answers->at(0).raw.value());
  EXPECT_EQ(body["data"].size(), 1u);
  EXPECT_EQ(body["meta"]["to"], 1);
}

} // namespace

} // namespace carillon::http::notifications
