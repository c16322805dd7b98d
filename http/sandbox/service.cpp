#include "http/sandbox/service.hpp"

#include "http/router.hpp"
#include "http/sandbox/atproto_routes.hpp"
#include "http/sandbox/mastodon_json.hpp"
#include "http/sandbox/mastodon_routes.hpp"
#include "http/sandbox/operator_routes.hpp"
#include "http/sandbox/page_routes.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <iterator>
#include <thread>

namespace carillon::http::sandbox {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

std::vector<route> all_routes(world& w) {
  auto out = mastodon_routes(w);
  for (auto more : {atproto_routes(w), operator_routes(w), page_routes(w)})
    out.insert(out.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  return out;
}

reply dropped() {
  reply out;
  out.drop = true;
  return out;
}

reply too_many_requests(const request& req, const fate& what, instant now) {
  if (is_xrpc(req))
    return xrpc_rate_limit_exceeded(what, now);
  auto out = api_error(429, "Too many requests");
  out.headers
    = {{"Retry-After", std::to_string(what.retry_after.count())},
       {"X-RateLimit-Limit", "300"},
       {"X-RateLimit-Remaining", "0"},
       {"X-RateLimit-Reset", format_milliseconds(now + what.retry_after)}};
  return out;
}

reply server_error(const request& req, const fate& what) {
  if (!what.html)
    return is_xrpc(req) ? xrpc_error(what.status, "InternalServerError",
                                     "The sandbox network fails on request")
                        : api_error(what.status,
                                    "The sandbox network fails on request");
  reply out;
  out.status = what.status;
  out.content_type = "text/html; charset=utf-8";
  out.raw = "<!doctype html><html><head><title>" + std::to_string(what.status)
            + "</title></head><body><h1>We&#39;re sorry, but something went "
              "wrong.</h1><p>The sandbox network fails on request.</p></body>"
              "</html>\n";
  return out;
}

bool is_api(const request& req) {
  return req.path.starts_with("/api/") || is_xrpc(req);
}

bool is_publish(const request& req) {
  return req.method == "POST"
         && (req.path == "/api/v1/statuses" || req.path == "/api/v1/statuses/"
             || req.path == put_record_path);
}

} // namespace

struct service::impl {
  impl(service_options options, const clock_port& clock, logger& log)
    : w{clock, log,
        options.data.empty()
          ? nullptr
          : std::make_unique<timeline_file>(std::move(options.data), log),
        network{options.most}} {
    if (w.file)
      w.file->read_into(w.net, clock.now());
    table = std::make_unique<router>(all_routes(w));
    thread = std::thread{[this] { io.run(); }};
  }

  ~impl() {
    io.stop();
    thread.join();
  }

  void take(request req, server::respond respond) {
    // Shared, as an upload is too large to be copied from step to step.
    auto one = std::make_shared<request>(std::move(req));
    asio::post(io, [this, one = std::move(one), respond = std::move(respond)] {
      begin(one, respond);
    });
  }

  void begin(const std::shared_ptr<request>& req,
             const server::respond& respond) {
    if (!is_api(*req))
      return respond(look_up(*req));
    ++w.calls.all;
    const auto who = is_xrpc(*req) ? account_of_session(w, *req)
                                   : account_of_token(*req);
    const auto name = who ? *who : std::string{};
    const bool publishes = is_publish(*req);
    w.calls.publish += publishes ? 1 : 0;
    // Without an account nothing can be published, so nothing is rolled.
    const auto what = publishes && !name.empty() ? w.faults.roll_publish(name)
                                                 : w.faults.roll_other(name);
    if (what.latency.count() == 0)
      return carry_out(*req, what, respond);
    ++w.calls.slowed;
    after(what.latency / 2,
          [this, req, what, respond] { carry_out(*req, what, respond); });
  }

  void carry_out(request& req, const fate& what,
                 const server::respond& respond) {
    auto answer = outcome(req, what);
    // A hang keeps its place among the requests in flight, which the server
    // bounds.
    const auto wait
      = what.latency - what.latency / 2
        + (answer.drop && what.hit == blow::hung ? what.hang : milliseconds{0});
    after(wait, [answer = std::move(answer), respond] { respond(answer); });
  }

  /// Does what the call asks for and says what comes of it.
  reply outcome(request& req, const fate& what) {
    switch (what.hit) {
    case blow::too_many_requests:
      ++w.calls.blows[what.hit];
      return too_many_requests(req, what, w.clock.now());
    case blow::server_error:
      ++w.calls.blows[what.hit];
      return server_error(req, what);
    case blow::dropped_before_accept:
      ++w.calls.blows[what.hit];
      return dropped();
    default:
      break;
    }
    auto out = is_publish(req) ? guarded([&] {
      return is_xrpc(req) ? put_record(w, req, what)
                          : publish_status(w, req, what);
    })
                               : look_up(req);
    // What was not accepted is answered: these faults hide acceptance.
    if (what.hit == blow::none || out.status != 200)
      return out;
    ++w.calls.blows[what.hit];
    return what.hit == blow::hidden_by_server_error ? server_error(req, what)
                                                    : dropped();
  }

  reply look_up(request& req) {
    auto found = table->match(req.method, req.path);
    if (!found.found) {
      if (found.allowed.empty())
        return api_error(404, "Record not found");
      auto out = api_error(405, "This method is not supported here");
      std::string allowed;
      for (const auto& method : found.allowed)
        allowed += (allowed.empty() ? "" : ", ") + method;
      out.headers.emplace_back("Allow", allowed);
      return out;
    }
    req.path_params = std::move(found.path_params);
    return guarded([&] { return found.found->local(req); });
  }

  template <class Run>
  reply guarded(Run run) {
    try {
      return run();
    } catch (const std::exception& e) {
      w.log.error("sandbox-call-failed", {{"error", e.what()}});
      return api_error(500, "The sandbox network has failed by mistake");
    }
  }

  template <class Then>
  void after(milliseconds wait, Then then) {
    if (wait.count() <= 0)
      return then();
    auto timer = std::make_shared<asio::steady_timer>(io, wait);
    timer->async_wait(
      [timer, then = std::move(then)](boost::system::error_code ec) {
        if (!ec)
          then();
      });
  }

  world w;
  std::unique_ptr<router> table;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> busy{
    io.get_executor()};
  std::thread thread;
};

service::service(service_options options, const clock_port& clock, logger& log)
  : impl_(std::make_unique<impl>(std::move(options), clock, log)) {}

service::~service() = default;

server::dispatch service::dispatcher() {
  return [this](request req, server::respond respond) {
    impl_->take(std::move(req), std::move(respond));
  };
}

server_options make_server_options() {
  server_options out;
  out.max_body_bytes = most_body_bytes;
  // Many callers at once that are made to wait.
  out.max_connections = 20'000;
  out.max_in_flight = 20'000;
  out.cors_origins.clear();
  return out;
}

} // namespace carillon::http::sandbox
