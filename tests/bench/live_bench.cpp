// Live delivery: memory of idle WebSockets, and the time from the return of a
// commit to the event at a client, over real sockets and a real PostgreSQL.
// The clients of the first part are a process of their own.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/realtime/realtime.hpp"
#include "domain/ports/notification_store.hpp"
#include "http/live/pusher.hpp"
#include "http/live/routes.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "storage/migrator.hpp"
#include "storage/pg_store.hpp"
#include "tests/bench/workplace.hpp"
#include "tests/support/raw_websocket.hpp"

namespace carillon::bench {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using clock = std::chrono::steady_clock;

constexpr int exit_lost = 1;
constexpr int exit_cannot_run = 2;

/// Within the text of a frame's data.
constexpr std::string_view id_member = R"(\"id\":\")";

struct options {
  int connections = 10'000;
  int listeners = 100;
  int rate = 1'000;
  int seconds = 10;
  int writers = 4;
};

class silent final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

http::live::service_options key_pair() {
  http::live::service_options out;
  out.key = "bench";
  out.secret = "the bench's own secret";
  out.activity_timeout = 10min;
  out.max_connections = 1'000'000;
  return out;
}

std::string channel_of(user_id user) {
  return to_string(live_channel{live_channel::audience::user, user.value});
}

/// Connects and subscribes; throws when refused.
std::unique_ptr<test::raw_websocket> listen(std::uint16_t port, const http::live::service& keys, user_id user) {
  auto socket = std::make_unique<test::raw_websocket>(port, "/app/bench?protocol=7");
  const auto first = socket->receive_json();
  if (!first.is_object())
    throw std::runtime_error{"no WebSocket"};
  const auto id = json::parse(first.at("data").get<std::string>()).at("socket_id").get<std::string>();
  const auto channel = channel_of(user);
  socket->send(json{{"event", "pusher:subscribe"}, {"data", {{"channel", channel}, {"auth", keys.sign(id, channel)}}}});
  const auto answer = socket->receive_json();
  if (!answer.is_object() || answer.value("event", "") != "pusher_internal:subscription_succeeded")
    throw std::runtime_error{"not subscribed"};
  return socket;
}

void allow_many_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

std::int64_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::int64_t total = 0;
  std::int64_t resident = 0;
  in >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

/// Idle clients in a process of their own: told the port, tells when all are
/// there, ends when the pipe closes.
class idle_clients {
public:
  /// Before any thread is started.
  explicit idle_clients(int count) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) != 0)
      throw std::runtime_error{"no socket pair"};
    pid_ = fork();
    if (pid_ != 0)
      return;
    ::close(ends_[0]);
    std::uint16_t port = 0;
    if (::read(ends_[1], &port, sizeof(port)) != sizeof(port))
      _exit(0);
    char done = 1;
    std::vector<std::unique_ptr<test::raw_websocket>> all;
    try {
      silent log;
      const http::live::service keys{key_pair(), std::make_shared<realtime_link>(), log};
      for (int i = 0; i < count; ++i)
        all.push_back(listen(port, keys, user_id::make()));
    } catch (const std::exception& e) {
      tell(e.what());
      done = 0;
    }
    if (::write(ends_[1], &done, 1) == 1)
      while (::read(ends_[1], &done, 1) > 0) {
      }
    _exit(0);
  }
  ~idle_clients() {
    ::close(ends_[0]);
    ::close(ends_[1]);
    if (pid_ > 0)
      waitpid(pid_, nullptr, 0);
  }

  void connect(std::uint16_t port) {
    ::close(std::exchange(ends_[1], -1));
    char done = 0;
    if (::write(ends_[0], &port, sizeof(port)) != sizeof(port) || ::read(ends_[0], &done, 1) != 1 || done != 1)
      throw std::runtime_error{"the idle clients did not connect"};
  }

private:
  int ends_[2] = {-1, -1};
  pid_t pid_ = -1;
};

