// The notification service's write path (spec §5.1 send), inside the
// caller's transaction, so that outcome and notice can never disagree.
#pragma once

#include <vector>

#include <pqxx/pqxx>

#include "domain/hint.hpp"
#include "domain/notification.hpp"
#include "domain/notification_email.hpp"

namespace carillon::storage {

/// Stores the row (always; already read when in-app is off), a delivery row
/// for every channel with what was decided and why (carillon.write_deliveries,
/// domain/delivery_decision.hpp), and a job for each channel that is used.
/// Adds a hint when one of them is due.
///
/// The text is made storable instead of failing the outcome that it tells
/// of: U+0000 and broken UTF-8 are replaced, the title is cut to 200
/// characters, and an action_url that is no path of the client (`/…`, at most
/// 255 characters) is left out. Throws std::invalid_argument when `data` is
/// no JSON object or the user is not the tenant's.
notification write_notification(pqxx::transaction_base& tx,
                                const new_notification& message, hints& out);

/// The same to each of `users` that is the tenant's, in one statement;
/// `message.user` is ignored. At most one hint: their jobs run in one
/// workspace.
std::vector<notification> write_notifications(pqxx::transaction_base& tx, const new_notification& message,
                                              const std::vector<user_id>& users, hints& out);

/// Several at once in one statement, each to its own user, of any tenants and
/// workspaces; a hint for each workspace in which a job is due. Throws as
/// write_notification does, and then none was written.
void write_notices(pqxx::transaction_base& tx, const std::vector<new_notification>& messages, hints& out);

/// `message` with the text that would be stored.
new_notification made_storable(new_notification message);

/// Writes how the e-mail ended: the row's sent_at, or failed_at with the
/// reason, or (skipped) the reason alone, and the e-mail's delivery row.
/// False when there is nothing to write: the row is gone, another tenant's,
/// or its mail was recorded as sent before. Fencing and the job's conclusion
/// are the caller's, in the same transaction.
bool record_email_outcome(pqxx::transaction_base& tx, const tenant_id& tenant,
                          const notification_id& id,
                          const email_outcome& outcome);

} // namespace carillon::storage
