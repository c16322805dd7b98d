#include "tests/bench/engine.hpp"

#include "actors/database.hpp"
#include "actors/engine_context.hpp"
#include "actors/node/node.hpp"
#include "storage/listener.hpp"
#include "storage/pg_store.hpp"
#include "tests/bench/workplace.hpp"

namespace carillon::bench {

namespace {

class caf_settings final : public caf::actor_system_config {
public:
  explicit caf_settings(const engine_options& o) {
    this->set("scheduler.max-threads", config::caf_settings{.worker_threads = o.threads}.threads());
    this->set("scheduler.policy", o.stealing ? caf::atom("stealing") : caf::atom("sharing"));
    add_message_types<caf::id_block::carillon>();
  }
};

class told_warnings final : public logger {
public:
  void write(log_level level, std::string_view event, std::initializer_list<log_field> fields) noexcept override {
    if (level < log_level::warn)
      return;
    std::string line{event};
    for (const auto& field : fields)
      line.append(" ").append(field.key).append("=").append(field.value);
    tell(line);
  }
};

} // namespace

struct engine::parts {
  explicit parts(const engine_options& o)
    : settings(o), system(*new caf::actor_system{settings}), context(std::make_shared<engine_context>()) {
  }

  caf_settings settings;
  caf::actor_system& system;
  engine_context_ptr context;
  node_actor node;
  std::unique_ptr<storage::listener> notifications;
};

logger& warnings() {
  static told_warnings log;
  return log;
}

std::vector<workspace_id> make_workspaces(int count) {
  std::vector<workspace_id> out;
  for (int i = 0; i < count; ++i) {
    auto id = workspace_id::make();
    id.value.bytes[15] = static_cast<std::uint8_t>(i % shard_count);
    out.push_back(id);
  }
  return out;
}

engine::engine(const engine_options& o, const std::string& url, const std::string& name, job_handlers handlers,
               logger& log)
  : parts_(std::make_unique<parts>(o)) {
  auto& context = *parts_->context;
  const auto pool = [&](const char* pool_name, int workers) {
    storage::session_options session;
    session.url = url;
    session.application_name = name + "-" + pool_name;
    return spawn_database(parts_->system,
                          {pool_name, static_cast<std::size_t>(workers), config::database_settings{}.queue_limit,
                           [session, &log] {
                             static const storage::token_cipher tokens{std::string(32, 'k')};
                             return storage::make_pg_store(session, tokens, log);
                           },
                           &log});
  };
  context.settings.node = name;
  context.settings.batch_size = o.batch_size;
  context.settings.conclude_linger = std::chrono::milliseconds{o.linger_ms};
  context.hot.jobs_max_in_flight = o.max_in_flight;
  context.log = &log;
  context.databases = {pool("interactive", 1), pool("background", o.background_connections), pool("control", 1)};
  context.handlers = built_in_handlers();
  for (auto& [kind, handler] : handlers)
    context.handlers[kind] = std::move(handler);
  parts_->node = spawn_node(parts_->system, parts_->context, std::chrono::seconds{20});
  storage::session_options session;
  session.url = url;
  session.application_name = name + "-listen";
  parts_->notifications = std::make_unique<storage::listener>(
    session, name,
    [node = parts_->node](std::string payload) { caf::anon_send(node, atom::hint_v, std::move(payload)); },
    [node = parts_->node] { caf::anon_send(node, atom::sweep_v); }, log);
}

engine::~engine() = default;

job_intake* engine::intake() {
  return parts_->context->intake.get();
}

void engine::hint_at(const hint& h) {
  caf::anon_send(parts_->node, atom::hint_v, h);
}

void engine::stop() {
  auto& p = *parts_;
  caf::scoped_actor self{p.system};
  self->request(p.node, std::chrono::seconds{30}, atom::stop_v)
    .receive([](atom::done) {}, [&](caf::error& error) { throw std::runtime_error{p.system.render(error)}; });
  p.notifications.reset();
  caf::anon_send_exit(p.node, caf::exit_reason::user_shutdown);
  p.node = nullptr;
  auto& pools = p.context->databases;
  for (auto* pool : {&pools.interactive, &pools.background, &pools.control})
    caf::anon_send_exit(*pool, caf::exit_reason::user_shutdown);
  pools = {};
}

} // namespace carillon::bench
