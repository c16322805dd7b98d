// The main job from outside: a database, a sandbox network, and as many
// nodes as a test starts.
#pragma once

#include <gtest/gtest.h>

#include "domain/network.hpp"
#include "storage/social_account_repository.hpp"
#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"

namespace carillon::test {

class main_job_fixture : public ::testing::Test {
protected:
  /// A connected account of its own at the sandbox, which speaks both APIs.
  social_account_id add_account(carillon::network platform = carillon::network::mastodon) {
    const auto id = social_account_id::make();
    const auto name = "acct" + std::to_string(++accounts_);
    const auto token = test_cipher().encrypt("sandbox-" + name, storage::bound_to(id, "access_token"));
    db.exec("INSERT INTO carillon.social_accounts (id, tenant_id, workspace_id, platform, platform_account_id, "
            "account_name, access_token_encrypted, connected_by_user_id, metadata) VALUES ("
            + sql_literal(id) + ", " + sql_literal(data.tenant) + ", " + sql_literal(data.workspace) + ", "
            + sql_literal(std::string{to_string(platform)}) + ", "
            + sql_literal((platform == carillon::network::bluesky ? "did:web:sandbox.invalid:" : "") + name) + ", "
            + sql_literal(name) + ", " + sql_literal(*token) + ", " + sql_literal(data.author)
            + ", jsonb_build_object('instance_url', " + sql_literal(network.url()) + "))");
    return id;
  }

  /// Posts of distinct texts due at one instant, `count` of them on `accounts`.
  std::vector<post_id> schedule_posts(int count, const std::vector<social_account_id>& accounts,
                                      const std::string& due, const std::string& text = "post") {
    std::vector<post_id> out;
    for (int i = 0; i < count; ++i) {
      out.push_back(data.add_scheduled_post(data.workspace, text + " " + std::to_string(i), due));
      data.add_target(out.back(), accounts[static_cast<std::size_t>(i) % accounts.size()]);
    }
    return out;
  }

  std::vector<social_account_id> add_accounts(int count) {
    std::vector<social_account_id> out;
    for (int i = 0; i < count; ++i)
      out.push_back(add_account());
    return out;
  }

  int count(const std::string& from) {
    return std::stoi(db.exec("SELECT count(*) FROM carillon." + from));
  }

  /// Every post has come to its end.
  bool settled(std::chrono::seconds within = std::chrono::seconds{120}) {
    return eventually([this] {
      return count("posts WHERE status IN ('scheduled', 'publishing')") == 0
             && count("jobs WHERE kind = 'publish_post'") == 0;
    }, within);
  }

  /// None lost, none doubled, none early: the sandbox counts.
  void expect_each_exactly_once(int expected) {
    const auto counts = network.counts();
    EXPECT_EQ(static_cast<int>(counts.size()), expected) << "posts are missing";
    for (const auto& [text, times] : counts)
      EXPECT_EQ(times, 1) << "'" << text << "' was posted " << times << " times";
    EXPECT_EQ(count("posts WHERE status = 'published'"), expected);
    EXPECT_EQ(count("post_targets WHERE published_at < (SELECT scheduled_at FROM carillon.posts p WHERE p.id = post_id)"), 0)
      << "early";
    EXPECT_EQ(count("publish_attempts WHERE started_at < (SELECT scheduled_at FROM carillon.posts p WHERE p.id = post_id)"), 0)
      << "called early";
    EXPECT_EQ(count("notifications WHERE type = 'post_published'"), expected) << "authors told";
  }

  test_database db;
  seed data{db};
  scratch_folder folder;
  sandbox_network network{folder.path()};

private:
  int accounts_ = 0;
};

} // namespace carillon::test
