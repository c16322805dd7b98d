// How the sandbox network misbehaves, and which call is hit. Pure: random
// numbers come from a seed, so that a run can be repeated.
#pragma once

#include "domain/result.hpp"
#include "http/route.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace carillon::http::sandbox {

/// What POST /sandbox/faults sets. Rates are probabilities from 0 to 1, each
/// rolled by itself for one publish call, in the order in which they stand
/// here; the first that hits is what happens.
struct faults {
  /// Of every call of the API: half before it takes effect, half after.
  std::chrono::milliseconds latency{0};

  // Nothing is stored.
  double rate_429 = 0;
  double rate_5xx = 0;
  double drop_before_accept = 0; ///< The connection dies.

  // The post is stored, and its answer is lost.
  double accept_then_drop = 0; ///< The connection dies.
  double accept_then_hang = 0; ///< Silence, then the connection dies.
  double accept_then_5xx = 0;  ///< A proxy's error page hides the answer.

  std::chrono::seconds retry_after{1}; ///< What a 429 asks for.
  int status_5xx = 0;                  ///< 0: any of 500, 502, 503, 504.
  bool error_html = false;             ///< 5xx with a page instead of JSON.
  std::chrono::milliseconds hang{60'000};

  /// How long a post is stored and shown nowhere.
  std::chrono::milliseconds visibility_delay{0};
  /// How long an uploaded file answers "still processing".
  std::chrono::milliseconds media_processing{0};
  bool ignore_idempotency_keys = false;

  /// Only the next so many publish calls; 0: all of them.
  std::uint64_t times = 0;
  /// Only calls of these accounts; none: of all of them.
  std::vector<std::string> accounts;
  std::uint64_t seed = 1;
};

/// What is left out is off. errc::invalid_argument names every unknown key and
/// every value of the wrong type or out of range.
result<faults> parse_faults(const json& body);

json to_json(const faults& f);

enum class blow : std::uint8_t {
  none,
  too_many_requests,
  server_error,
  dropped_before_accept,
  dropped,
  hung,
  hidden_by_server_error,
};

/// `rate_429`, `accept_then_drop` …: the name of the fault that deals it.
std::string_view to_string(blow b) noexcept;

/// What happens to one call, decided when it arrives.
struct fate {
  blow hit = blow::none;
  int status = 500; ///< Of a 5xx.
  bool html = false;
  std::chrono::milliseconds latency{0};
  std::chrono::seconds retry_after{1};
  std::chrono::milliseconds hang{0};
  std::chrono::milliseconds visibility_delay{0};
  std::chrono::milliseconds media_processing{0};
  bool ignore_idempotency_keys = false;
};

/// The faults in force and their dice. Single-threaded.
class misbehaviour {
public:
  /// Starts the random numbers and the count of calls afresh.
  void set(faults f);

  const faults& settings() const noexcept {
    return faults_;
  }
  /// Publish calls that are still to be hit; nothing when there is no end.
  std::optional<std::uint64_t> times_left() const noexcept;

  /// Of a publish call; counts it.
  fate roll_publish(std::string_view account);

  /// Of any other call: it is slow, but comes to no harm.
  fate roll_other(std::string_view account) const;

private:
  bool strikes(std::string_view account) const;
  double roll();

  faults faults_;
  std::mt19937_64 random_{1};
  std::uint64_t calls_ = 0;
};

} // namespace carillon::http::sandbox
