#include "http/sandbox/page_routes.hpp"

#include "http/sandbox/mastodon_json.hpp"

#include "assets/sandbox_page.hpp"

namespace carillon::http::sandbox {

namespace {

/// The page needs nothing but itself; nothing else may run in it or frame it.
constexpr auto page_policy
  = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";
/// A picture or an avatar, opened by itself.
constexpr auto picture_policy = "default-src 'none'; sandbox";

reply page() {
  reply out;
  out.raw = std::string{assets::sandbox_page().find("timeline.html").value()};
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"Content-Security-Policy", page_policy},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cache-Control", "no-cache"}};
  return out;
}

reply asset(const char* name, const char* type) {
  reply out;
  out.raw = std::string{assets::sandbox_page().find(name).value()};
  out.content_type = type;
  out.headers = {{"Cache-Control", "no-cache"}};
  return out;
}

reply avatar(const request& req) {
  std::string_view name = req.path_params.at("name");
  constexpr std::string_view suffix = ".svg";
  if (!name.ends_with(suffix)
      || !is_account_name(name.substr(0, name.size() - suffix.size())))
    return api_error(404, "Record not found");
  reply out;
  out.raw = render_avatar(name.substr(0, name.size() - suffix.size()));
  out.content_type = "image/svg+xml";
  out.headers = {{"Content-Security-Policy", picture_policy},
                 {"Cache-Control", "max-age=86400"}};
  return out;
}

reply picture(const world& w, const request& req) {
  const auto id = parse_object_id(req.path_params.at("id"));
  const auto* found = id ? w.net.find_medium(*id) : nullptr;
  if (!found || !found->bytes || found->ready_at > w.clock.now())
    return api_error(404, "Record not found");
  reply out;
  out.raw = *found->bytes;
  out.content_type = found->mime_type;
  out.headers = {{"Content-Security-Policy", picture_policy},
                 {"Cache-Control", "max-age=86400"}};
  return out;
}

/// `/@acme` and `/@acme/1234` are the page, too.
reply page_of_account(const request& req) {
  return req.path_params.at("handle").starts_with('@')
           ? page()
           : api_error(404, "Record not found");
}

/// FNV-1a with a last mix, so that acct1 and acct2 differ in every bit: the
/// same colours on every machine.
std::uint32_t hash_of(std::string_view text) noexcept {
  std::uint32_t out = 2'166'136'261U;
  for (char c : text)
    out = (out ^ static_cast<unsigned char>(c)) * 16'777'619U;
  out = (out ^ out >> 16) * 2'246'822'507U;
  return out ^ out >> 13;
}

/// `AE` of acme_europe, `A7` of acct17.
std::string initials_of(std::string_view account_name) {
  const auto shown = display_name(account_name);
  std::string out{shown.front()};
  const auto space = shown.rfind(' ');
  const auto last = shown.back();
  if (space != std::string::npos && space + 1 < shown.size())
    out += shown[space + 1];
  else if (shown.size() > 1 && last >= '0' && last <= '9')
    out += last;
  for (char& c : out)
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
  return out;
}

} // namespace

std::string render_avatar(std::string_view account_name) {
  const auto hash = hash_of(account_name);
  const auto colour = [](std::uint32_t hue, int lightness) {
    return "hsl(" + std::to_string(hue % 360) + ",62%,"
           + std::to_string(lightness) + "%)";
  };
  const auto from = colour(hash % 360, 46);
  const auto to = colour(hash % 360 + 38, 38);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\">"
         "<defs><linearGradient id=\"g\" x1=\"0\" y1=\"0\" x2=\"1\" y2=\"1\">"
         "<stop offset=\"0\" stop-color=\""
         + from + "\"/><stop offset=\"1\" stop-color=\"" + to
         + "\"/></linearGradient></defs>"
           "<rect width=\"96\" height=\"96\" fill=\"url(#g)\"/>"
           "<circle cx=\"78\" cy=\"16\" r=\"34\" fill=\"#fff\" "
           "fill-opacity=\".09\"/>"
           "<text x=\"48\" y=\"50\" fill=\"#fff\" font-family=\"system-ui,"
           "sans-serif\" font-size=\"36\" font-weight=\"600\" "
           "letter-spacing=\"1\" text-anchor=\"middle\" "
           "dominant-baseline=\"central\">"
         + initials_of(account_name) + "</text></svg>";
}

std::vector<route> page_routes(world& w) {
  const auto the_page = [](const request&) { return page(); };
  return {
    local_route("GET", "/", the_page),
    local_route("GET", "/{handle}", page_of_account),
    local_route("GET", "/{handle}/{id}", page_of_account),
    local_route("GET", "/tags/{tag}", the_page),
    local_route("GET", "/assets/timeline.css",
        [](const request&) {
          return asset("timeline.css", "text/css; charset=utf-8");
        }),
    local_route("GET", "/assets/timeline.js",
        [](const request&) {
          return asset("timeline.js", "text/javascript; charset=utf-8");
        }),
    local_route("GET", "/avatars/{name}", avatar),
    local_route("GET", "/media/{id}", [&w](const request& req) { return picture(w, req); }),
  };
}

} // namespace carillon::http::sandbox
