// The one way to a mailbox. Implementations live in outbound/delivery/mail/.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

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
  /// Where one click ends this kind of mail (RFC 8058); empty for none.
  std::string unsubscribe_url{};
};

class mail_transport {
public:
  using callback = std::function<void(result<done>)>;

  virtual ~mail_transport() = default;

  /// Failures: transient (no connection, 4xx), permanent (5xx, the address
  /// or message is refused; with the field `to_address` when it is the
  /// recipient that the server does not want), outcome_unknown (connection
  /// lost after DATA).
  /// The callback runs on the outbound thread, exactly once.
  virtual void send(mail_message message, callback done) = 0;
};

/// One of several notifications in a mail.
struct digest_entry {
  std::string title;
  std::string message;
  std::string action_url; ///< Absolute, or empty for no link.
  bool urgent = false;
  instant date{};
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
  std::string type{};            ///< Names the block that shows it.
  std::string language{};        ///< As in `en` or `pt-BR`; English else.
  std::string unsubscribe_url{}; ///< Absolute, or empty for none.
  // Of a digest, whose id is notification_id and whose type is `digest`.
  std::vector<digest_entry> entries{};
  std::int64_t entry_count = 0; ///< Also of those that are not shown.
  std::string category{};
};

/// Turns a notification or a digest into a mail with the templates of
/// config/templates. Pure but for reading templates at construction.
class mail_renderer {
public:
  virtual ~mail_renderer() = default;
  virtual mail_message render(const notification_mail& mail) const = 0;
};

} // namespace carillon
