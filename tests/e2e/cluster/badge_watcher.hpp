// What a browser does for its bell: listens on its user's channel, fetches
// what is unread, adds what it hears; and all of it again when it is told to
// connect again.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "domain/ids.hpp"
#include "tests/support/raw_websocket.hpp"
#include "tests/support/web_client.hpp"

namespace carillon::test {

struct watched_node {
  std::uint16_t port = 0;
  /// Called first in each thread that speaks to it; may move the thread into
  /// another network namespace.
  std::function<void()> enter = [] {};
};

class badge_watcher {
public:
  /// Its socket is at `at`; `sign` is asked for the signature.
  badge_watcher(watched_node at, web_client sign, std::string token, user_id user);
  ~badge_watcher();
  badge_watcher(const badge_watcher&) = delete;
  badge_watcher& operator=(const badge_watcher&) = delete;

  /// Subscriptions so far, at least one once it hears.
  int subscribed() const;
  std::size_t badge() const;
  /// Heard twice, or fetched before they were heard: each makes the bell of a
  /// browser that counts show one too many.
  int too_many() const;

private:
  void run();
  void listen(raw_websocket& socket);

  const watched_node at_;
  const web_client sign_;
  const web_client fetch_;
  const std::string token_;
  const std::string channel_;

  mutable std::mutex mutex_;
  std::condition_variable ends_;
  bool ending_ = false;
  raw_websocket* socket_ = nullptr;
  std::set<std::string> unread_;
  int subscribed_ = 0;
  int too_many_ = 0;
  std::thread thread_;
};

} // namespace carillon::test
