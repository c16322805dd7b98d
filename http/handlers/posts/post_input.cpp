#include "http/handlers/posts/post_input.hpp"

#include "domain/media_content.hpp"
#include "domain/text.hpp"
#include "http/media_link.hpp"
#include "http/validation.hpp"

namespace carillon::http::posts {

namespace {

constexpr std::size_t max_content = 10'000;
constexpr std::size_t max_tag = 100;
constexpr std::size_t max_link = 2'048;
constexpr std::size_t max_first_comment = 2'000;
constexpr std::size_t max_reason = 1'000;
constexpr std::size_t max_accounts = 100;
constexpr std::size_t max_search = 255;
constexpr std::size_t max_bulk = 50;
constexpr std::size_t max_path = 1'000;
constexpr std::size_t max_file_name = 255;
constexpr std::size_t max_mime_type = 100;
constexpr std::size_t max_alt_text = 500;
constexpr std::size_t max_media_url = 2'048;
constexpr std::size_t max_ordered = 100;
constexpr std::int64_t max_sort_order = 10'000;
constexpr int default_per_page = 15;
constexpr std::size_t date_length = std::string_view{"2026-02-07"}.size();

std::optional<instant> read_date(const std::string& text, bool end_of_day) {
  const auto t = parse_time(text);
  if (!t)
    return std::nullopt;
  if (end_of_day && text.size() == date_length)
    return *t + std::chrono::days{1} - std::chrono::microseconds{1};
  return *t;
}

post_filter::column read_column(const std::string& text) {
  using enum post_filter::column;
  if (text == "updated_at")
    return updated_at;
  if (text == "scheduled_at")
    return scheduled_at;
  if (text == "published_at")
    return published_at;
  if (text == "status")
    return status;
  return created_at;
}

std::string either(const request& req, const char* name, const char* alias) {
  auto value = req.query_value(name);
  return value.empty() ? req.query_value(alias) : value;
}

/// An address of http/media_link.hpp, which ends: whoever sends back what it
/// was answered does not mean to keep it. `http.public_url` may have a path.
bool is_own_media_address(std::string_view url) {
  const auto path = url.substr(0, url.find_first_of("?#"));
  const auto at = path.find(media_link_prefix);
  return at != path.npos && looks_like_media_token(path.substr(at + media_link_prefix.size()));
}

post_content read_content(body_reader& in) {
  post_content out;
  out.content_text = in.text("content_text", max_content);
  out.content_variations = in.object("content_variations");
  out.hashtags = in.text_list("hashtags", max_tag);
  out.mentions = in.text_list("mentions", max_tag);
  out.link_url = in.url("link_url", max_link);
  out.first_comment = in.text("first_comment", max_first_comment);
  return out;
}

std::vector<social_account_id> read_accounts(body_reader& in, presence need) {
  std::vector<social_account_id> out;
  if (const auto ids = in.uuid_list("social_account_ids", max_accounts, need))
    for (const auto& id : *ids)
      out.push_back({id});
  return out;
}

/// `value`, unless `in` refused something.
template <class T>
result<T> unless_refused(const body_reader& in, T value) {
  if (auto bad = in.problems())
    return std::move(*bad);
  return value;
}

void read_page_into(post_filter& out, const request& req) {
  const auto page = read_page(req, default_per_page);
  out.page = page.page;
  out.per_page = page.per_page;
}

} // namespace

result<new_post> parse_new_post(const json& body) {
  body_reader in{body};
  new_post out;
  out.content = read_content(in);
  out.type = in.choice<post_type>("post_type").value_or(post_type::standard);
  out.scheduled_timezone = in.time_zone("scheduled_timezone");
  out.scheduled_at = in.time("scheduled_at", out.scheduled_timezone.value_or("UTC"));
  out.accounts = read_accounts(in, presence::optional);
  return unless_refused(in, std::move(out));
}

result<post_content> parse_content(const json& body) {
  body_reader in{body};
  return unless_refused(in, read_content(in));
}

result<std::vector<social_account_id>> parse_accounts(const json& body) {
  body_reader in{body};
  return unless_refused(in, read_accounts(in, presence::required));
}

result<std::vector<post_id>> parse_post_ids(const json& body) {
  body_reader in{body};
  std::vector<post_id> out;
  if (const auto ids = in.uuid_list("post_ids", max_bulk, presence::required))
    for (const auto& id : *ids)
      out.push_back({id});
  return unless_refused(in, std::move(out));
}

result<bool> parse_retry(const json& body) {
  body_reader in{body};
  const auto confirmed = in.flag("confirm_duplicate_risk").value_or(false);
  return unless_refused(in, confirmed);
}

result<new_media> parse_media(const json& body) {
  body_reader in{body};
  new_media out;
  out.type = in.choice<media_type>("media_type", presence::required).value_or(media_type::image);
  out.path = in.text("file_path", max_path, presence::required).value_or("");
  if (!out.path.empty() && !is_object_path(out.path))
    in.refuse("file_path", "must be a relative path without '..'.");
  out.url = in.url("file_url", max_media_url);
  out.thumbnail_url = in.url("thumbnail_url", max_media_url);
  for (auto* url : {&out.url, &out.thumbnail_url})
    if (*url && is_own_media_address(**url))
      url->reset();
  const auto name = in.text("original_filename", max_file_name);
  if (name && !is_file_name(*name))
    in.refuse("original_filename", "must be a file name without a path.");
  out.file_name = name.value_or(out.path.substr(out.path.rfind('/') + 1));
  out.size = in.whole_number("file_size", 0, largest_media_size());
  out.mime_type = in.text("mime_type", max_mime_type);
  out.alt_text = in.text("alt_text", max_alt_text);
  out.sort_order = static_cast<int>(in.whole_number("sort_order", 0, max_sort_order).value_or(0));
  out.metadata = in.object("metadata").value_or("");
  out.processing = media_processing_status::completed;
  if (out.size && *out.size > largest_size(out.type))
    in.refuse("file_size", "must not be more than " + std::to_string(largest_size(out.type)) + " bytes for this type.");
  if (out.mime_type) {
    if (const auto known = media_format_of(*out.mime_type); !known || !is_allowed(out.type, *known))
      in.refuse("mime_type", "is not allowed for this media_type.");
  }
  return unless_refused(in, std::move(out));
}

result<std::vector<media_position>> parse_media_order(const json& body) {
  body_reader in{body};
  std::vector<media_position> out;
  if (body.contains("media_order")) {
    if (const auto ids = in.uuid_list("media_order", max_ordered, presence::required))
      for (const auto& id : *ids)
        out.push_back({id, static_cast<int>(out.size()) + 1});
    return unless_refused(in, std::move(out));
  }
  if (body.empty() || body.size() > max_ordered)
    return invalid("media_order", "Name between 1 and " + std::to_string(max_ordered) + " media.");
  for (const auto& [name, _] : body.items()) {
    const auto id = parse_uuid(name);
    const auto position = in.whole_number(name, 0, max_sort_order);
    if (!id)
      in.refuse(name, "must be the id of media.");
    else if (position)
      out.push_back({*id, static_cast<int>(*position)});
  }
  return unless_refused(in, std::move(out));
}

result<schedule_input> parse_schedule(const json& body, const std::string& stored_zone) {
  body_reader in{body};
  schedule_input out;
  out.zone = in.time_zone("timezone");
  out.at = in.time("scheduled_at", out.zone.value_or(stored_zone), presence::required)
             .value_or(instant{});
  return unless_refused(in, std::move(out));
}

result<approve_input> parse_approve(const json& body) {
  body_reader in{body};
  return unless_refused(in, approve_input{in.text("comment", max_reason)});
}

result<reject_input> parse_reject(const json& body) {
  body_reader in{body};
  reject_input out;
  out.reason = in.text("reason", max_reason, presence::required).value_or("");
  out.comment = in.text("comment", max_reason);
  return unless_refused(in, std::move(out));
}

post_filter parse_filter(const request& req) {
  post_filter out;
  out.status = parse<post_status>(req.query_value("status"));
  out.author = user_id::parse(req.query_value("author_id"));
  out.type = parse<post_type>(req.query_value("post_type"));
  out.from = read_date(req.query_value("from_date"), false);
  out.to = read_date(req.query_value("to_date"), true);
  out.search = first_characters(req.query_value("search"), max_search);
  out.sort = read_column(either(req, "sort_by", "sort"));
  out.ascending = either(req, "sort_dir", "direction") == "asc";
  read_page_into(out, req);
  return out;
}

post_filter parse_approvals_filter(const request& req) {
  post_filter out;
  out.status = post_status::submitted;
  out.sort = post_filter::column::submitted_at;
  out.ascending = true;
  read_page_into(out, req);
  return out;
}

} // namespace carillon::http::posts
