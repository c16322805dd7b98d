#include "http/handlers/notifications/list_notifications.hpp"

#include <algorithm>
#include <charconv>

#include "domain/text.hpp"
#include "http/handlers/notifications/notification_json.hpp"

namespace carillon::http::notifications {

namespace {

constexpr int default_per_page = 20;
constexpr int default_limit = 10;
constexpr int max_limit = 50;
constexpr std::size_t max_search = 255;
constexpr std::size_t date_length = std::string_view{"2026-02-07"}.size();

std::optional<bool> parse_flag(const std::string& text) {
  if (text == "true" || text == "1")
    return true;
  if (text == "false" || text == "0")
    return false;
  return std::nullopt;
}

std::optional<instant> parse_date(const std::string& text, bool end_of_day) {
  if (auto t = parse_time(text)) {
    if (end_of_day && text.size() == date_length)
      return *t + std::chrono::days{1} - std::chrono::microseconds{1};
    return *t;
  }
  return std::nullopt;
}

/// The first of the two that was given.
std::string either(const request& req, const char* name, const char* alias) {
  auto value = req.query_value(name);
  return value.empty() ? req.query_value(alias) : value;
}

notification_filter::column parse_column(const std::string& text) {
  using enum notification_filter::column;
  if (text == "read_at")
    return read_at;
  if (text == "type")
    return type;
  if (text == "title")
    return title;
  return created_at;
}

} // namespace

notification_filter parse_filter(const request& req) {
  notification_filter f;
  f.type = parse<notification_type>(req.query_value("type"));
  f.category = parse<notification_category>(req.query_value("category"));
  f.is_read = parse_flag(req.query_value("is_read"));
  f.from = parse_date(req.query_value("from_date"), false);
  f.to = parse_date(req.query_value("to_date"), true);
  f.search = first_characters(req.query_value("search"), max_search);
  f.sort = parse_column(either(req, "sort_by", "sort"));
  f.ascending = either(req, "sort_dir", "direction") == "asc";
  const auto page = read_page(req, default_per_page);
  f.page = page.page;
  f.per_page = page.per_page;
  return f;
}

int parse_limit(const request& req) {
  const auto text = req.query_value("limit");
  int limit = default_limit;
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, limit);
  if (read.ptr != end || text.empty())
    return default_limit;
  if (read.ec == std::errc::result_out_of_range)
    return text.front() == '-' ? 1 : max_limit;
  return std::clamp(limit, 1, max_limit);
}

result<reply> run_list(call& c) {
  const auto filter = parse_filter(c.req);
  auto page = c.db.notifications().list(c.tenant_scope(), c.who.user, filter);
  if (!page)
    return std::move(page).error();
  return paginated(c.req, render(page->items), {filter.page, filter.per_page},
                   page->total);
}

result<reply> run_unread_count(call& c) {
  auto count
    = c.db.notifications().unread_count(c.tenant_scope(), c.who.user);
  if (!count)
    return std::move(count).error();
  return ok({{"count", *count}});
}

result<reply> run_recent(call& c) {
  auto list = c.db.notifications().recent(c.tenant_scope(), c.who.user,
                                          parse_limit(c.req));
  if (!list)
    return std::move(list).error();
  return ok(render(*list));
}

} // namespace carillon::http::notifications
