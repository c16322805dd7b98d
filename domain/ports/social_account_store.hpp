// Accounts at social networks and their tokens (contract §3.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/enums.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/network.hpp"
#include "domain/ports/social_gateway.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

struct social_account {
  social_account_id id;
  workspace_id workspace;
  std::string platform_code;       ///< As stored.
  std::optional<network> platform; ///< Nothing: a newer node's network.
  std::string platform_account_id;
  std::string account_name;
  std::optional<std::string> account_username;
  std::optional<std::string> profile_image_url;
  social_account_status status = social_account_status::connected;
  std::optional<instant> token_expires_at;
  instant connected_at{};
  std::optional<instant> last_refreshed_at;
};

struct new_social_account {
  workspace_id workspace;
  network platform = network::mastodon;
  std::string platform_account_id; ///< At most 100 characters.
  std::string account_name;        ///< At most 255 characters.
  std::string account_username;    ///< At most 100; empty for none.
  std::string profile_image_url;   ///< At most 500; empty for none.
  std::string access_token;
  std::string refresh_token; ///< Empty for none.
  std::optional<instant> token_expires_at;
  user_id connected_by;
  /// Base URL of the server, for networks that have many; else empty.
  std::string instance_url;
  std::string metadata; ///< A JSON object, or empty for none.
};

struct social_account_filter {
  std::optional<social_account_status> status;
  std::optional<network> platform;
  bool connected_only = false;
  int page = 1; ///< From 1.
  int per_page = 15;
};

struct social_account_page {
  std::vector<social_account> items;
  std::int64_t total = 0;
};

/// What the publisher must know before it may call.
struct publishing_account {
  account_credentials credentials;
  social_account_status status = social_account_status::connected;
  std::optional<instant> token_expires_at;
  /// False when an operator switched the platform's integration off.
  bool integration_enabled = true;
};

/// Every call needs a tenant scope unless it says otherwise; what another
/// tenant or workspace owns is errc::not_found. Every call also fails as
/// storage's connection::transact says.
class social_account_store {
public:
  virtual ~social_account_store() = default;

  /// A new row, or the same workspace's row of that platform account
  /// connected again with the new tokens. errc::not_found: no such workspace
  /// or user; errc::invalid_argument on the field that is too long or empty.
  virtual result<social_account>
  connect(const scope& s, const new_social_account& account) = 0;

  /// Latest connected first.
  virtual result<social_account_page>
  list(const scope& s, workspace_id workspace,
       const social_account_filter& filter)
    = 0;

  virtual result<social_account> load(const scope& s, workspace_id workspace,
                                      social_account_id id)
    = 0;

  /// With the decrypted access token; a maintenance scope reaches all
  /// tenants. errc::permanent: the token cannot be decrypted with the
  /// configured keys, or the network is unknown here.
  virtual result<publishing_account>
  load_credentials(const scope& s, social_account_id id) = 0;

  /// token_expired only from connected, revoked only from those two, and
  /// disconnected from any; otherwise the row stays as it is. `connected` is
  /// errc::invalid_argument: only connect() can do that. A maintenance scope
  /// reaches all tenants.
  virtual result<done> mark_status(const scope& s, social_account_id id,
                                   social_account_status status)
    = 0;
};

} // namespace carillon
