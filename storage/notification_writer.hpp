// The notification service's write path (spec §5.1 send), inside the
// caller's transaction, so that outcome and notice can never disagree.
#pragma once

#include <pqxx/pqxx>

#include "domain/hint.hpp"
#include "domain/notification.hpp"

namespace carillon::storage {

/// Stores the row (always; already read when in-app is off), one delivery
/// row for each channel that is on or off by preference, and the e-mail job
/// when e-mail is on. Adds a hint for that job.
notification write_notification(pqxx::transaction_base& tx,
                                const new_notification& message, hints& out);

} // namespace carillon::storage
