#include "http/handlers/meta/routes.hpp"

#include "assets/openapi.hpp"

namespace carillon::http {

namespace {

reply bare(json body) {
  reply out;
  out.body = std::move(body);
  return out;
}

reply api_info(const request& req) {
  return bare({{"name", "Carillon"},
               {"version", "v1"},
               {"docs", req.base_url + "/api/v1/openapi.json"},
               {"status", "ok"}});
}

reply alive(const request&) {
  return bare({{"status", "up"}});
}

reply description(const request&) {
  reply out;
  out.raw = std::string{openapi_description()};
  return out;
}

} // namespace

std::string_view openapi_description() noexcept {
  return assets::openapi().text();
}

std::vector<route> meta_routes(const clock_port& clock) {
  const auto local
    = [](const char* pattern, std::function<reply(const request&)> answer) {
        return route{.method = "GET",
                     .pattern = pattern,
                     .need = access::open,
                     .local = std::move(answer)};
      };
  return {
    local("/api", api_info),
    local("/up", alive),
    local("/api/v1/health",
          [&clock](const request&) {
            return bare({{"status", "ok"},
                         {"version", "v1"},
                         {"timestamp", format_api_time(clock.now())}});
          }),
    local("/api/v1/openapi.json", description),
  };
}

} // namespace carillon::http
