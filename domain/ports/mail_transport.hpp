// The one way to a mailbox. Implementations live in outbound/delivery/mail/.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "domain/instant.hpp"
#include "domain/result.hpp"

namespace carillon {

struct mail_message {
  std::string message_id; ///< Without angle brackets; stable across retries.
  std::string from_address;
  std::string from_name;
  std::string to_address;
  std::string to_name;
  std::string subject;
  std::string text_body;
  std::string html_body;
  instant date{};
};

class mail_transport {
public:
  using callback = std::function<void(result<done>)>;

  virtual ~mail_transport() = default;

  /// Failures: transient (no connection, 4xx), permanent (5xx, the address
  /// or message is refused), outcome_unknown (connection lost after DATA).
  /// The callback runs on the outbound thread, exactly once.
  virtual void send(mail_message message, callback done) = 0;
};

/// Everything a notification mail shows.
struct notification_mail {
  std::string recipient_name;
  std::string recipient_address;
  std::string notification_id;
  std::string title;
  std::string message;
  std::string action_url; ///< Absolute, or empty for no button.
  bool urgent = false;
  instant date{};
};

/// Turns a notification into a mail with the templates of
/// config/templates/mail. Pure but for reading templates at construction.
class mail_renderer {
public:
  virtual ~mail_renderer() = default;
  virtual mail_message render(const notification_mail& mail) const = 0;
};

} // namespace carillon
