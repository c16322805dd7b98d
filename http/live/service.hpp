// What the live routes share: the key pair, the limits, the way to the hub.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "actors/protocol/realtime.hpp"
#include "domain/ports/log.hpp"

namespace carillon::http::live {

struct service_options {
  std::string key;
  std::string secret; ///< Never logged.
  std::chrono::milliseconds activity_timeout{30'000};
  std::chrono::milliseconds write_timeout{10'000};
  std::size_t max_connections = 20'000;
  std::size_t max_channels = 100;
  std::size_t max_frame_bytes = 10 * 1024;
  int max_messages_per_second = 20;
  std::size_t max_queued_bytes = 256 * 1024;
};

/// Safe from any thread; outlives every connection.
class service {
public:
  service(service_options options, realtime_link_ptr link, logger& log);

  const service_options& options() const noexcept {
    return options_;
  }
  realtime_link& link() const noexcept {
    return *link_;
  }
  logger& log() const noexcept {
    return log_;
  }

  /// Two integers joined by a dot: of this process, and of the connection. The
  /// second is random: who knows one connection's id knows nobody else's.
  std::string make_socket_id();

  /// `{key}:{hex of HMAC-SHA256(secret, "socket_id:channel")}`
  std::string sign(std::string_view socket_id, std::string_view channel) const;

  /// Takes as long for a wrong signature as for the right one.
  bool is_signed(std::string_view socket_id, std::string_view channel, std::string_view auth) const;

  /// Sockets and streams have a limit each, so that those who need no token
  /// to connect cannot use up the places of those who do.
  bool has_place_for_socket() const noexcept {
    return link_->sockets.load() < options_.max_connections;
  }
  bool has_place_for_stream() const noexcept {
    return link_->streams.load() < options_.max_connections;
  }

private:
  service_options options_;
  realtime_link_ptr link_;
  logger& log_;
  std::uint32_t process_;
};
using service_ptr = std::shared_ptr<service>;

/// HMAC-SHA256 in hexadecimal digits. Throws std::runtime_error when OpenSSL
/// has it not.
std::string keyed_hash(std::string_view secret, std::string_view text);

/// 64 hexadecimal digits. Throws std::runtime_error when the system has no
/// randomness to give.
std::string make_secret();

/// Counts a connection, and takes it off the hub's books at its end.
class registration {
public:
  enum class kind { socket, stream };
  registration(service_ptr owner, kind what);
  ~registration();
  registration(const registration&) = delete;
  registration& operator=(const registration&) = delete;

  const std::string& socket_id() const noexcept {
    return socket_id_;
  }
  service& owner() const noexcept {
    return *service_;
  }

private:
  std::atomic<std::size_t>& count() const noexcept;

  service_ptr service_;
  kind kind_;
  std::string socket_id_;
};

} // namespace carillon::http::live
