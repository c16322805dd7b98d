// The fence: every decision of a node begins with it (architecture page,
// "Ownership, exactly").
#pragma once

#include <pqxx/pqxx>

#include "domain/ownership.hpp"
#include "domain/result.hpp"

namespace carillon::storage {

/// How the statements of this transaction are planned that the session has
/// prepared. Left to itself the server plans a statement over an array of fewer
/// than ten elements anew each time, as that looks cheaper than its kept plan:
/// right where a long array decides how to search, a tenth of the processor time
/// where small ones come by the thousand.
enum class plan_choice { by_values, kept };

/// Holds this incarnation's row FOR SHARE until the transaction ends: while
/// it is held nobody can end the incarnation, and once it was ended this is
/// false for ever. (EXISTS, KEY SHARE or a check beforehand let a take-over
/// and a stale commit both succeed.)
bool hold_fence(pqxx::transaction_base& tx, const node_identity& me, plan_choice plans = plan_choice::by_values);

/// What a fenced-out transaction answers: errc::cancelled.
failure fenced_out(const node_identity& me);

} // namespace carillon::storage
