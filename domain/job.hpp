// A unit of background work and the rules of each kind (contract §4.2).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

namespace carillon {

/// A live job is available or retrying; the others are found in history.
/// "Running" is what manifests and the owner's memory say.
enum class job_state : std::uint8_t {
  available,
  retrying,
  succeeded,
  discarded,
  cancelled,
};

std::string_view to_string(job_state state) noexcept;
std::optional<job_state> parse_job_state(std::string_view text) noexcept;

/// What an enqueue does that meets a live job with its unique key.
enum class unique_conflict : std::uint8_t {
  reject,  ///< Nothing is written.
  replace, ///< The live job gets the new payload and time.
  rerun,   ///< The live job stays; when it is running, it runs once more.
};

std::string_view to_string(unique_conflict mode) noexcept;

/// How long history keeps a succeeded job; dead letters and cancelled jobs
/// are always kept `long_`.
enum class retention : std::uint8_t { short_, standard, long_ };

std::string_view to_string(retention r) noexcept;

/// 0 is the most urgent.
inline constexpr int priority_levels = 10;

/// Tokens per second and how many may be saved up; zero: no limit.
struct rate_budget {
  double per_second = 0;
  int burst = 1;
};

/// How a kind of job is tried.
struct job_policy {
  std::string_view kind;
  std::string_view queue = "default";
  int max_attempts = 3;
  /// `delays[i]` is the wait before try i + 2, the last one repeats. Empty:
  /// exponential from `backoff_base`, capped, with full jitter.
  std::span<const std::chrono::seconds> delays{};
  std::chrono::seconds backoff_base{15};
  std::chrono::seconds backoff_cap{3'600};
  /// Of one run; then it counts as failed.
  std::chrono::seconds timeout{60};
  int priority = 5;
  retention keep = retention::standard;
  unique_conflict on_conflict = unique_conflict::reject;
  /// Of this kind on one node at a time; 0: no cap.
  int max_running = 0;
  rate_budget rate{};
  /// What it calls outside: kinds that name the same one share a circuit
  /// breaker. Empty: none.
  std::string_view dependency{};
};

namespace kinds {
inline constexpr std::string_view publish_post = "publish_post";
inline constexpr std::string_view send_notification_email
  = "send_notification_email";
inline constexpr std::string_view send_notification_push = "send_notification_push";
inline constexpr std::string_view send_notification_sms = "send_notification_sms";
inline constexpr std::string_view send_notification_digest = "send_notification_digest";
inline constexpr std::string_view send_tenant_notification = "send_tenant_notification";
inline constexpr std::string_view cleanup_old_notifications
  = "cleanup_old_notifications";
} // namespace kinds

/// Every kind that this program can run.
std::span<const job_policy> job_policies() noexcept;

/// Null for a kind of a newer node: such a job stays where it is.
const job_policy* find_job_policy(std::string_view kind) noexcept;

/// A dead letter of the kind is settled by an effect of its own, which also
/// tells people (actors/jobs/job_feed.cpp, abandon).
bool settles_itself(std::string_view kind) noexcept;

/// For programs that embed the engine with kinds of their own. Before any
/// other thread runs; what the policy's views point to must stay.
void add_job_policy(const job_policy& policy);

/// The wait before the next try after `failures` failed ones. `random` is
/// uniform in [0, 1).
std::chrono::milliseconds retry_delay(const job_policy& policy, int failures, double random) noexcept;

struct new_job {
  job_id id = job_id::make();
  std::string kind; ///< One of `kinds`.
  tenant_id tenant;
  workspace_id workspace;
  std::string payload; ///< A JSON object with `v`; opaque to the domain.
  std::optional<instant> run_at; ///< Null: the database's now.
  std::string unique_key;        ///< Empty: none.
  std::string correlation_id;
  std::string rate_key;        ///< Empty: the kind's common budget.
  std::optional<int> priority; ///< Null: the kind's.
};

/// A job as the engine hands it to its run function.
struct job {
  job_id id;
  std::string kind;
  std::string queue;
  tenant_id tenant;
  workspace_id workspace;
  std::string payload;
  job_state state = job_state::available;
  int attempt = 0; ///< Tries that ended in a failure so far.
  int max_attempts = 1;
  int crashes = 0;
  /// 1: was in a dead node's manifest; 2: again, runs alone on its node.
  int suspicion = 0;
  int priority = 5;
  int revision = 0;
  /// Where its row lay when it was read: the storage's shortcut, which may be
  /// another row's since. Zero: not known.
  std::uint64_t place = 0;
  instant run_at{};
  std::string unique_key;
  std::string rate_key;
  std::string correlation_id;
  std::string errors; ///< JSON array, oldest first; empty while it runs.
  instant created_at{};
  std::optional<instant> concluded_at;
};

} // namespace carillon
