// A node of the chaos test: the engine without HTTP, with one kind of job
// whose handler writes a row of chaos_effects through the public handler API,
// and where its payload says so enqueues another job in the same transaction.
//
//   chaos_node URL NAME
//
// Prints `ready`, runs until it is killed.

#include <csignal>
#include <cstdio>
#include <iostream>

#include <caf/all.hpp>

#include "actors/database.hpp"
#include "actors/engine_context.hpp"
#include "actors/node/node.hpp"
#include "app/log.hpp"
#include "storage/job_writer.hpp"
#include "storage/listener.hpp"
#include "storage/pg_store.hpp"

namespace carillon {

namespace {

constexpr auto kind = "chaos_effect";

job_outcome write_effect(store& db, const node_identity& me, const job& work) {
  const auto done_so = storage::run_effect(db, me, work, [&](pqxx::work& tx) -> result<done> {
    tx.exec_params("INSERT INTO carillon.chaos_effects (job_id, incarnation) VALUES ($1, $2)", to_string(work.id),
                   me.incarnation);
    if (work.payload.find("\"follow\"") != std::string::npos) {
      new_job next;
      next.kind = kind;
      next.tenant = work.tenant;
      next.workspace = work.workspace;
      next.payload = R"({"v":1})";
      storage::insert_job_to_run(tx, next);
    }
    return done{};
  });
  if (done_so || done_so.error().code == errc::cancelled)
    return {job_report::kind::concluded, {}, {}};
  // Trouble with the database is nobody's failed attempt.
  return {job_report::kind::postponed, done_so.error().detail, std::chrono::milliseconds{200}};
}

class caf_settings final : public caf::actor_system_config {
public:
  caf_settings() {
    add_message_types<caf::id_block::carillon>();
  }
};

int run(const std::string& url, const std::string& name) {
  add_job_policy({.kind = kind, .max_attempts = 10, .timeout = std::chrono::seconds{10}});
  app::stderr_log log{{log_level::info, config::log_format::text, {}}};
  const storage::token_cipher tokens{std::string(32, 'k')};
  caf_settings settings;
  auto& system = *new caf::actor_system{settings};
  auto context = std::make_shared<engine_context>();
  context->settings.node = name;
  context->settings.lease = std::chrono::seconds{3};
  context->settings.renew_every = std::chrono::milliseconds{700};
  context->settings.database_timeout = std::chrono::seconds{5};
  context->log = &log;
  context->handlers[kind] = database_handler{write_effect};
  storage::session_options session;
  session.url = url;
  session.application_name = name;
  session.statement_timeout = std::chrono::seconds{5};
  session.idle_in_transaction_timeout = std::chrono::seconds{3};
  session.intake = context->intake.get();
  const auto pool = [&](const char* pool_name, std::size_t workers) {
    return spawn_database(system, {pool_name, workers, 10'000,
                                   [session, &tokens, &log] { return storage::make_pg_store(session, tokens, log); },
                                   &log});
  };
  context->databases = {pool("interactive", 1), pool("background", 4), pool("control", 1)};
  auto node = spawn_node(system, context, std::chrono::seconds{10});
  storage::listener notifications{
    session, name, [node](std::string payload) { caf::anon_send(node, atom::hint_v, std::move(payload)); },
    [node] { caf::anon_send(node, atom::sweep_v); }, log};
  std::cout << "ready" << std::endl;
  ::pause();
  std::_Exit(0);
}

} // namespace

} // namespace carillon

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: chaos_node URL NAME\n";
    return 2;
  }
  return carillon::run(argv[1], argv[2]);
}
