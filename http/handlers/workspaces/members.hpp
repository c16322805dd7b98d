// Members of a workspace and its dashboard (contract §2.6).
#pragma once

#include "http/route.hpp"

namespace carillon::http::workspaces {

result<reply> run_members(call& c);
result<reply> run_add_member(call& c);
result<reply> run_change_role(call& c);
result<reply> run_remove_member(call& c);
result<reply> run_dashboard(call& c);

} // namespace carillon::http::workspaces
