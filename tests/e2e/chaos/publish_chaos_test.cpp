// Two processes publish on three networks that deal faults of every kind, and
// are killed again and again: no post is lost, doubled or early, and all come
// to an end. In full, by hand:
//
//   CARILLON_CHAOS_POSTS=2000 CARILLON_CHAOS_KILL_EVERY=10 CARILLON_CHAOS_SEED=1 publish_chaos_tests
//
// CARILLON_CHAOS_SHOWN_LATE_MS beyond publishing.visibility_delay (3 s here)
// must make it fail: a network that shows posts so late gets second ones.

#include <csignal>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "storage/social_account_repository.hpp"
#include "tests/e2e/chaos/publish_judge.hpp"
#include "tests/support/running_system.hpp"
#include "tests/support/seed.hpp"

namespace carillon {

namespace {

using nlohmann::json;

constexpr int workspaces = 24;
constexpr int retries = 3;
constexpr auto visibility_delay = "3s";
constexpr int shown_late_ms = 2'000;
constexpr int call_limit_ms = 2'000;
constexpr std::chrono::minutes reconcile_deadline{15};

int chaos_setting(const char* name, int otherwise) {
  const char* given = std::getenv(name);
  return given ? static_cast<int>(std::strtoul(given, nullptr, 10)) : otherwise;
}

class PublishChaosTest : public ::testing::Test {
protected:
  struct chaos_network {
    std::string name;
    std::unique_ptr<test::sandbox_network> server;
  };

  void start_networks(unsigned seed) {
    for (const auto* name : {"honours", "ignores", "late"}) {
      networks.push_back({name, std::make_unique<test::sandbox_network>(folder.path())});
      json faults{{"latency_ms", 20}, {"hang_ms", 2 * call_limit_ms}, {"retry_after", 1}, {"seed", seed + networks.size()}};
      for (const auto* kind : {"rate_429", "rate_5xx", "drop_before_accept", "accept_then_drop", "accept_then_hang",
                               "accept_then_5xx"})
        faults[kind] = 0.05;
      if (networks.size() > 1) {
        faults["ignore_idempotency_keys"] = true;
        faults["error_html"] = true;
      }
      if (networks.size() > 2)
        faults["visibility_delay_ms"] = chaos_setting("CARILLON_CHAOS_SHOWN_LATE_MS", shown_late_ms);
      networks.back().server->misbehave(faults);
    }
  }

  /// Half of the first network's accounts speak the AT Protocol.
  void add_chaos_account(const chaos_network& where, int index, workspace_id workspace) {
    const auto id = social_account_id::make();
    const auto name = where.name + "-" + std::to_string(index);
    const bool bluesky = where.name == "honours" && index % 2 == 1;
    const auto token = test::test_cipher().encrypt("sandbox-" + name, storage::bound_to(id, "access_token"));
    db.exec("INSERT INTO carillon.social_accounts (id, tenant_id, workspace_id, platform, platform_account_id, "
            "account_name, access_token_encrypted, connected_by_user_id, metadata) VALUES ("
            + test::sql_literal(id) + ", " + test::sql_literal(data.tenant) + ", " + test::sql_literal(workspace)
            + (bluesky ? ", 'bluesky', " : ", 'mastodon', ")
            + test::sql_literal((bluesky ? "did:web:sandbox.invalid:" : "") + name) + ", " + test::sql_literal(name)
            + ", " + test::sql_literal(*token) + ", " + test::sql_literal(data.author)
            + ", jsonb_build_object('instance_url', " + test::sql_literal(where.server->url()) + "))");
  }

  /// Due second by second over `spread`, with three targets each. Every fifth
  /// of a workspace has the text of the one before it.
  void schedule(int posts, std::chrono::seconds spread) {
    for (int i = 0; i < workspaces; ++i) {
      const auto workspace = i == 0 ? data.workspace : data.add_workspace();
      for (const auto& where : networks)
        add_chaos_account(where, i, workspace);
    }
    const auto n = std::to_string(posts);
    const auto per = std::to_string(workspaces);
    db.exec("INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text, status, scheduled_at) "
            "SELECT carillon.uuid_v7(), w.tenant_id, w.id, " + test::sql_literal(data.author)
            + ", 'chaos ' || (g - CASE WHEN g / " + per + " % 5 = 2 THEN " + per + " ELSE 0 END), 'scheduled', "
            "date_trunc('second', now()) + interval '4 s' + g * " + std::to_string(spread.count()) + " / " + n
            + " * interval '1 s' FROM generate_series(0, " + n + " - 1) AS g JOIN (SELECT id, tenant_id, "
            "row_number() OVER (ORDER BY id) - 1 AS place FROM carillon.workspaces) AS w ON w.place = g % " + per);
    db.exec("INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code) "
            "SELECT carillon.uuid_v7(), p.tenant_id, p.id, s.id, s.platform FROM carillon.posts p "
            "JOIN carillon.social_accounts s USING (workspace_id)");
    db.exec("ANALYZE carillon.posts, carillon.post_targets");
  }

