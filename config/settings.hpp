// Every tunable of Carillon as plain values. What a key means, its range and
// whether it may change at run time is declared in config/schema.cpp; the
// defaults are the initialisers here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ports/log.hpp"

namespace carillon::config {

enum class mail_transport : std::uint8_t { file, smtp };
enum class mail_security : std::uint8_t { none, starttls, tls };
enum class sms_method : std::uint8_t { post, put };
enum class sms_auth : std::uint8_t { none, basic, bearer, header };
enum class log_format : std::uint8_t { json, text };
enum class scheduling : std::uint8_t { stealing, sharing };

struct node_settings {
  std::string name; ///< Empty: `hostname:pid`, see effective_node_name.
};

struct database_settings {
  std::string url = "postgresql:///carillon";
  int interactive_connections = 4;
  int background_connections = 4;
  std::size_t queue_limit = 1'000;
  std::chrono::milliseconds statement_timeout{10'000};
  std::chrono::milliseconds connect_timeout{5'000};
};

struct http_settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080; ///< 0: any free one.
  int io_threads = 1;
  std::size_t max_body_bytes = 1024 * 1024;
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_connections = 10'000;
  std::size_t max_in_flight = 1'000;
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds read_timeout{10'000};
  std::chrono::milliseconds write_timeout{10'000};
  std::chrono::milliseconds request_timeout{10'000};
  std::chrono::milliseconds shutdown_grace{10'000};
  std::string public_url; ///< Empty: `http://` and the Host header.
  std::vector<std::string> cors_origins{"*"};
  int auth_rate_limit_per_minute = 30; ///< 0: no limit.
};

struct internal_settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 9090;  ///< 0: any free one.
  std::string operator_token; ///< Empty: loopback only.
};

struct api_settings {
  bool compat_platform_codes = true;
  std::string frontend_url = "http://localhost:3000";
};

struct ownership_settings {
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds renew_every{0}; ///< 0: a quarter of the lease.
};

struct jobs_settings {
  int batch_size = 1'000;
  int max_in_flight = 4'000;
  std::chrono::milliseconds sweep_every{1'000};
  std::chrono::milliseconds conclude_linger{5};
  std::chrono::milliseconds shutdown_grace{20'000};
  int max_running_per_workspace = 64;
  int breaker_failures = 5;
  std::chrono::milliseconds breaker_cool_down{30'000};
  int max_crashes = 3;
  std::chrono::milliseconds keep_history_short{std::chrono::hours{24}};
  std::chrono::milliseconds keep_history_standard{std::chrono::hours{7 * 24}};
  std::chrono::milliseconds keep_history_long{std::chrono::hours{90 * 24}};
};

struct workspaces_settings {
  std::chrono::milliseconds passivate_after{60'000};
  std::chrono::milliseconds restart_min_backoff{100};
  std::chrono::milliseconds restart_max_backoff{30'000};
  int restart_intensity = 5;
  std::chrono::milliseconds restart_window{30'000};
  std::chrono::milliseconds quarantine_cool_down{300'000};
};

struct publishing_settings {
  std::chrono::milliseconds sweep_every{60'000};
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds visibility_delay{30'000};
  std::chrono::milliseconds reconcile_deadline{900'000};
  std::vector<std::chrono::seconds> retry_delays{
    std::chrono::seconds{60}, std::chrono::seconds{120},
    std::chrono::seconds{240}};
  double retry_jitter = 0.1;
  int max_in_flight_per_workspace = 16;
  int max_in_flight_per_server = 256;
  std::chrono::milliseconds prepare_media_before{std::chrono::minutes{10}};
  std::vector<std::string> private_networks; ///< None may be called.
  std::chrono::milliseconds late_after{60'000};
  double late_share = 0.001;
};

struct media_settings {
  std::string directory = ".data/media";
  std::int64_t max_pixels = 100'000'000;
  int max_uploads = 16;
  std::chrono::milliseconds upload_timeout{std::chrono::minutes{15}};
  std::chrono::milliseconds link_lifetime{std::chrono::hours{6}};
  bool remove_orphans = false;
};

struct live_settings {
  std::string app_key = "carillon";
  std::string app_secret; ///< Empty: a new one at each start.
  std::uint16_t port = 0; ///< 0: on the API's port only.
  std::chrono::milliseconds activity_timeout{30'000};
  std::chrono::milliseconds recheck_every{30'000};
  std::size_t max_connections = 20'000;
  std::size_t max_connections_per_user = 20;
  std::size_t max_channels = 100;
  std::size_t max_frame_bytes = 10 * 1024;
  int max_messages_per_second = 20;
  std::size_t max_queued_bytes = 256 * 1024;
};

struct cluster_settings {
  bool enabled = false;
  std::string name = "carillon";
  std::string address = "127.0.0.1";
  std::uint16_t port = 6002;  ///< 0: any free one.
  std::string advertise;      ///< Empty: address and port.
};

struct operations_settings {
  std::vector<std::string> notify; ///< Nobody.
};

struct mail_settings {
  mail_transport transport = mail_transport::file;
  std::string directory = ".data/mail";
  std::string from_address = "carillon@localhost.localdomain";
  std::string from_name = "Carillon";
  std::string smtp_host = "127.0.0.1";
  std::uint16_t smtp_port = 25;
  mail_security security = mail_security::starttls;
  std::string username; ///< Empty: no authentication.
  std::string password;
  std::chrono::milliseconds timeout{30'000};
  int connections = 8;
  std::string templates; ///< Empty: the built-in ones.
  std::string unsubscribe_base; ///< Empty: mails carry no link that ends them.
};

struct push_settings {
  std::string vapid_private_key; ///< Empty: made once and kept in the database.
  std::string vapid_subject;     ///< Empty: mail.from_address.
  std::vector<std::string> trusted_hosts;
  std::chrono::milliseconds time_to_live{86'400'000};
  std::chrono::milliseconds timeout{10'000};
  int max_subscriptions_per_user = 10;
};

struct sms_settings {
  std::string url; ///< Empty: no texts.
  sms_method method = sms_method::post;
  std::string content_type = "application/x-www-form-urlencoded";
  std::vector<std::string> fields{"To={{to}}", "From={{from}}", "Body={{text}}"};
  std::string body;
  std::string from;
  sms_auth auth = sms_auth::none;
  std::string username;
  std::string secret;
  std::string auth_header = "X-Api-Key";
  std::vector<std::string> success_statuses{"200-299"};
  std::string id_pointer = "/sid";
  std::vector<std::string> error_pointers{"/code", "/message"};
  int max_characters = 320;
  int daily_cap = 1'000; ///< 0: no limit.
  std::chrono::milliseconds timeout{15'000};
};

struct secrets_settings {
  std::string token_key; ///< 64 hexadecimal digits; needed to serve.
  std::vector<std::string> former_token_keys;
};

struct auth_settings {
  int bcrypt_cost = 12;
};

struct log_settings {
  log_level level = log_level::info;
  log_format format = log_format::json;
};

struct caf_settings {
  int worker_threads = 0; ///< 0: one for each core, two at least.
  scheduling scheduler_policy = scheduling::sharing;

  std::size_t threads() const;
};

struct settings {
  node_settings node;
  database_settings database;
  http_settings http;
  internal_settings internal;
  api_settings api;
  ownership_settings ownership;
  jobs_settings jobs;
  workspaces_settings workspaces;
  publishing_settings publishing;
  media_settings media;
  live_settings live;
  cluster_settings cluster;
  operations_settings operations;
  mail_settings mail;
  push_settings push;
  sms_settings sms;
  secrets_settings secrets;
  auth_settings auth;
  log_settings log;
  caf_settings caf;
};

/// `node.name`, or `hostname:pid` of this process.
std::string effective_node_name(const settings& s);

/// The 32 bytes of a key of 64 hexadecimal digits; empty for anything else.
std::string token_key_bytes(std::string_view hexadecimal);

/// `ownership.renew_every`, or a quarter of the lease.
std::chrono::milliseconds effective_renew_every(const settings& s);

} // namespace carillon::config
