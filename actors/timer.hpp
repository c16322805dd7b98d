// One pending wake-up of an actor: CAF 0.17 cannot take a delayed message
// back, so each carries a generation and only the newest counts.
#pragma once

#include <chrono>
#include <cstdint>

#include "actors/caf.hpp"
#include "actors/protocol/atoms.hpp"

namespace carillon {

/// Time as the actor's system counts it: tests move it.
template <class Self>
caf::actor_clock::time_point clock_now(Self* self) {
  return self->home_system().scheduler().clock().now();
}

class wake_up_timer {
public:
  /// Sends `(tick, generation)` to self after `delay`, unless it will come
  /// earlier anyway.
  template <class Self>
  void arm(Self* self, std::chrono::milliseconds delay) {
    const auto at = clock_now(self) + delay;
    if (armed_ && at_ <= at)
      return;
    armed_ = true;
    at_ = at;
    self->delayed_send(self, delay, atom::tick_v, ++generation_);
  }

  /// True when this tick is the newest; the timer is then free to be armed.
  bool fires(std::uint64_t generation) {
    if (generation != generation_)
      return false;
    armed_ = false;
    return true;
  }

private:
  bool armed_ = false;
  caf::actor_clock::time_point at_{};
  std::uint64_t generation_ = 0;
};

} // namespace carillon
