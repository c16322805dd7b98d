// Mail through an SMTP relay (RFC 5321).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "domain/ports/mail_transport.hpp"
#include "outbound/curl_loop.hpp"

namespace carillon::outbound {

enum class smtp_security : std::uint8_t {
  none,             ///< Clear text; also a password then travels in clear.
  starttls_offered, ///< STARTTLS when the server offers it.
  starttls,         ///< STARTTLS or no mail (port 587).
  tls,              ///< TLS from the first byte (port 465, RFC 8314).
};

struct smtp_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 25;
  smtp_security security = smtp_security::starttls;
  std::string username; ///< Empty: no AUTH.
  std::string password;
  /// The name to greet with; empty for what libcurl makes of the host's.
  std::string helo_name;
  std::chrono::milliseconds connect_timeout{10'000};
  /// The whole transfer of one mail.
  std::chrono::milliseconds timeout{30'000};
  /// PEM file of trusted authorities; empty for the system's.
  std::string ca_file;
};

/// Connections are kept and used again. Failures of `send`:
///
///     no connection, no TLS, AUTH refused, 4xx,
///       connection lost before the last byte      transient
///     5xx to MAIL, RCPT, DATA or the message      permanent
///     connection lost after the last byte         outcome_unknown
///
/// A 5xx to RCPT names the field `to_address`, unless its enhanced code says
/// that it is a rule of the server's (5.7, RFC 3463).
///
/// A login that is refused or missing (530) is transient, since it says nothing
/// about the mail.
///
/// libcurl waits for the answer to a message, and for the goodbye of a
/// connection, without turning to other transfers: give mail a loop of its
/// own, so that a slow relay holds up mail only.
class smtp_transport final : public mail_transport {
public:
  /// `loop` must outlive the transport's use.
  smtp_transport(curl_loop& loop, smtp_options options);

  void send(mail_message message, callback done) override;

private:
  curl_loop& loop_;
  std::shared_ptr<const smtp_options> options_;
};

} // namespace carillon::outbound
