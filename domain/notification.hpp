// A message to one user and its preferences (spec §2, contract §3.1).
#pragma once

#include <optional>
#include <string>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/notification_type.hpp"

namespace carillon {

/// What to tell a user. Stored always; the preferences decide about the rest.
struct new_notification {
  tenant_id tenant;
  user_id user;
  /// Where its e-mail job runs; the tenant's root workspace when it concerns
  /// none.
  workspace_id workspace;
  notification_type type = notification_type::system_announcement;
  std::string title;   ///< Cut to 200 characters.
  std::string message;
  std::string data;       ///< A JSON object, or empty for none.
  std::string action_url; ///< Starts with '/', or empty for none.
  std::string correlation_id;
  /// No other channel is tried: for notices about a channel that fails.
  bool in_app_only = false;
};

struct notification {
  notification_id id;
  tenant_id tenant;
  user_id user;
  notification_type type = notification_type::system_announcement;
  notification_channel channel = notification_channel::in_app;
  std::string title;
  std::string message;
  std::string data; ///< JSON text, empty when none was given.
  std::string action_url;
  std::string icon; ///< Empty: the type's default.
  std::optional<instant> read_at;
  std::optional<instant> sent_at;
  std::optional<instant> failed_at;
  std::string failure_reason;
  instant created_at{};
};

struct channel_preferences {
  bool in_app = true;
  bool email = true;
  bool push = false;
  bool sms = false;
  bool operator==(const channel_preferences&) const = default;
};

} // namespace carillon
