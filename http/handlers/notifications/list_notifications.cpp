#include "http/handlers/notifications/list_notifications.hpp"

#include <algorithm>
#include <charconv>
#include <memory>

#include "domain/text.hpp"
#include "http/handlers/notifications/notification_json.hpp"
#include "http/handlers/notifications/rendered_pages.hpp"

namespace carillon::http::notifications {

namespace {

constexpr int default_per_page = 20;
constexpr int default_limit = 10;
constexpr int max_limit = 50;
constexpr std::size_t max_search = 255;
/// Of what users saw lately: some thousand pages.
constexpr std::size_t most_rendered_bytes = 24 * 1024 * 1024;
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

reply answer_page(const request& req, const notification_page& page, const page_request& asked) {
  return paginated_text(req, render_text(page.items), std::ssize(page.items), asked, page.total);
}

/// Of several callers: what the database says, and the text of it.
struct shown_page {
  std::int64_t total = 0;
  page_text text;
};

/// A page that was shown lately is shown from there when the database names
/// the same versions; the rows of all others come from it.
result<std::vector<shown_page>> show_pages(store& db, const scope& s, const std::vector<mailbox_page>& asked,
                                           rendered_pages& rendered) {
  std::vector<shown_page> out(asked.size());
  std::vector<std::size_t> unknown;
  std::vector<std::size_t> known;
  for (std::size_t i = 0; i < asked.size(); ++i)
    (rendered.knows(asked[i]) ? known : unknown).push_back(i);
  const auto chosen = [&](const std::vector<std::size_t>& which) {
    std::vector<mailbox_page> some;
    some.reserve(which.size());
    for (const auto i : which)
      some.push_back(asked[i]);
    return some;
  };
  if (!known.empty()) {
    const auto pages = db.notifications().newest(s, chosen(known));
    if (!pages)
      return pages.error();
    for (std::size_t k = 0; k < known.size(); ++k) {
      const auto i = known[k];
      if (auto text = rendered.find(asked[i], (*pages)[k].versions))
        out[i] = {(*pages)[k].total, std::move(*text)};
      else
        unknown.push_back(i);
    }
  }
  if (unknown.empty())
    return out;
  auto pages = db.notifications().newest_rows(s, chosen(unknown));
  if (!pages)
    return std::move(pages).error();
  for (std::size_t k = 0; k < unknown.size(); ++k) {
    const auto i = unknown[k];
    auto& page = (*pages)[k];
    out[i] = {page.index.total,
              {std::make_shared<const std::string>(render_text(page.items)), std::ssize(page.items)}};
    rendered.keep(asked[i], std::move(page.index.versions), out[i].text);
  }
  return out;
}

reply answer_count(std::int64_t count) {
  reply out;
  out.raw = R"({"success":true,"message":"OK","data":{"count":)" + std::to_string(count) + "}}";
  return out;
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
  return answer_page(c.req, *page, {filter.page, filter.per_page});
}

result<reply> run_unread_count(call& c) {
  auto count
    = c.db.notifications().unread_count(c.tenant_scope(), c.who.user);
  if (!count)
    return std::move(count).error();
  return answer_count(*count);
}

shared_read share_unread_count() {
  return {[](const request&) { return true; },
          [](store& db, const std::vector<shared_call>& calls) -> result<std::vector<reply>> {
            std::vector<mailbox> whose;
            whose.reserve(calls.size());
            for (const auto& one : calls)
              whose.push_back({one.who.tenant, one.who.user});
            const auto counts
              = db.notifications().unread_counts(scope::maintenance("unread counts of several callers"), whose);
            if (!counts)
              return counts.error();
            std::vector<reply> out;
            out.reserve(calls.size());
            for (const auto count : *counts)
              out.push_back(answer_count(count));
            return out;
          }};
}

shared_read share_list() {
  auto rendered = std::make_shared<rendered_pages>(most_rendered_bytes);
  return {[](const request& req) {
            return std::all_of(req.query.begin(), req.query.end(), [](const auto& parameter) {
              return parameter.first == "page" || parameter.first == "per_page";
            });
          },
          [rendered](store& db, const std::vector<shared_call>& calls) -> result<std::vector<reply>> {
            std::vector<mailbox_page> asked;
            asked.reserve(calls.size());
            for (const auto& one : calls) {
              const auto page = read_page(one.req, default_per_page);
              asked.push_back({{one.who.tenant, one.who.user}, page.page, page.per_page});
            }
            auto pages = show_pages(db, scope::maintenance("lists of several callers"), asked, *rendered);
            if (!pages)
              return std::move(pages).error();
            std::vector<reply> out;
            out.reserve(calls.size());
            for (std::size_t i = 0; i < calls.size(); ++i) {
              const auto& [total, text] = (*pages)[i];
              out.push_back(
                paginated_text(calls[i].req, *text.rows, text.count, {asked[i].page, asked[i].per_page}, total));
            }
            return out;
          }};
}

result<reply> run_recent(call& c) {
  auto list = c.db.notifications().recent(c.tenant_scope(), c.who.user,
                                          parse_limit(c.req));
  if (!list)
    return std::move(list).error();
  return ok(render(*list));
}

} // namespace carillon::http::notifications
