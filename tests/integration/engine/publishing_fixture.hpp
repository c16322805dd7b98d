// What the suites of the main job share: one live node and one workspace.
#pragma once

#include <gtest/gtest.h>

#include "domain/clock.hpp"
#include "storage/job_repository.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/publish_repository.hpp"
#include "tests/support/seed.hpp"

namespace carillon::test {

class publishing_fixture : public ::testing::Test {
protected:
  static shard_list all_shards() {
    shard_list out;
    for (int i = 0; i < shard_count; ++i)
      out.push_back(static_cast<shard_id>(i));
    return out;
  }

  node_identity start_node(const std::string& name) {
    const auto node = *ownership.start_incarnation(name, std::chrono::seconds{10});
    EXPECT_TRUE(ownership.take_free(node, 256));
    return node;
  }

  void kill(const node_identity& node) {
    db.exec("UPDATE carillon.node_leases SET expires_at = now() - interval '1 second' WHERE incarnation = "
            + std::to_string(node.incarnation));
    EXPECT_EQ(*ownership.end_expired(), 1);
  }

  std::string post_status(post_id post) {
    return db.exec("SELECT status FROM carillon.posts WHERE id = '" + to_string(post) + "'");
  }
  std::string target_status(target_id target) {
    return db.exec("SELECT status FROM carillon.post_targets WHERE id = '" + to_string(target) + "'");
  }
  std::string target_column(target_id target, const std::string& column) {
    return db.exec("SELECT " + column + " FROM carillon.post_targets WHERE id = '" + to_string(target) + "'");
  }
  std::string count(const std::string& from) {
    return db.exec("SELECT count(*) FROM carillon." + from);
  }

  static job_filter publish_jobs() {
    job_filter out;
    out.kind = kinds::publish_post;
    out.limit = 500;
    return out;
  }

  /// The one live publish_post job of a post.
  job job_of(post_id post) {
    auto all = *jobs.list(scope::maintenance("test"), publish_jobs());
    for (auto& j : all)
      if (j.unique_key == "publish-post-" + to_string(post) && !j.concluded_at)
        return j;
    ADD_FAILURE() << "no live job for the post";
    return {};
  }

  /// Lets waiting targets go on at once.
  void skip_waits() {
    db.exec("UPDATE carillon.post_targets SET next_action_at = NULL");
  }

  static result<public_post> accepted(const std::string& id) {
    return public_post{id, "https://sandbox.example/" + id, "text", system_clock{}.now()};
  }

  result<publish_plan> plan(const job& j) {
    return plan_as(me, j);
  }
  result<publish_plan> plan_as(const node_identity& node, const job& j) {
    auto plans = publishing.plan(node, {&j}, rules, std::chrono::seconds{5});
    if (!plans)
      return plans.error();
    return std::move(plans->front());
  }
  result<publish_progress> record(const job& j, attempt_id attempt, const result<public_post>& outcome) {
    return record_with(publishing, j, attempt, outcome);
  }
  result<publish_progress> record_with(publish_store& store, const job& j, attempt_id attempt,
                                       const result<public_post>& outcome) {
    auto recorded = store.record(me, {{&j, attempt, &outcome, std::chrono::milliseconds{7}}}, rules);
    if (!recorded)
      return recorded.error();
    return publish_progress{recorded->settled.at(0), std::move(recorded->after_commit)};
  }

  test_database db;
  seed data{db};
  storage::ownership_repository ownership{db.connection()};
  storage::job_repository jobs{db.connection()};
  storage::publish_repository publishing{db.connection(), test_cipher()};
  publish_rules rules;
  node_identity me = start_node("a");
};

} // namespace carillon::test
