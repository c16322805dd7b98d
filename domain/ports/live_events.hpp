// Where a committed transaction's live events go.
#pragma once

#include "domain/live_event.hpp"

namespace carillon {

/// Safe from any thread; must not block and must not fail the caller, whose
/// transaction is committed already.
class live_events {
public:
  virtual ~live_events() = default;

  virtual void publish(live_batch batch) noexcept = 0;
};

} // namespace carillon
