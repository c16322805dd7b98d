// HTTP to the outside world. What matters most in an answer here is whether
// the request can have been carried out.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/result.hpp"
#include "outbound/address_blocks.hpp"
#include "outbound/curl_loop.hpp"

namespace carillon::outbound {

struct http_client_options {
  std::chrono::milliseconds connect_timeout{5'000};
  std::size_t max_response_bytes = 2 * 1024 * 1024;
  std::string user_agent = "carillon";
  /// PEM file of trusted authorities; empty for the system's.
  std::string ca_file;
  /// For every request of this client: see http_request.
  bool refuse_private_addresses = false;
  /// Not refused all the same.
  address_blocks allowed_addresses{};
  /// Where the file of a form_part::path or a body_file lies; without it they
  /// are paths. Runs on the loop's thread: it may block, as reading files
  /// does, and then so does all that this loop sends.
  std::function<result<std::string>(const std::string&)> find_file{};
};

/// A part of a multipart/form-data body: `value`, or the content of the file
/// at `path` when that is set.
struct form_part {
  std::string name;
  std::string value;
  std::string path;
  std::string file_name;
  std::string content_type;
};

/// A file that is a whole body, read into memory when its turn comes.
struct body_file {
  std::string path;
  std::size_t most_bytes = 0; ///< A larger one is refused as it is.
};

struct http_request {
  std::string method = "GET";
  std::string url; ///< http or https, no user or password inside.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::vector<form_part> form; ///< Instead of `body` when not empty.
  std::optional<body_file> file{}; ///< Instead of `body`.
  /// The whole call: waiting for a turn, connecting, sending, reading.
  std::chrono::milliseconds timeout{30'000};
  /// For addresses that strangers chose: refuses loopback, private, link-local
  /// and all other addresses that are not public, at the moment of connecting,
  /// so that no name can be turned round after a check. Such a request never
  /// takes over a connection that another one has opened.
  bool refuse_private_addresses = false;
};

struct http_response {
  enum class delivery {
    not_sent,  ///< Certainly not: the server never saw the request.
    no_answer, ///< Sent, at least in part, and no complete answer came.
    answered,  ///< `status`, `headers` and `body` are the server's.
  };
  delivery how = delivery::not_sent;
  /// Of not_sent: invalid_argument (can never work as it is), forbidden (every
  /// address of the host was refused), not_found (a file cannot be read),
  /// cancelled, or transient. Of no_answer:
  /// outcome_unknown.
  errc why = errc::transient;
  /// Its turn came: what went wrong is not of this machine's making alone.
  bool tried = false;
  std::string detail;

  int status = 0;
  /// Names in lower case.
  std::vector<std::pair<std::string, std::string>> headers;
  /// At most max_response_bytes; the rest of a longer body is not read.
  std::string body;
  bool body_truncated = false;

  bool answered() const noexcept {
    return how == delivery::answered;
  }
  /// The first header of that name; empty when absent.
  std::string_view header(std::string_view lower_case_name) const noexcept;
};

/// Never follows a redirect, never sends a request a second time (all but
/// GET and HEAD get a connection of their own, see transfer::send_once), and
/// never waits for `100 Continue`. Certificates are verified. Environment
/// variables that name proxies are not read. HTTP/1.1 (RFC 9112).
class http_client {
public:
  using callback = std::function<void(http_response)>;

  /// `loop` must outlive the client's use.
  explicit http_client(curl_loop& loop, http_client_options options = {});

  /// Safe from any thread. `done` runs exactly once, on the loop's thread,
  /// or before this returns once the loop stops; it must not block.
  curl_loop::ticket send(http_request request, callback done);

  /// Ends a call early; its callback says what is known of it.
  void cancel(curl_loop::ticket call);

  curl_loop& loop() noexcept {
    return loop_;
  }

private:
  curl_loop& loop_;
  std::shared_ptr<const http_client_options> options_;
};

} // namespace carillon::outbound
