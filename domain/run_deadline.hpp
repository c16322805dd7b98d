// How long the run of a job may still ask the database.
#pragma once

#include <chrono>
#include <optional>
#include <utility>

namespace carillon {

/// While it lives, what this thread asks a database is bounded: no transaction
/// begins after `end`, and no statement goes on for long after it. Both fail as
/// transient. They nest; the innermost counts.
class run_deadline {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit run_deadline(time_point end) : before_(std::exchange(of_thread(), end)) {
  }
  ~run_deadline() {
    of_thread() = before_;
  }
  run_deadline(const run_deadline&) = delete;
  run_deadline& operator=(const run_deadline&) = delete;

  static std::optional<time_point> current() noexcept {
    return of_thread();
  }

private:
  static std::optional<time_point>& of_thread() noexcept {
    thread_local std::optional<time_point> end;
    return end;
  }

  std::optional<time_point> before_;
};

} // namespace carillon
