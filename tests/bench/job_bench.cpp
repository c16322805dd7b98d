// What the job engine itself costs: bulk enqueue, drain of no-op jobs, pick-up
// of single ones on an idle system. README.md beside this file explains every
// field.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <unistd.h>

#include "domain/clock.hpp"
#include "domain/ports/store.hpp"
#include "storage/migrator.hpp"
#include "storage/pg_store.hpp"
#include "tests/bench/engine.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/warm_log.hpp"
#include "tests/bench/workplace.hpp"

namespace carillon::bench {

namespace {

using nlohmann::json;
using seconds = std::chrono::duration<double>;
using steady = std::chrono::steady_clock;

constexpr int exit_broken_promise = 1;
constexpr int exit_cannot_run = 2;

constexpr std::string_view kind_name = "bench_noop";

struct options {
  int jobs = 100'000;
  int workspaces = 1'000;
  int pickups = 300;
  int enqueue_batch = 1'000;
  int history = 0;
  bool reader = false;
  int flood = 0;
  engine_options engine;
  std::string database_url;
  bool bare = true;
  bool warm = true;
  bool take = true;
};

double rounded(double value, double unit) {
  return std::round(value / unit) * unit;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size()))) - 1;
  return values[std::min(at, values.size() - 1)];
}

seconds cpu_of_self() {
  return cpu_time(::getpid()).value_or(seconds{});
}

// -- what is measured ------------------------------------------------------------

/// What handlers tell: how many have started, and when the last one did.
class starts {
public:
  job_outcome note(const job&) {
    const auto count = count_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (count == wanted_.load(std::memory_order_acquire)) {
      std::lock_guard lock{mutex_};
      at_ = steady::now();
      reached_.notify_one();
    }
    return {};
  }
  /// Before the jobs are enqueued.
  void expect(std::int64_t more) {
    std::lock_guard lock{mutex_};
    at_.reset();
    wanted_.store(count_.load() + more, std::memory_order_release);
  }
  steady::time_point wait(std::chrono::seconds within) {
    std::unique_lock lock{mutex_};
    if (!reached_.wait_for(lock, within, [&] { return at_.has_value(); }))
      throw std::runtime_error{"only " + std::to_string(count_.load()) + " jobs had started when time was up"};
    return *at_;
  }

private:
  std::mutex mutex_;
  std::condition_variable reached_;
  std::atomic<std::int64_t> count_{0};
  std::atomic<std::int64_t> wanted_{-1};
  std::optional<steady::time_point> at_;
};

class database {
public:
  explicit database(const std::string& url) : session_(url) {
  }
  std::string ask(const std::string& sql) {
    pqxx::nontransaction tx{session_};
    return tx.exec(sql)[0][0].as<std::string>();
  }
  void run(const std::string& sql) {
    pqxx::nontransaction tx{session_};
    tx.exec(sql);
  }
  /// As autovacuum leaves the tables of a server that has been up for a while.
  void settle() {
    run("VACUUM ANALYZE carillon.jobs");
    run("VACUUM carillon.job_manifests");
    run("VACUUM ANALYZE carillon.job_history");
    run("CHECKPOINT");
  }
  pqxx::connection& session() {
    return session_;
  }

private:
  pqxx::connection session_;
};

new_job make_job(tenant_id tenant, workspace_id workspace, int number) {
  new_job out;
  out.kind = kind_name;
  out.tenant = tenant;
  out.workspace = workspace;
  auto digits = std::to_string(number);
  out.payload = R"({"v":1,"number":)" + digits + R"(,"text":")" + std::string(70 - digits.size(), 'x') + R"("})";
  return out;
}

/// Jobs a second.
double enqueue_all(const options& o, store& db, const std::vector<workspace_id>& workspaces) {
  const auto tenant = tenant_id::make();
  const auto begin = steady::now();
  std::vector<new_job> batch;
  for (int i = 0; i < o.jobs; ++i) {
    batch.push_back(make_job(tenant, workspaces[static_cast<std::size_t>(i) % workspaces.size()], i));
    if (static_cast<int>(batch.size()) == o.enqueue_batch || i + 1 == o.jobs) {
      expect(db.jobs().enqueue_many(batch, std::nullopt), "enqueue");
      batch.clear();
    }
  }
  return o.jobs / seconds{steady::now() - begin}.count();
}

