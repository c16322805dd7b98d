#include "app/lateness_watch.hpp"

#include <exception>

namespace carillon::app {

void lateness_watch::post_accepted(network where, instant due) noexcept {
  next_->post_accepted(where, due);
  try {
    const auto late = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - due);
    std::optional<lateness_alarm> alarm;
    {
      std::lock_guard lock{mutex_};
      alarm = budget_.accepted(late, std::chrono::steady_clock::now());
    }
    if (alarm)
      log_.error("lateness-budget-burning",
                 {{"late", std::to_string(alarm->late)},
                  {"posts", std::to_string(alarm->posts)},
                  {"within", "1h"},
                  {"late_after_ms", std::to_string(promise_.late_after.count())},
                  {"last_network", std::string{to_string(where)}},
                  {"last_lateness_ms", std::to_string(late.count())}});
  } catch (const std::exception&) {
    // A measurement that fails disturbs nothing.
  }
}

} // namespace carillon::app
