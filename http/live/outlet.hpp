// The bounded queue between the hub and one connection.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "actors/protocol/realtime.hpp"

namespace carillon::http::live {

/// The hub puts in on actor threads, the connection takes out on its strand.
/// What has been taken out is being written; everything else waits here, and
/// when that is more than the limit the connection is to be cut off.
class outlet final : public live_peer {
public:
  explicit outlet(std::size_t max_bytes) : max_bytes_(max_bytes) {
  }

  bool deliver(const live_event_ptr& event) noexcept override;
  void end(live_end why) noexcept override;

  /// `wake` is called when something waits, at once if it does already, and
  /// then not again before take() has found nothing or too much waits.
  void attach(std::function<void()> wake);

  /// The connection has closed.
  void close() noexcept;

  struct item {
    live_event_ptr event;        ///< Null: nothing waits.
    std::optional<live_end> end; ///< Set after the last event.
  };
  item take();

  /// Cut it off, also while it is being written to.
  bool is_overflown() noexcept;

private:
  void wake_locked(std::unique_lock<std::mutex>& lock);

  const std::size_t max_bytes_;
  std::mutex mutex_;
  /// Only while something waits: an empty deque holds half a kilobyte.
  std::unique_ptr<std::deque<live_event_ptr>> waiting_;
  std::size_t bytes_ = 0;
  std::function<void()> wake_;
  std::optional<live_end> end_;
  bool woken_ = false;
  bool overflow_ = false;
  bool closed_ = false;
};

} // namespace carillon::http::live
