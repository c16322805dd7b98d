#include "storage/listener.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "domain/backoff.hpp"
#include "storage/ownership_repository.hpp"

namespace carillon::storage {

namespace {

class receiver final : public pqxx::notification_receiver {
public:
  receiver(pqxx::connection& session, const std::string& channel,
           const std::function<void(std::string)>& on_notify)
    : pqxx::notification_receiver(session, channel), on_notify_(on_notify) {
  }

  void operator()(const std::string& payload, int) override {
    on_notify_(payload);
  }

private:
  const std::function<void(std::string)>& on_notify_;
};

} // namespace

struct listener::impl {
  session_options options;
  std::string channel;
  std::function<void(std::string)> on_notify;
  std::function<void()> on_reconnect;
  logger& log;

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;

  bool is_stopping() {
    std::lock_guard lock{mutex};
    return stopping;
  }

  void listen() {
    pqxx::connection session{connection_string(options)};
    receiver receive{session, channel, on_notify};
    on_reconnect();
    while (!is_stopping())
      session.await_notification(1, 0);
  }

  void run() {
    int failures = 0;
    while (!is_stopping()) {
      const auto began = std::chrono::steady_clock::now();
      try {
        listen();
      } catch (const std::exception& e) {
        if (std::chrono::steady_clock::now() - began > std::chrono::seconds{10})
          failures = 0;
        log.warn("listen-connection-lost", {{"error", e.what()}});
        std::unique_lock lock{mutex};
        wake.wait_for(lock,
                      exponential_delay(std::chrono::milliseconds{100}, std::chrono::milliseconds{5'000},
                                        failures++, 0.5),
                      [this] { return stopping; });
      }
    }
  }
};

listener::listener(session_options options, const std::string& node,
                   std::function<void(std::string)> on_notify, std::function<void()> on_reconnect,
                   logger& log)
  : impl_(new impl{std::move(options), channel_of(node), std::move(on_notify),
                   std::move(on_reconnect), log, {}, {}, false, {}}) {
  impl_->thread = std::thread{[this] { impl_->run(); }};
}

listener::~listener() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

} // namespace carillon::storage
