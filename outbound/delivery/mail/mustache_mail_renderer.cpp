#include "outbound/delivery/mail/mustache_mail_renderer.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include <kainjow/mustache.hpp>

#include "assets/mail_templates.hpp"
#include "outbound/delivery/mail/mime_writer.hpp"

namespace carillon::outbound {

namespace {

namespace mustache = kainjow::mustache;

/// From `directory`, else the one built into the program.
std::string read_template(const std::filesystem::path& directory, const char* name) {
  std::string out;
  if (directory.empty()) {
    out = assets::mail_templates().find(name).value();
  } else {
    std::ifstream in{directory / name, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    if (!in)
      throw std::runtime_error("the mail template " + (directory / name).string()
                               + " cannot be read");
    out = text.str();
  }
  mustache::mustache parsed{out};
  if (!parsed.is_valid())
    throw std::runtime_error("the mail template " + std::string{name} + ": "
                             + parsed.error_message());
  return out;
}

bool is_web_address(std::string_view url) {
  return url.starts_with("https://") || url.starts_with("http://");
}

/// The message as paragraphs: blank lines part them, single ones break them.
mustache::data paragraphs_of(std::string_view text) {
  mustache::data paragraphs{mustache::data::type::list};
  mustache::data lines{mustache::data::type::list};
  bool any = false;
  auto close = [&] {
    if (any)
      paragraphs.push_back(mustache::data{"lines", lines});
    lines = mustache::data{mustache::data::type::list};
    any = false;
  };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (line.empty()) {
      close();
    } else {
      mustache::data item{"text", std::string{line}};
      item.set("break", any);
      lines.push_back(item);
      any = true;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  close();
  return paragraphs;
}

} // namespace

mustache_mail_renderer::mustache_mail_renderer(mail_renderer_options options)
  : options_(std::move(options)),
    html_(read_template(options_.template_directory, "notification.html.mustache")),
    text_(read_template(options_.template_directory, "notification.txt.mustache")) {
  if (!is_mail_address(options_.from_address))
    throw std::runtime_error("mails cannot be sent from '"
                             + options_.from_address
                             + "': that is no mail address");
}

mail_message
mustache_mail_renderer::render(const notification_mail& mail) const {
  mustache::data data;
  // To kainjow an empty text is still something.
  if (!mail.recipient_name.empty())
    data.set("recipient_name", mail.recipient_name);
  data.set("title", mail.title);
  data.set("message", mail.message);
  data.set("paragraphs", paragraphs_of(mail.message));
  data.set("urgent", mail.urgent);
  if (is_web_address(mail.action_url))
    data.set("action_url", mail.action_url);
  data.set("settings_url",
           options_.frontend_url + "/app/settings/notifications");
  data.set("sender", options_.from_name);

  const auto domain
    = options_.from_address.substr(options_.from_address.rfind('@') + 1);
  mail_message out;
  out.message_id = "notification-" + mail.notification_id + "@" + domain;
  out.from_address = options_.from_address;
  out.from_name = options_.from_name;
  out.to_address = mail.recipient_address;
  out.to_name = mail.recipient_name;
  out.subject = mail.title;
  mustache::mustache text{text_};
  text.set_custom_escape([](const std::string& s) { return s; });
  out.text_body = text.render(data);
  out.html_body = mustache::mustache{html_}.render(data);
  out.date = mail.date;
  return out;
}

} // namespace carillon::outbound
