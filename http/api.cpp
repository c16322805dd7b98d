#include "http/api.hpp"

#include "http/envelope.hpp"
#include "http/exchange.hpp"
#include "http/gates.hpp"
#include "http/media_link.hpp"
#include "http/router.hpp"
#include "http/shared_reads.hpp"
#include "http/token.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace carillon::http {

/// Something that the actor of an exchange does next.
struct exchange_step {
  std::function<void(caf::event_based_actor*)> run;
};
using exchange_step_ptr = std::shared_ptr<exchange_step>;

} // namespace carillon::http

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(carillon::http::exchange_step_ptr)

namespace carillon::http {

namespace {

struct tunables {
  api_settings settings;
  api_options options;
};

struct outcome {
  reply answer;
  hints to_tell;
};

failure crashed(const std::exception& e) {
  return {errc::permanent, std::string{"exception: "} + e.what(), {}, {}};
}

/// Refusals of the pool concern the server's load, not this caller's.
failure of_pool(failure f) {
  if (f.code == errc::throttled)
    f.code = errc::transient;
  return f;
}

/// A connection is always left to the other routes, if there are two.
shared_limits limits_of(const api_options& o) {
  return {std::clamp(o.connections - 1, 1, 3), o.queue_limit};
}

/// The token in it is a credential.
constexpr std::string_view unsubscribe_prefix = "/unsubscribe/";

std::string path_for_log(const std::string& path) {
  for (const auto prefix : {unsubscribe_prefix, media_link_prefix})
    if (path.starts_with(prefix))
      return std::string{prefix} + "...";
  return path;
}

void log_failure(logger& log, const request& req, const failure& f) {
  const auto line = [&](log_level level, std::string_view event) {
    log.write(level, event,
              {{"method", req.method},
               {"path", path_for_log(req.path)},
               {"code", std::string{to_string(f.code)}},
               {"detail", f.detail},
               {"correlation", req.correlation_id}});
  };
  switch (f.code) {
  case errc::permanent:
    return line(log_level::error, "request-failed");
  case errc::transient:
  case errc::outcome_unknown:
  case errc::cancelled:
    return line(log_level::warn, "request-not-served");
  default:
    return line(log_level::debug, "request-refused");
  }
}

caf::behavior step_runner(caf::event_based_actor* self) {
  return {[self](const exchange_step_ptr& step) { step->run(self); }};
}

void add_limit_headers(reply& r, const rate_decision& d, instant now) {
  if (d.limit == 0)
    return;
  r.headers.emplace_back("X-RateLimit-Limit", std::to_string(d.limit));
  r.headers.emplace_back("X-RateLimit-Remaining", std::to_string(d.remaining));
  if (d.allowed)
    return;
  const auto reset = std::chrono::ceil<std::chrono::seconds>(now + d.retry_after);
  r.headers.emplace_back("X-RateLimit-Reset",
                         std::to_string(reset.time_since_epoch().count()));
}

} // namespace

struct api::impl : std::enable_shared_from_this<api::impl> {
  impl(caf::actor_system& s, database_actor p, std::vector<route> routes,
       const clock_port& c, logger& l, tunables t, hint_sink h)
    : system(s), pool(std::move(p)), table(std::move(routes)), clock(c), log(l),
      auth_limiter(t.options.auth_limit),
      current(std::make_shared<const tunables>(std::move(t))),
      hints(std::move(h)),
      reads(std::make_shared<shared_reads>(system, pool, limits_of(current->options),
                                           [&l](const request& req, const failure& f) {
                                             log_failure(l, req, f);
                                             return problem(f);
                                           })) {}

  std::shared_ptr<const tunables> now_in_force() const {
    std::lock_guard lock{mutex};
    return current;
  }

  // -- one request, from the io thread on
  // ---------------------------------------

  void serve(request req, server::respond respond) {
    auto match = table.match(req.method, req.path);
    req.path_params = std::move(match.path_params);
    const auto started = std::chrono::steady_clock::now();
    if (!match.found)
      return respond(no_route(match));
    const auto& r = *match.found;

    rate_decision limited;
    if (r.auth_limited)
      limited
        = auth_limiter.take(rate_limit_client(req.remote_address), started);
    respond = logged(req, limited, started, std::move(respond));
    if (!limited.allowed) {
      const failure f{errc::throttled, "auth limiter", {}, limited.retry_after};
      log_failure(log, req, f);
      return respond(problem(f));
    }
    if (r.local)
      return respond(answer_locally(r, req));
    if (r.start)
      return begin_exchange(r, std::move(req), std::move(respond));
    if (r.shared && r.shared->takes(req))
      if (auto token = parse_bearer(req.header("authorization")); token && token->id)
        return reads->ask(r, std::move(req), std::move(*token), std::move(respond), now_in_force()->options.deadline);
    ask(r, std::make_shared<request>(std::move(req)), std::move(respond));
  }

