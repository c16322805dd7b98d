// Users and super-admins who log in and the tokens they hold (contract §2.1,
// §2.2, §3.6).
#pragma once

#include "domain/enums.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace carillon {

struct account {
  user_id id;
  tenant_id tenant;
  std::string name;
  std::string email;
  std::optional<std::string> avatar_url;
  std::optional<std::string> timezone; ///< IANA name.
  user_status status = user_status::pending;
  tenant_role role = tenant_role::member;
  std::optional<instant> email_verified_at;
  instant created_at{};
};

/// What a login is checked against. `password_hash` is a secret: never logged.
struct credentials {
  account who;
  std::string password_hash; ///< crypt(3) form; empty: no password set.
  bool mfa_enabled = false;
};

/// A user's token as it is stored, and whose it is.
struct stored_token {
  std::int64_t id = 0;
  std::string secret_hash;  ///< SHA-256, 64 hex digits.
  bool expired = false;     ///< By the database's clock.
  bool used_lately = false; ///< `last_used_at` is less than a minute old.
  user_id user;
  tenant_id tenant;
  std::string user_name;
  std::string user_email;
  tenant_role role = tenant_role::member;
};

/// A token, its owner, and the status of his organisation; none: it is gone.
struct token_holder {
  stored_token token;
  std::optional<tenant_status> tenant;
};

struct new_token {
  std::string name = "auth-token";
  std::string secret_hash; ///< SHA-256, 64 hex digits.
  std::chrono::seconds lifetime{86'400};
};

using super_admin_id = strong_id<struct super_admin_tag>;

/// Someone of the platform's own staff; belongs to no tenant.
struct admin_account {
  super_admin_id id;
  std::string name;
  std::string email;
  super_admin_role role = super_admin_role::VIEWER;
  super_admin_status status = super_admin_status::INACTIVE;
  std::optional<instant> last_login_at;
};

/// What an admin's login is checked against; `password_hash` is a secret.
struct admin_credentials {
  admin_account who;
  std::string password_hash;
  bool mfa_enabled = false;
};

struct stored_admin_token {
  std::int64_t id = 0;
  std::string secret_hash;  ///< SHA-256, 64 hex digits.
  bool expired = false;     ///< By the database's clock.
  bool used_lately = false; ///< `last_used_at` is less than a minute old.
  admin_account who;
};

/// A deleted user is not there, neither is another tenant's. Calls that find
/// a user by e-mail or a token also take a maintenance scope, as the tenant
/// is what they find out; the others need a tenant's. Every call also fails
/// as storage's connection::transact.
class auth_store {
public:
  virtual ~auth_store() = default;

  /// Nothing: no such token, or its owner is gone or is no user.
  virtual result<std::optional<stored_token>> find_token(const scope& s,
                                                         std::int64_t id)
    = 0;

  virtual result<std::optional<stored_token>>
  find_token_by_hash(const scope& s, const std::string& secret_hash) = 0;

  /// Those of `ids` that find_token finds, each once.
  virtual result<std::vector<token_holder>> find_holders(const scope& s, const std::vector<std::int64_t>& ids) = 0;

  /// Sets `last_used_at`, unless that is less than a minute old. With a
  /// maintenance scope also of an admin's token.
  virtual result<done> touch_token(const scope& s, std::int64_t id) = 0;

  /// The same for many; one that another call is about to set is left to it.
  virtual result<done> touch_tokens(const scope& s, const std::vector<std::int64_t>& ids) = 0;

  /// The e-mail in any case; the oldest user where tenants share one.
  virtual result<std::optional<credentials>>
  find_credentials(const scope& s, const std::string& email) = 0;

  /// errc::not_found without such a user.
  virtual result<account> load_account(const scope& s, user_id user) = 0;

  /// Adds a token, first removing expired ones and the oldest so that at most
  /// 10 live ones remain; `login` also sets `last_login_at`. Returns its id.
  /// errc::not_found without such a user, errc::conflict on `email` when he
  /// is not active.
  virtual result<std::int64_t> add_token(const scope& s, user_id user,
                                         const new_token& token, bool login)
    = 0;

  /// Removes all tokens of the user and adds one; fails as add_token, but for
  /// the status, which a holder of a live token need not have.
  virtual result<std::int64_t> replace_tokens(const scope& s, user_id user,
                                              const new_token& token)
    = 0;

  /// Fine also when it is already gone.
  virtual result<done> revoke_token(const scope& s, user_id user,
                                    std::int64_t id)
    = 0;

  // -- super-admins: all with a maintenance scope; a tenant's finds nobody ------

  /// Nothing: no such token, or it is a user's.
  virtual result<std::optional<stored_admin_token>> find_admin_token(const scope& s, std::int64_t id) = 0;
  virtual result<std::optional<stored_admin_token>>
  find_admin_token_by_hash(const scope& s, const std::string& secret_hash) = 0;

  /// The e-mail in any case.
  virtual result<std::optional<admin_credentials>> find_admin_credentials(const scope& s, const std::string& email)
    = 0;

  /// A login: removes all earlier tokens of the admin, adds one, notes the
  /// time. Returns its id. errc::not_found without such an active admin.
  virtual result<std::int64_t> replace_admin_tokens(const scope& s, super_admin_id admin, const new_token& token)
    = 0;

  /// Fine also when it is already gone.
  virtual result<done> revoke_admin_token(const scope& s, super_admin_id admin, std::int64_t id) = 0;
};

} // namespace carillon
