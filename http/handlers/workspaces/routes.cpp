#include "http/handlers/workspaces/routes.hpp"

#include "http/handlers/workspaces/workspaces.hpp"

namespace carillon::http {

std::vector<route> workspace_routes() {
  return {
    {"GET", "/api/v1/workspaces", access::token, workspaces::run_list},
    {"GET", "/api/v1/workspaces/{workspace}", access::workspace,
     workspaces::run_get},
    {"GET", "/api/v1/tenants/current", access::token,
     workspaces::run_current_tenant},
  };
}

} // namespace carillon::http