/// The statements of one batch after the other in one session, nothing
/// beside them and nothing made of the rows: what the database allows.
double bare_drain(const options& o, database& db) {
  std::string shards = "{0";
  for (int i = 1; i < shard_count; ++i)
    shards += ',' + std::to_string(i);
  shards += '}';
  auto& session = db.session();
  session.prepare("bare_fence", "SELECT 1 FROM carillon.node_incarnations WHERE incarnation = $1 FOR SHARE");
  session.prepare("bare_read",
                  "SELECT id, kind, tenant_id, workspace_id, payload, attempt, max_attempts, crashes, suspicion,"
                  "  priority, revision, run_at, unique_key, rate_key, correlation_id"
                  " FROM carillon.jobs WHERE priority = 5 AND (run_at, id) > ($1::timestamptz, $2::uuid)"
                  " AND run_at <= now() AND shard = ANY($3::smallint[]) AND kind = 'bench_noop'"
                  " ORDER BY run_at, id LIMIT $4");
  session.prepare("bare_manifest",
                  "INSERT INTO carillon.job_manifests (incarnation, batch, job_ids)"
                  " SELECT $1, $2, $3::uuid[] FROM set_config('synchronous_commit', 'off', true)");
  session.prepare("bare_conclude",
                  "WITH gone AS (DELETE FROM carillon.jobs WHERE id = ANY($1::uuid[]) RETURNING *)"
                  " INSERT INTO carillon.job_history (id, kind, queue, tenant_id, workspace_id, priority, payload,"
                  "  state, attempt, max_attempts, crashes, run_at, unique_key, rate_key, retention, errors,"
                  "  correlation_id, created_at, concluded_at)"
                  " SELECT id, kind, queue, tenant_id, workspace_id, priority, payload, 'succeeded', attempt,"
                  "  max_attempts, crashes, run_at, unique_key, rate_key, retention, errors, correlation_id,"
                  "  created_at, clock_timestamp() FROM gone");
  session.prepare("bare_done", "DELETE FROM carillon.job_manifests WHERE incarnation = $1 AND batch = $2");
  const auto life = db.ask("INSERT INTO carillon.node_incarnations (node) VALUES ('bare') RETURNING incarnation");
  std::string run_at = "-infinity";
  std::string id = "00000000-0000-0000-0000-000000000000";
  const auto begin = steady::now();
  int done = 0;
  for (int batch = 1; done < o.jobs; ++batch) {
    std::string ids = "{";
    {
      pqxx::work tx{session};
      tx.exec_prepared("bare_fence", life);
      const auto rows = tx.exec_prepared("bare_read", run_at, id, shards, o.engine.batch_size);
      if (rows.empty())
        throw std::runtime_error{"the bare statements lost jobs"};
      for (const auto& row : rows) {
        if (ids.size() > 1)
          ids += ',';
        ids += row[0].c_str();
      }
      ids += '}';
      done += static_cast<int>(rows.size());
      run_at = rows.back()[11].c_str();
      id = rows.back()[0].c_str();
      tx.exec_prepared("bare_manifest", life, batch, ids);
      tx.commit();
    }
    pqxx::work tx{session};
    tx.exec_prepared("bare_fence", life);
    tx.exec_prepared("bare_conclude", ids);
    tx.exec_prepared("bare_done", life, batch);
    tx.commit();
  }
  const auto rate = done / seconds{steady::now() - begin}.count();
  db.run("DELETE FROM carillon.node_incarnations WHERE incarnation = " + life);
  return rate;
}

