// What the e-mail job needs to know about a notification, and what it does
// with it (contract §4.2, SendNotificationEmail).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/delivery_decision.hpp"
#include "domain/notification.hpp"

namespace carillon {

struct notification_email {
  notification item;
  std::string recipient_name;
  std::string recipient_address; ///< Empty: the user is gone.
  std::string language;          ///< Of the user, as in `en`.
  delivery_facts facts;          ///< As they are now.
};

enum class email_step : std::uint8_t {
  send,
  already_sent, ///< Nothing to do, nothing to write.
  skip,         ///< Record as skipped.
  defer,        ///< Not before `until`: quiet hours have begun meanwhile.
  fail,         ///< Record as failed; trying again cannot help.
};

struct email_decision {
  email_step step = email_step::send;
  std::string reason;           ///< For skip, defer and fail.
  std::optional<instant> until; ///< For defer.
};

/// Total and pure. The row's channel is no gate (contract §4.2, [BUG]), and a
/// digest is none for a mail that was to go out by itself.
email_decision decide_email(const notification_email& mail);

/// A notification's e-mail and what is to be done with it now.
struct email_order {
  notification_email mail;
  email_decision decision;
};

/// One mail about what waited for it.
struct digest_order {
  uuid id; ///< Nil: nothing waited, or nothing of it may be sent any more.
  notification_category category = notification_category::content;
  std::string recipient_name;
  std::string recipient_address;
  std::string language;
  /// Why the address cannot be reached any more; empty when it can.
  std::string obstacle;
  std::vector<notification> items; ///< Oldest first, at most digest_items.
  std::int64_t count = 0;          ///< Of all that it tells about.
  instant composed_at{};
};

/// So many are shown in full, the others counted.
inline constexpr int digest_items = 50;

/// How the e-mail of a notification ended. A try that will be repeated is no
/// outcome.
struct email_outcome {
  enum class kind : std::uint8_t { sent, failed, skipped };
  kind how = kind::sent;
  std::string reason; ///< Cut to 255 characters; empty when sent.
  /// Not empty: the server refused this address for good, no more mail to it.
  std::string refused_address{};
};

} // namespace carillon
