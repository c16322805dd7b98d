#include "storage/fence.hpp"

#include "storage/connection.hpp"

namespace carillon::storage {

namespace {

constexpr auto lock_incarnation = "SELECT 1 " CARILLON_FENCE;

} // namespace

bool hold_fence(pqxx::transaction_base& tx, const node_identity& me) {
  return !exec_planned(tx, lock_incarnation, me.node, me.incarnation).empty();
}

failure fenced_out(const node_identity& me) {
  return {errc::cancelled,
          "incarnation " + std::to_string(me.incarnation) + " of " + me.node + " was ended", {}, {}};
}

} // namespace carillon::storage
