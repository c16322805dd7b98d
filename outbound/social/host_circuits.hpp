// Which servers are down, so that posts wait for them instead of using up
// their tries.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "domain/ports/log.hpp"
#include "domain/ports/metrics.hpp"
#include "domain/result.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

struct circuit_options {
  /// Failures in a row after which a server counts as down.
  int failures_to_open = 5;
  /// How long it is left alone; doubles with every probe that fails.
  std::chrono::milliseconds shortest{5'000};
  std::chrono::milliseconds longest{60'000};
};

/// A circuit for each scheme, host and port. Only what speaks for the server
/// as a whole opens one: no connection, no answer, a 5xx. Any answer below
/// 500, a 429 too, closes it at once, whoever asked and whatever for.
///
/// While it is open, `refusal` holds posts back; once in a while it lets one
/// through, whose end decides. Reads are never held back: a post that may
/// be public already has to be looked for. Safe from any thread.
class host_circuits {
public:
  using time_point = std::chrono::steady_clock::time_point;

  /// What is given is told of circuits that open (`host-circuit-opened`) and
  /// close (`host-circuit-closed`), and outlives this.
  explicit host_circuits(circuit_options options = {}, logger* log = nullptr, metrics* measured = nullptr)
    : options_(options), log_(log), measured_(measured) {
  }

  /// errc::cancelled with how long to wait, or nothing: the caller may call.
  /// Waits differ a little, so that not all come back at one instant. A
  /// caller that is let through as the probe has `timeout` for it; then another
  /// is.
  std::optional<failure> refusal(const std::string& url, std::chrono::milliseconds timeout,
                                 time_point now = std::chrono::steady_clock::now());

  /// The same without letting anyone through as the probe: to be asked before
  /// anything is spent on a call.
  std::optional<failure> standing_refusal(const std::string& url, time_point now = std::chrono::steady_clock::now());

  /// What a call at `url` came to. Calls that never left this machine (no turn
  /// in time, an address that is refused) say nothing of the server.
  void learn(const std::string& url, const http_response& response,
             time_point now = std::chrono::steady_clock::now());

private:
  struct circuit {
    int failures = 0;
    bool is_open = false;
    std::chrono::milliseconds wait{0};
    time_point open_until{};
    time_point opened_at{};
    std::optional<time_point> probe_ends{};
    std::size_t refused = 0;
  };
  static constexpr std::size_t most_hosts = 10'000;

  std::optional<failure> hold_back(circuit& c, time_point now) const;
  void fail(const std::string& host, time_point now);
  void close(const std::string& host, time_point now);
  void note(bool opened, const std::string& host, std::chrono::milliseconds time) const noexcept;

  const circuit_options options_;
  logger* const log_;
  metrics* const measured_;
  std::mutex mutex_;
  /// Those that have failed since they last answered.
  std::map<std::string, circuit> by_host_;
};

/// The gateways' way out: http_client whose every answer teaches the circuits.
class social_http {
public:
  /// Both outlive it and its calls. What sends a file goes through `uploads`,
  /// which is to have a loop of its own: files may lie on a disk that hangs.
  social_http(http_client& http, std::shared_ptr<host_circuits> circuits, http_client* uploads = nullptr)
    : http_(&http), uploads_(uploads), circuits_(std::move(circuits)) {
  }

  /// `done` runs on loop()'s thread, at the latest when the request's time is
  /// over.
  void send(http_request request, http_client::callback done) const;

  curl_loop& loop() const noexcept {
    return http_->loop();
  }
  host_circuits& circuits() const noexcept {
    return *circuits_;
  }

private:
  void send_file(http_request request, http_client::callback done) const;

  http_client* http_;
  http_client* uploads_;
  std::shared_ptr<host_circuits> circuits_;
};

} // namespace carillon::outbound
