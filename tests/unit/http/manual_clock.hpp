// Time that stands still until a test moves it.
#pragma once

#include "domain/clock.hpp"

#include <atomic>

namespace carillon::test {

class manual_clock final : public clock_port {
public:
  instant now() const override {
    return instant{std::chrono::microseconds{now_.load()}};
  }
  void advance(std::chrono::microseconds by) {
    now_ += by.count();
  }

private:
  /// 2026-02-07T10:00:00.123Z
  std::atomic<std::int64_t> now_{1'770'458'400'123'000};
};

} // namespace carillon::test
