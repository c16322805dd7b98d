// What stands before every handler: token, tenant, workspace, in this order
// (contract §1.4).
#pragma once

#include "http/route.hpp"
#include "http/token.hpp"

#include <optional>
#include <vector>

namespace carillon::http {

/// Fills `c.who` and `c.workspace` as far as `need` asks; a failure says who
/// is not let in: unauthorized, forbidden, not_found, or the database's.
std::optional<failure> pass_gates(call& c, access need);

/// The gates of access::token for many at once, who all name their token by
/// its id: in their order, who each is or why he is not let in.
std::vector<result<caller>> identify(store& db, const std::vector<presented_token>& presented);

} // namespace carillon::http
