// Another node of the cluster, without HTTP, that receives an item for an
// inbox as an inbox syncer does: the row and the note of it in one
// transaction, told to the other nodes after its commit.
//
//   inbox_neighbour URL SECRET TENANT WORKSPACE ACCOUNT
//
// Prints `ready`; receives one at each SIGUSR1, and runs until it is killed.

#include <csignal>
#include <cstdlib>
#include <iostream>

#include <caf/all.hpp>

#include "actors/database.hpp"
#include "actors/engine_context.hpp"
#include "actors/node/node.hpp"
#include "actors/realtime/peer_network.hpp"
#include "app/log.hpp"
#include "http/live/service.hpp"
#include "storage/pg_store.hpp"

namespace carillon {

namespace {

constexpr auto insert_item = R"sql(
  INSERT INTO carillon.inbox_items (id, tenant_id, workspace_id, social_account_id, item_type, platform_item_id,
                                    author_name, content_text, platform_created_at)
  VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, 'comment', $1, 'Ann', $5, now()) RETURNING created_at
)sql";

class neighbour_config final : public caf::actor_system_config {
public:
  neighbour_config() {
    add_message_types<caf::id_block::carillon>();
    load_peer_network(*this);
  }
};

result<done> receive(storage::connection& db, const std::string& tenant, workspace_id workspace,
                     const std::string& account) {
  return db.transact("receive-item", [&](pqxx::work& tx) -> result<done> {
    storage::received_item item{make_uuid_v7(), workspace, "mastodon", "comment", "Ann",
                                "What a \"lovely\" picture \xF0\x9F\x8E\x89" + std::string(200, '.'), {}};
    item.created_at = storage::read_instant(tx.exec_params(insert_item, to_string(item.id), tenant,
                                                           to_string(workspace), account, item.content)[0][0]);
    storage::note_inbox_item(item);
    return done{};
  });
}

int run(const std::string& url, const std::string& secret, const std::string& tenant, const std::string& workspace,
        const std::string& account) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  app::stderr_log log{{log_level::info, config::log_format::text, {}}};
  const storage::token_cipher tokens{std::string(32, 'k')};
  neighbour_config settings;
  auto& system = *new caf::actor_system{settings};
  auto context = std::make_shared<engine_context>();
  context->settings.node = "neighbour";
  context->settings.lease = std::chrono::seconds{3};
  context->settings.renew_every = std::chrono::milliseconds{700};
  context->settings.cluster = {true, "carillon", "127.0.0.1", 0, {}};
  context->cluster_proof = [secret](std::string_view text) { return http::live::keyed_hash(secret, text); };
  context->log = &log;
  storage::session_options session;
  session.url = url;
  session.live = context->realtime.get();
  const auto pool = [&](const char* name) {
    return spawn_database(system, {name, 1, 1'000,
                                   [session, &tokens, &log] { return storage::make_pg_store(session, tokens, log); },
                                   &log});
  };
  context->databases = {pool("interactive"), pool("background"), pool("control")};
  const auto node = spawn_node(system, context, std::chrono::seconds{10});
  storage::connection db{session, log};
  std::cout << "ready" << std::endl;
  for (int signal = 0; sigwait(&signals, &signal) == 0;)
    if (auto received = receive(db, tenant, *workspace_id::parse(workspace), account); !received)
      std::cerr << "not received: " << received.error().detail << std::endl;
  std::_Exit(1);
}

} // namespace

} // namespace carillon

int main(int argc, char** argv) {
  if (argc != 6 || !carillon::workspace_id::parse(argv[4])) {
    std::cerr << "usage: inbox_neighbour URL SECRET TENANT WORKSPACE ACCOUNT\n";
    return 2;
  }
  return carillon::run(argv[1], argv[2], argv[3], argv[4], argv[5]);
}
