// The fence: every decision of a node begins with it (architecture page,
// "Ownership, exactly").
#pragma once

#include <pqxx/pqxx>

#include "domain/ownership.hpp"
#include "domain/result.hpp"

/// The fence, for a statement that does more with it: its parameters for the
/// node and the incarnation, no row when that was ended.
#define CARILLON_FENCE_OF(node, incarnation)                                                  \
  "FROM carillon.node_incarnations WHERE node = " node " AND incarnation = " incarnation      \
  " AND ended_at IS NULL FOR SHARE"
#define CARILLON_FENCE CARILLON_FENCE_OF("$1", "$2")

namespace carillon::storage {

/// Holds this incarnation's row FOR SHARE until the transaction ends: while
/// it is held nobody can end the incarnation, and once it was ended this is
/// false for ever. (EXISTS, KEY SHARE or a check beforehand let a take-over
/// and a stale commit both succeed.)
bool hold_fence(pqxx::transaction_base& tx, const node_identity& me);

/// What a fenced-out transaction answers: errc::cancelled.
failure fenced_out(const node_identity& me);

} // namespace carillon::storage
