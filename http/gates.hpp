// What stands before every handler: token, tenant, workspace, in this order
// (contract §1.4).
#pragma once

#include "http/route.hpp"

#include <optional>

namespace carillon::http {

/// Fills `c.who` and `c.workspace` as far as `need` asks; a failure says who
/// is not let in: unauthorized, forbidden, not_found, or the database's.
std::optional<failure> pass_gates(call& c, access need);

} // namespace carillon::http
