// Lists of several callers, some of whose pages were rendered before.
#include "http/handlers/notifications/list_notifications.hpp"

#include <functional>
#include <map>
#include <stdexcept>

#include <gtest/gtest.h>

#include "tests/support/store_without_ports.hpp"

namespace carillon::http::notifications {

namespace {

/// Knows of shared lists only: one page a mailbox.
class known_mailboxes final : public notification_store {
public:
  std::map<user_id, mailbox_rows> now;
  std::vector<std::size_t> indexed; ///< Pages of each newest().
  std::vector<std::size_t> read;    ///< Pages of each newest_rows().
  /// What comes between the two statements.
  std::function<void()> between = [] {};

  result<std::vector<mailbox_index>> newest(const scope&, const std::vector<mailbox_page>& asked) override {
    indexed.push_back(asked.size());
    std::vector<mailbox_index> out;
    for (const auto& one : asked)
      out.push_back(now.at(one.whose.user).index);
    between();
    return out;
  }
  result<std::vector<mailbox_rows>> newest_rows(const scope&, const std::vector<mailbox_page>& asked) override {
    read.push_back(asked.size());
    std::vector<mailbox_rows> out;
    for (const auto& one : asked)
      out.push_back(now.at(one.whose.user));
    return out;
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
    return mailboxes;
  }
  known_mailboxes mailboxes;
};

class SharedListsTest : public testing::Test {
protected:
  user_id add(const std::string& title) {
    const auto user = user_id::make();
    put(user, {title});
    return user;
  }

  void put(user_id user, const std::vector<std::string>& titles) {
    mailbox_rows page;
    page.index = {std::to_string(++version_), std::ssize(titles)};
    for (const auto& title : titles) {
      page.items.emplace_back().id = notification_id::make();
      page.items.back().title = title;
    }
    db_.mailboxes.now[user] = page;
  }

  /// The titles that each is shown.
  std::vector<std::vector<std::string>> ask(const std::vector<user_id>& users) {
    request req;
    req.path = "/api/v1/notifications";
    std::vector<shared_call> calls;
    for (const auto& user : users) {
      caller who;
      who.user = user;
      calls.push_back({req, who});
    }
    const auto answers = lists_.run(db_, calls);
    EXPECT_TRUE(answers);
    std::vector<std::vector<std::string>> out;
    for (const auto& answer : *answers) {
      const auto body = json::parse(answer.raw.value());
      auto& titles = out.emplace_back();
      for (const auto& item : body["data"])
        titles.push_back(item["title"]);
      EXPECT_EQ(body["meta"]["total"], titles.size());
      EXPECT_EQ(body["meta"]["to"], titles.empty() ? json() : json(titles.size()));
    }
    return out;
  }

  using titles = std::vector<std::vector<std::string>>;
  mailbox_only_store db_;
  known_mailboxes& mailboxes_ = db_.mailboxes;
  const shared_read lists_ = share_list();
  int version_ = 0;
};

TEST_F(SharedListsTest, RowsAreReadOnceUntilTheyChange) {
  const auto olga = add("a");
  const auto emil = add("b");
  EXPECT_EQ(ask({olga}), (titles{{"a"}}));
  EXPECT_EQ(ask({olga, emil}), (titles{{"a"}, {"b"}}));
  EXPECT_EQ(ask({emil, olga}), (titles{{"b"}, {"a"}}));
  EXPECT_EQ(mailboxes_.read, (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(mailboxes_.indexed, (std::vector<std::size_t>{1, 2}));
  put(olga, {"new", "a"});
  put(emil, {});
  EXPECT_EQ(ask({emil, olga}), (titles{{}, {"new", "a"}}));
  EXPECT_EQ(ask({emil, olga}), (titles{{}, {"new", "a"}}));
  EXPECT_EQ(mailboxes_.read, (std::vector<std::size_t>{1, 1, 2}));
}

TEST_F(SharedListsTest, AMailboxThatChangesBetweenIndexAndRowsIsShownAsItThenIs) {
  const auto olga = add("a");
  EXPECT_EQ(ask({olga}), (titles{{"a"}}));
  put(olga, {"b", "a"});
  mailboxes_.between = [&] { put(olga, {"c"}); };
  EXPECT_EQ(ask({olga}), (titles{{"c"}}));
  mailboxes_.between = [] {};
  EXPECT_EQ(ask({olga}), (titles{{"c"}}));
  EXPECT_EQ(mailboxes_.read, (std::vector<std::size_t>{1, 1}));
}

TEST_F(SharedListsTest, OneWhoAsksTwiceAtOnceIsShownTheSameTwice) {
  const auto olga = add("a");
  EXPECT_EQ(ask({olga, olga}), (titles{{"a"}, {"a"}}));
  EXPECT_EQ(ask({olga, olga}), (titles{{"a"}, {"a"}}));
}

} // namespace

} // namespace carillon::http::notifications
