// Tells operators when posts leave later than promised.
#pragma once

#include <memory>
#include <mutex>

#include "domain/clock.hpp"
#include "domain/lateness_budget.hpp"
#include "domain/ports/log.hpp"
#include "domain/ports/metrics.hpp"

namespace carillon::app {

/// Passes everything on to `next`, and logs `lateness-budget-burning` when
/// more posts are late than `promise` allows. Safe from any thread.
class lateness_watch final : public metrics {
public:
  /// `clock` and `log` outlive it.
  lateness_watch(std::shared_ptr<metrics> next, lateness_promise promise, const clock_port& clock, logger& log)
    : next_(std::move(next)), promise_(promise), clock_(clock), log_(log), budget_(promise) {
  }

  void job_started(std::string_view kind, instant due) noexcept override {
    next_->job_started(kind, due);
  }
  void job_ended(std::string_view kind, std::string_view outcome, std::chrono::nanoseconds took) noexcept override {
    next_->job_ended(kind, outcome, took);
  }
  void post_accepted(network where, instant due) noexcept override;
  void actor_restarted(std::string_view actor) noexcept override {
    next_->actor_restarted(actor);
  }
  void host_circuit(bool opened) noexcept override {
    next_->host_circuit(opened);
  }

private:
  std::shared_ptr<metrics> next_;
  lateness_promise promise_;
  const clock_port& clock_;
  logger& log_;
  std::mutex mutex_;
  lateness_budget budget_;
};

} // namespace carillon::app
