#include "tests/support/scripted_server.hpp"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstring>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace carillon::test {

namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  out.sin_port = htons(port);
  return out;
}

int bound_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  sockaddr generic{};
  std::memcpy(&generic, &address, sizeof generic);
  if (fd < 0 || ::bind(fd, &generic, sizeof address) != 0)
    throw std::runtime_error{"cannot bind a port"};
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr generic{};
  socklen_t size = sizeof generic;
  ::getsockname(fd, &generic, &size);
  sockaddr_in address{};
  std::memcpy(&address, &generic, sizeof address);
  return ntohs(address.sin_port);
}

} // namespace

std::string scripted_request::header(std::string_view name) const {
  const auto wanted = lower(name) + ":";
  std::size_t from = 0;
  for (std::size_t end; (end = head.find("\r\n", from)) != head.npos; from = end + 2) {
    const auto text = head.substr(from, end - from);
    if (!lower(text).starts_with(wanted))
      continue;
    const auto value = text.find_first_not_of(' ', wanted.size());
    return value == text.npos ? std::string{} : text.substr(value);
  }
  return {};
}

struct scripted_server::impl {
  class exchange final : public scripted_exchange {
  public:
    exchange(impl& owner, int fd) : owner_(owner), fd_(fd) {
    }

    bool receive(scripted_request& out) override {
      out = {};
      if (!fill_until("\r\n\r\n"))
        return false;
      const auto end = buffer_.find("\r\n\r\n");
      const auto first = buffer_.find("\r\n");
      out.line = buffer_.substr(0, first);
      out.head = buffer_.substr(first + 2, end - first);
      buffer_.erase(0, end + 4);
      if (lower(out.header("transfer-encoding")) == "chunked") {
        if (!take_chunks(out.body))
          return false;
      } else if (const auto length = out.header("content-length"); !length.empty()) {
        if (!take(std::stoul(length), out.body))
          return false;
      }
      std::lock_guard lock{owner_.mutex};
      owner_.received.push_back(out);
      return true;
    }

    void send(std::string_view bytes) override {
      while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0)
          return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
      }
    }

    void drop() override {
      const linger at_once{1, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }

    void hang() override {
      while (more())
        ;
    }

  private:
    bool more() {
      char bytes[4096];
      const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
      if (n <= 0)
        return false;
      buffer_.append(bytes, static_cast<std::size_t>(n));
      return true;
    }
    bool fill_until(std::string_view mark) {
      while (buffer_.find(mark) == buffer_.npos)
        if (!more())
          return false;
      return true;
    }
    bool take(std::size_t size, std::string& to) {
      while (buffer_.size() < size)
        if (!more())
          return false;
      to.append(buffer_, 0, size);
      buffer_.erase(0, size);
      return true;
    }
    bool take_chunks(std::string& to) {
      for (;;) {
        if (!fill_until("\r\n"))
          return false;
        const auto size = std::stoul(buffer_.substr(0, buffer_.find("\r\n")), nullptr, 16);
        buffer_.erase(0, buffer_.find("\r\n") + 2);
        std::string end;
        if (!take(size, to) || !take(2, end))
          return false;
        if (size == 0)
          return true;
      }
    }

    impl& owner_;
    int fd_;
    std::string buffer_;
  };

  explicit impl(script given) : what(std::move(given)), listener(bound_socket()), port(port_of(listener)) {
    ::listen(listener, 100);
    acceptor = std::thread{[this] { accept_all(); }};
  }

  ~impl() {
    stopping = true;
    ::shutdown(listener, SHUT_RDWR);
    acceptor.join();
    ::close(listener);
    {
      std::lock_guard lock{mutex};
      for (const int fd : open)
        ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& t : threads)
      t.join();
  }

  void accept_all() {
    while (!stopping) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0)
        continue;
      std::lock_guard lock{mutex};
      ++connections;
      open.push_back(fd);
      threads.emplace_back([this, fd] {
        exchange e{*this, fd};
        what(e);
        std::lock_guard done{mutex};
        open.remove(fd);
        ::close(fd);
      });
    }
  }

  script what;
  int listener;
  std::uint16_t port;
  std::atomic<bool> stopping{false};
  std::thread acceptor;
  mutable std::mutex mutex;
  std::list<int> open;
  std::vector<std::thread> threads;
  std::vector<scripted_request> received;
  int connections = 0;
};

scripted_server::scripted_server(script what) : impl_(std::make_unique<impl>(std::move(what))) {
}

scripted_server::~scripted_server() = default;

std::string scripted_server::url() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port);
}

std::uint16_t scripted_server::port() const {
  return impl_->port;
}

std::vector<scripted_request> scripted_server::requests() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->received;
}

int scripted_server::connections() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->connections;
}

std::string http_answer(int status, std::string_view body, const std::vector<std::string>& headers) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size())
                    + "\r\n";
  for (const auto& header : headers)
    out += header + "\r\n";
  out += "\r\n";
  return out += body;
}

scripted_server::script answers(std::vector<std::string> list) {
  const auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return [list = std::move(list), next](scripted_exchange& e) {
    for (scripted_request request; e.receive(request);)
      e.send(list[std::min(next->fetch_add(1), list.size() - 1)]);
  };
}

std::uint16_t closed_port() {
  const int fd = bound_socket();
  const auto out = port_of(fd);
  ::close(fd);
  return out;
}

} // namespace carillon::test
