// The one way to a phone. Implementations live in outbound/delivery/sms/.
#pragma once

#include <functional>
#include <string>

#include "domain/result.hpp"

namespace carillon {

struct sms_message {
  std::string to; ///< E.164.
  std::string text;
  /// Stable across retries; for providers that take a reference.
  std::string notification_id;
};

class sms_gateway {
public:
  /// The provider's id of the message; empty when it gave none.
  using callback = std::function<void(result<std::string>)>;

  virtual ~sms_gateway() = default;

  /// Failures: throttled and transient (certainly not sent; retry_after where
  /// it was said), outcome_unknown (it may have been sent: a text is not sent
  /// twice), invalid_argument (no E.164 number), permanent (refused). Safe
  /// from any thread; the callback runs on the outbound thread, exactly once.
  virtual void send(sms_message message, callback done) = 0;
};

} // namespace carillon
