#include "http/handlers/internal/routes.hpp"

#include <openssl/crypto.h>

#include "domain/ports/store.hpp"
#include "http/exchange.hpp"
#include "http/handlers/internal/notifications.hpp"

namespace carillon::http {

namespace {

constexpr std::chrono::seconds answer_within{5};

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

bool may_enter(const request& req, const std::string& operator_token) {
  if (is_loopback(req.remote_address))
    return true;
  const auto given = req.header("authorization");
  const auto wanted = "Bearer " + operator_token;
  return !operator_token.empty() && given.size() == wanted.size()
         && CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

failure refused() {
  return {errc::forbidden, "This address needs the operator token.", {}, {}};
}

json render(const actor_report& report) {
  json out{{"name", report.name}, {"state", report.state}};
  for (const auto& [key, value] : report.facts)
    out["facts"][key] = value;
  if (!report.children.empty()) {
    out["children"] = json::array();
    for (const auto& child : report.children)
      out["children"].push_back(render(child));
  }
  return out;
}

json render(const config::described_value& key) {
  return {{"key", key.key},         {"value", key.value},   {"default", key.default_value},
          {"origin", key.origin},   {"allowed", key.allowed}, {"help", key.help},
          {"hot", key.hot},         {"secret", key.secret}};
}

/// Asks the node in an ephemeral actor of its own and answers with `done`.
template <class Value, class Done, class... Message>
void ask_node(const internal_services& services, std::shared_ptr<exchange> ex, Done done,
              Message... message) {
  services.system.spawn<caf::hidden>([node = services.node, ex, done, message...](caf::event_based_actor* self) {
    self->request(node, answer_within, message...)
      .then([ex, done](const Value& value) { ex->answer(done(value)); },
            [ex](caf::error&) { ex->answer(failure{errc::transient, "the node did not answer", {}, {}}); });
  });
}

} // namespace

std::vector<route> internal_routes(internal_services services) {
  route config_route{"GET", "/internal/config", access::open};
  config_route.local = [services](const request& req) {
    if (!may_enter(req, services.operator_token))
      return problem(refused());
    json keys = json::array();
    for (const auto& key : services.describe_config())
      keys.push_back(render(key));
    return ok(std::move(keys));
  };
  route actors_route{"GET", "/internal/actors", access::open};
  actors_route.start = [services](std::shared_ptr<exchange> ex) {
    if (!may_enter(ex->req(), services.operator_token))
      return ex->answer(refused());
    ask_node<actor_report>(services, ex, [](const actor_report& report) { return ok(render(report)); }, atom::report_v);
  };
  route release_route{"POST", "/internal/workspaces/{workspace}/release", access::open};
  release_route.start = [services](std::shared_ptr<exchange> ex) {
    if (!may_enter(ex->req(), services.operator_token))
      return ex->answer(refused());
    const auto workspace = ex->req().path_params.at("workspace");
    ask_node<bool>(
      services, ex,
      [](bool released) {
        return released ? ok(nullptr, "Released")
                        : problem({errc::not_found, "This workspace is not quarantined here.", {}, {}});
      },
      atom::release_v, workspace);
  };
  route notify_route{"POST", "/internal/notifications", access::open};
  notify_route.run = [services](call& c) -> result<reply> {
    if (!may_enter(c.req, services.operator_token))
      return refused();
    return internal_area::run_notify(c);
  };
  route metrics_route{"GET", "/metrics", access::open};
  metrics_route.start = [services](std::shared_ptr<exchange> ex) {
    if (!may_enter(ex->req(), services.operator_token))
      return ex->answer(refused());
    ex->ask_database<std::vector<job_count>>(
      "count-owned-jobs", [node = services.node_name](store& db) { return db.jobs().count_owned(node); },
      [services, ex](result<std::vector<job_count>> jobs) {
        // Without a database the rest is all the more wanted.
        auto counted = jobs ? std::move(*jobs) : std::vector<job_count>{};
        ask_node<actor_report>(
          services, ex,
          [render = services.render_metrics, counted = std::move(counted)](const actor_report& report) {
            reply out;
            out.raw = render(report, counted);
            out.content_type = "text/plain; version=0.0.4; charset=utf-8";
            return out;
          },
          atom::report_v);
      });
  };
  return {metrics_route, config_route, actors_route, release_route, notify_route};
}

} // namespace carillon::http
