// Phone numbers, and how the text of a notification ended.
#pragma once

#include <optional>
#include <string>

#include "domain/delivery_outcome.hpp"
#include "domain/ids.hpp"
#include "domain/job.hpp"
#include "domain/notification.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// What the SMS job of a notification has to do.
struct sms_order {
  notification item;
  std::string phone; ///< E.164.
  /// Set when there is nothing to send; the job ends with it.
  std::optional<delivery_outcome> settled;
};

class sms_store {
public:
  virtual ~sms_store() = default;

  /// Empty: none. not_found: no such user.
  virtual result<std::string> phone(const scope& s, user_id user) = 0;

  /// E.164, or empty for none.
  virtual result<done> set_phone(const scope& s, user_id user, const std::string& phone) = 0;

  /// Opens the call, fenced: counts it against the tenant's cap of the day
  /// (UTC; 0: none) unless an earlier try did, and notes that from now on its
  /// end is unknown. A call that is still open from an earlier run settles
  /// the order as failed: it may have been sent. not_found: the notification
  /// is gone; invalid_argument: the payload names none; cancelled: no longer
  /// this node's.
  virtual result<sms_order> open_call(const node_identity& me, const job& work, int daily_cap) = 0;

  /// The provider has certainly not taken it; another try follows. Fenced.
  virtual result<done> close_call(const node_identity& me, const job& work) = 0;

  /// The delivery row, what the provider calls it, and the job's conclusion,
  /// in one fenced transaction.
  virtual result<done> conclude(const node_identity& me, const job& work, const delivery_outcome& outcome,
                                const std::string& provider_id)
    = 0;
};

} // namespace carillon
