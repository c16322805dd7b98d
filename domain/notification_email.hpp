// What the e-mail job needs to know about a notification, and what it does
// with it (contract §4.2, SendNotificationEmail).
#pragma once

#include <cstdint>
#include <string>

#include "domain/notification.hpp"

namespace carillon {

struct notification_email {
  notification item;
  std::string recipient_name;
  std::string recipient_address; ///< Empty: the user is gone.
  bool enabled = true;           ///< By preference, as it is now.
};

enum class email_step : std::uint8_t {
  send,
  already_sent, ///< Nothing to do, nothing to write.
  skip,         ///< Record as skipped.
  fail,         ///< Record as failed; trying again cannot help.
};

struct email_decision {
  email_step step = email_step::send;
  std::string reason; ///< For skip and fail.
};

/// Total and pure. The row's channel is no gate (contract §4.2, [BUG]).
email_decision decide_email(const notification_email& mail);

/// How the e-mail of a notification ended. A try that will be repeated is no
/// outcome.
struct email_outcome {
  enum class kind : std::uint8_t { sent, failed, skipped };
  kind how = kind::sent;
  std::string reason; ///< Cut to 255 characters; empty when sent.
};

} // namespace carillon
