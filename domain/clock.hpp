// Time as a port: tests move it.
#pragma once

#include "domain/instant.hpp"

namespace carillon {

class clock_port {
public:
  virtual ~clock_port() = default;

  /// Wall time in UTC. Safe from any thread.
  virtual instant now() const = 0;
};

class system_clock final : public clock_port {
public:
  instant now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now());
  }
};

} // namespace carillon
