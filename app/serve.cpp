#include "app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>

#include <caf/all.hpp>
#include <sys/resource.h>

#include "actors/database.hpp"
#include "actors/engine_context.hpp"
#include "actors/jobs/kinds/cleanup_old_notifications.hpp"
#include "actors/jobs/kinds/remove_orphan_files.hpp"
#include "actors/node/node.hpp"
#include "actors/realtime/peer_network.hpp"
#include "app/exit_code.hpp"
#include "app/lateness_watch.hpp"
#include "app/prometheus_metrics.hpp"
#include "domain/clock.hpp"
#include "domain/ports/operations_store.hpp"
#include "domain/ports/push_store.hpp"
#include "http/api.hpp"
#include "http/handlers/demo/routes.hpp"
#include "http/handlers/internal/routes.hpp"
#include "http/live/routes.hpp"
#include "http/media_link.hpp"
#include "http/password_hasher.hpp"
#include "http/public_routes.hpp"
#include "http/server.hpp"
#include "http/unsubscribe_token.hpp"
#include "outbound/curl_loop.hpp"
#include "outbound/delivery/mail/file_transport.hpp"
#include "outbound/delivery/mail/mail_lanes.hpp"
#include "outbound/delivery/mail/mustache_mail_renderer.hpp"
#include "outbound/delivery/sms/http_sms_gateway.hpp"
#include "outbound/delivery/web_push/web_push_gateway.hpp"
#include "outbound/http_client.hpp"
#include "outbound/object_store/directory/directory_store.hpp"
#include "outbound/social/gateways.hpp"
#include "storage/listener.hpp"
#include "storage/migrator.hpp"
#include "storage/pg_store.hpp"

