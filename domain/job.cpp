#include "domain/job.hpp"

#include <array>

namespace carillon {

namespace {

using std::chrono::seconds;

constexpr std::array<std::string_view, 5> state_texts{
  "available", "retrying", "succeeded", "discarded", "cancelled"};

// Contract §4.2. publish_post retries its targets itself (60/120/240 s each);
// its own attempts only count runs that broke.
constexpr std::array publish_post_delays{seconds{60}, seconds{120}, seconds{240}};
constexpr std::array notification_email_delays{seconds{60}, seconds{300}, seconds{900}};

constexpr std::array policies{
  job_policy{kinds::publish_post, "content", 4, publish_post_delays, seconds{180}, 10},
  job_policy{kinds::send_notification_email, "notifications", 3,
             notification_email_delays, seconds{60}, 50},
};

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

std::span<const job_policy> job_policies() noexcept {
  return policies;
}

const job_policy* find_job_policy(std::string_view kind) noexcept {
  for (const auto& policy : policies)
    if (policy.kind == kind)
      return &policy;
  return nullptr;
}

} // namespace carillon
