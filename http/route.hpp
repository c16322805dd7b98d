// What a route is: pattern, who may call it, and a run function that turns
// a request into a reply on a database worker.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "domain/clock.hpp"
#include "domain/enums.hpp"
#include "domain/hint.hpp"
#include "domain/ids.hpp"
#include "domain/ports/log.hpp"
#include "domain/ports/store.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon::http {

using json = nlohmann::json;

/// A parsed request; path, query and header text is valid UTF-8 or was
/// refused before. `body` is bytes as they came: call::body() checks them.
struct request {
  std::string method; ///< Upper case.
  std::string path;   ///< Decoded, without query.
  std::map<std::string, std::string> query; ///< Decoded; last one wins.
  std::map<std::string, std::string> headers; ///< Names in lower case.
  std::map<std::string, std::string> path_params;
  std::string body;
  std::string remote_address;
  std::string base_url;       ///< `http://host:port`, for absolute links.
  std::string correlation_id; ///< From traceparent, else made.

  std::string header(const std::string& lower_case_name) const {
    auto i = headers.find(lower_case_name);
    return i == headers.end() ? std::string{} : i->second;
  }
  /// Empty when absent: contract §1.3 treats both alike.
  std::string query_value(const std::string& name) const {
    auto i = query.find(name);
    return i == query.end() ? std::string{} : i->second;
  }
};

/// What goes on with the connection instead of HTTP: a WebSocket, an event
/// stream (http/takeover.hpp).
class takeover;

/// A body that goes out while it is read (http/answer_body.hpp).
class answer_body;

struct reply {
  int status = 200;
  json body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// When set, sent as it is instead of `body`.
  std::optional<std::string> raw;
  std::string content_type = "application/json";
  /// The connection closes without a byte of an answer: how the sandbox
  /// network plays a proxy that dies after the post was accepted.
  bool drop = false;
  /// When set, the connection is handed over to it instead of the body, and
  /// speaks HTTP no more. Ignored for HEAD.
  std::shared_ptr<takeover> next_owner = nullptr;
  /// When set, the body instead of `body` and `raw`.
  std::shared_ptr<answer_body> streamed = nullptr;
};

/// The super-admin who calls; filled for access::admin and admin_writer.
struct admin_caller {
  uuid id;
  std::string name;
  std::string email;
  super_admin_role role = super_admin_role::VIEWER;
  std::optional<instant> last_login_at;
};

/// Who calls (contract §2.1). Filled for access::token and above.
struct caller {
  std::int64_t token_id = 0;
  user_id user;
  tenant_id tenant;
  std::string name;
  std::string email;
  tenant_role role = tenant_role::member;
  std::optional<admin_caller> admin = std::nullopt;

  bool is_tenant_admin() const noexcept {
    return role != tenant_role::member;
  }
};

/// The workspace of a `{workspace}` route after the gate of contract §2.4.
struct workspace_access {
  workspace_id id;
  std::optional<workspace_role> membership;
  bool tenant_admin = false;

  /// Contract §2.4/§2.5: a tenant owner or admin passes wherever a role is
  /// needed, also beside a lower membership.
  bool has(workspace_role minimum) const noexcept {
    return tenant_admin || (membership && *membership >= minimum);
  }
  /// For create-post, reply, assign, bulk inbox, connect-account: there the
  /// membership wins over the tenant role when both exist.
  bool has_by_membership_first(workspace_role minimum) const noexcept {
    return membership ? *membership >= minimum : tenant_admin;
  }
};

class media_links;

/// Tunables that handlers read; filled by app from the configuration.
struct api_settings {
  bool compat_platform_codes = true;
  std::string frontend_url;
  /// Sign and read the links that end mails (http/unsubscribe_token.hpp); the
  /// first signs. None: no such link is valid.
  std::vector<std::string> unsubscribe_keys{};
  /// Makes the addresses of uploaded files; null: they have none.
  std::shared_ptr<const http::media_links> media_links = nullptr;
};

/// Everything a run function may use. Lives on the worker's thread.
struct call {
  const request& req;
  store& db;
  const clock_port& clock;
  logger& log;
  const api_settings& settings;
  caller who;
  std::optional<workspace_access> workspace;
  /// Sent to the owners after `run` succeeded.
  hints after_commit;

