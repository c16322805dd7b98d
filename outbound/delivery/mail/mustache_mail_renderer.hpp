// Notification mails from the templates of config/templates/mail.
#pragma once

#include <filesystem>
#include <string>

#include "domain/ports/mail_transport.hpp"

namespace carillon::outbound {

struct mail_renderer_options {
  /// Holds notification.html.mustache and notification.txt.mustache; empty
  /// for those built into the program.
  std::filesystem::path template_directory;
  std::string from_address;
  std::string from_name = "Carillon";
  /// Base of the link to the notification settings, no trailing slash.
  std::string frontend_url;
};

/// The Message-ID is `notification-<id>@<domain of the sender>`, so that a
/// repeated mail is recognised as one. Templates escape HTML by default; a
/// button appears only for an http or https address.
class mustache_mail_renderer final : public mail_renderer {
public:
  /// Throws std::runtime_error, naming the file, when a template is missing
  /// or malformed, or when from_address is no mail address.
  explicit mustache_mail_renderer(mail_renderer_options options);

  mail_message render(const notification_mail& mail) const override;

private:
  mail_renderer_options options_;
  std::string html_;
  std::string text_;
};

} // namespace carillon::outbound
