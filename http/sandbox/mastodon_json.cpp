#include "http/sandbox/mastodon_json.hpp"

#include "domain/text.hpp"
#include "http/sandbox/picture.hpp"

#include <algorithm>
#include <array>

namespace carillon::http::sandbox {

namespace {

constexpr std::size_t shown_link_characters = 30;

void append_escaped(std::string& out, std::string_view text) {
  for (char c : text)
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      out += c;
    }
}

bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
         || (c >= '0' && c <= '9') || c == '_'
         || static_cast<unsigned char>(c) >= 0x80;
}

/// The length of the address that `text` begins with, or 0.
std::size_t address_at(std::string_view text) {
  const auto scheme = text.starts_with("https://")  ? 8U
                      : text.starts_with("http://") ? 7U
                                                    : 0U;
  if (scheme == 0)
    return 0;
  auto end = std::min(text.find_first_of(" \t\r\n<>\"'"), text.size());
  // A full stop ends a sentence, not an address.
  while (end > scheme
         && std::string_view{".,;:!?)"}.find(text[end - 1])
              != std::string_view::npos)
    --end;
  return end > scheme ? end : 0;
}

/// The length of the hashtag that `text` begins with, or 0. A number alone is
/// none.
std::size_t hashtag_at(std::string_view text) {
  if (!text.starts_with('#'))
    return 0;
  std::size_t end = 1;
  bool has_letter = false;
  for (; end < text.size() && is_word(text[end]); ++end)
    has_letter = has_letter || text[end] < '0' || text[end] > '9';
  return has_letter ? end : 0;
}

void append_link(std::string& out, std::string_view url) {
  auto hidden = url.find("://") + 3;
  if (url.substr(hidden).starts_with("www."))
    hidden += 4;
  const auto rest = url.substr(hidden);
  const auto shown = first_characters(rest, shown_link_characters);
  out += "<a href=\"";
  append_escaped(out, url);
  out += "\" target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\">"
         "<span class=\"invisible\">";
  append_escaped(out, url.substr(0, hidden));
  out += shown.size() < rest.size() ? "</span><span class=\"ellipsis\">"
                                    : "</span><span class=\"\">";
  append_escaped(out, shown);
  out += "</span><span class=\"invisible\">";
  append_escaped(out, rest.substr(shown.size()));
  out += "</span></a>";
}

void append_hashtag(std::string& out, std::string_view tag,
                    const std::string& base) {
  const auto name = tag.substr(1);
  out += "<a href=\"";
  append_escaped(out, base);
  out += "/tags/";
  append_escaped(out, name);
  out += "\" class=\"mention hashtag\" rel=\"tag\">#<span>";
  append_escaped(out, name);
  out += "</span></a>";
}

enum class piece { plain, address, hashtag, line_break, paragraph };

/// Calls `found` with every piece: its text and what it is.
template <class Found>
void take_apart(std::string_view text, Found found) {
  std::size_t plain = 0;
  std::size_t at = 0;
  const auto take = [&](std::size_t length, piece what) {
    if (at > plain)
      found(text.substr(plain, at - plain), piece::plain);
    found(text.substr(at, length), what);
    plain = at += length;
  };
  while (at < text.size()) {
    const auto rest = text.substr(at);
    const bool in_word = at > 0 && is_word(text[at - 1]);
    if (rest.front() == '\n' || rest.front() == '\r') {
      const auto end = std::min(rest.find_first_not_of("\r\n"), rest.size());
      const auto breaks = rest.substr(0, end);
      const auto lines = std::max(
        std::count(breaks.begin(), breaks.end(), '\n'), std::ptrdiff_t{1});
      take(end, lines > 1 ? piece::paragraph : piece::line_break);
    } else if (auto link = in_word ? 0 : address_at(rest)) {
      take(link, piece::address);
    } else if (auto tag = in_word ? 0 : hashtag_at(rest)) {
      take(tag, piece::hashtag);
    } else {
      ++at;
    }
  }
  if (at > plain)
    found(text.substr(plain), piece::plain);
}

json tags_of(std::string_view text, const std::string& base) {
  auto out = json::array();
  take_apart(text, [&](std::string_view part, piece what) {
    if (what != piece::hashtag)
      return;
    const std::string name{part.substr(1)};
    const auto same = [&](const json& one) { return one["name"] == name; };
    if (std::none_of(out.begin(), out.end(), same))
      out.push_back({{"name", name}, {"url", base + "/tags/" + name}});
  });
  return out;
}

std::string post_url(const post& p, const std::string& base) {
  return base + "/@" + p.account + "/" + std::to_string(p.id);
}

json optional_text(const std::string& text) {
  return text.empty() ? json{} : json(text);
}

} // namespace

std::string format_milliseconds(instant t) {
  using namespace std::chrono;
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss time{floor<milliseconds>(t - day)};
  std::array<char, 32> out{};
  const auto length = std::snprintf(
    out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
    static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
    static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
    static_cast<int>(time.minutes().count()),
    static_cast<int>(time.seconds().count()),
    static_cast<int>(time.subseconds().count()));
  return {out.data(), static_cast<std::size_t>(std::max(0, length))};
}

