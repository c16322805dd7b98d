// Three nodes on one database, everything that can happen to them, at random
// from a printed seed: each job's effect is there exactly once.

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/own_postgres.hpp"
#include "tests/support/process.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

class JobChaosTest : public ::testing::Test {
protected:
  std::unique_ptr<test::process> start_node(std::size_t index) {
    const auto name = "chaos-" + std::to_string(index);
    return std::make_unique<test::process>(
      std::vector<std::string>{CARILLON_CHAOS_NODE, db.url(), name}, std::map<std::string, std::string>{},
      folder.path() / (name + "-" + std::to_string(++starts) + ".log"));
  }

  void enqueue(int count) {
    db.exec("INSERT INTO carillon.jobs (id, kind, queue, tenant_id, workspace_id, payload, max_attempts) "
            "SELECT carillon.uuid_v7(), 'chaos_effect', 'default', w.tenant_id, w.id,"
            " CASE WHEN n % 4 = 0 THEN '{\"v\": 1, \"follow\": true}' ELSE '{\"v\": 1}' END::jsonb, 10 "
            "FROM generate_series(1, " + std::to_string(count / 50) + ") AS n, "
            "(SELECT id, tenant_id FROM carillon.workspaces ORDER BY id LIMIT 50) AS w");
  }

  int count(const std::string& from) {
    return std::stoi(db.exec("SELECT count(*) FROM carillon." + from));
  }

  void disturb(std::mt19937& random) {
    auto& node = nodes[random() % nodes.size()];
    const auto index = static_cast<std::size_t>(&node - nodes.data());
    switch (random() % 4) {
      case 0:
        std::cout << "kill -9 " << index << std::endl;
        node->signal(SIGKILL);
        node->wait();
        node = start_node(index);
        break;
      case 1:
        std::cout << "stop " << index << " beyond its lease" << std::endl;
        node->signal(SIGSTOP);
        // Its lease is over when another node has ended its life.
        test::eventually([&] {
          return count("node_incarnations WHERE node = 'chaos-" + std::to_string(index) + "' AND ended_at IS NULL") == 0;
        });
        node->signal(SIGCONT);
        break;
      case 2:
        std::cout << "terminate every connection" << std::endl;
        for (int storm = 0; storm < 3; ++storm)
          db.exec("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                  "WHERE application_name LIKE 'chaos-%'");
        break;
      default:
        std::cout << "crash PostgreSQL" << std::endl;
        postgres.crash();
    }
  }

  test::own_postgres postgres;
  test::test_database db;
  test::seed data{db};
  test::scratch_folder folder;
  std::vector<std::unique_ptr<test::process>> nodes;
  int starts = 0;
};

TEST_F(JobChaosTest, EveryJobsEffectIsThereOnceWhateverHappensToNodesConnectionsAndServer) {
  constexpr int waves = 5;
  constexpr int jobs_per_wave = 4'000;
  // One in four enqueues another.
  constexpr int all = waves * jobs_per_wave * 5 / 4;
  const char* given = std::getenv("CARILLON_CHAOS_SEED");
  const auto seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}() % 100'000;
  std::cout << "seed " << seed << " (repeat with CARILLON_CHAOS_SEED)" << std::endl;
  std::mt19937 random{seed};

  for (int i = 0; i < 60; ++i)
    data.add_workspace();
  // No unique key: a second effect must be seen, not prevented.
  db.exec("CREATE TABLE carillon.chaos_effects (job_id uuid NOT NULL, incarnation bigint NOT NULL, "
          "at timestamptz NOT NULL DEFAULT clock_timestamp()); "
          "GRANT INSERT, SELECT ON carillon.chaos_effects TO carillon_app");
  for (std::size_t i = 0; i < 3; ++i)
    nodes.push_back(start_node(i));
  ASSERT_TRUE(test::eventually([this] { return count("shard_leases WHERE incarnation IS NOT NULL") == 256; }));

  for (int wave = 0; wave < waves; ++wave) {
    enqueue(jobs_per_wave);
    const auto before = count("chaos_effects");
    test::eventually([&] { return count("chaos_effects") > before; });
    disturb(random);
    disturb(random);
  }
  EXPECT_TRUE(test::eventually([this] { return count("jobs") == 0; }, std::chrono::seconds{700}))
    << db.exec("SELECT count(*) || ' jobs left, suspicion ' || max(suspicion) FROM carillon.jobs") << '\n'
    << nodes[0]->output().substr(0, 4'000);
  EXPECT_EQ(count("chaos_effects"), all);
  EXPECT_EQ(db.exec("SELECT count(DISTINCT job_id) FROM carillon.chaos_effects"), std::to_string(all));
  EXPECT_EQ(count("job_history WHERE state = 'succeeded'"), all) << "an innocent job was discarded";
  EXPECT_EQ(count("chaos_effects e JOIN carillon.node_incarnations i USING (incarnation) WHERE e.at > i.ended_at"), 0)
    << "a fenced-out life wrote an effect";
}

} // namespace

} // namespace carillon
