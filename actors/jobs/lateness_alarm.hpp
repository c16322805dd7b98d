// Operators are mailed when more posts are late than promised: once an hour
// from all nodes together.
#pragma once

#include "actors/engine_context.hpp"
#include "domain/ports/operations_store.hpp"

namespace carillon {

/// Lets a worker look, for all nodes, and mails whom
/// settings.operations.notify names. Returns at once, from any thread; what
/// goes wrong is logged, and tried again by whoever looks next.
void look_at_lateness(const engine_context_ptr& context);

/// The words of that mail, but for its addressee. `now` tells one hour's mail
/// from another's.
notification_mail lateness_mail(const lateness_report& report, const lateness_promise& promise, instant now);

} // namespace carillon
