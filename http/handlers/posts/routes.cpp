#include "http/handlers/posts/routes.hpp"

#include "http/handlers/posts/bulk_posts.hpp"
#include "http/handlers/posts/edit_posts.hpp"
#include "http/handlers/posts/media_posts.hpp"
#include "http/handlers/posts/move_posts.hpp"
#include "http/handlers/posts/read_posts.hpp"

namespace carillon::http {

std::vector<route> post_routes(posts::media_uploads_ptr uploads, posts::media_files_ptr files) {
  const std::string workspace = "/api/v1/workspaces/{workspace}";
  const std::string all = workspace + "/posts";
  const std::string one = all + "/{post}";
  route attach{"POST", one + "/media", access::workspace, posts::run_attach_media};
  if (uploads)
    attach.stream = body_stream{"multipart/form-data", posts::largest_upload_body(),
                                [uploads](std::shared_ptr<exchange> x) { return uploads->open(std::move(x)); }};
  route file{"GET", std::string{media_link_prefix} + "{token}", access::open};
  file.start = [files](std::shared_ptr<exchange> x) {
    if (files)
      files->serve(std::move(x));
    else
      x->answer(failure{errc::not_found, "no files are served here", {}, {}});
  };
  return {
    std::move(file),
    {"GET", all, access::workspace, posts::run_list},
    {"POST", all, access::workspace, posts::run_create},
    {"GET", one, access::workspace, posts::run_get},
    {"PUT", one, access::workspace, posts::run_update},
    {"DELETE", one, access::workspace, [uploads](call& c) { return posts::run_delete(c, uploads); }},
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
    {"POST", one + "/retry", access::workspace, posts::run_retry},
    {"POST", one + "/cancel", access::workspace, posts::run_cancel},
    {"POST", one + "/duplicate", access::workspace, posts::run_duplicate},
    {"GET", one + "/media", access::workspace, posts::run_media},
    std::move(attach),
    {"PUT", one + "/media/order", access::workspace, posts::run_order_media},
    {"DELETE", one + "/media/{media}", access::workspace,
     [uploads](call& c) { return posts::run_remove_media(c, uploads); }},
    {"GET", one + "/attempts", access::workspace, posts::run_attempts},
    {"POST", all + "/bulk-delete", access::workspace,
     [uploads](call& c) { return posts::run_bulk_delete(c, uploads); }},
    {"POST", all + "/bulk-submit", access::workspace, posts::run_bulk_submit},
    {"POST", all + "/bulk-schedule", access::workspace, posts::run_bulk_schedule},
  };
}

} // namespace carillon::http
