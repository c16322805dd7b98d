// N posts due at one instant, against the real program: how late are they,
// and is one lost or doubled? README.md beside this file explains every field.

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <unistd.h>

#include "domain/instant.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"
#include "tests/bench/bulk_seed.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/workplace.hpp"
#include "tests/support/process.hpp"
#include "tests/support/web_client.hpp"

namespace carillon::bench {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using seconds = std::chrono::duration<double>;

constexpr int exit_broken_promise = 1;
constexpr int exit_cannot_run = 2;

struct options {
  int posts = 1'000;
  int workspaces = 100;
  int latency_ms = 5;
  int nodes = 1;
  int idle_workspaces = 0;
  int lead_seconds = 10;
  int settle_within_seconds = 600;
  double with_files = 0; ///< The share of the posts that have one.
  std::int64_t file_bytes = 20'000;
  bool no_prepare = false;
  std::string database_url;
  std::string build_folder = CARILLON_BINARY_DIR;
  std::vector<std::string> settings;
  bool keep = false;
};

volatile std::sig_atomic_t interrupted = 0;

/// Lets every owner end what it started.
void stop_if_interrupted() {
  if (interrupted != 0)
    throw std::runtime_error{"interrupted"};
}

/// Looking costs the database time that is measured.
void look_again_later() {
  stop_if_interrupted();
  ::usleep(200'000);
}

/// To so many digits after the point.
double rounded(double value, int digits) {
  const auto scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

// -- what it runs on --------------------------------------------------------------

using program_environment = std::map<std::string, std::string>;

/// What the product ships with, but for addresses, keys and what --set says.
program_environment environment_of(const options& o, const std::string& database_url,
                                   const fs::path& folder) {
  program_environment out{
    {"CARILLON_CONFIG", std::string{CARILLON_SOURCE_DIR} + "/config/carillon.toml"},
    {"CARILLON_DATABASE__URL", database_url},
    {"CARILLON_PUBLISHING__PRIVATE_NETWORKS", "127.0.0.0/8"},
    {"CARILLON_HTTP__PORT", "0"},
    {"CARILLON_INTERNAL__PORT", "0"},
    {"CARILLON_SECRETS__TOKEN_KEY", "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"},
    {"CARILLON_MAIL__TRANSPORT", "file"},
    {"CARILLON_MAIL__DIRECTORY", (folder / "mail").string()},
    {"CARILLON_MEDIA__DIRECTORY", (folder / "media").string()},
    {"CARILLON_LOG__FORMAT", "json"}};
  if (o.no_prepare)
    out["CARILLON_PUBLISHING__PREPARE_MEDIA_BEFORE"] = "0s";
  for (const auto& setting : o.settings) {
    const auto at = setting.find('=');
    out[setting.substr(0, at)] = setting.substr(at + 1);
  }
  return out;
}

class sandbox {
public:
  sandbox(work_folder& folder, const std::string& program)
    : process_({program, "sandbox-network", "--port", "0"}, {}, folder.next_log("sandbox")) {
    const bool up = test::eventually([this] {
      const auto output = process_.output();
      const auto begin = output.find("http://");
      const auto end = output.find_first_of(" \n/", begin == output.npos ? 0 : begin + 7);
      if (begin == output.npos || end == output.npos)
        return false;
      url_ = output.substr(begin, end - begin);
      return test::web_client{url_}.get("/sandbox/stats").status == 200;
    });
    if (!up)
      throw std::runtime_error{"the sandbox network did not start: " + process_.output()};
  }

  void set_latency(int milliseconds) {
    const auto answer
      = test::web_client{url_}.post("/sandbox/faults", {{"latency_ms", milliseconds}});
    if (answer.status != 200)
      throw std::runtime_error{"the sandbox network refused the latency: " + answer.body};
  }

  /// Every post that it has accepted.
  json posts() const {
    auto answer = test::web_client{url_}.get("/sandbox/posts").json();
    if (answer.is_object() && answer.contains("posts"))
      answer = answer["posts"];
    if (!answer.is_array())
      throw std::runtime_error{"the sandbox network does not list its posts"};
    return answer;
  }

  /// What it has counted.
  json stats() const {
    return test::web_client{url_}.get("/sandbox/stats").json();
  }

  const std::string& url() const noexcept {
    return url_;
  }
  pid_t pid() const noexcept {
    return process_.pid();
  }

private:
  test::process process_;
  std::string url_;
};

class node {
public:
  node(work_folder& folder, const std::string& program, const program_environment& environment)
    : process_({program, "serve"}, environment, folder.next_log("serve")) {
    const bool up = test::eventually([this] {
      return process_.output().find("\"event\":\"ready\"") != std::string::npos
             || !process_.is_running();
    });
    if (!up || !process_.is_running())
      throw std::runtime_error{"carillon did not start: " + process_.output()};
  }

  /// Ends it as an operator does.
  void stop() {
    process_.signal(SIGTERM);
    if (!process_.wait(std::chrono::seconds{60}))
      tell("a node did not stop in time and is killed");
  }
  bool is_running() {
    return process_.is_running();
  }
  pid_t pid() const noexcept {
    return process_.pid();
  }
  std::string output() const {
    return process_.output();
  }

private:
  test::process process_;
};

// -- what happened ---------------------------------------------------------------

class observer {
public:
  explicit observer(const std::string& url) : db_(url) {
  }

  pqxx::connection& connection() {
    return db_;
  }

  std::string ask(const std::string& sql) {
    pqxx::nontransaction tx{db_};
    const auto rows = tx.exec(sql);
    return rows.empty() ? std::string{} : storage::text_or_empty(rows[0][0]);
  }
  std::int64_t count(const std::string& from) {
    return std::stoll(ask("SELECT count(*) FROM carillon." + from));
  }

  bool all_settled() {
    return ask("SELECT EXISTS (SELECT 1 FROM carillon.posts WHERE status = 'scheduled' AND deleted_at IS NULL "
               "AND scheduled_at <= clock_timestamp() + interval '1 minute') OR EXISTS (SELECT 1 FROM carillon.posts WHERE status = 'publishing')")
           == "f";
  }
  bool no_jobs() {
    return ask("SELECT EXISTS (SELECT 1 FROM carillon.jobs)") == "f";
  }

private:
  pqxx::connection db_;
};

struct cpu_reading {
  seconds serve{};
  std::optional<seconds> postgres;
  seconds sandbox{};
};

cpu_reading read_cpu(const std::vector<std::unique_ptr<node>>& nodes, const sandbox& network,
                     std::optional<pid_t> postmaster) {
  cpu_reading out;
  for (const auto& n : nodes)
    out.serve += cpu_time(n->pid()).value_or(seconds{});
  if (postmaster)
    out.postgres = cpu_time_of_family(*postmaster);
  out.sandbox = cpu_time(network.pid()).value_or(seconds{});
  return out;
}

struct seen_post {
  int times = 0;
  instant first{};
};

/// By the text, which only one post has.
std::map<std::string, seen_post> seen_posts(const json& listed) {
  std::map<std::string, seen_post> out;
  for (const auto& entry : listed) {
    const auto at = parse_time(entry.at("created_at").get<std::string>());
    if (!at)
      throw std::runtime_error{"the sandbox network gave no time: " + entry.dump()};
    auto& seen = out[entry.at("text").get<std::string>()];
    if (seen.times++ == 0 || *at < seen.first)
      seen.first = *at;
  }
  return out;
}

double milliseconds_between(instant from, instant to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// The smallest value that a share `q` of all does not exceed.
double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty())
    return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

struct verdict {
  std::vector<double> lateness; ///< Milliseconds, sorted.
  int duplicates = 0;
  int lost = 0;
  int early = 0;
  double posts_per_second = 0;
};

verdict judge(observer& db, const sandbox& network, instant due) {
  verdict out;
  const auto seen = seen_posts(network.posts());
  pqxx::nontransaction tx{db.connection()};
  instant last = due;
  for (const auto& row : tx.exec("SELECT content_text, status FROM carillon.posts WHERE content_text LIKE '"
                                 + std::string{measured_text} + "%'")) {
    const auto i = seen.find(row[0].as<std::string>());
    if (i == seen.end()) {
      // A post that failed has told its author so.
      out.lost += row[1].as<std::string>() == "failed" ? 0 : 1;
      continue;
    }
    out.duplicates += i->second.times - 1;
    out.early += i->second.first < due ? 1 : 0;
    out.lateness.push_back(milliseconds_between(due, i->second.first));
    last = std::max(last, i->second.first);
  }
  std::sort(out.lateness.begin(), out.lateness.end());
  if (last > due)
    out.posts_per_second = static_cast<double>(out.lateness.size()) / seconds{last - due}.count();
  return out;
}

/// A picture for each row of media, where a node looks for it.
std::int64_t write_files(observer& db, const options& o, const fs::path& folder) {
  const std::string head{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x8\2\0\0\0", 29};
  const auto picture = head + std::string(static_cast<std::size_t>(o.file_bytes) - head.size(), 'p');
  pqxx::nontransaction tx{db.connection()};
  std::int64_t written = 0;
  for (const auto& row : tx.exec("SELECT m.tenant_id || '/' || p.workspace_id || '/' || m.storage_path "
                                 "FROM carillon.post_media m JOIN carillon.posts p ON p.id = m.post_id")) {
    const auto file = folder / "media" / row[0].as<std::string>();
    fs::create_directories(file.parent_path());
    if (!(std::ofstream{file, std::ios::binary} << picture))
      throw std::runtime_error{"cannot write " + file.string()};
    ++written;
  }
  return written;
}

void wait_for_shards(observer& db, int nodes) {
  const auto all = std::to_string(nodes) + " 256";
  if (!test::eventually([&] {
        return db.ask("SELECT count(DISTINCT incarnation) || ' ' || count(incarnation) FROM carillon.shard_leases")
               == all;
      }))
    throw std::runtime_error{"the nodes did not share the workspaces among them"};
}

int measure(const options& o) {
  const auto program = (fs::absolute(o.build_folder) / "app" / "carillon").string();
  if (!fs::exists(program))
    throw std::runtime_error{program + " is not there; build the target carillon, or say --build"};
  work_folder folder{o.keep};
  std::unique_ptr<private_postgres> server;
  auto url = o.database_url;
  if (url.empty()) {
    tell("starting PostgreSQL");
    server = std::make_unique<private_postgres>(folder);
    url = server->url();
  }
  const auto environment = environment_of(o, url, folder.path());
  run(folder, {program, "migrate"}, environment);
  observer db{url};
  if (db.count("tenants") > 0)
    throw std::runtime_error{"the database holds tenants; give one that is empty"};
  const auto postmaster = postmaster_of(static_cast<pid_t>(std::stol(db.ask("SELECT pg_backend_pid()"))));

  sandbox network{folder, program};
  network.set_latency(o.latency_ms);

  tell("writing " + std::to_string(o.posts) + " posts in " + std::to_string(o.workspaces) + " workspaces, "
       + std::to_string(o.idle_workspaces) + " idle ones beside them");
  const storage::token_cipher tokens{std::string(32, 'k')};
  write_bulk(db.connection(), tokens,
             {o.workspaces, o.posts, o.idle_workspaces, network.url(), std::chrono::seconds{o.lead_seconds}, o.with_files,
              o.file_bytes});
  const auto files = write_files(db, o, folder.path());

  std::vector<std::unique_ptr<node>> nodes;
  for (int i = 0; i < o.nodes; ++i) {
    auto own = environment;
    own["CARILLON_NODE__NAME"] = "bench-" + std::to_string(i + 1);
    nodes.push_back(std::make_unique<node>(folder, program, own));
  }
  wait_for_shards(db, o.nodes);
  const auto due_text = db.ask("SELECT min(scheduled_at) FROM carillon.posts WHERE content_text LIKE '"
                               + std::string{measured_text} + "%'");
  const auto due = parse_time(due_text);
  const auto seconds_to_due = [&] {
    return std::stod(db.ask("SELECT extract(epoch FROM '" + due_text + "'::timestamptz - clock_timestamp())"));
  };
  if (!due || seconds_to_due() < 1)
    throw std::runtime_error{"the nodes were ready less than a second before the posts are due; give a larger --lead-seconds"};
  tell("ready; the posts are due in " + std::to_string(seconds_to_due()) + " s");
  while (seconds_to_due() > 0.5)
    look_again_later();
  const auto before = read_cpu(nodes, network, postmaster);
  const auto told_before = network.stats();

  const auto patience = std::chrono::seconds{o.lead_seconds + o.settle_within_seconds};
  const auto all_run = [&] {
    return std::all_of(nodes.begin(), nodes.end(), [](const auto& n) { return n->is_running(); });
  };
  const bool settled = test::eventually([&] {
    look_again_later();
    return !all_run() || db.all_settled();
  }, patience) && all_run();
  tell(settled ? "every post is settled; waiting for the mails" : "not every post is settled");
  const bool drained = settled && test::eventually([&] {
    look_again_later();
    return db.no_jobs();
  }, patience);
  const auto drained_at = db.ask("SELECT extract(epoch FROM clock_timestamp() - '" + due_text + "')");
  const auto after = read_cpu(nodes, network, postmaster);
  double peak = 0;
  for (const auto& n : nodes)
    peak = std::max(peak, peak_memory(n->pid()).value_or(0));

  const auto told_after = network.stats();
  const auto since_due = [&](const char* what) {
    return told_after.at(what).get<std::int64_t>() - told_before.at(what).get<std::int64_t>();
  };

  const auto found = judge(db, network, *due);
  const auto settle = db.ask("SELECT extract(epoch FROM max(coalesce(published_at, updated_at)) - '" + due_text
                             + "') FROM carillon.posts WHERE status IN ('published', 'failed')");
  json line{{"posts", o.posts},
            {"workspaces", o.workspaces},
            {"idle_workspaces", o.idle_workspaces},
            {"nodes", o.nodes},
            {"latency_ms", o.latency_ms},
            {"lateness_p50_ms", rounded(quantile(found.lateness, 0.5), 0)},
            {"lateness_p99_ms", rounded(quantile(found.lateness, 0.99), 0)},
            {"lateness_max_ms", rounded(quantile(found.lateness, 1), 0)},
            {"posts_per_s", rounded(found.posts_per_second, 0)},
            {"duplicates", found.duplicates},
            {"lost", found.lost},
            {"early", found.early},
            {"failed", db.count("posts WHERE status = 'failed'")},
            {"attempts", db.count("publish_attempts")},
            {"files", files},
            {"uploads_ahead", told_before.at("media")},
            {"uploads_when_due", since_due("media")},
            {"calls_when_due", since_due("calls")},
            {"settle_seconds", settle.empty() ? json{} : json(rounded(std::stod(settle), 2))},
            {"mails_done_seconds", drained ? json(rounded(std::stod(drained_at), 1)) : json{}},
            {"cpu_seconds",
             {{"serve", rounded((after.serve - before.serve).count(), 2)},
              {"postgres", after.postgres && before.postgres
                             ? json(rounded((*after.postgres - *before.postgres).count(), 2))
                             : json{}},
              {"sandbox", rounded((after.sandbox - before.sandbox).count(), 2)}}},
            {"rss_mb", rounded(peak, 1)},
            {"fsync", db.ask("SHOW fsync")},
            {"synchronous_commit", db.ask("SHOW synchronous_commit")}};
  std::cout << line.dump() << std::endl;
  for (const auto& n : nodes)
    n->stop();
  return found.duplicates > 0 || found.lost > 0 || found.early > 0 ? exit_broken_promise : 0;
}

std::string check_setting(const std::string& text) {
  return text.starts_with("CARILLON_") && text.find('=') != text.npos
           ? std::string{}
           : "must look like CARILLON_JOBS__MAX_IN_FLIGHT=500";
}

} // namespace

} // namespace carillon::bench

int main(int argc, char** argv) {
  using namespace carillon::bench;
  options o;
  CLI::App app{"Measures the main job: posts that are due at one instant, against the real program.\n"
               "Prints one JSON line; progress goes to standard error. Ends with 1 when a post was\n"
               "lost, doubled or early, with 2 when it could not run. Speed never fails it."};
  app.add_option("--posts", o.posts, "Posts due at the instant")->check(CLI::Range(1, 200'000))->capture_default_str();
  app.add_option("--workspaces", o.workspaces, "Workspaces they are spread over")
    ->check(CLI::Range(1, 100'000))
    ->capture_default_str();
  app.add_option("--latency-ms", o.latency_ms, "The network's time to answer")
    ->check(CLI::Range(0, 60'000))
    ->capture_default_str();
  app.add_option("--nodes", o.nodes, "Processes of `carillon serve`")->check(CLI::Range(1, 16))->capture_default_str();
  app.add_option("--idle-workspaces", o.idle_workspaces, "Workspaces with nothing to do beside them")
    ->check(CLI::Range(0, 1'000'000))
    ->capture_default_str();
  app.add_option("--lead-seconds", o.lead_seconds, "From the last row written to the instant")
    ->check(CLI::Range(3, 600))
    ->capture_default_str();
  app.add_option("--settle-within-seconds", o.settle_within_seconds, "What is open after that counts as lost")
    ->check(CLI::Range(1, 86'400))
    ->capture_default_str();
  app.add_option("--with-files", o.with_files, "The share of the posts that have a picture")
    ->check(CLI::Range(0.0, 1.0))
    ->capture_default_str();
  app.add_option("--file-bytes", o.file_bytes, "How large it is")
    ->check(CLI::Range(std::int64_t{100}, std::int64_t{5'000'000}))
    ->capture_default_str();
  app.add_flag("--no-prepare", o.no_prepare, "Upload when the posts are due, not ahead");
  app.add_option("--database-url", o.database_url,
                 "An empty database to use, instead of a PostgreSQL of its own")
    ->envname("DATABASE_URL");
  app.add_option("--build", o.build_folder, "Build folder of the program to measure")->capture_default_str();
  app.add_option("--set", o.settings, "A setting of the nodes, as CARILLON_JOBS__MAX_IN_FLIGHT=500; may be repeated")
    ->check(check_setting)
    ->take_all();
  app.add_flag("--keep", o.keep, "Keep the folder with logs and data");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : exit_cannot_run;
  }
  if (o.workspaces > o.posts) {
    std::cerr << "--workspaces: at most as many as --posts\n";
    return exit_cannot_run;
  }
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int) { interrupted = 1; });
  try {
    return measure(o);
  } catch (const std::exception& e) {
    tell(e.what());
    return exit_cannot_run;
  }
}
