// Who owns which shard (architecture page, "Ownership, exactly").
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "domain/ids.hpp"

namespace carillon {

/// One life of a node. Every decision is fenced by it.
struct node_identity {
  std::string node;
  std::int64_t incarnation = 0;
};

using shard_list = std::vector<shard_id>;

/// Where a live node listens for the others, in its own words.
struct node_endpoint {
  std::string node;
  std::string endpoint;
};

/// How long this node may still act, on the steady clock, counted from
/// before the last successful renewal was sent. Safe from any thread.
class lease_clock {
public:
  using steady = std::chrono::steady_clock;

  void extend_until(steady::time_point end) noexcept {
    end_.store(end.time_since_epoch().count());
  }
  void expire() noexcept {
    end_.store(0);
  }
  /// Zero when the lease is over.
  std::chrono::milliseconds remaining() const noexcept {
    const steady::time_point end{steady::duration{end_.load()}};
    const auto left = end - steady::now();
    return left.count() <= 0 ? std::chrono::milliseconds{0}
                             : std::chrono::duration_cast<std::chrono::milliseconds>(left);
  }

private:
  std::atomic<steady::rep> end_{0};
};

} // namespace carillon