  scope tenant_scope() const {
    return scope::tenant(who.tenant);
  }

  /// The body as a JSON object; an empty body is `{}`. errc::invalid_argument
  /// on field `body` when malformed, not an object, too deep, or when any
  /// text holds U+0000. Call it after the authorisation checks (§1.4 order).
  result<json> body() const;

  /// A path parameter as an id; errc::not_found when it does not parse.
  template <class Id>
  result<Id> path_id(const std::string& name) const {
    auto i = req.path_params.find(name);
    if (i != req.path_params.end())
      if (auto id = Id::parse(i->second))
        return *id;
    return failure{errc::not_found, name + " does not exist", {}, {}};
  }
};

enum class access {
  open,      ///< No token.
  identity,  ///< A live token, no tenant gate: the auth routes of §2.2.
  token,     ///< A live token and the tenant gate (§2.3).
  workspace, ///< Also the gate of `{workspace}` in the path (§2.4).
  admin,     ///< A live token of an active super-admin (§3.6).
  admin_writer, ///< Of one who may do more than look.
};

class exchange;
class body_sink;

/// A body that a route takes while it arrives (http/body_sink.hpp).
struct body_stream {
  std::string content_type; ///< `type/subtype`, in lower case.
  std::uint64_t most_bytes = 0;
  /// On an io thread; the sink answers the exchange. It passes no gate.
  std::function<std::shared_ptr<body_sink>(std::shared_ptr<exchange>)> open;
};

/// One of many requests that are answered together; whoever calls has passed
/// access::token.
struct shared_call {
  const request& req;
  caller who;
};

/// A read that many ask at once, answered for all of them with the same few
/// statements (http/shared_reads.hpp).
struct shared_read {
  /// False: this request is one for `run`. On an io thread; must not block.
  std::function<bool(const request&)> takes;
  /// On a database worker: an answer to each, in their order; or why none.
  std::function<result<std::vector<reply>>(store&, const std::vector<shared_call>&)> run;
};

/// Exactly one of `run`, `local` and `start` is set.
struct route {
  std::string method;
  std::string pattern; ///< `/api/v1/workspaces/{workspace}/posts/{post}`
  access need = access::token;
  /// On a database worker, after the gates of `need`.
  std::function<result<reply>(call&)> run = nullptr;
  /// Needs no database: on the io thread, so it must not block.
  std::function<reply(const request&)> local = nullptr;
  /// Several steps (http/exchange.hpp): on an actor thread, must not block.
  /// `local` and `start` routes pass no gate: their `need` is access::open.
  std::function<void(std::shared_ptr<exchange>)> start = nullptr;
  /// The limiter `auth` of contract §1.6 counts this route's requests.
  bool auth_limited = false;
  /// Beside `run`: for bodies of its type, instead of it.
  std::optional<body_stream> stream = std::nullopt;
  /// Beside `run`, and with access::token: for the requests that it takes,
  /// when they name their token by its id.
  std::optional<shared_read> shared = std::nullopt;
};

/// A route without token or database.
inline route local_route(const char* method, const char* pattern, std::function<reply(const request&)> run) {
  return {.method = method, .pattern = pattern, .need = access::open, .local = std::move(run)};
}

// -- envelopes (contract §1.2 to §1.4), in envelope.cpp ------------------------

reply ok(json data, std::string_view message = "OK");
reply created(json data, std::string_view message = "Created");

struct page_request {
  int page = 1;
  int per_page = 15;
};

/// `page` and `per_page`, clamped to 1.. and 1..100.
page_request read_page(const request& req, int default_per_page);

/// The paginated envelope with meta and absolute links.
reply paginated(const request& req, json items, const page_request& page,
                std::int64_t total);

/// The same for items that are JSON text already.
reply paginated_text(const request& req, std::string_view items, std::int64_t count, const page_request& page,
                     std::int64_t total);

/// The error envelope: the one table from errc to status. Details of
/// internal failures never appear.
reply problem(const failure& f);

} // namespace carillon::http
