#include "domain/post_state.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace carillon {
namespace {

/// Where each event leads; "" where the machine refuses it.
template <class Status, std::size_t Events>
struct row {
  Status from;
  std::array<std::string_view, Events> to;
};

constexpr std::array post_events = {
  post_event::submit,   post_event::approve, post_event::reject,
  post_event::edit,     post_event::schedule, post_event::publish,
  post_event::cancel,   post_event::succeed, post_event::fail,
};

// Contract §3.2, "Status machine (Post)".
const std::vector<row<post_status, post_events.size()>> post_table = {
  // from                    submit       approve     reject      edit     schedule     publish       cancel       succeed      fail
  {post_status::draft,      {"submitted", "",         "",         "draft", "",          "",           "cancelled", "",          ""}},
  {post_status::submitted,  {"",          "approved", "rejected", "",      "",          "",           "",          "",          ""}},
  {post_status::approved,   {"",          "",         "",         "",      "scheduled", "publishing", "",          "",          ""}},
  {post_status::rejected,   {"",          "",         "",         "draft", "",          "",           "",          "",          ""}},
  {post_status::scheduled,  {"",          "",         "",         "",      "scheduled", "publishing", "cancelled", "",          "failed"}},
  {post_status::publishing, {"",          "",         "",         "",      "",          "",           "",          "published", "failed"}},
  {post_status::published,  {"",          "",         "",         "",      "",          "",           "",          "",          ""}},
  {post_status::failed,     {"",          "",         "",         "",      "",          "publishing", "",          "",          ""}},
  {post_status::cancelled,  {"",          "",         "",         "",      "",          "",           "",          "",          ""}},
};

constexpr std::array target_events
  = {target_event::start, target_event::succeed, target_event::fail, target_event::retry};

// Contract §3.2, "Target".
const std::vector<row<target_status, target_events.size()>> target_table = {
  // from                      start         succeed      fail      retry
  {target_status::pending,    {"publishing", "",          "",       ""}},
  {target_status::publishing, {"",           "published", "failed", ""}},
  {target_status::published,  {"",           "",          "",       ""}},
  {target_status::failed,     {"",           "",          "",       "pending"}},
};

template <class Table, class Events>
void expect_table(const Table& table, const Events& events) {
  for (const auto& row : table)
    for (std::size_t i = 0; i < events.size(); ++i) {
      const auto to = transition(row.from, events[i]);
      const auto what = std::string{to_string(row.from)} + ", event " + std::to_string(i);
      if (row.to[i].empty()) {
        ASSERT_FALSE(to) << what;
        EXPECT_EQ(to.error().code, errc::conflict) << what;
      } else {
        ASSERT_TRUE(to) << what;
        EXPECT_EQ(to_string(*to), row.to[i]) << what;
      }
    }
}

TEST(PostState, EveryPairLeadsWhereTheContractSays) {
  ASSERT_EQ(post_table.size(), values_of<post_status>().size());
  expect_table(post_table, post_events);
}

TEST(TargetState, EveryPairLeadsWhereTheContractSays) {
  ASSERT_EQ(target_table.size(), values_of<target_status>().size());
  expect_table(target_table, target_events);
}

TEST(PostState, WhatIsPublishedOrCancelledStaysSo) {
  for (const auto event : post_events) {
    EXPECT_FALSE(transition(post_status::published, event));
    EXPECT_FALSE(transition(post_status::cancelled, event));
  }
}

TEST(PostState, OnlyDraftsAndRejectedPostsAreEditable) {
  for (const auto s : values_of<post_status>()) {
    EXPECT_EQ(is_editable(s), s == post_status::draft || s == post_status::rejected)
      << to_string(s);
    EXPECT_EQ(is_editable(s), transition(s, post_event::edit).has_value()) << to_string(s);
  }
}

TEST(PostState, WhatIsPublicOrGoingOutIsNotDeletable) {
  for (const auto s : values_of<post_status>())
    EXPECT_EQ(is_deletable(s), s != post_status::published && s != post_status::publishing)
      << to_string(s);
}

TEST(PostState, OnlyApprovedAndScheduledPostsArePublishable) {
  for (const auto s : values_of<post_status>()) {
    EXPECT_EQ(is_publishable(s), s == post_status::approved || s == post_status::scheduled)
      << to_string(s);
    EXPECT_TRUE(!is_publishable(s) || transition(s, post_event::publish)) << to_string(s);
  }
}

} // namespace
} // namespace carillon