/// Notes when each event was handed over, which is when its commit returned.
class stamped final : public live_events {
public:
  explicit stamped(realtime_link& next) : next_(next) {
  }
  void publish(live_batch batch) noexcept override {
    const auto now = clock::now();
    {
      std::lock_guard lock{mutex_};
      for (const auto& event : batch.events)
        committed_[event.id] = now;
    }
    next_.publish(std::move(batch));
  }
  std::optional<clock::time_point> take(const std::string& id) {
    std::lock_guard lock{mutex_};
    const auto i = committed_.find(id);
    if (i == committed_.end())
      return std::nullopt;
    const auto at = i->second;
    committed_.erase(i);
    return at;
  }
  std::size_t open() {
    std::lock_guard lock{mutex_};
    return committed_.size();
  }

private:
  realtime_link& next_;
  std::mutex mutex_;
  std::unordered_map<std::string, clock::time_point> committed_;
};

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty())
    return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

int measure(const options& o) {
  allow_many_files();
  idle_clients idle{o.connections};
  work_folder folder{false};
  private_postgres server{folder};
  silent log;
  if (auto done = storage::migrate(server.url(), storage::embedded_migrations(), log); !done)
    throw std::runtime_error{"migrate: " + done.error().detail};

  const auto context = std::make_shared<engine_context>();
  context->log = &log;
  context->settings.live_recheck_every = 24h;
  auto& config = *new caf::actor_system_config;
  config.set("scheduler.policy", caf::atom("sharing"));
  auto& system = *new caf::actor_system{config};
  const auto hub = spawn_realtime(system, context);
  context->realtime->connect(hub);
  const auto keys = std::make_shared<http::live::service>(key_pair(), context->realtime, log);
  const http::router table{http::websocket_routes(keys)};
  http::server_options at;
  at.port = 0;
  http::server web{at,
                   [&table](http::request req, http::server::respond respond) {
                     auto match = table.match(req.method, req.path);
                     if (!match.found || !match.found->local)
                       return respond(http::problem({errc::not_found, "no route", {}, {}}));
                     req.path_params = std::move(match.path_params);
                     respond(match.found->local(req));
                   },
                   log};
  web.start();

  stamped port{*context->realtime};
  storage::session_options session;
  session.url = server.url();
  session.live = &port;
  const storage::token_cipher tokens{std::string(32, 'k'), {}};
  const auto make_store = [&] { return storage::make_pg_store(session, tokens, log); };

  // Listeners with rows of their own.
  tell("listeners");
  const auto tenant = tenant_id::make();
  std::vector<user_id> users;
  {
    storage::session_options plain = session;
    plain.live = nullptr;
    plain.role.clear();
    storage::connection db{plain, log};
    auto seeded = db.transact("seed", [&](pqxx::work& tx) -> result<done> {
      tx.exec_params("INSERT INTO carillon.tenants (id, name, slug, type, status) VALUES ($1, 'Bench', 'bench', 'b2b_smb', 'active')",
                     to_string(tenant));
      for (int i = 0; i < o.listeners; ++i) {
        users.push_back(user_id::make());
        tx.exec_params("INSERT INTO carillon.users (id, tenant_id, email, name, status, role_in_tenant) "
                       "VALUES ($1, $2, $3, 'Listener', 'active', 'member')",
                       to_string(users.back()), to_string(tenant), to_string(users.back()) + "@bench.example");
      }
      return done{};
    });
    if (!seeded)
      throw std::runtime_error{"seed: " + seeded.error().detail};
  }
  std::vector<std::unique_ptr<test::raw_websocket>> sockets;
  for (const auto& user : users)
    sockets.push_back(listen(web.port(), *keys, user));

  tell("idle connections");
  const auto before = resident_bytes();
  const auto connecting = clock::now();
  idle.connect(web.port());
  const std::chrono::duration<double> connect_time = clock::now() - connecting;
  const auto after = resident_bytes();

  tell("events");
  std::atomic<bool> writing{true};
  std::vector<double> latencies;
  std::thread reader{[&] {
    std::vector<pollfd> all;
    for (const auto& socket : sockets)
      all.push_back({socket->handle(), POLLIN, 0});
    auto quiet_since = clock::now();
    while (writing || (port.open() > 0 && clock::now() - quiet_since < 5s)) {
      if (poll(all.data(), all.size(), 100) <= 0)
        continue;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if ((all[i].revents & POLLIN) == 0)
          continue;
        do {
          const auto frame = sockets[i]->receive();
          const auto now = clock::now();
          if (!frame || frame->opcode == 8)
            return;
          quiet_since = now;
          // Not parsed, so that the clients cost little of the machine.
          const auto id = frame->payload.find(id_member);
          if (id == std::string::npos)
            continue;
          if (const auto committed = port.take(frame->payload.substr(id + id_member.size(), 36)))
            latencies.push_back(std::chrono::duration<double, std::milli>(now - *committed).count());
        } while (sockets[i]->has_more());
      }
    }
  }};
  std::atomic<std::int64_t> sent{0};
  std::atomic<bool> failed{false};
  const auto began = clock::now();
  const auto until = began + std::chrono::seconds{o.seconds};
  std::vector<std::thread> writers;
  for (int w = 0; w < o.writers; ++w)
    writers.emplace_back([&, w] {
      const auto store = make_store();
      const auto pause = std::chrono::nanoseconds{1'000'000'000LL * o.writers / o.rate};
      auto next = began + pause * w / o.writers;
      for (std::size_t n = static_cast<std::size_t>(w); next < until; n += static_cast<std::size_t>(o.writers)) {
        std::this_thread::sleep_until(next);
        next += pause;
        new_notification message;
        message.tenant = tenant;
        message.user = users[n % users.size()];
        message.type = notification_type::post_published;
        message.title = "Post published successfully";
        message.message = "Your post \"Summer sale starts on Monday\" has been published.";
        message.action_url = "/app/w/1/posts/2/edit";
        hints wake;
        if (store->notifications().send(scope::tenant(tenant), message, wake))
          ++sent;
        else
          failed = true;
      }
    });
  for (auto& writer : writers)
    writer.join();
  const std::chrono::duration<double> took = clock::now() - began;
  writing = false;
  reader.join();
  if (failed)
    throw std::runtime_error{"a notification could not be sent"};
  std::sort(latencies.begin(), latencies.end());
  const auto lost = sent.load() - static_cast<std::int64_t>(latencies.size());
  std::printf("%s\n",
              json{{"bench", "live"},
                   {"connections", o.connections},
                   {"bytes_per_connection", o.connections > 0 ? (after - before) / o.connections : 0},
                   {"connects_per_s", rounded(o.connections / std::max(connect_time.count(), 1e-9))},
                   {"listeners", o.listeners},
                   {"events", sent.load()},
                   {"events_per_s", rounded(static_cast<double>(sent.load()) / took.count())},
                   {"lost", lost},
                   {"p50_ms", rounded(percentile(latencies, 0.5))},
                   {"p99_ms", rounded(percentile(latencies, 0.99))},
                   {"max_ms", rounded(latencies.empty() ? 0 : latencies.back())}}
                .dump()
                .c_str());
  web.stop(1s);
  return lost == 0 ? 0 : exit_lost;
}

} // namespace

} // namespace carillon::bench

int main(int argc, char** argv) {
  using namespace carillon::bench;
  options o;
  CLI::App app{"Measures live delivery: memory of idle WebSockets, and commit to client at a rate of events.\n"
               "Prints one JSON line; progress goes to standard error. Ends with 1 when an event was lost, with 2\n"
               "when it could not run. Speed never fails it."};
  app.add_option("--connections", o.connections, "Idle WebSockets")->check(CLI::Range(0, 100'000))->capture_default_str();
  app.add_option("--listeners", o.listeners, "WebSockets that get events")->check(CLI::Range(1, 1'000))->capture_default_str();
  app.add_option("--rate", o.rate, "Events a second")->check(CLI::Range(1, 100'000))->capture_default_str();
  app.add_option("--seconds", o.seconds, "How long")->check(CLI::Range(1, 600))->capture_default_str();
  app.add_option("--writers", o.writers, "Database sessions that commit")->check(CLI::Range(1, 32))->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : exit_cannot_run;
  }
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
