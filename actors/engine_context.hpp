// What every actor of the engine shares: ports, rules, and the lease.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/jobs/job_handler.hpp"
#include "actors/jobs/ready_queue.hpp"
#include "actors/protocol/database.hpp"
#include "actors/protocol/job_intake.hpp"
#include "actors/protocol/realtime.hpp"
#include "domain/lateness_budget.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/log.hpp"
#include "domain/ports/mail_transport.hpp"
#include "domain/ports/metrics.hpp"
#include "domain/ports/publish_store.hpp"
#include "domain/ports/push_gateway.hpp"
#include "domain/ports/sms_gateway.hpp"
#include "domain/ports/social_gateway.hpp"

namespace carillon {

/// Tunables that may change while actors run (hot keys). Each is read when
/// it is needed.
struct hot_settings {
  std::atomic<int> jobs_max_in_flight{4'000};
  std::atomic<int> publishing_per_workspace{16};
  std::atomic<std::chrono::milliseconds> passivate_after{std::chrono::milliseconds{60'000}};
  std::atomic<std::chrono::milliseconds> prepare_media_before{std::chrono::milliseconds{600'000}};
};

/// How long finished jobs are kept, by retention class.
struct history_settings {
  std::chrono::hours short_{24};
  std::chrono::hours standard{7 * 24};
  std::chrono::hours long_{90 * 24};
};

/// How this node hears of live events of the others (docs/live.md).
struct cluster_settings {
  bool enabled = false;
  std::string name;    ///< Nodes of another name are refused.
  std::string address; ///< To listen on.
  std::uint16_t port = 0;
  std::string advertise; ///< `host:port` as others reach it; empty: as it listens.
};

/// Whom operators' mails go to, and what about.
struct operations_rules {
  std::vector<std::string> notify; ///< Nobody: nothing is looked for.
  lateness_promise lateness;
};

struct engine_settings {
  std::string node;
  std::chrono::milliseconds lease{10'000};
  std::chrono::milliseconds renew_every{2'500};

  int batch_size = 1'000;
  std::chrono::milliseconds job_sweep_every{1'000};
  std::chrono::milliseconds conclude_linger{5};
  /// A node's death is charged to a job that was alone; so many of them
  /// dead-letter it.
  int max_crashes = 3;
  ready_limits ready;
  history_settings history;

  std::chrono::milliseconds restart_min_backoff{100};
  std::chrono::milliseconds restart_max_backoff{30'000};
  int restart_intensity = 5;
  std::chrono::milliseconds restart_window{30'000};
  std::chrono::milliseconds quarantine_cool_down{300'000};

  std::chrono::milliseconds publish_sweep_every{60'000};
  std::chrono::milliseconds publish_timeout{30'000};
  publish_rules publishing;

  std::chrono::milliseconds live_recheck_every{30'000};
  std::size_t live_max_connections_per_user = 20;

  /// Texts that a tenant may send on a day in UTC; 0: no limit.
  int sms_daily_cap = 0;
  std::size_t sms_max_characters = 320;

  cluster_settings cluster;
  operations_rules operations;

  std::string frontend_url;
  std::chrono::milliseconds database_timeout{15'000};
};

/// Built by app, outlives every actor. Ports are safe from any thread.
struct engine_context {
  engine_settings settings;
  hot_settings hot;
  database_pools databases;
  job_handlers handlers;
  std::map<network, std::shared_ptr<social_gateway>> gateways;
  std::shared_ptr<mail_transport> mail;
  std::shared_ptr<const mail_renderer> mail_templates;
  /// Where one click ends e-mail about a type or a category of this user;
  /// null: mails carry no such link.
  std::function<std::string(const tenant_id&, const user_id&, const std::string& about)> unsubscribe_url;
  std::shared_ptr<push_gateway> push; ///< Null: no key to send with.
  std::shared_ptr<sms_gateway> sms;   ///< Null: no provider is configured.
  /// What only nodes with the same secret can say of a text; from any thread.
  /// Null where there is no cluster.
  std::function<std::string(std::string_view)> cluster_proof;
  logger* log = nullptr;
  /// Never null.
  std::shared_ptr<metrics> measured = std::make_shared<no_metrics>();
  /// Never null. What the node's own transactions enqueue to run at once.
  std::shared_ptr<intake_link> intake = std::make_shared<intake_link>();
  /// Never null.
  realtime_link_ptr realtime = std::make_shared<realtime_link>();
  lease_clock lease;
};
using engine_context_ptr = std::shared_ptr<engine_context>;

} // namespace carillon