  std::unique_ptr<test::carillon_node> start_node() {
    return std::make_unique<test::carillon_node>(
      db.url(), folder.path(),
      test::carillon_node::environment{{"CARILLON_PUBLISHING__SWEEP_EVERY", "5s"},
                                       {"CARILLON_PUBLISHING__VISIBILITY_DELAY", visibility_delay},
                                       {"CARILLON_PUBLISHING__REQUEST_TIMEOUT", std::to_string(call_limit_ms) + "ms"},
                                       {"CARILLON_PUBLISHING__RETRY_DELAYS", "1s, 1s, 1s"}});
  }

  int count(const std::string& from) {
    return std::stoi(db.exec("SELECT count(*) FROM carillon." + from));
  }

  bool is_settled() {
    return count("posts WHERE status IN ('scheduled', 'publishing')") == 0
           && count("jobs WHERE kind = 'publish_post'") == 0;
  }

  std::vector<test::judged_target> read_targets() {
    const auto rows = json::parse(db.exec(
      "SELECT json_agg(json_build_array(split_part(s.account_name, '-', 1), s.account_name, p.content_text, "
      "(extract(epoch FROM p.scheduled_at) * 1000000)::bigint, t.status, coalesce(t.error_code, ''), "
      "coalesce(t.external_post_id, ''))) FROM carillon.post_targets t JOIN carillon.posts p ON p.id = t.post_id "
      "JOIN carillon.social_accounts s ON s.id = t.social_account_id"));
    std::vector<test::judged_target> out;
    for (const auto& row : rows)
      out.push_back({row[0], row[1], row[2], instant{std::chrono::microseconds{row[3].get<std::int64_t>()}}, row[4],
                     row[5], row[6]});
    return out;
  }

  std::vector<test::seen_post> read_networks() {
    std::vector<test::seen_post> out;
    for (const auto& where : networks)
      for (const auto& p : where.server->posts()) {
        const std::string account = p.at("account");
        const std::string record_key = p.at("record_key");
        out.push_back({where.name, account, p.at("text"),
                       record_key.empty() ? p.at("id").get<std::string>()
                                          : "at://did:web:sandbox.invalid:" + account + "/app.bsky.feed.post/" + record_key,
                       *parse_time(p.at("created_at").get<std::string>())});
      }
    return out;
  }

  /// Attempts of a network that `condition` holds for.
  std::string attempts(const std::string& network, const std::string& condition) {
    return db.exec("SELECT count(*) FROM carillon.publish_attempts a JOIN carillon.social_accounts s "
                   "ON s.id = a.social_account_id WHERE s.account_name LIKE '" + network + "-%' AND " + condition);
  }

  /// Of published targets that `condition` holds for.
  std::string lateness(const std::string& condition) {
    return db.exec("SELECT concat_ws('/', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY late)::numeric, 2), "
                   "round(percentile_cont(0.99) WITHIN GROUP (ORDER BY late)::numeric, 2), round(max(late), 2)) "
                   "FROM (SELECT extract(epoch FROM t.published_at - p.scheduled_at) AS late FROM carillon.post_targets t "
                   "JOIN carillon.posts p ON p.id = t.post_id WHERE t.status = 'published' AND " + condition + ") AS x");
  }

