#include "http/handlers/social_accounts/routes.hpp"

#include "http/handlers/social_accounts/social_accounts.hpp"

namespace carillon::http {

std::vector<route> social_account_routes() {
  const std::string base = "/api/v1/workspaces/{workspace}/social-accounts";
  return {
    {"GET", base, access::workspace, social_accounts::run_list},
    {"GET", base + "/{socialAccount}", access::workspace,
     social_accounts::run_get},
  };
}

} // namespace carillon::http
