#include "tests/support/running_system.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace carillon::test {

namespace {

std::filesystem::path next_log(const std::filesystem::path& folder, const std::string& name) {
  static std::atomic<int> count{0};
  return folder / (name + "-" + std::to_string(++count) + ".log");
}

/// The field of the log line of event "ready".
std::string ready_field(const std::string& log, const std::string& field) {
  std::istringstream lines{log};
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_object() && event.value("event", "") == "ready")
      return event.value(field, "");
  }
  return {};
}

} // namespace

std::string carillon_binary() {
  return std::string{CARILLON_BINARY_DIR} + "/app/carillon";
}

sandbox_network::sandbox_network(const std::filesystem::path& folder) : folder_(folder) {
  start_at("0");
}

void sandbox_network::stop() {
  process_->signal(SIGKILL);
  process_->wait();
}

void sandbox_network::start() {
  start_at(url_.substr(url_.rfind(':') + 1));
}

void sandbox_network::start_at(const std::string& port) {
  process_ = std::make_unique<process>(
    std::vector<std::string>{carillon_binary(), "sandbox-network", "--port", port},
    std::map<std::string, std::string>{}, next_log(folder_, "sandbox"));
  const bool up = eventually([this] {
    const auto output = process_->output();
    const auto begin = output.find("http://");
    if (begin == std::string::npos)
      return false;
    const auto end = output.find_first_of(" \n/", begin + 7);
    if (end == std::string::npos)
      return false;
    url_ = output.substr(begin, end - begin);
    return web_client{url_}.get("/sandbox/stats").status == 200;
  });
  if (!up)
    throw std::runtime_error{"the sandbox network did not start: " + process_->output()};
}

void sandbox_network::misbehave(const nlohmann::json& faults) {
  const auto answer = web_client{url_}.post("/sandbox/faults", faults);
  EXPECT_EQ(answer.status, 200) << answer.body;
}

nlohmann::json sandbox_network::posts() const {
  auto answer = web_client{url_}.get("/sandbox/posts").json();
  if (answer.is_object() && answer.contains("posts"))
    return answer["posts"];
  return answer;
}

std::map<std::string, int> sandbox_network::counts() const {
  std::map<std::string, int> out;
  for (const auto& post : posts())
    ++out[post.at("text").get<std::string>()];
  return out;
}

carillon_node::environment carillon_node::defaults(const std::string& database_url,
                                                   const std::filesystem::path& folder) {
  return {{"CARILLON_CONFIG", std::string{CARILLON_SOURCE_DIR} + "/config/carillon.toml"},
          {"CARILLON_DATABASE__URL", database_url},
          {"CARILLON_HTTP__PORT", "0"},
          {"CARILLON_MEDIA__DIRECTORY", (folder / "media").string()},
          {"CARILLON_INTERNAL__PORT", "0"},
          {"CARILLON_HTTP__AUTH_RATE_LIMIT_PER_MINUTE", "0"},
          {"CARILLON_AUTH__BCRYPT_COST", "4"},
          {"CARILLON_SECRETS__TOKEN_KEY", "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b"},
          {"CARILLON_MAIL__TRANSPORT", "file"},
          {"CARILLON_MAIL__DIRECTORY", (folder / "mail").string()},
          {"CARILLON_OWNERSHIP__LEASE", "3s"},
          {"CARILLON_PUBLISHING__PRIVATE_NETWORKS", "127.0.0.0/8"},
          {"CARILLON_PUBLISHING__REQUEST_TIMEOUT", "2s"},
          {"CARILLON_PUBLISHING__VISIBILITY_DELAY", "3s"},
          {"CARILLON_PUBLISHING__RETRY_DELAYS", "1s, 1s, 1s"},
          {"CARILLON_LOG__FORMAT", "json"}};
}

carillon_node::carillon_node(const std::string& database_url, const std::filesystem::path& folder,
                             const environment& settings) {
  auto all = settings;
  for (const auto& [key, value] : defaults(database_url, folder))
    all.emplace(key, value);
  process_ = std::make_unique<process>(std::vector<std::string>{carillon_binary(), "serve"}, all,
                                       next_log(folder, "serve"));
  const bool up = eventually([this] {
    url_ = ready_field(process_->output(), "http");
    return !url_.empty() || !process_->is_running();
  });
  internal_url_ = ready_field(process_->output(), "internal");
  if (!up || url_.empty())
    throw std::runtime_error{"carillon did not start: " + process_->output()};
}

web_client carillon_node::login(const std::string& email, const std::string& password) const {
  const auto answer = web().post("/api/v1/auth/login", {{"email", email}, {"password", password}});
  EXPECT_EQ(answer.status, 200) << answer.body;
  return web_client{url_, answer.json().at("data").at("token").get<std::string>()};
}

std::string run_carillon(const std::vector<std::string>& arguments,
                         const carillon_node::environment& settings,
                         const std::filesystem::path& folder) {
  std::vector<std::string> command{carillon_binary()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  process run{command, settings, next_log(folder, "command")};
  const auto status = run.wait();
  EXPECT_TRUE(status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << run.output();
  return run.output();
}

} // namespace carillon::test
