// What the e-mail channel reads and writes back.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/job.hpp"
#include "domain/notification_email.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/job_store.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// An address that refused mail for good; the tenant sends it none.
struct mail_suppression {
  tenant_id tenant;
  std::string address; ///< In lower case.
  std::string reason;
  instant created_at{};
};

struct mail_suppression_filter {
  std::string address; ///< A part of it; empty for all.
  /// The last one of the page before.
  std::optional<std::pair<tenant_id, std::string>> after;
  int limit = 50;
};

class delivery_store {
public:
  virtual ~delivery_store() = default;

  /// What the job's payload names and what to do with it, by what holds now.
  /// A mail that is to be sent is counted as a try before anyone sends it.
  /// not_found: the notification is gone; invalid_argument: the payload names
  /// none.
  virtual result<email_order> begin_email(const job& job) = 0;

  /// Writes how the job's e-mail ended and concludes the job, in one fenced
  /// transaction: a mail that was recorded as sent is never sent again. A
  /// refused address is suppressed in the same transaction.
  virtual result<done> conclude_email(const node_identity& me, const job& job,
                                      const email_outcome& outcome)
    = 0;

  /// For people: why the mail waits once more. The job's own time is the
  /// feed's matter.
  virtual result<done> note_deferral(const job& job, instant until, const std::string& reason) = 0;

  /// The digest that this job has composed and not yet sent, else one of all
  /// that waits for it now: marked in this transaction, so that what comes
  /// later is the next one's. Fenced. invalid_argument: the payload names
  /// none.
  virtual result<digest_order> begin_digest(const node_identity& me, const job& job) = 0;

  /// Writes how the digest ended, for each of its notifications, and
  /// concludes the job (it runs once more when more has come); fenced. A nil
  /// digest only concludes.
  virtual result<done> conclude_digest(const node_identity& me, const job& job, const digest_order& digest,
                                       const email_outcome& outcome)
    = 0;

  /// By tenant and address. A maintenance scope reaches all tenants.
  virtual result<std::vector<mail_suppression>> suppressions(const scope& s, const mail_suppression_filter& filter) = 0;

  /// Mail goes to the address again. Audited. Needs a tenant scope. not_found:
  /// it is not suppressed.
  virtual result<mail_suppression> lift_suppression(const scope& s, const operator_identity& by,
                                                    const std::string& address)
    = 0;
};

} // namespace carillon
