// Tenants, workspaces and who belongs to them (contract §2.3 to §2.6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/enums.hpp"
#include "domain/hint.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// What the gate of contract §2.4 needs to decide.
struct workspace_gate {
  workspace_id id;
  /// Nothing: the user is no member of it.
  std::optional<workspace_role> membership;
};

struct tenant {
  tenant_id id;
  std::string name;
  std::string slug;
  tenant_type type = tenant_type::individual;
  tenant_status status = tenant_status::pending;
  std::string website;  ///< Of its profile; empty for none.
  std::string settings; ///< A JSON object, or empty for none.
  instant created_at{};
};

struct workspace {
  workspace_id id;
  tenant_id tenant;
  std::string name;
  std::string slug;
  std::optional<std::string> description;
  workspace_status status = workspace_status::active;
  std::string settings; ///< A JSON object, or empty for none.
  std::int64_t member_count = 0;
  /// Of the user who asks; nothing when he is no member.
  std::optional<workspace_role> role;
  instant created_at{};
};

struct workspace_filter {
  std::optional<workspace_status> status;
  std::string search; ///< In name and description; empty for all.
  int page = 1;       ///< From 1.
  int per_page = 15;
};

struct workspace_page {
  std::vector<workspace> items;
  std::int64_t total = 0;
};

struct new_workspace {
  std::string name;
  std::optional<std::string> description;
  std::optional<std::string> icon;
  std::optional<std::string> color;
};

/// Who commands, for notices and audit.
struct workspace_actor {
  user_id user;
  std::string name;
  std::string correlation_id;
};

struct workspace_member {
  uuid id;
  user_id user;
  std::string name;
  std::string email;
  workspace_role role = workspace_role::viewer;
  std::optional<std::string> avatar_url;
  instant joined_at{};
};

struct member_filter {
  std::optional<workspace_role> role;
  std::string search; ///< In name and e-mail; empty for all.
  int page = 1;
  int per_page = 15;
};

struct member_page {
  std::vector<workspace_member> items;
  std::int64_t total = 0;
};

struct recent_post {
  post_id id;
  std::optional<std::string> excerpt; ///< At most 100 characters.
  post_status status = post_status::draft;
  std::optional<instant> scheduled_at;
  std::optional<instant> published_at;
  instant created_at{};
};

struct workspace_dashboard {
  std::int64_t posts = 0;
  std::int64_t published = 0;
  std::int64_t scheduled = 0;
  std::int64_t drafts = 0;
  std::int64_t pending_approvals = 0;
  std::int64_t accounts = 0; ///< Without those that were disconnected.
  std::int64_t unread_inbox = 0;
  std::int64_t members = 0;
  std::vector<recent_post> latest; ///< At most five, newest first.
};

/// A deleted row is not there, neither is another tenant's: errc::not_found.
/// Every call also fails as storage's connection::transact says.
class workspace_store {
public:
  virtual ~workspace_store() = default;

  /// For the gate of contract §2.3. errc::not_found without such a tenant.
  virtual result<tenant_status> find_tenant_status(const scope& s) = 0;

  /// For the gate of contract §2.4.
  virtual result<workspace_gate>
  find_access(const scope& s, workspace_id id, user_id user) = 0;

  virtual result<tenant> load_tenant(const scope& s) = 0;

  virtual result<workspace>
  load_workspace(const scope& s, workspace_id id, user_id viewer) = 0;

  /// Newest first; all of the tenant's, whether `viewer` is a member or not
  /// (contract §2.6).
  virtual result<workspace_page>
  list_workspaces(const scope& s, user_id viewer, const workspace_filter& filter)
    = 0;

  /// With the settings of contract §2.6 and a slug of its own; the creator
  /// becomes its owner.
  virtual result<workspace> create_workspace(const scope& s, const workspace_actor& creator,
                                             const new_workspace& wanted)
    = 0;

  /// Latest joined first.
  virtual result<member_page> list_members(const scope& s, workspace_id workspace, const member_filter& filter)
    = 0;

  /// Tells the user. conflict on `user_id` for one who is not an active user
  /// of the tenant, or a member already.
  virtual result<workspace_member> add_member(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                              user_id user, workspace_role role, hints& out)
    = 0;

  /// Both tell the user. Failures: not_found; conflict on `user_id` for the
  /// actor himself, and where the last owner would go; forbidden for an owner
  /// unless `may_change_owners`.
  virtual result<workspace_member> change_role(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                               user_id user, workspace_role role, bool may_change_owners, hints& out)
    = 0;
  virtual result<done> remove_member(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                     user_id user, bool may_change_owners, hints& out)
    = 0;

  virtual result<workspace_dashboard> load_dashboard(const scope& s, workspace_id workspace) = 0;
};

} // namespace carillon
