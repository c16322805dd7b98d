// GET /workspaces/{workspace}/social-accounts and one of them.
#pragma once

#include "domain/ports/social_account_store.hpp"
#include "http/route.hpp"

namespace carillon::http::social_accounts {

/// Never fails: an unknown status or platform is no filter. `platform` takes
/// the true code.
social_account_filter parse_filter(const request& req);

/// `network` is the true code (null: not known to this build); `platform` is
/// what clients that know only the five older codes can show, while
/// `compat_platform_codes` is on. Tokens are never part of it.
json render(const social_account& a, bool compat_platform_codes);

result<reply> run_list(call& c);
result<reply> run_get(call& c);

} // namespace carillon::http::social_accounts
