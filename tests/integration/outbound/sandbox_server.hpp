// The sandbox network behind a port of this process, with time that stands
// still.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "http/sandbox/service.hpp"
#include "outbound/http_client.hpp"
#include "tests/integration/outbound/waiting.hpp"
#include "tests/unit/http/manual_clock.hpp"
#include "tests/unit/http/recording_logger.hpp"

namespace carillon::test {

class sandbox_server {
public:
  /// `http` is for the operator's calls. Both outlive the server.
  sandbox_server(outbound::http_client& http, const clock_port& clock) : http_(http), network_{{}, clock, log_} {
    auto options = http::sandbox::make_server_options();
    options.port = 0;
    server_ = std::make_unique<http::server>(options, network_.dispatcher(), log_);
    server_->start();
  }

  /// Callers are to have stopped: a call that hangs holds its connection.
  ~sandbox_server() {
    server_->stop(std::chrono::milliseconds{0});
  }

  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_->port());
  }

  nlohmann::json call(const std::string& method, const std::string& path, const nlohmann::json& body = {}) {
    outbound::http_request q;
    q.method = method;
    q.url = url() + path;
    if (!body.is_null()) {
      q.body = body.dump();
      q.headers = {{"Content-Type", "application/json"}};
    }
    const auto r = wait_for<outbound::http_response>([&](auto done) { http_.send(q, done); });
    EXPECT_EQ(r.status, 200) << r.body;
    return nlohmann::json::parse(r.body, nullptr, false);
  }

  void misbehave(const nlohmann::json& faults) {
    call("POST", "/sandbox/faults", faults);
  }

  /// Ever accepted, seen or not.
  int accepted() {
    return call("GET", "/sandbox/stats")["posts"].get<int>();
  }

  /// Oldest first.
  nlohmann::json posts() {
    return call("GET", "/sandbox/posts")["posts"];
  }

private:
  outbound::http_client& http_;
  recording_logger log_;
  http::sandbox::service network_;
  std::unique_ptr<http::server> server_;
};

} // namespace carillon::test
