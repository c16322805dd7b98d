#include "http/public_routes.hpp"

#include <iterator>
#include <utility>

#include "http/handlers/admin/routes.hpp"
#include "http/handlers/meta/routes.hpp"
#include "http/handlers/notifications/routes.hpp"
#include "http/handlers/posts/routes.hpp"
#include "http/handlers/social_accounts/routes.hpp"
#include "http/handlers/workspaces/routes.hpp"
#include "http/live/routes.hpp"

namespace carillon::http {

std::vector<route> public_routes(password_hasher& passwords, const auth_settings& auth,
                                 const clock_port& clock, const push_settings& push, live::service_ptr live,
                                 posts::media_uploads_ptr uploads, std::chrono::milliseconds late_after,
                                 posts::media_files_ptr files) {
  std::vector<route> all;
  const auto add = [&all](std::vector<route> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  add(meta_routes(clock));
  add(auth_routes(passwords, auth));
  add(workspace_routes());
  add(social_account_routes());
  add(notification_routes());
  add(push_routes(push));
  add(post_routes(std::move(uploads), std::move(files)));
  add(admin_routes(passwords, auth, late_after));
  add(live_routes(std::move(live)));
  return all;
}

} // namespace carillon::http
