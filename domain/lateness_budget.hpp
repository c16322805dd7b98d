// A promise about time, and how much of it may be broken before somebody has
// to know: of the posts of the last hour, at most a share may be late.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace carillon {

struct lateness_promise {
  /// Accepted by the network later than this after its instant is late.
  std::chrono::milliseconds late_after{60'000};
  /// Of an hour's posts; 0: none may be late.
  double allowed_share = 0.001;
};

/// More are late than allowed.
bool burns(const lateness_promise& promise, std::uint64_t late, std::uint64_t posts) noexcept;

/// What to tell when the budget burns.
struct lateness_alarm {
  std::uint64_t posts = 0; ///< Of the last hour.
  std::uint64_t late = 0;
};

/// No clock of its own and no lock. Buckets of a minute.
class lateness_budget {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit lateness_budget(lateness_promise promise) : promise_(promise) {
  }

  /// A post was accepted `lateness` after its instant. An alarm when more are
  /// late than allowed, at most once an hour.
  std::optional<lateness_alarm> accepted(std::chrono::milliseconds lateness, time_point now);

private:
  struct bucket {
    std::int64_t minute = -1;
    std::uint64_t posts = 0;
    std::uint64_t late = 0;
  };

  lateness_promise promise_;
  std::array<bucket, 60> hour_{};
  std::optional<time_point> last_alarm_;
};

} // namespace carillon