namespace carillon::app {

namespace {

/// Uploaded files that go out to browsers, half of them of one tenant.
constexpr int most_files_at_once = 256;

storage::session_options session_for(const config::settings& s, std::string name) {
  storage::session_options out;
  out.url = s.database.url;
  out.application_name = std::move(name);
  out.connect_timeout = s.database.connect_timeout;
  out.statement_timeout = s.database.statement_timeout;
  // A process that is stopped in mid-transaction must not hold its fence
  // longer than its lease.
  out.idle_in_transaction_timeout = s.ownership.lease;
  return out;
}

database_actor make_pool(caf::actor_system& system, const config::settings& s,
                         const std::string& name, int workers, std::size_t queue_limit,
                         const storage::token_cipher& tokens, const engine_context& context) {
  auto session = session_for(s, "carillon-" + name);
  session.live = context.realtime.get();
  session.intake = context.intake.get();
  auto& log = *context.log;
  return spawn_database(system, {name, static_cast<std::size_t>(workers), queue_limit,
                                 [session, &tokens, &log] {
                                   return storage::make_pg_store(session, tokens, log);
                                 },
                                 &log});
}

outbound::smtp_options smtp_options_of(const config::mail_settings& s) {
  outbound::smtp_options options;
  options.host = s.smtp_host;
  options.port = s.smtp_port;
  switch (s.security) {
    case config::mail_security::none:
      options.security = outbound::smtp_security::none;
      break;
    case config::mail_security::starttls:
      options.security = outbound::smtp_security::starttls;
      break;
    case config::mail_security::tls:
      options.security = outbound::smtp_security::tls;
      break;
  }
  options.username = s.username;
  options.password = s.password;
  options.timeout = s.timeout;
  return options;
}

/// The platform's key for push services: the configured one, else the one in
/// the database, made by whoever comes first. Without a key there is no push;
/// everything else goes on.
std::optional<outbound::vapid_signer> find_vapid_key(const config::settings& s, const storage::token_cipher& tokens,
                                                     logger& log) {
  auto key = s.push.vapid_private_key;
  if (key.empty()) {
    auto candidate = outbound::make_vapid_key();
    if (candidate)
      candidate = storage::make_pg_store(session_for(s, "carillon-start"), tokens, log)
                    ->pushes()
                    .share_secret("vapid_private_key", *candidate);
    if (!candidate) {
      log.error("push-has-no-key", {{"error", candidate.error().detail}});
      return std::nullopt;
    }
    key = std::move(*candidate);
  }
  auto signer = outbound::vapid_signer::from(
    key, s.push.vapid_subject.empty() ? "mailto:" + s.mail.from_address : s.push.vapid_subject);
  if (!signer) {
    log.error("push-has-no-key", {{"error", signer.error().detail}});
    return std::nullopt;
  }
  return std::move(*signer);
}

outbound::web_push_options push_options_of(const config::push_settings& s) {
  return {std::chrono::duration_cast<std::chrono::seconds>(s.time_to_live), s.timeout, s.trusted_hosts};
}

outbound::sms_provider_options sms_options_of(const config::sms_settings& s) {
  outbound::sms_provider_options out;
  out.url = s.url;
  out.method = s.method == config::sms_method::put ? "PUT" : "POST";
  out.content_type = s.content_type;
  out.fields = s.fields;
  out.body = s.body;
  out.from = s.from;
  switch (s.auth) {
    case config::sms_auth::none:
      out.auth = outbound::sms_auth::none;
      break;
    case config::sms_auth::basic:
      out.auth = outbound::sms_auth::basic;
      break;
    case config::sms_auth::bearer:
      out.auth = outbound::sms_auth::bearer;
      break;
    case config::sms_auth::header:
      out.auth = outbound::sms_auth::header;
      break;
  }
  out.username = s.username;
  out.secret = s.secret;
  out.header = s.auth_header;
  out.success_statuses = s.success_statuses;
  out.id_pointer = s.id_pointer;
  out.error_pointers = s.error_pointers;
  out.timeout = s.timeout;
  return out;
}

void apply_hot(const config::settings& s, engine_context& context, stderr_log& log) {
  context.hot.jobs_max_in_flight = s.jobs.max_in_flight;
  context.hot.publishing_per_workspace = s.publishing.max_in_flight_per_workspace;
  context.hot.passivate_after = s.workspaces.passivate_after;
  context.hot.prepare_media_before = s.publishing.prepare_media_before;
  log.set_level(s.log.level);
}

engine_settings engine_settings_of(const config::settings& s) {
  engine_settings out;
  out.node = config::effective_node_name(s);
  out.operations = {s.operations.notify, {s.publishing.late_after, s.publishing.late_share}};
  out.lease = s.ownership.lease;
  out.renew_every = config::effective_renew_every(s);
  out.batch_size = s.jobs.batch_size;
  out.job_sweep_every = s.jobs.sweep_every;
  out.conclude_linger = s.jobs.conclude_linger;
  out.max_crashes = s.jobs.max_crashes;
  out.ready = {s.jobs.max_running_per_workspace, s.jobs.breaker_failures, s.jobs.breaker_cool_down};
  const auto hours = [](std::chrono::milliseconds d) { return std::chrono::duration_cast<std::chrono::hours>(d); };
  out.history = {hours(s.jobs.keep_history_short), hours(s.jobs.keep_history_standard),
                 hours(s.jobs.keep_history_long)};
  out.restart_min_backoff = s.workspaces.restart_min_backoff;
  out.restart_max_backoff = s.workspaces.restart_max_backoff;
  out.restart_intensity = s.workspaces.restart_intensity;
  out.restart_window = s.workspaces.restart_window;
  out.quarantine_cool_down = s.workspaces.quarantine_cool_down;
  out.publish_sweep_every = s.publishing.sweep_every;
  out.publish_timeout = s.publishing.request_timeout;
  out.publishing.visibility_delay = s.publishing.visibility_delay;
  out.publishing.reconcile_deadline = s.publishing.reconcile_deadline;
  out.publishing.retry_delays = s.publishing.retry_delays;
  out.publishing.retry_jitter = s.publishing.retry_jitter;
  out.sms_daily_cap = s.sms.daily_cap;
  out.sms_max_characters = static_cast<std::size_t>(s.sms.max_characters);
  out.live_recheck_every = s.live.recheck_every;
  out.live_max_connections_per_user = s.live.max_connections_per_user;
  out.cluster = {s.cluster.enabled, s.cluster.name, s.cluster.address, s.cluster.port, s.cluster.advertise};
  out.frontend_url = s.api.frontend_url;
  out.database_timeout = s.database.statement_timeout + std::chrono::seconds{5};
  return out;
}

http::server_options server_options_of(const config::http_settings& s) {
  http::server_options out;
  out.address = s.address;
  out.port = s.port;
  out.io_threads = s.io_threads;
  out.max_body_bytes = s.max_body_bytes;
  out.max_header_bytes = s.max_header_bytes;
  out.max_connections = s.max_connections;
  out.max_in_flight = s.max_in_flight;
  out.idle_timeout = s.idle_timeout;
  out.read_timeout = s.read_timeout;
  out.write_timeout = s.write_timeout;
  out.cors_origins = s.cors_origins;
  return out;
}

/// The first signs; those of former secrets are still read.
std::vector<std::string> unsubscribe_keys_of(const config::settings& s) {
  std::vector<std::string> out{http::unsubscribe_key(config::token_key_bytes(s.secrets.token_key))};
  for (const auto& former : s.secrets.former_token_keys)
    out.push_back(http::unsubscribe_key(config::token_key_bytes(former)));
  return out;
}

/// The same: the first signs.
std::shared_ptr<const http::media_links> media_links_of(const config::settings& s) {
  std::vector<std::string> keys{http::media_link_key(config::token_key_bytes(s.secrets.token_key))};
  for (const auto& former : s.secrets.former_token_keys)
    keys.push_back(http::media_link_key(config::token_key_bytes(former)));
  return std::make_shared<const http::media_links>(
    std::move(keys), std::chrono::duration_cast<std::chrono::seconds>(s.media.link_lifetime));
}

http::api_settings api_settings_of(const config::settings& s) {
  return {s.api.compat_platform_codes, s.api.frontend_url, unsubscribe_keys_of(s), media_links_of(s)};
}

http::api_options api_options_of(const config::settings& s) {
  http::api_options out;
  out.deadline = s.http.request_timeout;
  out.auth_limit.requests = s.http.auth_rate_limit_per_minute;
  out.connections = s.database.interactive_connections;
  out.queue_limit = s.database.queue_limit;
  return out;
}

http::live::service_ptr make_live_service(const config::settings& s, realtime_link_ptr link, logger& log) {
  http::live::service_options out;
  out.key = s.live.app_key;
  out.secret = s.live.app_secret;
  if (out.secret.empty()) {
    out.secret = http::live::make_secret();
    log.info("live-secret-made", {{"hint", "live.app_secret is empty: this start signs with a secret of its own, "
                                           "which other nodes do not know"}});
  }
  out.activity_timeout = s.live.activity_timeout;
  out.write_timeout = s.http.write_timeout;
  out.max_connections = s.live.max_connections;
  out.max_channels = s.live.max_channels;
  out.max_frame_bytes = s.live.max_frame_bytes;
  out.max_messages_per_second = s.live.max_messages_per_second;
  out.max_queued_bytes = s.live.max_queued_bytes;
  return std::make_shared<http::live::service>(std::move(out), std::move(link), log);
}

/// Each live client holds a connection.
void raise_open_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

/// What runs, so that a reload compares with it and operators can see it.
class live_configuration {
public:
  explicit live_configuration(config::loaded first) : current_(std::move(first)) {
  }
  config::loaded get() const {
    std::lock_guard lock{mutex_};
    return current_;
  }
  void set(config::loaded next) {
    std::lock_guard lock{mutex_};
    current_ = std::move(next);
  }

private:
  mutable std::mutex mutex_;
  config::loaded current_;
};

/// Signals that this process waits for; blocked in every thread.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&set, signal);
  return set;
}

class caf_config final : public caf::actor_system_config {
public:
  explicit caf_config(const config::settings& all) {
    const auto& s = all.caf;
    this->set("scheduler.max-threads", s.threads());
    this->set("scheduler.policy", s.scheduler_policy == config::scheduling::sharing
                                    ? caf::atom("sharing")
                                    : caf::atom("stealing"));
    add_message_types<caf::id_block::carillon>();
    if (all.cluster.enabled)
      load_peer_network(*this);
  }
};

/// One reload: all of it or nothing.
void reload(const config::source& source, live_configuration& live, engine_context& context,
            http::api& api, stderr_log& log) {
  const auto running = live.get();
  auto outcome = config::reload(source, running.values);
  if (!outcome.violations.empty()) {
    for (const auto& violation : outcome.violations)
      log.error("config-refused", {{"violation", config::to_string(violation)}});
    return;
  }
  for (const auto& key : outcome.needs_restart)
    log.warn("config-needs-restart", {{"key", key}});
  for (const auto& change : outcome.changes)
    log.info("config-changed", {{"key", change.key}, {"old", change.old_value}, {"new", change.new_value}});
  apply_hot(outcome.next, context, log);
  api.configure(api_settings_of(outcome.next), api_options_of(outcome.next));
  live.set({outcome.next, outcome.origins});
  if (outcome.changes.empty())
    return;
  std::vector<config_change> audited;
  for (const auto& change : outcome.changes)
    audited.push_back({change.key, change.old_value, change.new_value});
  auto task = std::make_shared<db_task>();
  task->name = "record-config-changes";
  task->expires = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  task->run = [audited, node = context.settings.node, &log](store& db) {
    if (auto written = db.operations().record_config_changes(node, "SIGHUP", audited); !written)
      log.error("config-change-not-audited", {{"error", written.error().detail}});
  };
  task->refuse = [&log](failure f) { log.error("config-change-not-audited", {{"error", f.detail}}); };
  caf::anon_send(context.databases.interactive, atom::run_v, std::move(task));
}

/// Ends the process's wait when the root actor dies: it keeps crashing.
caf::actor watch(caf::actor_system& system, const node_actor& node, std::atomic<bool>& failed) {
  return system.spawn<caf::hidden>([node, &failed](caf::event_based_actor* self) -> caf::behavior {
    self->monitor(node);
    self->set_down_handler([&failed](const caf::down_msg& down) {
      if (!down.reason)
        return;
      failed = true;
      ::kill(::getpid(), SIGTERM);
    });
    return {[](atom::idle) {}};
  });
}

} // namespace

