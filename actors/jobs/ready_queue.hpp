// What an owner has read and not yet started: taken out fairly between
// workspaces, within caps, rates and circuit breakers, so that one flood does
// not hold up the others. No CAF and no clock of its own: the job feed's
// actor owns it and passes the time.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "domain/job.hpp"
#include "domain/ports/job_store.hpp"

namespace carillon {

/// What holds for all, beside what operators set per kind or workspace.
struct ready_limits {
  int running_per_workspace = 64;
  /// Failures of a dependency in a row that open its circuit breaker.
  int breaker_failures = 5;
  /// Then nothing is tried for so long, and one probe after it.
  std::chrono::milliseconds breaker_cool_down{30'000};
  /// While so many jobs of more urgent levels run, the others wait, at most so
  /// long: posts that are due together leave before their authors' mails are
  /// sent.
  std::size_t rush = 128;
  std::chrono::milliseconds longest_rush{15'000};
};

/// Tokens that come back with time.
class token_bucket {
public:
  using time_point = std::chrono::steady_clock::time_point;

  token_bucket(rate_budget budget, time_point now)
    : budget_(budget), tokens_(budget.burst), at_(now) {
  }

  void set_budget(rate_budget budget, time_point now);

  bool take(time_point now);
  /// When the next token is there.
  time_point ready_at(time_point now) const;

private:
  void refill(time_point now);

  rate_budget budget_;
  double tokens_;
  time_point at_;
};

/// Closed, open until a time, or half open with one probe under way.
class circuit_breaker {
public:
  using time_point = std::chrono::steady_clock::time_point;

  bool allows(time_point now) const;
  /// A call begins.
  void begin(time_point now);
  void succeeded();
  /// True when this failure opened it.
  bool failed(time_point now, int threshold, std::chrono::milliseconds cool_down);
  bool is_open(time_point now) const {
    return open_until_ > now;
  }
  time_point open_until() const {
    return open_until_;
  }

private:
  int failures_ = 0;
  time_point open_until_{};
  bool probing_ = false;
};

class ready_queue {
public:
  using time_point = std::chrono::steady_clock::time_point;
  using item = std::shared_ptr<const job>;

  explicit ready_queue(ready_limits limits = {});
  ~ready_queue();
  ready_queue(ready_queue&&) noexcept;
  ready_queue& operator=(ready_queue&&) noexcept;

  void set_limits(const ready_limits& limits);
  /// Replaces what operators had set before.
  void set_controls(const std::vector<job_control>& controls, time_point now);

  /// Of this program's kinds, those that no operator paused.
  std::vector<std::string> runnable_kinds() const;
  bool is_paused(const workspace_id& workspace) const;
  bool is_paused(std::string_view kind) const;

  /// How many of its workspace are held now.
  std::size_t push(item next);

  /// Up to `room` jobs to start now; they count as running until finished().
  std::vector<item> pop(time_point now, std::size_t room);

  /// One that pop() gave out has ended, however.
  void finished(const job& work);

  /// What it depends on answered, or did not. True when that opened the
  /// circuit breaker.
  bool report_dependency(const job& work, bool failed, time_point now);

  /// Takes out those that have not been started and satisfy `wanted`.
  std::vector<item> drop(const std::function<bool(const job&)>& wanted);

  /// Waiting and running.
  std::size_t held(const workspace_id& workspace) const;
  std::size_t waiting() const noexcept;

  /// When something that is held back by rate, breaker or a rush may go on.
  std::optional<time_point> next_wake() const;

  /// What is held back now, and why.
  std::vector<job_block> blocks(time_point now) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon
