// Keeps the events that were logged, for tests to ask about.
#pragma once

#include "domain/ports/log.hpp"

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace carillon::test {

class recording_logger final : public logger {
public:
  void write(log_level, std::string_view event,
             std::initializer_list<log_field>) noexcept override {
    std::lock_guard lock{mutex_};
    events_.emplace_back(event);
  }

  bool has(std::string_view event) const {
    std::lock_guard lock{mutex_};
    return std::find(events_.begin(), events_.end(), event) != events_.end();
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
};

} // namespace carillon::test