int run_serve(const config::source& source, const config::loaded& configuration,
              stderr_log& log) {
  const auto& s = configuration.values;
  const auto started_at = std::chrono::steady_clock::now();
  const auto signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  raise_open_files();

  if (auto checked = storage::check_schema(s.database.url, storage::embedded_migrations(), log); !checked) {
    log.error("cannot-start", {{"reason", checked.error().detail}});
    return exit_failure;
  }

  const system_clock clock;
  const storage::token_cipher tokens{config::token_key_bytes(s.secrets.token_key),
                                     [&] {
                                       std::vector<std::string> former;
                                       for (const auto& key : s.secrets.former_token_keys)
                                         former.push_back(config::token_key_bytes(key));
                                       return former;
                                     }()};
  // A server that hangs holds a quarter of it.
  const auto per_server = static_cast<std::size_t>(s.publishing.max_in_flight_per_server);
  outbound::curl_loop network_loop{
    {.max_running = 4 * per_server, .max_running_per_host = per_server, .max_idle_connections = 256}};
  outbound::curl_loop file_loop;
  std::shared_ptr<outbound::mail_lanes> lanes;
  if (s.mail.transport == config::mail_transport::smtp)
    lanes = std::make_shared<outbound::mail_lanes>(static_cast<std::size_t>(s.mail.connections), smtp_options_of(s.mail));
  // Push services are chosen by users: those that stall must not hold up what
  // is sent elsewhere.
  outbound::curl_loop push_loop;
  outbound::http_client client{network_loop};
  // Tenants name the servers of their accounts.
  outbound::http_client_options social_client_options;
  social_client_options.refuse_private_addresses = true;
  auto private_networks = outbound::address_blocks::parse(s.publishing.private_networks);
  if (!private_networks) {
    log.error("cannot-start", {{"reason", "publishing.private_networks: " + private_networks.error().detail}});
    return exit_failure;
  }
  social_client_options.allowed_addresses = std::move(*private_networks);
  outbound::http_client social_client{network_loop, social_client_options};
  // Files may lie on a disk that hangs: reading them must not hold up the rest.
  outbound::curl_loop upload_loop{{.max_running = 128, .max_running_per_host = 32}};
  const auto objects = std::make_shared<outbound::directory_store>(s.media.directory, log);
  auto upload_client_options = social_client_options;
  upload_client_options.find_file = [objects](const std::string& key) { return objects->local_file(key); };
  outbound::http_client upload_client{upload_loop, upload_client_options};
  outbound::http_client_options push_client_options;
  push_client_options.max_response_bytes = 4'096;
  outbound::http_client push_client{push_loop, push_client_options};
  std::shared_ptr<sms_gateway> sms;
  if (!s.sms.url.empty()) {
    auto provider = outbound::http_sms_gateway::make(client, clock, sms_options_of(s.sms));
    if (!provider) {
      log.error("cannot-start", {{"reason", "sms: " + provider.error().detail}});
      return exit_failure;
    }
    sms = std::move(*provider);
  }
  http::password_hasher passwords{{s.auth.bcrypt_cost, 64}, log};
  live_configuration live{configuration};

  caf_config caf_settings{s};
  // Never destroyed: the destructor of CAF 0.17.6 can wait for ever for a
  // detached thread that has already ended (fixed upstream in 0.18, #1196).
  auto& system = *new caf::actor_system{caf_settings};

  auto context = std::make_shared<engine_context>();
  context->settings = engine_settings_of(s);
  context->log = &log;
  const auto measured = std::make_shared<prometheus_metrics>(clock);
  context->measured = std::make_shared<lateness_watch>(
    measured, lateness_promise{s.publishing.late_after, s.publishing.late_share}, clock, log);
  // Workers that end late still use them.
  const auto realtime = context->realtime;
  const auto intake = context->intake;
  context->databases
    = {make_pool(system, s, "interactive", s.database.interactive_connections, s.database.queue_limit, tokens, *context),
       // What is in flight is bounded by jobs.max_in_flight, and refusing its
       // outcomes would only let the work be done again.
       make_pool(system, s, "background", s.database.background_connections, 1'000'000, tokens, *context),
       make_pool(system, s, "control", 1, s.database.queue_limit, tokens, *context)};
  context->handlers = built_in_handlers();
  // One nightly job cleans a workspace.
  context->handlers[std::string{kinds::cleanup_old_notifications}]
    = stoppable_handler{[objects, &log, orphans = s.media.remove_orphans](store& db, const node_identity& me, const job& work,
                                                                          const std::stop_token& stop) {
        auto first = cleanup_old_notifications(db, me, work, stop);
        if (!orphans || first.how != job_report::kind::succeeded)
          return first;
        return remove_orphan_files(db, *objects, me, work, log, stop);
      }};
  context->gateways = outbound::make_gateways(
    social_client, upload_client, clock,
    std::make_shared<outbound::host_circuits>(outbound::circuit_options{}, &log, context->measured.get()));
  context->settings.publishing.networks.clear();
  for (const auto& [platform, gateway] : context->gateways)
    context->settings.publishing.networks.push_back(platform);
  if (lanes)
    context->mail = lanes;
  else
    context->mail
      = std::make_shared<outbound::file_transport>(file_loop, outbound::file_transport_options{s.mail.directory});
  context->mail_templates = std::make_shared<outbound::mustache_mail_renderer>(outbound::mail_renderer_options{
    s.mail.templates, s.mail.from_address, s.mail.from_name, s.api.frontend_url});
  if (!s.mail.unsubscribe_base.empty())
    context->unsubscribe_url = [base = s.mail.unsubscribe_base, key = unsubscribe_keys_of(s).front()](
                                 const tenant_id& tenant, const user_id& user, const std::string& about) {
      return base + (base.ends_with('/') ? "" : "/") + "unsubscribe/"
             + http::make_unsubscribe_token(key, {tenant, user, about});
    };
  if (s.cluster.enabled)
    context->cluster_proof = [secret = s.live.app_secret](std::string_view text) {
      return http::live::keyed_hash(secret, text);
    };
  std::string push_public_key;
  if (auto signer = find_vapid_key(s, tokens, log)) {
    push_public_key = signer->public_key();
    context->push = std::make_shared<outbound::web_push_gateway>(push_client, clock, std::move(*signer),
                                                                 push_options_of(s.push));
  }
  context->sms = std::move(sms);
  apply_hot(s, *context, log);

  context->settings.publishing.media_are_objects = true;
  auto node = spawn_node(system, context, s.jobs.shutdown_grace);
  std::atomic<bool> failed{false};
  auto watcher = watch(system, node, failed);

  const auto uploads = std::make_shared<http::posts::media_uploads>(
    objects, http::posts::upload_options{s.media.max_pixels, s.media.max_uploads, media_links_of(s)}, log);
  const auto files = std::make_shared<http::posts::media_files>(objects, media_links_of(s), most_files_at_once, log);
  int exit_code = exit_ok;
  {
    storage::listener notifications{
      session_for(s, "carillon-listen"), context->settings.node,
      [node](std::string payload) { caf::anon_send(node, atom::hint_v, std::move(payload)); },
      [node] { caf::anon_send(node, atom::sweep_v); }, log};

    const auto live_service = make_live_service(s, realtime, log);
    auto routes = http::public_routes(
      passwords, {}, clock, {push_public_key, s.push.trusted_hosts, s.push.max_subscriptions_per_user}, live_service,
      uploads, s.publishing.late_after, files);
    for (auto& page : http::demo_routes({s.api.frontend_url, s.live.app_key}))
      routes.push_back(std::move(page));
    http::api public_api{system, context->databases.interactive, std::move(routes), clock, log,
                         api_settings_of(s), api_options_of(s),
                         [node](const hint& h) { caf::anon_send(node, atom::hint_v, h); }};
    http::api internal_api{system, context->databases.interactive,
                           http::internal_routes({system, node,
                                                  [&live] {
                                                    const auto now = live.get();
                                                    return config::describe(now.values, now.origins);
                                                  },
                                                  s.internal.operator_token, context->settings.node,
                                                  [measured](const auto& report, const auto& jobs) {
                                                    return measured->render(report, jobs);
                                                  }}),
                           clock, log, api_settings_of(s), api_options_of(s),
                           [node](const hint& h) { caf::anon_send(node, atom::hint_v, h); }};
    auto internal_options = server_options_of(s.http);
    internal_options.address = s.internal.address;
    internal_options.port = s.internal.port;
    internal_options.io_threads = 1;
    internal_options.cors_origins.clear();
    http::api live_api{system, context->databases.interactive, http::websocket_routes(live_service), clock, log,
                       api_settings_of(s), api_options_of(s), [](const hint&) {}};
    auto live_options = server_options_of(s.http);
    live_options.port = s.live.port;
    auto public_options = server_options_of(s.http);
    public_options.stream_timeout = s.media.upload_timeout;
    public_options.one_at_a_time = http::media_link_prefix;
    public_options.public_url = s.http.public_url;
    while (public_options.public_url.ends_with('/'))
      public_options.public_url.pop_back();
    http::server public_server{public_options, public_api.dispatcher(), log, public_api.streams()};
    http::server internal_server{internal_options, internal_api.dispatcher(), log};
    http::server live_server{live_options, live_api.dispatcher(), log};
    try {
      public_server.start();
      internal_server.start();
      if (s.live.port != 0)
        live_server.start();
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - started_at);
      log.info("ready", {{"http", "http://" + s.http.address + ":" + std::to_string(public_server.port())},
                         {"internal", "http://" + s.internal.address + ":" + std::to_string(internal_server.port())},
                         {"node", context->settings.node},
                         {"ms", std::to_string(took.count())}});
      for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGHUP;)
        reload(source, live, *context, public_api, log);
      log.info("stopping", {{"reason", failed ? "the engine keeps crashing" : "signal"}});
    } catch (const std::system_error& e) {
      log.error("cannot-start", {{"reason", e.what()}});
      exit_code = exit_failure;
    }
    public_server.stop(s.http.shutdown_grace);
    live_server.stop(s.http.shutdown_grace);
    internal_server.stop(std::chrono::milliseconds{0});
  }

  if (!failed) {
    caf::scoped_actor self{system};
    self->request(node, s.jobs.shutdown_grace + std::chrono::seconds{10}, atom::stop_v)
      .receive([](atom::done) {},
               [&](caf::error& error) { log.warn("stop-incomplete", {{"error", system.render(error)}}); });
  } else {
    exit_code = exit_failure;
  }
  caf::anon_send_exit(watcher, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(node, caf::exit_reason::user_shutdown);
  network_loop.stop();
  file_loop.stop();
  if (lanes)
    lanes->stop();
  push_loop.stop();
  for (auto* pool : {&context->databases.interactive, &context->databases.background, &context->databases.control})
    caf::anon_send_exit(*pool, caf::exit_reason::user_shutdown);
  context->databases = {};
  watcher = nullptr;
  node = nullptr;
  context.reset();
  // Last, and not for ever: it may be reading from a disk that hangs.
  auto uploads_ended = std::make_shared<std::promise<void>>();
  std::thread{[&upload_loop, uploads_ended] {
    upload_loop.stop();
    uploads_ended->set_value();
  }}.detach();
  if (uploads_ended->get_future().wait_for(std::chrono::seconds{5}) != std::future_status::ready)
    log.warn("uploads-hang", {{"left", "a file that cannot be read"}});
  log.info("stopped");
  // Everything that lasts is committed and every socket is closed; see the
  // actor system above.
  std::fflush(nullptr);
  std::_Exit(exit_code);
}

} // namespace carillon::app
