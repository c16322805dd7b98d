// Carillon in the public long-horizon job-queue benchmark
// (hardbyte/postgresql-job-queue-benchmarking, CONTRIBUTING_ADAPTERS.md,
// "Runtime contract"): settings come by environment, one descriptor line and
// then samples go to standard output, the jobs to enqueue may come by standard
// input, logs go to standard error, SIGTERM flushes and ends it. Only the public API is used: job_store to enqueue,
// job_handlers to work.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <future>
#include <iostream>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <pqxx/pqxx>
#include <unistd.h>

#include "domain/clock.hpp"
#include "domain/ports/store.hpp"
#include "storage/migrator.hpp"
#include "storage/pg_store.hpp"
#include "tests/bench/engine.hpp"
#include "tests/bench/workplace.hpp"

namespace carillon::bench {

namespace {

using nlohmann::json;
using seconds = std::chrono::duration<double>;
using steady = std::chrono::steady_clock;

constexpr int exit_cannot_run = 2;
constexpr std::string_view kind_name = "bench_work";
constexpr auto system_name = "carillon";
constexpr std::chrono::seconds claim_window{30};

struct adapter_settings {
  std::string database_url;
  bool fixed_rate = true;
  /// The harness says when and how many, on standard input.
  bool paced_by_harness = false;
  double rate = 800;
  /// Holds the rate that is wanted at the moment; empty: `rate`.
  std::string rate_file;
  int instance = 0;
  double target_depth = 1'000;
  int batch_max = 128;
  std::chrono::milliseconds batch_every{20};
  int workers = 32;
  int payload_bytes = 256;
  std::chrono::milliseconds work{1};
  std::chrono::seconds sample_every{5};
};

std::string environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? value : otherwise;
}

double number(const char* name, double otherwise, double least, double most) {
  const auto text = environment(name, "");
  if (text.empty())
    return otherwise;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value >= least && value <= most))
    throw std::runtime_error{std::string{name} + ": needs a number from " + std::to_string(least) + " to "
                             + std::to_string(most) + ", not '" + text + "'"};
  return value;
}