  void print_outcomes(const std::map<std::string, test::network_verdict>& verdicts, int kills, std::chrono::seconds took) {
    std::vector<std::pair<std::string, std::vector<std::string>>> lines;
    const auto line = [&](const std::string& name, auto&& value) {
      std::vector<std::string> cells;
      for (const auto& where : networks)
        cells.push_back(value(where));
      lines.emplace_back(name, std::move(cells));
    };
    const auto of_verdict = [&](const std::string& name, int test::network_verdict::*member) {
      line(name, [&](const auto& where) { return std::to_string(verdicts.at(where.name).*member); });
    };
    const auto of_attempts = [&](const std::string& name, const std::string& condition) {
      line(name, [&](const auto& where) { return attempts(where.name, condition); });
    };
    std::map<std::string, json> stats;
    for (const auto& where : networks)
      stats[where.name] = test::web_client{where.server->url()}.get("/sandbox/stats").json();
    const auto of_stats = [&](const std::string& name, const char* key) {
      line(name, [&](const auto& where) {
        const auto& s = stats.at(where.name);
        return (s.contains(key) ? s.at(key) : s.at("faults").at(key)).dump();
      });
    };

    of_verdict("targets", &test::network_verdict::targets);
    of_verdict("published", &test::network_verdict::published);
    for (const auto* code : {"EXCEPTION", "PUBLISH_ERROR", "OUTCOME_UNKNOWN"})
      line(std::string{"failed, "} + code, [&](const auto& where) {
        const auto& failed = verdicts.at(where.name).failed;
        return std::to_string(failed.contains(code) ? failed.at(code) : 0);
      });
    of_verdict("posts at the network", &test::network_verdict::at_network);
    of_attempts("attempts", "true");
    of_attempts("  answered: published", "a.state = 'succeeded' AND a.concluded_at <= a.started_at + a.latency_ms "
                                          "* interval '1 ms' + interval '900 ms'");
    of_attempts("  unknown, found by read-back", "a.state = 'succeeded' AND (a.latency_ms IS NULL OR a.concluded_at "
                                                 "> a.started_at + a.latency_ms * interval '1 ms' + interval '900 ms')");
    of_attempts("  unknown, proven absent", "a.state = 'absent'");
    of_attempts("  answered: too many calls", "a.state = 'failed' AND a.error_code = 'THROTTLED'");
    of_attempts("  kept back, no call made", "a.state = 'failed' AND a.error_code = 'NOT_SENT'");
    of_attempts("  not carried out", "a.state = 'failed' AND a.error_code NOT IN ('THROTTLED', 'NOT_SENT')");
    of_attempts("  refused", "a.state = 'refused'");
    of_attempts("  given up as unknown", "a.state = 'abandoned'");
    of_attempts("  not settled", "a.state IN ('open', 'unknown')");
    of_stats("publish calls", "publish_calls");
    for (const auto* kind : {"rate_429", "rate_5xx", "drop_before_accept", "accept_then_drop", "accept_then_hang",
                             "accept_then_5xx", "ignore_idempotency_keys"})
      of_stats(std::string{"  "} + kind, kind);
    of_stats("  repeats by key", "idempotent_repeats");
    of_verdict("lost", &test::network_verdict::lost);
    of_verdict("doubled", &test::network_verdict::doubled);
    of_verdict("early", &test::network_verdict::early);
    of_verdict("under a strange id", &test::network_verdict::strange);
    of_verdict("without an end", &test::network_verdict::open);

    std::ostringstream out;
    out << std::left << std::setw(30) << "";
    for (const auto& where : networks)
      out << std::right << std::setw(10) << where.name;
    for (const auto& [name, cells] : lines) {
      out << '\n' << std::left << std::setw(30) << name << std::right;
      for (const auto& cell : cells)
        out << std::setw(10) << cell;
    }
    std::cout << out.str() << "\nkills " << kills << ", lives ended by another node "
              << count("node_incarnations WHERE ended_at IS NOT NULL") << ", posts published "
              << count("posts WHERE status = 'published'") << ", failed " << count("posts WHERE status = 'failed'")
              << ", all settled after " << took.count() << " s\npublished after the instant, p50/p99/max: "
              << lateness("true") << " s, of the " << count("post_targets WHERE status = 'published' AND retry_count = 0")
              << " at the first try " << lateness("t.retry_count = 0") << " s" << std::endl;
  }

  /// The story of what is wrong at a network.
  std::string explain(const test::network_verdict& verdict, const std::vector<test::seen_post>& seen) {
    std::string out;
    for (const auto& [account, text] : verdict.suspects) {
      out += '\n' + account + ", '" + text + "':";
      for (const auto& p : seen)
        if (p.account == account && p.text == text)
          out += "\n  at the network " + format_api_time(p.created_at) + ' ' + p.id;
      out += db.exec("SELECT string_agg(format(E'\\n  target %s due %s: attempt %s %s by life %s at %s, ended %s, %s ms, %s %s', "
                     "right(a.target_id::text, 4), p.scheduled_at::time, a.number, a.state, a.incarnation, a.started_at::time, "
                     "a.concluded_at::time, a.latency_ms, a.error_message, a.external_post_id), '' ORDER BY a.started_at) "
                     "FROM carillon.publish_attempts a JOIN carillon.posts p ON p.id = a.post_id JOIN carillon.social_accounts s "
                     "ON s.id = a.social_account_id WHERE s.account_name = " + test::sql_literal(account)
                     + " AND p.content_text = " + test::sql_literal(text));
    }
    return out;
  }

