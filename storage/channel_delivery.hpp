// What the jobs of push and SMS have in common: the notification that a
// payload names, and the end of its delivery.
#pragma once

#include <optional>
#include <string_view>

#include <pqxx/pqxx>

#include "domain/delivery_outcome.hpp"
#include "domain/enums.hpp"
#include "domain/job.hpp"
#include "domain/notification.hpp"

namespace carillon::storage {

/// Nothing when the payload names none.
std::optional<notification_id> notification_of(const job& work);

/// A notification on a channel, as it is now.
struct channel_order {
  notification item;
  bool user_is_active = false;
  bool enabled = false; ///< By preference.
  /// Set when nothing is to be sent (any more): sent or skipped before, the
  /// user is gone, or the channel is off by now.
  std::optional<delivery_outcome> settled;
};

/// Nothing when the notification is gone. `channel` is push or sms.
std::optional<channel_order> load_channel_order(pqxx::transaction_base& tx, const tenant_id& tenant,
                                                const notification_id& id, notification_channel channel);

/// Writes the delivery row (what was sent stays sent) and concludes the job:
/// a failure becomes a dead letter of which the tenant's admins hear. Fencing
/// is the caller's.
void conclude_channel(pqxx::transaction_base& tx, const job& work, notification_channel channel,
                      const delivery_outcome& outcome);

} // namespace carillon::storage
