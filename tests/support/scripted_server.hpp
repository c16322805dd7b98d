// A TCP server that does what a test says: what no decent server would.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace carillon::test {

struct scripted_request {
  std::string line; ///< `POST /path HTTP/1.1`
  std::string head; ///< Header lines, each with its CRLF.
  std::string body;

  /// Empty when absent; `name` in any case.
  std::string header(std::string_view name) const;
};

/// One connection, on a thread of its own. A script that returns closes it.
class scripted_exchange {
public:
  virtual ~scripted_exchange() = default;

  /// The next request with its whole body (Content-Length or chunked); false
  /// when the client has gone.
  virtual bool receive(scripted_request& out) = 0;
  virtual void send(std::string_view bytes) = 0;
  /// Ends the connection with a reset.
  virtual void drop() = 0;
  /// Until the client goes or the server ends.
  virtual void hang() = 0;
};

class scripted_server {
public:
  using script = std::function<void(scripted_exchange&)>;

  explicit scripted_server(script what);
  /// Ends every connection.
  ~scripted_server();

  /// `http://127.0.0.1:<port>`
  std::string url() const;
  std::uint16_t port() const;
  /// All that came, on all connections, in order.
  std::vector<scripted_request> requests() const;
  int connections() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// `HTTP/1.1 <status> X` with Content-Length; `headers` are lines without
/// their ends.
std::string http_answer(int status, std::string_view body = {}, const std::vector<std::string>& headers = {});

/// Answers the nth request (over all connections) with the nth of `answers`,
/// those beyond with the last.
scripted_server::script answers(std::vector<std::string> answers);

/// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

} // namespace carillon::test