  server::respond logged(const request& req, rate_decision limited,
                         std::chrono::steady_clock::time_point started,
                         server::respond respond) {
    return [self = shared_from_this(), started, limited, method = req.method,
            path = req.path, correlation = req.correlation_id,
            next = std::move(respond)](reply answer) {
      add_limit_headers(answer, limited, self->clock.now());
      self->log_answer(method, path, correlation, answer.status, started);
      next(std::move(answer));
    };
  }

  static reply no_route(const route_match& match) {
    if (match.allowed.empty())
      return problem({errc::not_found, "no such route", {}, {}});
    auto out = error_reply(405, "This method is not allowed here.");
    std::string allow;
    for (const auto& method : match.allowed)
      allow += (allow.empty() ? "" : ", ") + method;
    out.headers.emplace_back("Allow", std::move(allow));
    return out;
  }

  void log_answer(const std::string& method, const std::string& path,
                  const std::string& correlation, int status,
                  std::chrono::steady_clock::time_point started) const {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - started);
    // Reads are many and change nothing; what changed something is kept.
    const bool reads = method == "GET" || method == "HEAD";
    log.write(reads ? log_level::debug : log_level::info, "http-request",
              {{"method", method},
               {"path", path_for_log(path)},
               {"status", std::to_string(status)},
               {"ms", std::to_string(took.count())},
               {"correlation", correlation}});
  }

  reply refuse(const request& req, const failure& f) const {
    log_failure(log, req, f);
    return problem(f);
  }

  reply answer_locally(const route& r, const request& req) const {
    try {
      return r.local(req);
    } catch (const std::exception& e) {
      return refuse(req, crashed(e));
    }
  }

  // -- run routes: one database task
  // ----------------------------------------------

  outcome run(const route& r, const request& req, store& db,
              const api_settings& settings) const {
    try {
      call c{req, db, clock, log, settings, {}, {}, {}};
      if (auto refused = pass_gates(c, r.need))
        return {refuse(req, *refused), {}};
      auto answer = r.run(c);
      if (!answer)
        return {refuse(req, answer.error()), {}};
      return {std::move(*answer), std::move(c.after_commit)};
    } catch (const std::exception& e) {
      return {refuse(req, crashed(e)), {}};
    } catch (...) {
      return {refuse(req, {errc::permanent, "unknown exception", {}, {}}), {}};
    }
  }

  void ask(const route& r, std::shared_ptr<const request> req,
           server::respond respond) {
    auto in_force = now_in_force();
    const auto deadline = in_force->options.deadline;
    auto body = [api = shared_from_this(), &r, req,
                 in_force](store& db) -> result<outcome> {
      return api->run(r, *req, db, in_force->settings);
    };
    auto then = [api = shared_from_this(), req,
                 respond = std::move(respond)](result<outcome> out) {
      if (!out)
        return respond(api->refuse(*req, of_pool(std::move(out).error())));
      respond(std::move(out->answer));
      api->tell(out->to_tell);
    };
    system.spawn<caf::hidden>(
      [pool = pool, name = r.method + " " + r.pattern, deadline,
       body = std::move(body),
       then = std::move(then)](caf::event_based_actor* self) {
        ask_database<outcome>(self, pool, name, deadline, body, then);
      });
  }

  void tell(const carillon::hints& all) const {
    if (!hints)
      return;
    try {
      for (const auto& one : all)
        hints(one);
    } catch (const std::exception& e) {
      log.error("hint-not-sent", {{"error", e.what()}});
    }
  }

  // -- start routes: several steps
  // ------------------------------------------------

  class steps;

  void begin_exchange(const route& r, request req, server::respond respond);

  // -- stream routes: the body comes in pieces
  // ------------------------------------

  std::optional<server::stream> find_stream(const request& head);

  caf::actor_system& system;
  const database_actor pool;
  const router table;
  const clock_port& clock;
  logger& log;
  rate_limiter auth_limiter;
  mutable std::mutex mutex;
  std::shared_ptr<const tunables> current;
  const hint_sink hints;
  const std::shared_ptr<shared_reads> reads;
};

