#include "http/handlers/demo/routes.hpp"

#include "assets/demo_page.hpp"

namespace carillon::http {

namespace {

/// The page needs nothing but itself and this server; nothing else may run in
/// it or frame it. A page that is not served over HTTPS names its WebSocket.
constexpr auto page_policy
  = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

reply asset(const char* name, const char* type) {
  reply out;
  out.raw = std::string{assets::demo_page().find(name).value()};
  out.content_type = type;
  out.headers = {{"Cache-Control", "no-cache"}, {"X-Content-Type-Options", "nosniff"}};
  return out;
}

reply page() {
  auto out = asset("index.html", "text/html; charset=utf-8");
  out.headers.emplace_back("Content-Security-Policy", page_policy);
  out.headers.emplace_back("Referrer-Policy", "no-referrer");
  return out;
}

reply config(const demo_settings& settings) {
  reply out;
  out.body = {{"frontend_url", settings.frontend_url}, {"live_key", settings.live_key}};
  out.headers = {{"Cache-Control", "no-cache"}};
  return out;
}

} // namespace

std::vector<route> demo_routes(const demo_settings& settings) {
  const auto file = [](const char* pattern, const char* name, const char* type) {
    return local_route("GET", pattern, [name, type](const request&) { return asset(name, type); });
  };
  return {
    local_route("GET", "/demo", [](const request&) { return page(); }),
    local_route("GET", "/demo/config.json", [settings](const request&) { return config(settings); }),
    file("/demo/demo.css", "demo.css", "text/css; charset=utf-8"),
    file("/demo/demo.js", "demo.js", "text/javascript; charset=utf-8"),
    file("/demo/push-worker.js", "push-worker.js", "text/javascript; charset=utf-8"),
    file("/demo/icon.svg", "icon.svg", "image/svg+xml"),
  };
}

} // namespace carillon::http
