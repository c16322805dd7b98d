// Who may do what with a post (contract §2.5).
#pragma once

#include "domain/ports/post_store.hpp"
#include "http/handlers/posts/post_json.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

enum class right : std::uint8_t {
  view,     ///< Every member.
  change,   ///< Admins, and editors who are the author.
  withdraw, ///< Admins, and the author whatever his role.
  manage,   ///< Admins.
};

/// The post of the path for a caller who holds `needed`. errc::forbidden when
/// he does not; errc::not_found for what is not this workspace's.
result<post_detail> load_post(call& c, right needed);
result<post_detail> load_post(call& c, post_id id, right needed);

/// The post of the path for an edit: its status counts among the caller's
/// rights, so it comes before the body's faults (contract §1.4).
result<post_detail> load_editable(call& c);

/// errc::forbidden unless the caller holds `minimum` in the workspace.
std::optional<failure> refuse_below(const call& c, workspace_role minimum);

post_actor actor_of(const call& c);

/// Of the files of the call's workspace.
media_addresses files_of(const call& c);

} // namespace carillon::http::posts
