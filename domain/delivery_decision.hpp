// Which channels a notification goes out on, and why not (issue "decision
// record"; docs/notifications.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "domain/enums.hpp"
#include "domain/instant.hpp"
#include "domain/notification.hpp"

namespace carillon {

enum class delivery_state : std::uint8_t {
  queued,   ///< A job is on its way.
  deferred, ///< A job or a digest is, but not before `until`.
  sent,     ///< For in-app: it is shown.
  skipped,  ///< Not to be sent; the reason says why.
  failed,   ///< Could not be sent.
};

std::string_view to_string(delivery_state value) noexcept;
template <>
std::optional<delivery_state> parse<delivery_state>(std::string_view text) noexcept;

/// True where the type says that an opt-out does not count for in-app and
/// e-mail: only what a user must not miss, since it cannot be taken back.
bool overrides_opt_out(notification_type value) noexcept;

/// What decides, as it is at one moment (SQL: carillon.delivery_facts).
struct delivery_facts {
  bool urgent = false;
  bool overrides = false;
  /// No other channel is tried.
  bool in_app_only = false;
  channel_preferences preferences;
  // Why the channel cannot reach the user at all; empty when it can.
  std::string email_obstacle;
  std::string push_obstacle;
  std::string sms_obstacle;
  std::optional<instant> quiet_until; ///< Null: no quiet hours now.
  std::string quiet_reason;
  std::optional<instant> digest_at; ///< Null: no digest of the category.
  std::string digest_reason;
};

struct delivery_decision {
  delivery_state state = delivery_state::queued;
  std::string reason;           ///< Of skipped and deferred.
  std::optional<instant> until; ///< Of deferred.
  bool in_digest = false;       ///< Deferred to a digest.

  bool operator==(const delivery_decision&) const = default;
};

/// Total and pure; never `failed`. In bulk carillon.decide_channels says the
/// same in SQL (a test compares every case).
delivery_decision decide_delivery(notification_channel channel, const delivery_facts& facts);

} // namespace carillon
