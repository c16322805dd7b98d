// Several connections to one SMTP relay, so that a mail that the relay takes
// its time for holds up itself only.
#pragma once

#include <cstddef>
#include <memory>

#include "outbound/delivery/mail/smtp_transport.hpp"

namespace carillon::outbound {

/// Each lane is a thread with a connection and has one mail under way (see
/// smtp_transport: a relay that does not answer stops the thread). Mails of
/// one recipient's domain take at most half of the lanes, at least one: a
/// domain whose mails stall leaves the others theirs. Apart from that, first
/// come, first sent. Waiting counts towards no time-out; more than 10,000
/// waiting mails are refused as transient. Failures otherwise as
/// smtp_transport.
class mail_lanes final : public mail_transport {
public:
  mail_lanes(std::size_t lanes, smtp_options options);
  ~mail_lanes() override;
  mail_lanes(const mail_lanes&) = delete;
  mail_lanes& operator=(const mail_lanes&) = delete;

  void send(mail_message message, callback done) override;

  /// Answers everything that has not ended as transient and ends the threads.
  /// Idempotent; not from a callback.
  void stop();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace carillon::outbound
