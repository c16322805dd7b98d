// A blocking TCP client that sends what it is told, well formed or not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace carillon::test {

struct raw_answer {
  int status = 0;
  std::map<std::string, std::string> headers; ///< Names in lower case.
  std::string body;

  std::string header(const std::string& name) const {
    auto i = headers.find(name);
    return i == headers.end() ? std::string{} : i->second;
  }
};

/// Every wait ends after 30 s; the test then sees an empty answer.
class raw_client {
public:
  explicit raw_client(std::uint16_t port);
  ~raw_client();
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  /// False when the peer has reset the connection.
  bool send(std::string_view bytes);

  /// The next answer; nothing when the connection ends before it is whole.
  /// `head` for an answer whose body is not sent.
  std::optional<raw_answer> receive(bool head = false);

  /// What comes up to `end`, it included; less when the connection ends first.
  std::string read_to(std::string_view end);

  /// Reads one more byte; true when the peer has closed instead.
  bool is_closed();

  /// No more requests: half-closes.
  void finish();

private:
  bool fill();

  int socket_;
  std::string buffer_;
};

} // namespace carillon::test
