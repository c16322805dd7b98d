// Addresses that get no mail, for operators: across all tenants. Lifting one
// leaves an audit row.
#pragma once

#include "http/route.hpp"

namespace carillon::http::admin_mail {

/// Filters `tenant_id` and `address` (a part of it), `limit`, `cursor`.
result<reply> run_list_suppressions(call& c);
/// `tenant_id` and `address` in the body. 404 when it is not suppressed.
result<reply> run_lift_suppression(call& c);

} // namespace carillon::http::admin_mail