void wait_until(const char* what, const std::function<bool()>& holds) {
  const auto end = steady::now() + std::chrono::seconds{60};
  while (!holds()) {
    if (steady::now() > end)
      throw std::runtime_error{std::string{what} + " did not come"};
    ::usleep(1'000);
  }
}

void wait_for_no_manifests(database& db) {
  wait_until("the last conclusion",
             [&] { return db.ask("SELECT NOT EXISTS (SELECT FROM carillon.job_manifests)") == "t"; });
}

/// One at a time on an idle system: milliseconds from before the enqueue's
/// transaction to the handler's start.
std::vector<double> pick_up(const options& o, store& db, engine& node, starts& started,
                            const std::vector<workspace_id>& workspaces) {
  const auto tenant = tenant_id::make();
  std::vector<double> out;
  for (int i = 0; i < o.pickups; ++i) {
    const auto work = make_job(tenant, workspaces[static_cast<std::size_t>(i * 7) % workspaces.size()], i);
    started.expect(1);
    const auto begin = steady::now();
    hints after_commit;
    expect(db.jobs().enqueue(work, after_commit), "enqueue");
    for (const auto& h : after_commit)
      node.hint_at(h);
    out.push_back(std::chrono::duration<double, std::milli>(started.wait(std::chrono::seconds{30}) - begin).count());
    // Not in step with anything that the engine does at intervals.
    ::usleep(static_cast<useconds_t>(20'000 + i * 7'919 % 13'000));
  }
  return out;
}

/// Finished jobs of the last hours, as a node leaves them.
void fill_history(const options& o, database& db) {
  db.run("INSERT INTO carillon.job_history (id, kind, queue, tenant_id, workspace_id, priority, payload, state, attempt,"
         "  max_attempts, crashes, run_at, retention, errors, created_at, concluded_at)"
         " SELECT carillon.uuid_v7(), 'bench_past', 'default', gen_random_uuid(), gen_random_uuid(), 5,"
         "  jsonb_build_object('v', 1, 'number', n, 'text', repeat('x', 70)), 'succeeded', 0, 1, 0, t, 'short', '[]', t, t"
         " FROM generate_series(1, " + std::to_string(o.history) + ") AS n,"
         "  LATERAL (SELECT now() - n * interval '10 milliseconds' AS t) AS past");
  db.run("VACUUM ANALYZE carillon.job_history");
}

/// A transaction that looked at the jobs once and stays open: nothing that is
/// deleted after it can be cleaned up.
class idle_reader {
public:
  explicit idle_reader(const std::string& url) : session_(url), tx_(session_) {
    tx_.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    tx_.exec("SELECT count(*) FROM carillon.jobs");
  }

private:
  pqxx::connection session_;
  pqxx::work tx_;
};

/// Pick-ups while one workspace's flood is enqueued and worked off.
std::vector<double> pick_up_beside_flood(const options& o, store& db, store& flooder, engine& node, starts& started,
                                         const std::vector<workspace_id>& workspaces, workspace_id flooded,
                                         const std::atomic<int>& left) {
  std::string trouble;
  std::thread flood{[&] {
    auto many = o;
    many.jobs = o.flood;
    try {
      enqueue_all(many, flooder, {flooded});
      node.hint_at({hint::subject::job_ready, flooded, system_clock{}.now()});
    } catch (const std::exception& e) {
      trouble = e.what();
    }
  }};
  std::vector<double> out;
  auto few = o;
  few.pickups = 5;
  while (left.load() > 0 && out.size() < 100'000 && trouble.empty()) {
    const auto more = pick_up(few, db, node, started, workspaces);
    out.insert(out.end(), more.begin(), more.end());
  }
  flood.join();
  if (!trouble.empty())
    throw std::runtime_error{"the flood: " + trouble};
  return out;
}

int measure(const options& o) {
  auto& log = warnings();
  work_folder folder{false};
  std::unique_ptr<private_postgres> server;
  auto url = o.database_url;
  if (url.empty()) {
    tell("starting PostgreSQL");
    server = std::make_unique<private_postgres>(folder);
    url = server->url();
  }
  expect(storage::migrate(url, storage::embedded_migrations(), log), "migrate");
  database db{url};
  if (db.ask("SELECT EXISTS (SELECT FROM carillon.jobs) OR EXISTS (SELECT FROM carillon.job_history)") == "t")
    throw std::runtime_error{"the database holds jobs; give one that is empty"};
  const auto postmaster = postmaster_of(static_cast<pid_t>(std::stol(db.ask("SELECT pg_backend_pid()"))));
  const auto postgres_cpu = [&] { return postmaster ? cpu_time_of_family(*postmaster) : std::nullopt; };

  const storage::token_cipher tokens{std::string(32, 'k')};
  storage::session_options session;
  session.url = url;
  session.application_name = "bench-producer";
  const auto producer = storage::make_pg_store(session, tokens, log);
  const auto workspaces = make_workspaces(o.workspaces);
  expect(producer->jobs().announce_kinds(), "announce");

  if (o.warm) {
    tell("warming the log up");
    constexpr std::int64_t bytes_per_job = 3'000;
    warm_log(db.session(), (std::int64_t{o.jobs} + o.flood) * bytes_per_job);
  }
  if (o.history > 0) {
    tell("history");
    fill_history(o, db);
  }
  std::optional<idle_reader> reader;
  if (o.reader)
    reader.emplace(url);

  double bare = 0;
  if (o.bare) {
    tell("the bare statements");
    enqueue_all(o, *producer, workspaces);
    db.settle();
    bare = bare_drain(o, db);
    db.settle();
  }

  tell("bulk enqueue");
  const auto enqueue_per_s = enqueue_all(o, *producer, workspaces);
  db.settle();

  tell("drain");
  const auto in_history = std::stoll(db.ask("SELECT count(*) FROM carillon.job_history"));
  starts started;
  const auto flooded = workspace_id::make();
  std::atomic<int> flood_left{o.flood};
  started.expect(o.jobs);
  const auto cpu_before = cpu_of_self();
  const auto postgres_before = postgres_cpu();
  const auto begin = steady::now();
  engine node{o.engine, url, "job-bench",
              {{std::string{kind_name}, quick_handler{[&](const job& work) {
                  if (work.workspace != flooded)
                    return started.note(work);
                  flood_left.fetch_sub(1, std::memory_order_relaxed);
                  return job_outcome{};
                }}}},
              log};
  started.wait(std::chrono::seconds{600});
  wait_for_no_manifests(db);
  const auto took = seconds{steady::now() - begin};
  const auto cpu = cpu_of_self() - cpu_before;
  const auto postgres_after = postgres_cpu();
  const auto concluded = std::stoll(db.ask("SELECT count(*) FROM carillon.job_history WHERE state = 'succeeded'"))
                         - in_history;
  const auto left = std::stoll(db.ask("SELECT count(*) FROM carillon.jobs"));

  tell("pick-up");
  db.settle();
  // As the node's own transactions are.
  auto own_session = session;
  if (o.take)
    own_session.intake = node.intake();
  const auto own = storage::make_pg_store(own_session, tokens, log);
  expect(own->jobs().announce_kinds(), "announce");
  const auto waits = pick_up(o, *own, node, started, workspaces);
  std::vector<double> beside;
  if (o.flood > 0) {
    tell("pick-up beside a flood");
    const auto flooder = storage::make_pg_store(session, tokens, log);
    beside = pick_up_beside_flood(o, *own, *flooder, node, started, workspaces, flooded, flood_left);
  }
  node.stop();

  json line{{"jobs", o.jobs},
            {"enqueue_per_s", rounded(enqueue_per_s, 1)},
            {"drain_per_s", rounded(o.jobs / took.count(), 1)},
            {"pickup_p50_ms", rounded(quantile(waits, 0.5), 0.01)},
            {"pickup_p99_ms", rounded(quantile(waits, 0.99), 0.01)},
            {"flood_pickups", beside.size()},
            {"flood_pickup_p50_ms", rounded(quantile(beside, 0.5), 0.01)},
            {"flood_pickup_p99_ms", rounded(quantile(beside, 0.99), 0.01)},
            {"history", o.history},
            {"idle_reader", o.reader},
            {"cpu_us_per_job", rounded(cpu.count() * 1e6 / o.jobs, 0.01)},
            {"bare_per_s", o.bare ? json(rounded(bare, 1)) : json{}},
            {"postgres_cpu_share", postgres_before && postgres_after
                                     ? json(rounded((*postgres_after - *postgres_before) / took / 2, 0.01))
                                     : json{}},
            {"workspaces", o.workspaces},
            {"pickups", o.pickups},
            {"concluded", concluded},
            {"left", left},
            {"settings",
             {{"batch_size", o.engine.batch_size},
              {"max_in_flight", o.engine.max_in_flight},
              {"background_connections", o.engine.background_connections},
              {"conclude_linger_ms", o.engine.linger_ms},
              {"enqueue_batch", o.enqueue_batch},
              {"warmed_up", o.warm},
              {"takes_what_it_enqueues", o.take},
              {"caf_scheduler", o.engine.stealing ? "stealing" : "sharing"},
              {"caf_threads", o.engine.threads},
              {"fsync", db.ask("SHOW fsync")},
              {"synchronous_commit", db.ask("SHOW synchronous_commit")},
              {"shared_buffers", db.ask("SHOW shared_buffers")},
              {"postgres", db.ask("SHOW server_version")}}}};
  std::cout << line.dump() << std::endl;
  return concluded == o.jobs && left == 0 ? 0 : exit_broken_promise;
}

} // namespace

} // namespace carillon::bench

int main(int argc, char** argv) {
  using namespace carillon::bench;
  options o;
  CLI::App app{"Measures the job engine: bulk enqueue, drain of no-op jobs, pick-up on an idle system.\n"
               "Prints one JSON line; progress goes to standard error. Ends with 1 when a job was lost\n"
               "or doubled, with 2 when it could not run. Speed never fails it."};
  app.add_option("--jobs", o.jobs, "Jobs to enqueue and to drain")->check(CLI::Range(1, 10'000'000))->capture_default_str();
  app.add_option("--workspaces", o.workspaces, "Workspaces they are spread over")
    ->check(CLI::Range(1, 100'000))
    ->capture_default_str();
  app.add_option("--pickups", o.pickups, "Single jobs whose pick-up is measured")
    ->check(CLI::Range(1, 100'000))
    ->capture_default_str();
  app.add_option("--enqueue-batch", o.enqueue_batch, "Jobs in one bulk enqueue")
    ->check(CLI::Range(1, 10'000))
    ->capture_default_str();
  app.add_option("--history", o.history, "Finished jobs that are there before")
    ->check(CLI::Range(0, 100'000'000))
    ->capture_default_str();
  app.add_flag("--idle-reader", o.reader, "A transaction that stays open from before the first job");
  app.add_option("--flood", o.flood, "Jobs of one workspace beside which pick-ups of others are measured again")
    ->check(CLI::Range(0, 10'000'000))
    ->capture_default_str();
  app.add_option("--batch-size", o.engine.batch_size, "jobs.batch_size")->check(CLI::Range(1, 10'000))->capture_default_str();
  app.add_option("--max-in-flight", o.engine.max_in_flight, "jobs.max_in_flight")
    ->check(CLI::Range(1, 1'000'000))
    ->capture_default_str();
  app.add_option("--background-connections", o.engine.background_connections, "database.background_connections")
    ->check(CLI::Range(1, 200))
    ->capture_default_str();
  app.add_option("--linger-ms", o.engine.linger_ms, "jobs.conclude_linger")->check(CLI::Range(0, 1'000))->capture_default_str();
  app.add_option("--caf-threads", o.engine.threads, "caf.worker_threads")->check(CLI::Range(0, 256))->capture_default_str();
  app.add_flag("--stealing,!--sharing", o.engine.stealing, "caf.scheduler_policy");
  app.add_flag("--warm,!--no-warm", o.warm, "Let the server write as much log as the run will, before it is measured");
  app.add_flag("--take,!--no-take", o.take,
               "Jobs whose pick-up is measured are taken by the transaction that enqueues them; else a hint is sent");
  app.add_flag("--bare,!--no-bare", o.bare, "Measure the bare statements too");
  app.add_option("--database-url", o.database_url, "An empty database to use, instead of a PostgreSQL of its own")
    ->envname("DATABASE_URL");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : exit_cannot_run;
  }
  carillon::add_job_policy({.kind = kind_name, .max_attempts = 1, .keep = carillon::retention::short_});
  int code = exit_cannot_run;
  try {
    code = measure(o);
  } catch (const std::exception& e) {
    tell(e.what());
  }
  // The actor system stays (app/serve.cpp says why).
  std::fflush(nullptr);
  std::_Exit(code);
}