  /// Which of the database's own promises is broken.
  void expect_agreement() {
    EXPECT_EQ(count("publish_attempts WHERE state IN ('open', 'unknown')"), 0) << "attempts not settled";
    EXPECT_EQ(count("publish_attempts a JOIN carillon.posts p ON p.id = a.post_id WHERE a.started_at < p.scheduled_at"), 0)
      << "called early";
    EXPECT_EQ(count("posts p WHERE p.status <> CASE WHEN EXISTS (SELECT 1 FROM carillon.post_targets t WHERE t.post_id = "
                    "p.id AND t.status = 'published') THEN 'published' ELSE 'failed' END"), 0)
      << "posts that disagree with their targets";
    EXPECT_EQ(count("post_targets t WHERE t.status = 'failed' AND NOT CASE t.error_code "
                    "WHEN 'OUTCOME_UNKNOWN' THEN EXISTS (SELECT 1 FROM carillon.publish_attempts a WHERE a.target_id = t.id "
                    "AND a.state = 'abandoned' AND a.concluded_at >= a.started_at + interval '"
                    + std::to_string(reconcile_deadline.count()) + " minutes') "
                    "WHEN 'EXCEPTION' THEN t.retry_count = " + std::to_string(retries)
                    + " WHEN 'PUBLISH_ERROR' THEN t.retry_count = " + std::to_string(retries) + " ELSE false END"), 0)
      << "failed without need: "
      << db.exec("SELECT string_agg(t.error_code || ' after ' || t.retry_count || ' retries: ' || t.error_message, '; ') "
                 "FROM carillon.post_targets t WHERE t.status = 'failed'");
    EXPECT_EQ(count("posts p WHERE 1 <> (SELECT count(*) FROM carillon.notifications n WHERE n.user_id = "
                    "p.created_by_user_id AND n.data ->> 'post_id' = p.id::text AND n.type = 'post_' || p.status)"), 0)
      << "authors not told once";
    EXPECT_EQ(count("notifications WHERE type IN ('post_published', 'post_failed')"), count("posts"))
      << "authors told something else as well";
  }

  test::test_database db;
  test::seed data{db};
  test::scratch_folder folder;
  std::vector<chaos_network> networks;
};

TEST_F(PublishChaosTest, NoPostIsLostDoubledOrEarlyWhileProcessesAreKilledAndNetworksFail) {
  const auto posts = chaos_setting("CARILLON_CHAOS_POSTS", 72);
  const auto kill_every = std::chrono::seconds{chaos_setting("CARILLON_CHAOS_KILL_EVERY", 4)};
  const auto seed = static_cast<unsigned>(
    chaos_setting("CARILLON_CHAOS_SEED", static_cast<int>(std::random_device{}() % 100'000)));
  const std::chrono::seconds spread{std::max(10, posts / 8)};
  std::cout << "seed " << seed << " (repeat with CARILLON_CHAOS_SEED), " << posts << " posts over " << spread.count()
            << " s, kill -9 every " << kill_every.count() << " s" << std::endl;
  std::mt19937 random{seed};

  start_networks(seed);
  schedule(posts, spread);
  std::vector<std::unique_ptr<test::carillon_node>> nodes;
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 2; ++i)
    nodes.push_back(start_node());

  int kills = 0;
  bool settled = false;
  auto next_kill = std::chrono::steady_clock::now() + kill_every;
  const auto last_kill = begun + spread + 2 * kill_every;
  const auto latest = begun + 3 * spread + std::chrono::minutes{3};
  while (!settled && std::chrono::steady_clock::now() < latest) {
    const bool kills_over = next_kill > last_kill;
    test::eventually([&] {
      return (settled = is_settled()) || (!kills_over && std::chrono::steady_clock::now() >= next_kill);
    }, 2 * kill_every);
    if (settled || kills_over)
      continue;
    auto& doomed = nodes[random() % nodes.size()];
    doomed->self().signal(SIGKILL);
    ASSERT_TRUE(doomed->self().wait());
    ++kills;
    doomed = start_node();
    next_kill += kill_every;
  }
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);

  const auto seen = read_networks();
  const auto verdicts = test::judge(read_targets(), seen);
  print_outcomes(verdicts, kills, took);
  EXPECT_TRUE(settled) << nodes[0]->self().output().substr(0, 4'000);
  EXPECT_GE(kills, 2);
  for (const auto& [name, verdict] : verdicts)
    EXPECT_TRUE(verdict.is_clean()) << name << explain(verdict, seen);
  expect_agreement();
}

} // namespace

} // namespace carillon
