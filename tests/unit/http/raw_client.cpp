#include "tests/unit/http/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace carillon::test {

raw_client::raw_client(std::uint16_t port)
  : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval limit{30, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address),
                sizeof address)
      != 0) {
    ::close(socket_);
    throw std::runtime_error{"cannot connect"};
  }
}

raw_client::~raw_client() {
  ::close(socket_);
}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool raw_client::fill() {
  std::array<char, 65536> chunk;
  const auto count = ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (count <= 0)
    return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<raw_answer> raw_client::receive(bool head) {
  std::size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      return std::nullopt;
  raw_answer out;
  std::string_view lines{buffer_.data(), end};
  out.status = std::stoi(std::string{lines.substr(9, 3)});
  while (lines.find("\r\n") != std::string_view::npos) {
    lines.remove_prefix(lines.find("\r\n") + 2);
    const auto line = lines.substr(0, lines.find("\r\n"));
    const auto colon = line.find(": ");
    std::string name{line.substr(0, colon)};
    for (char& c : name)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.headers[name] = std::string{line.substr(colon + 2)};
  }
  buffer_.erase(0, end + 4);
  const auto length = out.header("content-length");
  if (head || length.empty())
    return out;
  const auto size = static_cast<std::size_t>(std::stoul(length));
  while (buffer_.size() < size)
    if (!fill())
      return std::nullopt;
  out.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return out;
}

std::string raw_client::read_to(std::string_view end) {
  std::size_t found;
  while ((found = buffer_.find(end)) == std::string::npos)
    if (!fill())
      return std::exchange(buffer_, {});
  auto out = buffer_.substr(0, found + end.size());
  buffer_.erase(0, out.size());
  return out;
}

bool raw_client::is_closed() {
  return buffer_.empty() && !fill();
}

void raw_client::finish() {
  ::shutdown(socket_, SHUT_WR);
}

} // namespace carillon::test
