// Mail as files, for demos and for a look at what would be sent.
#pragma once

#include <filesystem>

#include "domain/ports/mail_transport.hpp"
#include "outbound/curl_loop.hpp"

namespace carillon::outbound {

struct file_transport_options {
  std::filesystem::path directory; ///< Made when missing.
};

/// Each mail becomes `<date>-<message id>.eml`, complete from the moment it
/// has its name; the same mail sent again replaces its file. Not synced: a
/// power cut may lose the last mails. Failures: permanent (see write_mime),
/// transient (the disk).
class file_transport final : public mail_transport {
public:
  /// Throws std::filesystem::filesystem_error when the directory cannot be
  /// made. `loop`, which lends its thread, must outlive the transport's use.
  file_transport(curl_loop& loop, file_transport_options options);

  void send(mail_message message, callback done) override;

private:
  curl_loop& loop_;
  file_transport_options options_;
};

} // namespace carillon::outbound
