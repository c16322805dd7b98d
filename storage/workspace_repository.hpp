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

private:
  connection& db_;
};

} // namespace carillon::storage
