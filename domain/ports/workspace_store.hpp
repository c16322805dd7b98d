// Tenants, workspaces and who belongs to them (contract §2.3 to §2.6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/enums.hpp"
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
};

} // namespace carillon
