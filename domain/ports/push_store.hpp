// Browsers that want push messages, and how the push of a notification ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/delivery_outcome.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/job.hpp"
#include "domain/notification.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/push_gateway.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

using push_subscription_id = strong_id<struct push_subscription_tag>;

struct push_subscription {
  push_subscription_id id;
  std::string endpoint;
  instant created_at{};
  std::optional<instant> last_success_at;
  int failures = 0; ///< In a row.
};

struct push_target {
  push_subscription_id id;
  push_address address;
};

/// What the push job of a notification has to do.
struct push_order {
  notification item;
  /// Set when there is nothing to send; the job ends with it.
  std::optional<delivery_outcome> settled;
  /// Still without it.
  std::vector<push_target> targets;
  /// Some browser had it in an earlier try.
  bool had_one = false;
};

/// What one push service said of one subscription.
struct push_receipt {
  enum class kind : std::uint8_t { taken, gone, failed };
  push_subscription_id id;
  kind how = kind::taken;
  std::string error;
};

class push_store {
public:
  virtual ~push_store() = default;

  // -- a user's browsers -----------------------------------------------------

  /// Newest first.
  virtual result<std::vector<push_subscription>> list(const scope& s, user_id user) = 0;

  /// A known endpoint of the user gets the new keys. The same browser (by
  /// endpoint and p256dh, which only it knows) is taken from any other user:
  /// else one would read on a shared machine what is meant for another.
  /// conflict: the user has `limit` others already. not_found: no such user.
  virtual result<push_subscription> subscribe(const scope& s, user_id user, const push_address& address, int limit)
    = 0;

  /// not_found: the user has no such subscription.
  virtual result<done> unsubscribe(const scope& s, user_id user, const std::string& endpoint) = 0;

  // -- the push job ------------------------------------------------------------

  /// not_found: the notification is gone; invalid_argument: the payload names
  /// none.
  virtual result<push_order> load_order(const job& work) = 0;

  /// What was learned in a try that is followed by another, fenced: who has it,
  /// which subscriptions have ended. cancelled: no longer this node's.
  virtual result<done> record_receipts(const node_identity& me, const job& work,
                                       const std::vector<push_receipt>& receipts)
    = 0;

  /// The same, the delivery row and the job's conclusion, in one fenced
  /// transaction. A subscription that has failed 20 times in a row and for
  /// seven days without a success is removed.
  virtual result<done> conclude(const node_identity& me, const job& work, const std::vector<push_receipt>& receipts,
                                const delivery_outcome& outcome)
    = 0;

  // -- the sender's key ----------------------------------------------------------

  /// The secret of that name that all nodes share: `candidate` when there was
  /// none. permanent: what is stored cannot be decrypted.
  virtual result<std::string> share_secret(const std::string& name, const std::string& candidate) = 0;
};

} // namespace carillon