std::string render_content(std::string_view text, const std::string& base) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  std::string out = "<p>";
  take_apart(text, [&](std::string_view part, piece what) {
    switch (what) {
    case piece::plain:
      return append_escaped(out, part);
    case piece::address:
      return append_link(out, part);
    case piece::hashtag:
      return append_hashtag(out, part, base);
    case piece::line_break:
      out += "<br />";
      return;
    case piece::paragraph:
      out += "</p><p>";
      return;
    }
  });
  out += "</p>";
  return out;
}

json account_json(const account& a, const std::string& base) {
  const auto url = base + "/@" + a.name;
  const auto avatar = base + "/avatars/" + a.name + ".svg";
  json last;
  if (!a.shown.empty())
    last = format_milliseconds(instant{std::chrono::milliseconds{
                                 *a.shown.rbegin() >> id_sequence_bits}})
             .substr(0, 10);
  return {{"id", a.name},
          {"username", a.name},
          {"acct", a.name},
          {"display_name", display_name(a.name)},
          {"locked", false},
          {"bot", false},
          {"discoverable", false},
          {"group", false},
          {"created_at", format_milliseconds(a.since)},
          {"note", "<p>An account of Carillon&#39;s sandbox network. Nothing "
                   "here is public.</p>"},
          {"url", url},
          {"uri", url},
          {"avatar", avatar},
          {"avatar_static", avatar},
          {"header", avatar},
          {"header_static", avatar},
          {"followers_count", 0},
          {"following_count", 0},
          {"statuses_count", a.shown.size()},
          {"last_status_at", last},
          {"emojis", json::array()},
          {"fields", json::array()}};
}

std::string_view kind_of(const medium& m) noexcept {
  const std::string_view type = m.mime_type;
  return type.starts_with("image/")   ? "image"
         : type.starts_with("video/") ? "video"
                                      : "audio";
}

std::string picture_path(const medium& m) {
  return m.bytes ? "/media/" + std::to_string(m.id) : std::string{};
}

json medium_json(const medium& m, const std::string& base, instant now) {
  json url;
  if (m.ready_at <= now)
    url = base + "/media/" + std::to_string(m.id);
  auto meta = json::object();
  if (m.width > 0)
    meta["original"]
      = {{"width", m.width},
         {"height", m.height},
         {"size", std::to_string(m.width) + "x" + std::to_string(m.height)},
         {"aspect", static_cast<double>(m.width) / std::max(1U, m.height)}};
  return {{"id", std::to_string(m.id)},
          {"type", kind_of(m)},
          {"url", url},
          {"preview_url", url},
          {"remote_url", nullptr},
          {"meta", std::move(meta)},
          {"description", optional_text(m.description)},
          {"blurhash", nullptr}};
}

json status_json(const network& net, const post& p, const std::string& base) {
  json reply_to_account;
  if (p.in_reply_to)
    if (const auto* parent = net.find(*p.in_reply_to))
      reply_to_account = parent->account;
  auto media = json::array();
  for (const auto id : p.media)
    if (const auto* m = net.find_medium(id))
      media.push_back(medium_json(*m, base, p.created_at));
  const auto url = post_url(p, base);
  return {{"id", std::to_string(p.id)},
          {"created_at", format_milliseconds(p.created_at)},
          {"in_reply_to_id",
           p.in_reply_to ? json(std::to_string(*p.in_reply_to)) : json{}},
          {"in_reply_to_account_id", std::move(reply_to_account)},
          {"sensitive", p.sensitive},
          {"spoiler_text", p.spoiler_text},
          {"visibility", to_string(p.seen_by)},
          {"language", optional_text(p.language)},
          {"uri", url},
          {"url", url},
          {"replies_count", net.count_replies(p.id)},
          {"reblogs_count", 0},
          {"favourites_count", 0},
          {"edited_at", nullptr},
          {"content", render_content(p.text, base)},
          {"reblog", nullptr},
          {"account", account_json(*net.find_account(p.account), base)},
          {"media_attachments", std::move(media)},
          {"mentions", json::array()},
          {"tags", tags_of(p.text, base)},
          {"emojis", json::array()},
          {"card", nullptr},
          {"poll", nullptr}};
}

json instance_json(const std::string& base) {
  const auto host = base.substr(std::min(base.find("://") + 3, base.size()));
  return {
    {"domain", host},
    {"title", "Carillon's sandbox network"},
    {"version", "4.3.0 (compatible; Carillon sandbox network)"},
    {"source_url", base + "/"},
    {"description", "Carillon's own small network for demos and tests. It "
                    "lives in one process, and nothing here is public."},
    {"usage", {{"users", {{"active_month", 0}}}}},
    {"languages", {"en"}},
    {"configuration",
     {{"urls", json::object()},
      {"accounts", {{"max_featured_tags", 0}}},
      {"statuses",
       {{"max_characters", most_characters},
        {"max_media_attachments", most_attachments}}},
      {"media_attachments",
       {{"supported_mime_types",
         {"image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4",
          "video/webm", "audio/mpeg", "audio/ogg", "audio/wav"}},
        {"description_limit", most_description},
        {"image_size_limit", most_media_bytes},
        {"video_size_limit", most_media_bytes}}},
      {"translation", {{"enabled", false}}}}},
    {"registrations",
     {{"enabled", false}, {"approval_required", false}, {"message", nullptr}}},
    {"contact", {{"email", ""}, {"account", nullptr}}},
    {"rules", json::array()}};
}

} // namespace carillon::http::sandbox
