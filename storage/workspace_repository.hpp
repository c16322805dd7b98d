// workspace_store on PostgreSQL.
#pragma once

#include "domain/ports/workspace_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Lives on its connection's thread.
class workspace_repository final : public workspace_store {
public:
  explicit workspace_repository(connection& db) : db_(db) {
  }

  result<tenant_status> find_tenant_status(const scope& s) override;
  result<workspace_gate> find_access(const scope& s, workspace_id id,
                                     user_id user) override;
  result<tenant> load_tenant(const scope& s) override;
  result<workspace> load_workspace(const scope& s, workspace_id id,
                                   user_id viewer) override;
  result<workspace_page>
  list_workspaces(const scope& s, user_id viewer,
                  const workspace_filter& filter) override;
  result<workspace> create_workspace(const scope& s, const workspace_actor& creator,
                                     const new_workspace& wanted) override;
  result<member_page> list_members(const scope& s, workspace_id workspace, const member_filter& filter) override;
  result<workspace_member> add_member(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                      user_id user, workspace_role role, hints& out) override;
  result<workspace_member> change_role(const scope& s, workspace_id workspace, const workspace_actor& actor,
                                       user_id user, workspace_role role, bool may_change_owners,
                                       hints& out) override;
  result<done> remove_member(const scope& s, workspace_id workspace, const workspace_actor& actor, user_id user,
                             bool may_change_owners, hints& out) override;
  result<workspace_dashboard> load_dashboard(const scope& s, workspace_id workspace) override;

private:
  connection& db_;
};

} // namespace carillon::storage
