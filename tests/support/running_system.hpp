// The real thing: `carillon serve` and `carillon sandbox-network` as
// processes, on ports of their own.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/web_client.hpp"

namespace carillon::test {

class sandbox_network {
public:
  explicit sandbox_network(const std::filesystem::path& folder);

  const std::string& url() const noexcept {
    return url_;
  }
  /// Sets misbehaviour (POST /sandbox/faults).
  void misbehave(const nlohmann::json& faults);
  /// Kills it; its port refuses until `start` brings an empty one back there.
  void stop();
  void start();
  /// Every post it has accepted, visible yet or not.
  nlohmann::json posts() const;
  /// Posts by their text.
  std::map<std::string, int> counts() const;

private:
  void start_at(const std::string& port);

  std::filesystem::path folder_;
  std::unique_ptr<process> process_;
  std::string url_;
};

class carillon_node {
public:
  using environment = std::map<std::string, std::string>;

  /// Starts and waits until it is ready; `settings` win over the defaults of
  /// tests (short leases and delays, free ports, mail as files).
  carillon_node(const std::string& database_url, const std::filesystem::path& folder,
                const environment& settings = {});

  process& self() {
    return *process_;
  }
  /// Without a token.
  web_client web() const {
    return web_client{url_};
  }
  web_client internal() const {
    return web_client{internal_url_};
  }
  /// Logged in; fails the test when refused.
  web_client login(const std::string& email, const std::string& password) const;

  static environment defaults(const std::string& database_url, const std::filesystem::path& folder);

private:
  std::unique_ptr<process> process_;
  std::string url_;
  std::string internal_url_;
};

/// The program under test.
std::string carillon_binary();

/// Runs a short command of it; fails the test when it fails. What it printed.
std::string run_carillon(const std::vector<std::string>& arguments,
                         const carillon_node::environment& settings,
                         const std::filesystem::path& folder);

} // namespace carillon::test
