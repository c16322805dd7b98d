#include "http/handlers/posts/post_json.hpp"

#include "domain/media_content.hpp"
#include "domain/ports/object_store.hpp"

namespace carillon::http::posts {

namespace {

/// JSON text of a column.
json stored(const std::string& text) {
  if (text.empty())
    return nullptr;
  auto value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json(nullptr) : value;
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json or_null(const std::optional<instant>& t) {
  return t ? json(format_api_time(*t)) : json(nullptr);
}

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

/// A code that this build does not know is shown as the newer networks are.
std::string shown_code(const post_target& t, bool compat_platform_codes) {
  if (!compat_platform_codes)
    return t.platform_code;
  return std::string{to_string(compat(t.platform.value_or(network::mastodon)))};
}

bool is_unsettled(const publish_attempt& a) {
  return a.state == "open" || a.state == "unknown";
}

std::string outcome_of(const publish_attempt& a) {
  return a.state == "open" ? "in_progress" : a.state;
}

json error_text_of(const publish_attempt& a) {
  if (a.state == "refused")
    return or_null(a.error_message);
  if (a.state == "failed" && a.error_code == "NOT_SENT")
    return "Not sent: the network had asked to wait, or its server does not answer at present.";
  if (a.state == "failed")
    return a.error_code == "THROTTLED" ? "The network asked to slow down." : "The network could not be reached.";
  if (a.state == "unknown" || a.state == "abandoned")
    return "The network did not confirm the post.";
  if (a.state == "absent")
    return "The network did not confirm the post; it was looked for twice and is not there.";
  return nullptr;
}

} // namespace

std::optional<std::string> media_addresses::of(const post_media& m) const {
  if (m.url || !links || !m.path.starts_with(upload_folder) || !media_format_of_path(m.path))
    return m.url;
  const auto token = links->make({tenant, workspace, m.path}, now);
  if (token.empty())
    return std::nullopt;
  return base_url + std::string{media_link_prefix} + token;
}

json render(const post& p) {
  return {{"id", to_string(p.id)},
          {"workspace_id", to_string(p.workspace)},
          {"author_id", to_string(p.author)},
          {"author_name", or_null(p.author_name)},
          {"content_text", or_null(p.content_text)},
          {"content_variations", stored(p.content_variations)},
          {"status", to_string(p.status)},
          {"post_type", to_string(p.type)},
          {"scheduled_at", or_null(p.scheduled_at)},
          {"scheduled_timezone", or_null(p.scheduled_timezone)},
          {"published_at", or_null(p.published_at)},
          {"hashtags", stored(p.hashtags)},
          {"mentions", stored(p.mentions)},
          {"link_url", or_null(p.link_url)},
          {"link_preview", stored(p.link_preview)},
          {"first_comment", or_null(p.first_comment)},
          {"rejection_reason", or_null(p.rejection_reason)},
          {"target_count", p.target_count},
          {"media_count", p.media_count},
          {"created_at", format_api_time(p.created_at)},
          {"updated_at", format_api_time(p.updated_at)}};
}

json render(const post_id& owner, const post_target& t, bool compat_platform_codes) {
  return {{"id", to_string(t.id)},
          {"post_id", to_string(owner)},
          {"social_account_id", to_string(t.account)},
          {"platform", shown_code(t, compat_platform_codes)},
          {"network", t.platform ? json(to_string(*t.platform)) : json(nullptr)},
          {"account_name", t.account_name},
          {"status", to_string(t.status)},
          {"platform_post_id", or_null(t.external_id)},
          {"platform_post_url", or_null(t.external_url)},
          {"published_at", or_null(t.published_at)},
          {"error_code", or_null(t.error_code)},
          {"error_message", or_null(t.error_message)}};
}

json render(const post_id& owner, const post_media& m, const media_addresses& files) {
  return {{"id", to_string(m.id)},
          {"post_id", to_string(owner)},
          {"media_type", to_string(m.type)},
          {"file_path", m.path},
          {"file_url", or_null(files.of(m))},
          {"thumbnail_url", or_null(m.thumbnail_url)},
          {"original_filename", m.file_name},
          {"file_size", or_null(m.size)},
          {"mime_type", or_null(m.mime_type)},
          {"alt_text", or_null(m.alt_text)},
          {"sort_order", m.sort_order},
          {"metadata", stored(m.metadata)},
          {"processing_status", to_string(m.processing)}};
}

json render(const approval& a) {
  return {{"id", to_string(a.id)},
          {"post_id", to_string(a.post)},
          {"decided_by_user_id", to_string(a.decided_by)},
          {"decided_by_name", or_null(a.decided_by_name)},
          {"decision", to_string(a.decision)},
          {"reason", or_null(a.reason)},
          {"comment", or_null(a.comment)},
          {"is_active", a.is_active},
          {"decided_at", format_api_time(a.decided_at)}};
}

json render(const target_attempts& t, bool compat_platform_codes) {
  const bool unsettled = !t.attempts.empty() && is_unsettled(t.attempts.back());
  const bool publishing = t.target.status == target_status::publishing;
  const auto next = publishing ? or_null(t.next_action_at) : json(nullptr);
  auto attempts = json::array();
  for (const auto& a : t.attempts)
    attempts.push_back({{"id", to_string(a.id)},
                        {"number", a.number},
                        {"outcome", outcome_of(a)},
                        {"started_at", format_api_time(a.started_at)},
                        {"concluded_at", or_null(a.concluded_at)},
                        {"latency_ms", a.latency ? json(a.latency->count()) : json(nullptr)},
                        {"error_code", or_null(a.error_code)},
                        {"error_message", error_text_of(a)},
                        {"platform_post_id", or_null(a.external_id)},
                        {"platform_post_url", or_null(a.external_url)}});
  return {{"target_id", to_string(t.target.id)},
          {"social_account_id", to_string(t.target.account)},
          {"account_name", t.target.account_name},
          {"platform", shown_code(t.target, compat_platform_codes)},
          {"network", t.target.platform ? json(to_string(*t.target.platform)) : json(nullptr)},
          {"status", to_string(t.target.status)},
          {"retry_count", t.retry_count},
          {"next_try_at", unsettled ? json(nullptr) : next},
          {"next_check_at", unsettled ? next : json(nullptr)},
          {"attempts", std::move(attempts)}};
}

json render_targets(const post_detail& d, bool compat_platform_codes) {
  auto out = json::array();
  for (const auto& target : d.targets)
    out.push_back(render(d.post.id, target, compat_platform_codes));
  return out;
}

json render_detail(const post_detail& d, bool compat_platform_codes, const media_addresses& files) {
  auto media = json::array();
  for (const auto& m : d.media)
    media.push_back(render(d.post.id, m, files));
  return {{"post", render(d.post)},
          {"targets", render_targets(d, compat_platform_codes)},
          {"media", std::move(media)}};
}

json render_mutation(const post_detail& d, bool compat_platform_codes, const media_addresses& files) {
  auto out = render(d.post);
  out.update(render_detail(d, compat_platform_codes, files));
  return out;
}

} // namespace carillon::http::posts
