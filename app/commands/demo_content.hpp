// What the demo company Acme has been up to: the same texts every time, at
// times relative to now.
#pragma once

#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/network.hpp"
#include "storage/demo_data_repository.hpp"

namespace carillon::app {

inline constexpr auto demo_tenant_slug = "acme";
inline constexpr auto demo_password = "User@1234";
inline constexpr std::size_t demo_notification_count = 200;

/// An account at the sandbox network.
struct demo_account {
  std::size_t workspace = 0; ///< Index into the company's workspaces.
  std::string username;
  std::string display_name;
  network platform = network::mastodon;

  /// What the sandbox calls it there.
  std::string platform_account_id() const {
    return (platform == network::bluesky ? "did:web:sandbox.invalid:" : "") + username;
  }
};

/// Acme with its four users and two workspaces.
storage::demo_company make_demo_company(const std::string& password_hash, instant now);

const std::vector<demo_account>& demo_accounts();

/// Who and where, in the order of make_demo_company and demo_accounts.
struct demo_cast {
  std::vector<user_id> users;
  std::vector<workspace_id> workspaces;
  std::vector<social_account_id> accounts;
};

/// In every status; the one that is being published has a try behind it and
/// the next one four minutes ahead.
std::vector<storage::demo_post> make_demo_posts(const demo_cast& cast, instant now);

/// 200 of them: 80 for the owner, of whose a third is unread.
std::vector<storage::demo_notification>
make_demo_notifications(const demo_cast& cast, const std::vector<storage::demo_post>& posts,
                        instant now);

} // namespace carillon::app
