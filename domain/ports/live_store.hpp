// What live delivery asks the database: who may listen, and what was missed.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "domain/live_event.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// Every call also fails as storage's connection::transact says.
class live_store {
public:
  virtual ~live_store() = default;

  /// The positions of those that are not, or no longer, allowed: the token is
  /// gone or has expired, the user or his tenant has ended, or the channel is
  /// neither his own nor of a workspace that he may enter (contract §2.4). A
  /// maintenance scope reaches all tenants.
  virtual result<std::vector<std::size_t>> refused(const scope& s, const std::vector<live_grant>& grants) = 0;

  /// `notification.new` of what the user got within `since` and has not read,
  /// oldest first, the newest `limit` of them. Needs a tenant scope.
  virtual result<std::vector<live_event>> recent(const scope& s, user_id user, std::chrono::seconds since, int limit)
    = 0;

  /// `notification.new` of those of `ids` that are there and unread. A
  /// maintenance scope reaches all tenants.
  virtual result<std::vector<live_event>> of_notifications(const scope& s, const std::vector<notification_id>& ids)
    = 0;
};

} // namespace carillon
