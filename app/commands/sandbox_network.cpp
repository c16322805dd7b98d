#include <csignal>
#include <iostream>
#include <memory>

#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"
#include "app/log.hpp"
#include "domain/clock.hpp"
#include "http/sandbox/service.hpp"

namespace carillon::app {

namespace {

struct sandbox_options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8090;
  std::string data;
};

/// Every caller that is made to wait holds a connection.
void raise_open_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

std::string url_of(const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

void greet(const std::string& url, const sandbox_options& options) {
  std::cout << "Carillon's sandbox network. Nothing here is public: it lives in this process only.\n\n"
            << "  Timeline     " << url << "/\n"
            << "  Misbehave    POST " << url << "/sandbox/faults, or on the page\n"
            << "  Posts        "
            << (options.data.empty() ? "in memory; --data FILE keeps them" : "kept in " + options.data)
            << "\n\nCtrl-C ends it." << std::endl;
}

int run_sandbox_network(const sandbox_options& options) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  raise_open_files();

  stderr_log log{{log_level::info, config::log_format::text, {}}};
  const system_clock clock;
  try {
    http::sandbox::service network{{options.data}, clock, log};
    auto server_options = http::sandbox::make_server_options();
    server_options.address = options.address;
    server_options.port = options.port;
    http::server server{server_options, network.dispatcher(), log};
    server.start();
    greet(url_of(options.address, server.port()), options);
    int signal = 0;
    sigwait(&ending, &signal);
    server.stop(std::chrono::milliseconds{200});
  } catch (const std::system_error& e) {
    std::cerr << "carillon: the sandbox network cannot start: " << e.what() << '\n';
    if (e.code() == std::errc::address_in_use)
      std::cerr << "Another program has the port: choose another with --port, or --port 0 for any free one.\n";
    return exit_failure;
  }
  std::cout << "The sandbox network has ended." << std::endl;
  return exit_ok;
}

} // namespace

void add_sandbox_network_command(CLI::App& app, chosen_command& chosen) {
  auto options = std::make_shared<sandbox_options>();
  auto* command = app.add_subcommand("sandbox-network",
                                     "Run a small social network of our own, for demos and tests");
  command->add_option("--port", options->port, "Where it listens; 0 for any free one")->capture_default_str();
  command->add_option("--address", options->address,
                      "Where it listens; whoever reaches it can post and make it misbehave")
    ->type_name("IP")
    ->capture_default_str();
  command->add_option("--data", options->data, "Keep the posts here, one JSON object a line")
    ->type_name("FILE");
  command->footer(
    "It speaks the part of Mastodon's API that Carillon needs, shows its timeline as a\n"
    "web page, counts every post, and misbehaves on request. The token sandbox-NAME\n"
    "speaks for the account NAME; accounts are made at their first use.\n\n"
    "Examples:\n"
    "  carillon sandbox-network\n"
    "  carillon sandbox-network --port 0 --data timeline.jsonl\n\n"
    "  # post something\n"
    "  curl -H 'Authorization: Bearer sandbox-acme' --data-urlencode status='Hello!' http://127.0.0.1:8090/api/v1/statuses\n"
    "  # from now on: slow, a fifth is throttled, a tenth accepted and never answered\n"
    "  curl -d '{\"latency_ms\":300,\"rate_429\":0.2,\"retry_after\":5,\"accept_then_drop\":0.1}' http://127.0.0.1:8090/sandbox/faults\n"
    "  # well again\n"
    "  curl -X DELETE http://127.0.0.1:8090/sandbox/faults\n"
    "  # what it has accepted, and how often the same twice\n"
    "  curl http://127.0.0.1:8090/sandbox/posts\n"
    "  curl http://127.0.0.1:8090/sandbox/stats\n");
  command->callback([&chosen, options] {
    chosen.reads_configuration = false;
    chosen.run = [options](const command_input&) { return run_sandbox_network(*options); };
  });
}

} // namespace carillon::app