class api::impl::steps final : public exchange {
public:
  steps(std::shared_ptr<impl> api, request req, server::respond respond)
    : api_(std::move(api)), req_(std::move(req)), respond_(std::move(respond)),
      actor_(api_->system.spawn<caf::hidden>(step_runner)) {}

  /// Does `step` on the actor's thread next. Other threads may say so too:
  /// unlike a spawn, a message leaves nothing of CAF's in their storage,
  /// which would keep the actor system from ending before they do.
  void next(std::function<void(caf::event_based_actor*)> step) {
    caf::anon_send(
      actor_, std::make_shared<exchange_step>(exchange_step{std::move(step)}));
  }

  const request& req() const noexcept override {
    return req_;
  }
  const clock_port& clock() const noexcept override {
    return api_->clock;
  }
  logger& log() noexcept override {
    return api_->log;
  }

  void answer(reply r) override {
    if (!answered_.exchange(true))
      respond_(std::move(r));
  }
  void answer(const failure& f) override {
    answer(api_->refuse(req_, f));
  }

  /// Runs a step of the route; what it throws is answered.
  template <class Step>
  void guarded(Step&& step) {
    try {
      step();
    } catch (const std::exception& e) {
      answer(crashed(e));
    }
  }

  void on_database(std::string name, std::function<void(store&)> task,
                   std::function<void(std::optional<failure>)> then) override {
    auto self = std::static_pointer_cast<steps>(shared_from_this());
    auto body = [task = std::move(task)](store& db) -> result<done> {
      try {
        task(db);
        return done{};
      } catch (const std::exception& e) {
        return crashed(e);
      }
    };
    auto report = [self, then = std::move(then)](result<done> out) {
      self->guarded([&] {
        if (out)
          then(std::nullopt);
        else
          then(of_pool(std::move(out).error()));
      });
    };
    const auto deadline = api_->now_in_force()->options.deadline;
    next([pool = api_->pool, name = std::move(name), deadline,
          body = std::move(body),
          report = std::move(report)](caf::event_based_actor* actor) {
      carillon::ask_database<done>(actor, pool, name, deadline, body, report);
    });
  }

private:
  std::shared_ptr<impl> api_;
  request req_;
  server::respond respond_;
  /// Ends when the last one lets go of the exchange.
  caf::actor actor_;
  std::atomic<bool> answered_{false};
};

void api::impl::begin_exchange(const route& r, request req,
                               server::respond respond) {
  auto x = std::make_shared<steps>(shared_from_this(), std::move(req),
                                   std::move(respond));
  x->next([x, &r, api = shared_from_this()](caf::event_based_actor*) {
    x->guarded([&] { r.start(x); });
  });
}

std::optional<server::stream> api::impl::find_stream(const request& head) {
  auto match = table.match(head.method, head.path);
  if (!match.found || !match.found->stream)
    return std::nullopt;
  const auto& wanted = *match.found->stream;
  auto type = head.header("content-type");
  type = type.substr(0, type.find_first_of("; \t"));
  const bool same = std::equal(type.begin(), type.end(), wanted.content_type.begin(), wanted.content_type.end(),
                               [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
  if (!same)
    return std::nullopt;
  return server::stream{
    wanted.most_bytes,
    [self = shared_from_this(), &wanted, params = std::move(match.path_params)](request req, server::respond respond) {
      req.path_params = params;
      respond = self->logged(req, {}, std::chrono::steady_clock::now(), std::move(respond));
      return wanted.open(std::make_shared<steps>(self, std::move(req), std::move(respond)));
    }};
}

api::api(caf::actor_system& system, database_actor pool,
         std::vector<route> routes, const clock_port& clock, logger& log,
         api_settings settings, api_options options, hint_sink hints)
  : impl_(std::make_shared<impl>(
    system, std::move(pool), std::move(routes), clock, log,
    tunables{std::move(settings), options}, std::move(hints))) {}

api::~api() = default;

server::dispatch api::dispatcher() const {
  return [self = impl_](request req, server::respond respond) {
    self->serve(std::move(req), std::move(respond));
  };
}

server::stream_finder api::streams() const {
  return [self = impl_](const request& head) { return self->find_stream(head); };
}

void api::configure(api_settings settings, api_options options) {
  impl_->auth_limiter.configure(options.auth_limit);
  auto fresh
    = std::make_shared<const tunables>(tunables{std::move(settings), options});
  std::lock_guard lock{impl_->mutex};
  impl_->current = std::move(fresh);
}

} // namespace carillon::http
