#include "app/commands/demo_content.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/clock.hpp"
#include "domain/network.hpp"
#include "domain/text.hpp"

namespace carillon::app {
namespace {

demo_cast make_cast() {
  demo_cast cast;
  for (int i = 0; i < 4; ++i)
    cast.users.push_back(user_id::make());
  for (int i = 0; i < 2; ++i)
    cast.workspaces.push_back(workspace_id::make());
  for (std::size_t i = 0; i < demo_accounts().size(); ++i)
    cast.accounts.push_back(social_account_id::make());
  return cast;
}

class DemoContent : public testing::Test {
protected:
  instant now_ = system_clock{}.now();
  demo_cast cast_ = make_cast();
  std::vector<storage::demo_post> posts_ = make_demo_posts(cast_, now_);
  std::vector<storage::demo_notification> notices_
    = make_demo_notifications(cast_, posts_, now_);
};

TEST_F(DemoContent, TheCompanyHasFourUsersInTwoTimeZones) {
  const auto company = make_demo_company("hash", now_);
  std::set<std::string> mails;
  for (const auto& user : company.users)
    mails.insert(user.email);
  EXPECT_EQ(mails, (std::set<std::string>{"owner@acme.example", "admin@acme.example",
                                          "editor@acme.example", "viewer@acme.example"}));
  ASSERT_EQ(company.workspaces.size(), 2U);
  EXPECT_NE(company.workspaces[0].time_zone, company.workspaces[1].time_zone);
}

TEST_F(DemoContent, PostsAreInEveryStatusOfEachWorkspaceTogether) {
  std::set<post_status> seen;
  std::set<std::string> texts;
  for (const auto& post : posts_) {
    seen.insert(post.status);
    EXPECT_TRUE(texts.insert(post.text).second) << "twice: " << post.text;
    EXPECT_FALSE(post.targets.empty()) << post.text;
    EXPECT_LE(character_count(post.text), max_text_length(network::mastodon));
  }
  EXPECT_EQ(seen.size(), values_of<post_status>().size());
}

TEST_F(DemoContent, TimesOfAPostFollowEachOther) {
  for (const auto& post : posts_) {
    EXPECT_LT(post.created_at, now_) << post.text;
    if (post.submitted_at) {
      EXPECT_LT(post.created_at, *post.submitted_at) << post.text;
      EXPECT_LT(*post.submitted_at, now_) << post.text;
    }
    if (post.decision) {
      EXPECT_LE(*post.submitted_at, post.decision->at) << post.text;
      EXPECT_LT(post.decision->at, now_) << post.text;
    }
    if (post.published_at) {
      EXPECT_LT(*post.published_at, now_) << post.text;
      EXPECT_LE(*post.scheduled_at, *post.published_at) << post.text;
    }
    if (post.status == post_status::scheduled) {
      EXPECT_GT(*post.scheduled_at, now_ + std::chrono::hours{1})
        << "would go out while somebody looks around: " << post.text;
    }
  }
}

TEST_F(DemoContent, TargetsAgreeWithTheirPost) {
  for (const auto& post : posts_)
    for (const auto& target : post.targets) {
      EXPECT_EQ(target.external_id.empty(), target.status != target_status::published);
      if (post.status == post_status::published) {
        EXPECT_EQ(target.status, target_status::published);
      } else if (post.status == post_status::failed) {
        EXPECT_EQ(target.status, target_status::failed);
      } else if (post.status != post_status::publishing) {
        EXPECT_EQ(target.status, target_status::pending);
      }
    }
}

TEST_F(DemoContent, TwoHundredNotificationsOfEveryType) {
  ASSERT_EQ(notices_.size(), demo_notification_count);
  std::set<notification_type> types;
  std::map<user_id, int> total;
  std::map<user_id, int> unread;
  for (const auto& notice : notices_) {
    types.insert(notice.type);
    ++total[notice.user];
    unread[notice.user] += notice.read_at ? 0 : 1;
    EXPECT_EQ(notice.message.find('{'), std::string::npos) << notice.message;
    EXPECT_LE(character_count(notice.title), 200U);
    EXPECT_LE(notice.created_at, now_);
    EXPECT_TRUE(notice.action_url.empty() || notice.action_url.starts_with('/'));
    if (!notice.data.empty()) {
      EXPECT_TRUE(nlohmann::json::parse(notice.data, nullptr, false).is_object());
    }
    if (notice.read_at) {
      EXPECT_GE(*notice.read_at, notice.created_at);
      EXPECT_LE(*notice.read_at, now_);
    }
  }
  EXPECT_EQ(types.size(), values_of<notification_type>().size());
  const auto owner = cast_.users.front();
  EXPECT_GE(total[owner], 60);
  EXPECT_EQ(unread[owner], (total[owner] + 2) / 3);
}

TEST_F(DemoContent, IsTheSameEveryTime) {
  const auto again = make_demo_notifications(cast_, posts_, now_);
  ASSERT_EQ(again.size(), notices_.size());
  for (std::size_t i = 0; i < again.size(); ++i) {
    EXPECT_EQ(again[i].message, notices_[i].message);
    EXPECT_EQ(again[i].created_at, notices_[i].created_at);
  }
}

} // namespace
} // namespace carillon::app
