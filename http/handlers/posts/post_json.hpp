// Posts, targets, media and decisions as the contract shows them (§3.2).
#pragma once

#include "domain/ports/post_store.hpp"
#include "http/media_link.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

/// Where the files of one workspace are to be had.
struct media_addresses {
  std::shared_ptr<const media_links> links; ///< Null: nowhere.
  tenant_id tenant;
  workspace_id workspace;
  std::string base_url; ///< request::base_url
  instant now{};

  /// As it was given; else, of what was uploaded here, a signed one for a
  /// while.
  std::optional<std::string> of(const post_media& m) const;
};

json render(const post& p);

/// `network` is the true code (null: not known to this build); `platform` is
/// what clients that know only the five older codes can show, while
/// `compat_platform_codes` is on.
json render(const post_id& owner, const post_target& t, bool compat_platform_codes);

json render(const post_id& owner, const post_media& m, const media_addresses& files);
json render(const approval& a);

/// A target with what was tried for it. What went wrong on the way to the
/// network is told by its code; the words of the log stay there.
json render(const target_attempts& t, bool compat_platform_codes);

json render_targets(const post_detail& d, bool compat_platform_codes);

/// `{post, targets, media}`.
json render_detail(const post_detail& d, bool compat_platform_codes, const media_addresses& files);

/// The superset of commands: the flat post and `post`, `targets`, `media`.
json render_mutation(const post_detail& d, bool compat_platform_codes, const media_addresses& files);

} // namespace carillon::http::posts
