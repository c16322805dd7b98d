// The one way to a browser that is closed. Implementations live in
// outbound/delivery/web_push/.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "domain/result.hpp"

namespace carillon {

/// Where a browser listens, and the keys that only it can read with. Bytes,
/// not base64.
struct push_address {
  std::string endpoint;
  std::string p256dh; ///< Uncompressed point on P-256, 65 bytes.
  std::string auth;   ///< 16 bytes.
};

struct push_message {
  /// Stable across retries: a push service keeps the newest of one topic.
  std::string notification_id;
  std::string type;
  std::string title;
  std::string message; ///< Cut by the gateway as far as needed.
  std::string action_url;
  bool urgent = false;
};

class push_gateway {
public:
  using callback = std::function<void(result<done>)>;

  virtual ~push_gateway() = default;

  /// Success: the push service has taken it. Failures: not_found (the
  /// subscription has ended), throttled and transient (retry_after where it
  /// was said), outcome_unknown (sent, no answer), invalid_argument (address
  /// or keys cannot work), forbidden (a private address), permanent (refused).
  /// Safe from any thread; the callback runs on the outbound thread, exactly
  /// once.
  virtual void send(push_address to, push_message what, callback done) = 0;
};

} // namespace carillon
