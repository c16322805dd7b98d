// Notification mails from the templates of config/templates.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "domain/ports/mail_transport.hpp"

namespace carillon::outbound {

struct mail_renderer_options {
  /// Holds a folder for each language (`en` at least); empty for the English
  /// ones that are built into the program.
  std::filesystem::path template_directory;
  std::string from_address;
  std::string from_name = "Carillon";
  /// Base of the link to the notification settings, no trailing slash.
  std::string frontend_url;
};

/// A language's folder has `layout.html.mustache` and `layout.txt.mustache`,
/// each with `{{> block}}` where the block of the type goes:
/// `<type>.html.mustache` or else `default.html.mustache`, the same for text;
/// `digest.html.mustache`, `digest.txt.mustache` and
/// `digest.subject.mustache` for digests. A language that has no folder is
/// answered in that of its first part (`pt-BR`: `pt`), else in English.
///
/// The Message-ID is `notification-<id>@<domain of the sender>` (digests:
/// `digest-<id>@…`), so that a repeated mail is recognised as one. Templates
/// escape HTML by default; a button appears only for an http or https address.
class mustache_mail_renderer final : public mail_renderer {
public:
  /// Throws std::runtime_error, naming the file, when a template is missing
  /// or malformed, or when from_address is no mail address.
  explicit mustache_mail_renderer(mail_renderer_options options);

  mail_message render(const notification_mail& mail) const override;

private:
  struct templates {
    std::string html; ///< The layout with its block in it.
    std::string text;
  };
  struct language {
    /// By type; `default` and `digest` are always there.
    std::map<std::string, templates, std::less<>> blocks;
    std::string digest_subject;
  };

  const language& language_for(const std::string& wanted) const;
  static language read_language(const std::filesystem::path& folder);

  mail_renderer_options options_;
  std::map<std::string, language, std::less<>> languages_;
};

} // namespace carillon::outbound
