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

/// How a kind of job is tried. `delays[i]` is the wait before try i + 2; the
/// last one repeats.
struct job_policy {
  std::string_view kind;
  std::string_view queue;
  int max_attempts;
  std::span<const std::chrono::seconds> delays;
  std::chrono::seconds timeout;
  int priority; ///< Lower runs first.
};

namespace kinds {
inline constexpr std::string_view publish_post = "publish_post";
inline constexpr std::string_view send_notification_email
  = "send_notification_email";
} // namespace kinds

/// Every kind that this build can run.
std::span<const job_policy> job_policies() noexcept;

/// Null for a kind of a newer node: such a job stays where it is.
const job_policy* find_job_policy(std::string_view kind) noexcept;

struct new_job {
  job_id id = job_id::make();
  std::string kind; ///< One of `kinds`.
  tenant_id tenant;
  workspace_id workspace;
  std::string payload; ///< A JSON object with `v`; opaque to the domain.
  std::optional<instant> run_at; ///< Null: the database's now.
  std::string unique_key;        ///< Empty: none.
  std::string correlation_id;
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
  bool suspect = false;
  int priority = 100;
  instant run_at{};
  std::string unique_key;
  std::string correlation_id;
  std::string errors; ///< JSON array, oldest first.
  instant created_at{};
  std::optional<instant> concluded_at;
};

} // namespace carillon
