// A blocking WebSocket client that sends what it is told, and reads only
// when it is told.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace carillon::test {

struct websocket_frame {
  int opcode = 0; ///< 1 text, 8 close, 9 ping, 10 pong.
  std::string payload;

  /// Of a close frame; 0 when it has none.
  int close_code() const;
  nlohmann::json json() const {
    return nlohmann::json::parse(payload, nullptr, false);
  }
};

/// Every wait ends after 30 s.
class raw_websocket {
public:
  /// Sends the opening handshake; `answer` is what came back. A small
  /// `receive_buffer` makes a client that does not read felt soon.
  raw_websocket(std::uint16_t port, const std::string& target, int receive_buffer = 0);
  ~raw_websocket();
  raw_websocket(const raw_websocket&) = delete;
  raw_websocket& operator=(const raw_websocket&) = delete;

  /// The status of the answer to the handshake; 0: none came.
  int status() const noexcept {
    return status_;
  }

  /// For poll; bytes may also wait inside, see has_more.
  int handle() const noexcept {
    return socket_;
  }
  bool has_more() const noexcept {
    return !buffer_.empty();
  }

  bool send(std::string_view payload, int opcode = 1);
  template <std::same_as<nlohmann::json> Json>
  bool send(const Json& frame) {
    return send(std::string_view{frame.dump()}, 1);
  }

  /// The next frame; nothing when the connection has ended.
  std::optional<websocket_frame> receive();

  /// The next text frame that is no ping of the server; null when the
  /// connection ends or is closed first.
  nlohmann::json receive_json();

  /// Reads up to the close frame; its code, or 0 when the connection just ends.
  int receive_close();

private:
  bool fill();

  int socket_ = -1;
  int status_ = 0;
  std::string buffer_;
};

} // namespace carillon::test