adapter_settings read_settings() {
  adapter_settings out;
  out.database_url = environment("DATABASE_URL", "");
  if (out.database_url.empty())
    throw std::runtime_error{"DATABASE_URL: is not set"};
  const auto scenario = environment("SCENARIO", "long_horizon");
  if (scenario != "long_horizon")
    throw std::runtime_error{"SCENARIO: only long_horizon is there, not '" + scenario + "'"};
  const auto mode = environment("PRODUCER_MODE", "fixed");
  if (mode != "fixed" && mode != "depth-target")
    throw std::runtime_error{"PRODUCER_MODE: is fixed or depth-target, not '" + mode + "'"};
  out.fixed_rate = mode == "fixed";
  const auto pacing = environment("PRODUCER_PACING", "adapter");
  if (pacing != "adapter" && pacing != "harness")
    throw std::runtime_error{"PRODUCER_PACING: is adapter or harness, not '" + pacing + "'"};
  out.paced_by_harness = out.fixed_rate && pacing == "harness";
  out.rate = number("PRODUCER_RATE", out.rate, 0, 1e6);
  out.rate_file = environment("PRODUCER_RATE_CONTROL_FILE", "");
  out.instance = static_cast<int>(number("BENCH_INSTANCE_ID", 0, 0, 10'000));
  out.target_depth = number("TARGET_DEPTH", out.target_depth, 0, 1e8);
  out.batch_max = static_cast<int>(number("PRODUCER_BATCH_MAX", out.batch_max, 1, 10'000));
  out.batch_every = std::chrono::milliseconds{static_cast<int>(number("PRODUCER_BATCH_MS", 20, 1, 10'000))};
  out.workers = static_cast<int>(number("WORKER_COUNT", out.workers, 1, 400));
  out.payload_bytes = static_cast<int>(number("JOB_PAYLOAD_BYTES", out.payload_bytes, 0, 65'536));
  out.work = std::chrono::milliseconds{static_cast<int>(number("JOB_WORK_MS", 1, 0, 60'000))};
  out.sample_every = std::chrono::seconds{static_cast<int>(number("SAMPLE_EVERY_S", 5, 1, 3'600))};
  return out;
}

/// Microseconds, three significant figures, bounded memory: whole numbers
/// below 2,048, then 1,024 steps an octave.
class histogram {
public:
  void add(std::int64_t microseconds) {
    ++counts_[index_of(static_cast<std::uint64_t>(std::clamp<std::int64_t>(microseconds, 0, largest)))];
  }
  void add(const histogram& other) {
    std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), std::plus<>{});
  }
  /// In milliseconds; nothing when nothing was added.
  std::optional<double> quantile(double q) const {
    const auto total = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    if (total == 0)
      return std::nullopt;
    auto left = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total)));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] >= left)
        return static_cast<double>(value_of(i)) / 1'000;
      left -= counts_[i];
    }
    return std::nullopt;
  }

private:
  static constexpr int octaves = 26;
  static constexpr std::int64_t largest = (std::int64_t{1} << (10 + octaves)) - 1;

  static std::size_t index_of(std::uint64_t value) {
    if (value < 2'048)
      return value;
    const auto shift = static_cast<std::size_t>(std::bit_width(value)) - 11;
    return shift * 1'024 + (value >> shift);
  }
  static std::uint64_t value_of(std::size_t index) {
    if (index < 2'048)
      return index;
    const auto shift = index / 1'024 - 1;
    return std::uint64_t{index - shift * 1'024} << shift;
  }

  std::array<std::uint32_t, (octaves + 1) * 1'024> counts_{};
};

/// What the producer and the handlers count.
class tallies {
public:
  void enqueued(std::int64_t count) {
    enqueued_ += count;
  }
  void started(std::chrono::microseconds waited) {
    ++started_;
    std::lock_guard lock{mutex_};
    now_.add(waited.count());
  }
  void completed(std::chrono::microseconds since_due) {
    ++completed_;
    std::lock_guard lock{mutex_};
    now_ended_.add(since_due.count());
  }
  std::int64_t depth() const {
    return std::max<std::int64_t>(0, enqueued_ - started_);
  }

  struct sample {
    std::int64_t enqueued = 0;
    std::int64_t completed = 0;
    std::int64_t depth = 0;
    histogram claims; ///< Of the last `slots` samples.
    histogram ends;   ///< The same, to the end of the handler.
  };
  /// Once a tick.
  sample take(std::size_t slots) {
    sample out;
    {
      std::lock_guard lock{mutex_};
      recent_.push_back(now_);
      recent_ended_.push_back(now_ended_);
      now_ = {};
      now_ended_ = {};
    }
    for (auto* recent : {&recent_, &recent_ended_})
      while (recent->size() > slots)
        recent->pop_front();
    for (const auto& slot : recent_)
      out.claims.add(slot);
    for (const auto& slot : recent_ended_)
      out.ends.add(slot);
    const auto enqueued = enqueued_.load();
    const auto completed = completed_.load();
    out.enqueued = enqueued - std::exchange(reported_enqueued_, enqueued);
    out.completed = completed - std::exchange(reported_completed_, completed);
    out.depth = depth();
    return out;
  }

private:
  std::atomic<std::int64_t> enqueued_{0};
  std::atomic<std::int64_t> started_{0};
  std::atomic<std::int64_t> completed_{0};
  std::mutex mutex_;
  histogram now_;
  histogram now_ended_;
  std::deque<histogram> recent_;
  std::deque<histogram> recent_ended_;
  std::int64_t reported_enqueued_ = 0;
  std::int64_t reported_completed_ = 0;
};

std::string timestamp(instant t) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(t);
  char out[40];
  const auto whole = std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(ms));
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  const auto length = std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &parts);
  const auto fraction = (ms.time_since_epoch().count() % 1'000 + 1'000) % 1'000;
  std::snprintf(out + length, sizeof out - length, ".%03dZ", static_cast<int>(fraction));
  return out;
}

void print(const json& line) {
  std::cout << line.dump() << std::endl;
}

/// What the file says, while it says something.
double wanted_rate(const adapter_settings& s) {
  std::ifstream file{s.rate_file};
  double rate = 0;
  return !s.rate_file.empty() && file >> rate && rate >= 0 && rate <= 1e6 ? rate : s.rate;
}

void print_sample(const adapter_settings& s, tallies& counted, seconds covered) {
  const auto slots = std::max<std::size_t>(1, static_cast<std::size_t>(claim_window / s.sample_every));
  const auto sample = std::make_unique<tallies::sample>(counted.take(slots));
  const auto at = timestamp(system_clock{}.now());
  const auto say = [&](const std::string& metric, double value, std::int64_t window) {
    print({{"t", at}, {"system", system_name}, {"kind", "adapter"}, {"subject_kind", "adapter"}, {"subject", ""},
           {"metric", metric}, {"value", value}, {"window_s", window}, {"instance_id", s.instance}});
  };
  for (const auto& [part, q] : {std::pair{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}}) {
    const auto claimed = sample->claims.quantile(q).value_or(0);
    for (const auto* const name : {"claim_", "subscriber_"})
      say(name + std::string{part} + "_ms", claimed, claim_window.count());
    say("end_to_end_" + std::string{part} + "_ms", sample->ends.quantile(q).value_or(0), claim_window.count());
  }
  say("enqueue_rate", static_cast<double>(sample->enqueued) / covered.count(), s.sample_every.count());
  say("completion_rate", static_cast<double>(sample->completed) / covered.count(), s.sample_every.count());
  say("queue_depth", static_cast<double>(sample->depth), 0);
  if (s.fixed_rate)
    say("producer_target_rate", wanted_rate(s), 0);
}

std::vector<new_job> make_jobs(const adapter_settings& s, tenant_id tenant, const std::vector<workspace_id>& workspaces,
                               std::size_t count, std::size_t& next) {
  std::vector<new_job> out(count);
  const auto padding = std::string(static_cast<std::size_t>(s.payload_bytes), 'x');
  for (auto& one : out) {
    one.kind = kind_name;
    one.tenant = tenant;
    one.workspace = workspaces[next++ % workspaces.size()];
    one.payload = R"({"v":1,"text":")" + padding + R"("})";
  }
  return out;
}

void offer(const adapter_settings& s, store& db, tallies& counted, tenant_id tenant,
           const std::vector<workspace_id>& workspaces, std::size_t count, std::size_t& next) {
  const auto written = db.jobs().enqueue_many(make_jobs(s, tenant, workspaces, count, next), std::nullopt);
  if (written)
    counted.enqueued(*written);
  else
    tell("enqueue: " + written.error().detail);
}

/// Lines `ENQUEUE n` on standard input, until it ends.
void produce_as_told(const adapter_settings& s, store& db, tallies& counted, const std::atomic<bool>& ending) {
  constexpr std::size_t longest_line = 64;
  const auto tenant = tenant_id::make();
  const auto workspaces = make_workspaces(1'000);
  std::size_t next = 0;
  std::string text;
  while (!ending) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 100) <= 0)
      continue;
    char buffer[4'096];
    const auto got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0)
      return;
    text.append(buffer, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != std::string::npos && !ending; end = text.find('\n', begin)) {
      int count = 0;
      if (std::sscanf(text.substr(begin, end - begin).c_str(), "ENQUEUE %9d", &count) == 1 && count > 0)
        for (int left = count; left > 0 && !ending; left -= s.batch_max)
          offer(s, db, counted, tenant, workspaces, static_cast<std::size_t>(std::min(left, s.batch_max)), next);
      else
        tell("standard input: not understood: " + text.substr(begin, std::min(end - begin, longest_line)));
      begin = end + 1;
    }
    text.erase(0, begin);
    if (text.size() > longest_line) {
      tell("standard input: a line without an end");
      return;
    }
  }
}

/// Offered load is credited for the time that has really passed.
void produce(const adapter_settings& s, store& db, tallies& counted, const std::atomic<bool>& ending) {
  const auto tenant = tenant_id::make();
  const auto workspaces = make_workspaces(1'000);
  std::size_t next = 0;
  double credit = 0;
  auto credited_at = steady::now();
  while (!ending) {
    const auto now = steady::now();
    if (s.fixed_rate)
      credit += wanted_rate(s) * seconds{now - credited_at}.count();
    else
      credit = std::max(0.0, s.target_depth - static_cast<double>(counted.depth()));
    credited_at = now;
    while (credit >= 1 && !ending) {
      const auto count = std::min<std::size_t>(static_cast<std::size_t>(credit), static_cast<std::size_t>(s.batch_max));
      offer(s, db, counted, tenant, workspaces, count, next);
      credit -= static_cast<double>(count);
    }
    std::this_thread::sleep_until(now + s.batch_every);
  }
}

/// The harness reads the tables' bloat, which a partitioned one has not itself.
void describe(const adapter_settings& s) {
  pqxx::connection session{s.database_url};
  pqxx::nontransaction tx{session};
  auto tables = json::array({"carillon.jobs", "carillon.job_manifests"});
  for (const auto& day : tx.exec("SELECT 'carillon.' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                                 " WHERE i.inhparent = 'carillon.job_history_short'::regclass"
                                 " AND c.relname ~ '_[0-9]{8}$' ORDER BY c.relname LIMIT 2"))
    tables.push_back(day[0].as<std::string>());
  print({{"kind", "descriptor"}, {"system", system_name}, {"event_tables", tables}, {"extensions", json::array()},
         {"version", CARILLON_VERSION}, {"schema_version", storage::embedded_migrations().back().name},
         {"db_name", std::string{session.dbname()}}, {"instance_id", s.instance},
         {"started_at", timestamp(system_clock{}.now())}});
}

int adapt(const adapter_settings& s) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto& log = warnings();
  expect(storage::migrate(s.database_url, storage::embedded_migrations(), log), "migrate");
  add_job_policy({.kind = kind_name, .keep = retention::short_, .max_running = s.workers});
  const storage::token_cipher tokens{std::string(32, 'k')};
  storage::session_options session;
  session.url = s.database_url;
  session.application_name = "adapter-producer";
  const auto producer = storage::make_pg_store(session, tokens, log);
  expect(producer->jobs().announce_kinds(), "announce");

  describe(s);

  tallies counted;
  const auto waited = [](const job& work) {
    return std::chrono::duration_cast<std::chrono::microseconds>(system_clock{}.now() - work.run_at);
  };
  job_handler handler = quick_handler{[&](const job& work) {
    counted.started(waited(work));
    counted.completed(waited(work));
    return job_outcome{};
  }};
  engine_options composed;
  if (s.work.count() > 0) {
    // What blocks runs on a database worker, one for each of the consumers
    // and some for the engine itself.
    composed.background_connections = s.workers + 4;
    handler = database_handler{[&](store&, const node_identity&, const job& work) {
      counted.started(waited(work));
      std::this_thread::sleep_for(s.work);
      counted.completed(waited(work));
      return job_outcome{};
    }};
  }
  engine node{composed, s.database_url, "queue-adapter-" + std::to_string(s.instance), {{std::string{kind_name}, handler}}, log};
  std::atomic<bool> ending{false};
  std::thread producing{[&] { (s.paced_by_harness ? produce_as_told : produce)(s, *producer, counted, ending); }};

  // Ticks lie on whole multiples of the wall clock.
  const auto every = std::chrono::duration_cast<std::chrono::system_clock::duration>(s.sample_every);
  auto last = steady::now();
  for (;;) {
    const auto now = std::chrono::system_clock::now();
    const auto rest = every - now.time_since_epoch() % every;
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(rest);
    const timespec wait{static_cast<time_t>(nanoseconds.count() / 1'000'000'000),
                        static_cast<long>(nanoseconds.count() % 1'000'000'000)};
    const bool told_to_end = sigtimedwait(&signals, nullptr, &wait) > 0;
    print_sample(s, counted, std::max(seconds{steady::now() - std::exchange(last, steady::now())}, seconds{0.001}));
    if (told_to_end)
      break;
  }
  ending = true;
  producing.join();
  // What is under way is concluded; the rest is given back within the five
  // seconds that the contract allows.
  std::promise<void> stopped;
  auto in_time = stopped.get_future();
  std::thread{[&node, &stopped] {
    try {
      node.stop();
    } catch (const std::exception& e) {
      tell(e.what());
    }
    stopped.set_value();
  }}.detach();
  in_time.wait_for(std::chrono::seconds{4});
  std::fflush(nullptr);
  std::_Exit(0);
}

} // namespace

} // namespace carillon::bench

int main(int argc, char**) {
  if (argc > 1) {
    std::cerr << "queue_adapter takes no arguments; its environment is described in tests/bench/README.md\n";
    return carillon::bench::exit_cannot_run;
  }
  try {
    return carillon::bench::adapt(carillon::bench::read_settings());
  } catch (const std::exception& e) {
    std::cerr << "queue_adapter: " << e.what() << '\n';
    std::fflush(nullptr);
    std::_Exit(carillon::bench::exit_cannot_run);
  }
}
