#include "http/live/outlet.hpp"

#include <utility>

namespace carillon::http::live {

namespace {

/// What an event costs beside its text.
constexpr std::size_t overhead = 128;

std::size_t size_of(const live_event& e) {
  return overhead + e.data.size() + e.channel.size();
}

} // namespace

void outlet::wake_locked(std::unique_lock<std::mutex>& lock) {
  if (woken_ || !wake_)
    return;
  woken_ = true;
  // The connection may take at once, on this very thread.
  const auto wake = wake_;
  lock.unlock();
  wake();
}

bool outlet::deliver(const live_event_ptr& event) noexcept {
  try {
    std::unique_lock lock{mutex_};
    if (closed_ || overflow_ || end_)
      return false;
    // One that is larger than the whole queue goes out alone.
    if (bytes_ > 0 && bytes_ + size_of(*event) > max_bytes_) {
      overflow_ = true;
      waiting_.reset();
      // Also while a write that never ends keeps it from taking.
      woken_ = false;
    } else {
      if (!waiting_)
        waiting_ = std::make_unique<std::deque<live_event_ptr>>();
      waiting_->push_back(event);
      bytes_ += size_of(*event);
    }
    const bool taken = !overflow_;
    wake_locked(lock);
    return taken;
  } catch (...) {
    return false;
  }
}

void outlet::end(live_end why) noexcept {
  try {
    std::unique_lock lock{mutex_};
    if (closed_ || end_)
      return;
    end_ = why;
    wake_locked(lock);
  } catch (...) {
    // Its time-outs end the connection.
  }
}

void outlet::attach(std::function<void()> wake) {
  std::unique_lock lock{mutex_};
  wake_ = std::move(wake);
  if ((waiting_ && !waiting_->empty()) || end_ || overflow_)
    wake_locked(lock);
}

void outlet::close() noexcept {
  std::lock_guard lock{mutex_};
  closed_ = true;
  waiting_.reset();
  wake_ = nullptr;
}

bool outlet::is_overflown() noexcept {
  std::lock_guard lock{mutex_};
  return overflow_;
}

outlet::item outlet::take() {
  std::lock_guard lock{mutex_};
  if (waiting_ && !waiting_->empty()) {
    item out{std::move(waiting_->front()), std::nullopt};
    waiting_->pop_front();
    bytes_ -= size_of(*out.event);
    return out;
  }
  waiting_.reset();
  woken_ = false;
  return {nullptr, end_};
}

} // namespace carillon::http::live
