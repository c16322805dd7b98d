#include "http/handlers/posts/routes.hpp"

#include "http/handlers/posts/edit_posts.hpp"
#include "http/handlers/posts/move_posts.hpp"
#include "http/handlers/posts/read_posts.hpp"

namespace carillon::http {

std::vector<route> post_routes() {
  const std::string workspace = "/api/v1/workspaces/{workspace}";
  const std::string all = workspace + "/posts";
  const std::string one = all + "/{post}";
  return {
    {"GET", all, access::workspace, posts::run_list},
    {"POST", all, access::workspace, posts::run_create},
    {"GET", one, access::workspace, posts::run_get},
    {"PUT", one, access::workspace, posts::run_update},
    {"DELETE", one, access::workspace, posts::run_delete},
    {"GET", one + "/targets", access::workspace, posts::run_targets},
    {"PUT", one + "/targets", access::workspace, posts::run_set_targets},
    {"DELETE", one + "/targets/{target}", access::workspace, posts::run_remove_target},
    {"POST", one + "/submit", access::workspace, posts::run_submit},
    {"GET", workspace + "/approvals", access::workspace, posts::run_approvals},
    {"POST", one + "/approve", access::workspace, posts::run_approve},
    {"POST", one + "/reject", access::workspace, posts::run_reject},
    {"GET", one + "/approval-history", access::workspace, posts::run_approval_history},
    {"POST", one + "/schedule", access::workspace, posts::run_schedule},
    {"PUT", one + "/schedule", access::workspace, posts::run_reschedule},
    {"POST", one + "/publish", access::workspace, posts::run_publish},
    {"POST", one + "/cancel", access::workspace, posts::run_cancel},
  };
}

} // namespace carillon::http
