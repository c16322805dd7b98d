// Writes a whole company at once, for `carillon demo-data`. The rows are what
// the product itself would have left behind; nothing here is reachable from
// the API.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "domain/enums.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/notification.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

struct demo_user {
  user_id id = user_id::make();
  std::string email;
  std::string name;
  std::string time_zone;
  tenant_role role = tenant_role::member;
  workspace_role workspace_rights = workspace_role::viewer; ///< In each workspace.
  std::string password_hash;
};

struct demo_workspace {
  workspace_id id = workspace_id::make();
  std::string name;
  std::string slug;
  std::string description;
  std::string time_zone;
  std::string color;
};

struct demo_company {
  tenant_id id = tenant_id::make();
  std::string name;
  std::string slug;
  std::string website;
  std::string time_zone;
  instant created_at{};
  std::vector<demo_user> users; ///< The first owns the tenant.
  std::vector<demo_workspace> workspaces;
};

struct demo_target {
  target_id id = target_id::make();
  social_account_id account;
  target_status status = target_status::pending;
  std::optional<instant> published_at;
  std::string external_id; ///< Empty unless published.
  std::string error_code;
  std::string error_message;
  int retry_count = 0;
  /// For a target whose next try is still to come.
  std::optional<instant> next_action_at;
};

struct demo_decision {
  user_id by;
  approval_decision decision = approval_decision::approved;
  std::string comment;
  instant at{};
};

struct demo_post {
  post_id id = post_id::make();
  workspace_id workspace;
  user_id author;
  std::string text;
  std::vector<std::string> hashtags;
  std::string link_url;
  post_status status = post_status::draft;
  instant created_at{};
  std::optional<instant> submitted_at;
  std::optional<instant> scheduled_at;
  std::string scheduled_zone;
  std::optional<instant> published_at;
  std::string rejection_reason;
  std::vector<demo_target> targets;
  std::optional<demo_decision> decision;
};

struct demo_notification {
  notification_id id = notification_id::make();
  user_id user;
  notification_type type = notification_type::system_announcement;
  std::string title;
  std::string message;
  std::string data; ///< A JSON object, or empty.
  std::string action_url;
  instant created_at{};
  std::optional<instant> read_at;
  /// Of its e-mail; a reason means that the mail failed then.
  std::optional<instant> mailed_at;
  std::string mail_failure;
};

/// What is there already. Users and workspaces in the order of creation.
struct demo_presence {
  tenant_id tenant;
  std::vector<user_id> users;
  std::vector<workspace_id> workspaces;
  std::int64_t posts = 0;
  std::int64_t notifications = 0;
};

/// Every call is one transaction: all of it is written, or nothing.
class demo_data_repository {
public:
  explicit demo_data_repository(connection& db) : db_(db) {
  }

  /// Nothing when no tenant has the slug.
  result<std::optional<demo_presence>> find(const std::string& tenant_slug);

  /// Tenant, profile, users, workspaces and memberships. conflict: the slug
  /// is taken.
  result<done> insert_company(const demo_company& company);

  /// Posts with targets, attempts and decisions; a post that is being
  /// published gets its job. Notifications as they are after delivery: no
  /// mail is sent for them.
  result<done> insert_content(const scope& s, const std::vector<demo_post>& posts,
                              const std::vector<demo_notification>& notifications);

private:
  connection& db_;
};

} // namespace carillon::storage
