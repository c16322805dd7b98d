#include "outbound/delivery/mail/mustache_mail_renderer.hpp"

#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <kainjow/mustache.hpp>

#include "assets/mail_templates.hpp"
#include "domain/notification_type.hpp"
#include "outbound/delivery/mail/mime_writer.hpp"

namespace carillon::outbound {

namespace {

namespace mustache = kainjow::mustache;

constexpr std::string_view block_place = "{{> block}}\n";

/// From `folder`, else of those built into the program; nothing when there is
/// none.
std::optional<std::string> find_template(const std::filesystem::path& folder, const std::string& name) {
  if (folder.empty()) {
    if (const auto built_in = assets::mail_templates().find(name))
      return std::string{*built_in};
    return std::nullopt;
  }
  std::error_code error;
  if (!std::filesystem::exists(folder / name, error))
    return std::nullopt;
  std::ifstream in{folder / name, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  if (!in)
    throw std::runtime_error("the mail template " + (folder / name).string() + " cannot be read");
  return text.str();
}

std::string load_template(const std::filesystem::path& folder, const std::string& name) {
  auto text = find_template(folder, name);
  if (!text)
    throw std::runtime_error("the mail template " + (folder / name).string() + " is missing");
  return *text;
}

void check(const std::string& text, const std::filesystem::path& folder, const std::string& name) {
  mustache::mustache parsed{text};
  if (!parsed.is_valid())
    throw std::runtime_error("the mail template " + (folder / name).string() + ": " + parsed.error_message());
}

/// The layout with the block where it belongs.
std::string compose(const std::filesystem::path& folder, const std::string& layout_name, const std::string& block_name,
                    const std::string& block) {
  auto layout = load_template(folder, layout_name);
  const auto at = layout.find(block_place);
  if (at == layout.npos)
    throw std::runtime_error("the mail template " + (folder / layout_name).string() + " has no line {{> block}}");
  check(block, folder, block_name);
  layout.replace(at, block_place.size(), block);
  check(layout, folder, layout_name);
  return layout;
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

mustache_mail_renderer::language mustache_mail_renderer::read_language(const std::filesystem::path& folder) {
  language out;
  std::vector<std::string> names{"default", "digest"};
  for (const auto type : values_of<notification_type>())
    names.emplace_back(to_string(type));
  for (const auto& name : names) {
    const bool needed = name == "default" || name == "digest";
    const auto block = [&](const std::string& form) {
      const auto own = name + form;
      const auto found = find_template(folder, own);
      if (found || needed)
        return compose(folder, "layout" + form, own, found ? *found : load_template(folder, own));
      return compose(folder, "layout" + form, "default" + form, load_template(folder, "default" + form));
    };
    // A type with one of the two forms has the default's other one.
    if (needed || find_template(folder, name + ".html.mustache") || find_template(folder, name + ".txt.mustache"))
      out.blocks[name] = {block(".html.mustache"), block(".txt.mustache")};
  }
  out.digest_subject = load_template(folder, "digest.subject.mustache");
  check(out.digest_subject, folder, "digest.subject.mustache");
  return out;
}

mustache_mail_renderer::mustache_mail_renderer(mail_renderer_options options) : options_(std::move(options)) {
  if (!is_mail_address(options_.from_address))
    throw std::runtime_error("mails cannot be sent from '"
                             + options_.from_address
                             + "': that is no mail address");
  const auto& directory = options_.template_directory;
  if (directory.empty()) {
    languages_["en"] = read_language({});
    return;
  }
  std::error_code error;
  for (const auto& folder : std::filesystem::directory_iterator{directory, error})
    if (folder.is_directory())
      languages_[folder.path().filename().string()] = read_language(folder.path());
  if (!languages_.contains("en"))
    throw std::runtime_error("the mail templates in " + directory.string() + " have no folder en");
}

const mustache_mail_renderer::language& mustache_mail_renderer::language_for(const std::string& wanted) const {
  for (const auto& name : {wanted, wanted.substr(0, wanted.find_first_of("-_"))})
    if (const auto found = languages_.find(name); found != languages_.end())
      return found->second;
  return languages_.find("en")->second;
}

mail_message
mustache_mail_renderer::render(const notification_mail& mail) const {
  const auto& words = language_for(mail.language);
  auto block = words.blocks.find(mail.type);
  if (block == words.blocks.end())
    block = words.blocks.find("default");
  const auto plain = [](const std::string& s) { return s; };

  mustache::data data;
  // To kainjow an empty text is still something.
  if (!mail.recipient_name.empty())
    data.set("recipient_name", mail.recipient_name);
  auto title = mail.title;
  const bool digest = mail.type == "digest";
  if (digest) {
    mustache::data entries{mustache::data::type::list};
    for (const auto& entry : mail.entries) {
      mustache::data item{"entry_title", entry.title};
      item.set("entry_message", entry.message);
      item.set("entry_urgent", entry.urgent);
      if (is_web_address(entry.action_url))
        item.set("entry_url", entry.action_url);
      entries.push_back(item);
    }
    data.set("entries", entries);
    data.set("count", std::to_string(mail.entry_count));
    data.set("category", mail.category);
    if (const auto shown = static_cast<std::int64_t>(mail.entries.size()); mail.entry_count > shown)
      data.set("more", std::to_string(mail.entry_count - shown));
    mustache::mustache subject{words.digest_subject};
    subject.set_custom_escape(plain);
    title = subject.render(data);
    while (!title.empty() && title.back() == '\n')
      title.pop_back();
  }
  data.set("title", title);
  data.set("message", mail.message);
  data.set("paragraphs", paragraphs_of(mail.message));
  data.set("urgent", mail.urgent);
  if (is_web_address(mail.action_url))
    data.set("action_url", mail.action_url);
  if (is_web_address(mail.unsubscribe_url))
    data.set("unsubscribe_url", mail.unsubscribe_url);
  data.set("settings_url",
           options_.frontend_url + "/app/settings/notifications");
  data.set("sender", options_.from_name);

  const auto domain
    = options_.from_address.substr(options_.from_address.rfind('@') + 1);
  mail_message out;
  out.message_id = (digest ? "digest-" : "notification-") + mail.notification_id + "@" + domain;
  out.from_address = options_.from_address;
  out.from_name = options_.from_name;
  out.to_address = mail.recipient_address;
  out.to_name = mail.recipient_name;
  out.subject = title;
  out.unsubscribe_url = mail.unsubscribe_url;
  mustache::mustache text{block->second.text};
  text.set_custom_escape(plain);
  out.text_body = text.render(data);
  out.html_body = mustache::mustache{block->second.html}.render(data);
  out.date = mail.date;
  return out;
}

} // namespace carillon::outbound
