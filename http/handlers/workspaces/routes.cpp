#include "http/handlers/workspaces/routes.hpp"

#include "http/handlers/workspaces/members.hpp"
#include "http/handlers/workspaces/workspaces.hpp"

namespace carillon::http {

std::vector<route> workspace_routes() {
  const std::string one = "/api/v1/workspaces/{workspace}";
  return {
    {"GET", "/api/v1/workspaces", access::token, workspaces::run_list},
    {"POST", "/api/v1/workspaces", access::token, workspaces::run_create},
    {"GET", one + "/members", access::workspace, workspaces::run_members},
    {"POST", one + "/members", access::workspace, workspaces::run_add_member},
    {"PUT", one + "/members/{userId}", access::workspace, workspaces::run_change_role},
    {"DELETE", one + "/members/{userId}", access::workspace, workspaces::run_remove_member},
    {"GET", one + "/dashboard", access::workspace, workspaces::run_dashboard},
    {"GET", one, access::workspace,
     workspaces::run_get},
    {"GET", "/api/v1/tenants/current", access::token,
     workspaces::run_current_tenant},
  };
}

} // namespace carillon::http
