// What the channels write back.
#pragma once

#include "domain/job.hpp"
#include "domain/notification_email.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"

namespace carillon {

class delivery_store {
public:
  virtual ~delivery_store() = default;

  /// What the job's payload names. not_found: the notification is gone;
  /// invalid_argument: the payload names none.
  virtual result<notification_email> load_email(const job& job) = 0;

  /// Writes how the job's e-mail ended and concludes the job, in one fenced
  /// transaction: a mail that was recorded as sent is never sent again.
  virtual result<done> conclude_email(const node_identity& me, const job& job,
                                      const email_outcome& outcome)
    = 0;
};

} // namespace carillon
