// One LISTEN session that turns NOTIFY into callbacks.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "domain/ports/log.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Owns one thread and one connection. A lost connection is made again with
/// backoff; `on_reconnect` then says that notifications may have been missed.
/// Both callbacks run on the listener's thread and must not block.
class listener {
public:
  listener(session_options options, const std::string& node,
           std::function<void(std::string)> on_notify, std::function<void()> on_reconnect,
           logger& log);
  /// Ends the thread, within a second.
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon::storage
