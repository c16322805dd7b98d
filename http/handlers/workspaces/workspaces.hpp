// Workspaces and the caller's tenant.
#pragma once

#include "domain/ports/workspace_store.hpp"
#include "http/route.hpp"

namespace carillon::http::workspaces {

/// Never fails: an unknown status is no filter.
workspace_filter parse_filter(const request& req);

json render(const workspace& w);
json render(const tenant& t);

result<reply> run_list(call& c);
result<reply> run_create(call& c);
result<reply> run_get(call& c);
result<reply> run_current_tenant(call& c);

} // namespace carillon::http::workspaces
