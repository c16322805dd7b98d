#include "tests/support/raw_websocket.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace carillon::test {

int websocket_frame::close_code() const {
  if (opcode != 8 || payload.size() < 2)
    return 0;
  return static_cast<unsigned char>(payload[0]) * 256 + static_cast<unsigned char>(payload[1]);
}

raw_websocket::raw_websocket(std::uint16_t port, const std::string& target, int receive_buffer)
  : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (socket_ < 0)
    throw std::runtime_error{"no socket"};
  if (receive_buffer > 0)
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  const timeval patience{30, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0)
    return;
  const auto request = "GET " + target
                       + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return;
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      return;
  status_ = std::stoi(buffer_.substr(buffer_.find(' ') + 1, 3));
  buffer_.erase(0, end + 4);
}

raw_websocket::~raw_websocket() {
  ::close(socket_);
}

bool raw_websocket::fill() {
  std::array<char, 4'096> chunk{};
  ssize_t count = 0;
  // A child's end interrupts a wait that has a time-out, whatever SIGCHLD does.
  do
    count = ::recv(socket_, chunk.data(), chunk.size(), 0);
  while (count < 0 && errno == EINTR);
  if (count <= 0)
    return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

bool raw_websocket::send(std::string_view payload, int opcode) {
  std::string out;
  out += static_cast<char>(0x80 | opcode);
  const auto size = payload.size();
  if (size < 126) {
    out += static_cast<char>(0x80 | size);
  } else if (size < 65'536) {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size & 0xff);
  } else {
    out += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>((static_cast<std::uint64_t>(size) >> shift) & 0xff);
  }
  constexpr std::array<char, 4> mask{'\x12', '\x34', '\x56', '\x78'};
  out.append(mask.data(), mask.size());
  for (std::size_t i = 0; i < size; ++i)
    out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return ::send(socket_, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

std::optional<websocket_frame> raw_websocket::receive() {
  const auto need = [this](std::size_t count) {
    while (buffer_.size() < count)
      if (!fill())
        return false;
    return true;
  };
  if (!need(2))
    return std::nullopt;
  websocket_frame out;
  out.opcode = buffer_[0] & 0x0f;
  std::size_t size = static_cast<unsigned char>(buffer_[1]) & 0x7f;
  std::size_t head = 2;
  const int more = size == 126 ? 2 : size == 127 ? 8 : 0;
  if (more > 0) {
    head += static_cast<std::size_t>(more);
    if (!need(head))
      return std::nullopt;
    size = 0;
    for (int i = 0; i < more; ++i)
      size = size * 256 + static_cast<unsigned char>(buffer_[static_cast<std::size_t>(2 + i)]);
  }
  if (!need(head + size))
    return std::nullopt;
  out.payload = buffer_.substr(head, size);
  buffer_.erase(0, head + size);
  return out;
}

nlohmann::json raw_websocket::receive_json() {
  while (auto frame = receive()) {
    if (frame->opcode == 8)
      return nullptr;
    if (frame->opcode != 1)
      continue;
    auto out = frame->json();
    if (out.is_object() && out.value("event", "") == "pusher:ping")
      continue;
    return out;
  }
  return nullptr;
}

int raw_websocket::receive_close() {
  while (auto frame = receive())
    if (frame->opcode == 8)
      return frame->close_code();
  return 0;
}

} // namespace carillon::test
