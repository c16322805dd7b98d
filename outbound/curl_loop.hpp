// One thread, one curl_multi handle: every call to the outside world that
// speaks a protocol libcurl knows runs on such a loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <curl/curl.h>

#include "domain/result.hpp"

namespace carillon::outbound {

struct curl_loop_options {
  /// Transfers that have not ended; one more is refused.
  std::size_t max_unfinished = 10'000;
  std::size_t max_running = 128;
  /// Per scheme, host and port; the others wait in turn.
  std::size_t max_running_per_host = 16;
  std::size_t max_idle_connections = 64;
};

/// How a transfer ended.
struct transfer_report {
  enum class end {
    completed, ///< libcurl says CURLE_OK.
    failed,    ///< libcurl says `code`.
    rejected,  ///< `transfer::prepare` failed; nothing was tried.
    refused,   ///< Too many unfinished transfers, no memory, or the loop stops.
    expired,   ///< The deadline passed while it waited for its turn.
    cancelled, ///< `cancel` or `stop`.
  };
  end how = end::failed;
  CURLcode code = CURLE_OK;
  /// A connection stood and libcurl was about to send the request itself.
  /// While this is false the peer has certainly not seen the request.
  bool started = false;
  std::string detail;
  /// For curl_easy_getinfo; null unless the transfer ran.
  CURL* easy = nullptr;
};

/// One transfer. All functions but the constructor run on the loop's thread.
class transfer {
public:
  using time_point = std::chrono::steady_clock::time_point;

  virtual ~transfer() = default;

  /// Scheme, host and port: what shares a concurrency limit.
  virtual const std::string& host_key() const noexcept = 0;

  /// Everything, waiting for a turn included, ends by then.
  virtual time_point deadline() const noexcept = 0;

  /// True when a second try by libcurl itself must be prevented. libcurl
  /// sends a request again, also a POST, when a reused connection dies before
  /// the first byte of the answer; such a transfer gets a connection of its
  /// own and a second start is aborted.
  virtual bool send_once() const noexcept = 0;

  /// Sets the protocol's options. Time-out, signal, proxy, error-buffer and
  /// private-pointer options belong to the loop.
  virtual result<done> prepare(CURL* easy) = 0;

  /// Called exactly once.
  virtual void finish(const transfer_report& report) = 0;
};

/// Owns its thread. Safe from any thread but for `stop` and the destructor,
/// which must not run on the loop's own thread.
class curl_loop {
public:
  using ticket = std::uint64_t;

  explicit curl_loop(curl_loop_options options = {});
  ~curl_loop();

  curl_loop(const curl_loop&) = delete;
  curl_loop& operator=(const curl_loop&) = delete;

  /// Queues a transfer. Once `stop` began, `finish` runs before this returns.
  ticket start(std::unique_ptr<transfer> what);

  /// Ends a transfer as cancelled; nothing happens when it has ended.
  void cancel(ticket id);

  /// Runs `task(true)` on the loop's thread after `delay`, or `task(false)`
  /// when the loop stops first. Exactly once.
  void after(std::chrono::milliseconds delay, std::function<void(bool)> task);

  /// Fails everything that has not ended and joins the thread. Idempotent.
  void stop();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon::outbound
