#include "domain/job.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace carillon {

namespace {

using std::chrono::seconds;

constexpr std::array<std::string_view, 5> state_texts{
  "available", "retrying", "succeeded", "discarded", "cancelled"};
constexpr std::array<std::string_view, 3> conflict_texts{"reject", "replace", "rerun"};
constexpr std::array<std::string_view, 3> retention_texts{"short", "standard", "long"};

// Contract §4.2. publish_post retries its targets itself (60/120/240 s each);
// its own attempts only count runs that broke.
constexpr std::array publish_post_delays{seconds{60}, seconds{120}, seconds{240}};
constexpr std::array notification_email_delays{seconds{60}, seconds{300}, seconds{900}};
constexpr std::array cleanup_delays{seconds{60}};

std::vector<job_policy>& all_policies() {
  static std::vector<job_policy> all{
    {.kind = kinds::publish_post,
     .queue = "content",
     .max_attempts = 4,
     .delays = publish_post_delays,
     .timeout = seconds{180},
     .priority = 1},
    {.kind = kinds::send_notification_email,
     .queue = "notifications",
     .max_attempts = 3,
     .delays = notification_email_delays,
     .timeout = seconds{60},
     .priority = 5,
     .dependency = "smtp"},
    // Browsers choose their push services: no breaker, else one that fails
    // would silence all.
    {.kind = kinds::send_notification_push,
     .queue = "notifications",
     .max_attempts = 3,
     .delays = notification_email_delays,
     .timeout = seconds{60},
     .priority = 5},
    {.kind = kinds::send_notification_sms,
     .queue = "notifications",
     .max_attempts = 3,
     .delays = notification_email_delays,
     .timeout = seconds{60},
     .priority = 5,
     .dependency = "sms"},
    // What comes while one is composed makes the next.
    {.kind = kinds::send_notification_digest,
     .queue = "notifications",
     .max_attempts = 3,
     .delays = notification_email_delays,
     .timeout = seconds{60},
     .priority = 6,
     .on_conflict = unique_conflict::rerun,
     .dependency = "smtp"},
    // Keeps a database worker for as long as it takes.
    {.kind = kinds::send_tenant_notification,
     .queue = "notifications",
     .max_attempts = 3,
     .delays = notification_email_delays,
     .timeout = seconds{600},
     .priority = 5,
     .max_running = 1},
    {.kind = kinds::cleanup_old_notifications,
     .queue = "maintenance",
     .max_attempts = 3,
     .delays = cleanup_delays,
     .timeout = seconds{600},
     .priority = 8},
  };
  return all;
}

} // namespace

std::string_view to_string(job_state state) noexcept {
  return state_texts[static_cast<std::size_t>(state)];
}

std::optional<job_state> parse_job_state(std::string_view text) noexcept {
  for (std::size_t i = 0; i < state_texts.size(); ++i)
    if (state_texts[i] == text)
      return static_cast<job_state>(i);
  return std::nullopt;
}

std::string_view to_string(unique_conflict mode) noexcept {
  return conflict_texts[static_cast<std::size_t>(mode)];
}

std::string_view to_string(retention r) noexcept {
  return retention_texts[static_cast<std::size_t>(r)];
}

std::span<const job_policy> job_policies() noexcept {
  return all_policies();
}

const job_policy* find_job_policy(std::string_view kind) noexcept {
  for (const auto& policy : all_policies())
    if (policy.kind == kind)
      return &policy;
  return nullptr;
}

bool settles_itself(std::string_view kind) noexcept {
  return kind == kinds::publish_post || kind == kinds::send_notification_email
         || kind == kinds::send_notification_digest || kind == kinds::send_notification_push || kind == kinds::send_notification_sms;
}

void add_job_policy(const job_policy& policy) {
  all_policies().push_back(policy);
}

std::chrono::milliseconds retry_delay(const job_policy& policy, int failures, double random) noexcept {
  const auto step = std::max(failures, 1) - 1;
  if (!policy.delays.empty())
    return policy.delays[std::min(static_cast<std::size_t>(step), policy.delays.size() - 1)];
  const auto base = static_cast<double>(std::chrono::milliseconds{policy.backoff_base}.count());
  const auto cap = static_cast<double>(std::chrono::milliseconds{policy.backoff_cap}.count());
  const auto ceiling = std::min(cap, base * std::exp2(std::min(step, 40)));
  return std::chrono::milliseconds{static_cast<std::int64_t>(ceiling * random)};
}

} // namespace carillon
