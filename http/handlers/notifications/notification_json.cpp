#include "http/handlers/notifications/notification_json.hpp"

#include "http/envelope.hpp"

namespace carillon::http::notifications {

namespace {

json text_or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

/// An object, or null when none was given; the predecessor's empty list is an
/// empty object.
json render_data(const std::string& text) {
  if (text.empty())
    return nullptr;
  auto data = json::parse(text, nullptr, false);
  return data.is_object() ? data : json::object();
}

template <class T>
json render_all(const std::vector<T>& list) {
  auto out = json::array();
  for (const auto& item : list)
    out.push_back(render(item));
  return out;
}

} // namespace

json render(const notification& n) {
  return {
    {"id", to_string(n.id)},
    {"user_id", to_string(n.user)},
    {"type", to_string(n.type)},
    {"type_label", label(n.type)},
    {"category", to_string(category(n.type))},
    {"channel", to_string(n.channel)},
    {"title", n.title},
    {"message", n.message},
    {"data", render_data(n.data)},
    {"action_url", text_or_null(n.action_url)},
    {"icon", n.icon.empty() ? std::string{default_icon(n.type)} : n.icon},
    {"is_read", n.read_at.has_value()},
    {"is_urgent", is_urgent(n.type)},
    {"read_at", time_or_null(n.read_at)},
    {"sent_at", time_or_null(n.sent_at)},
    {"created_at", format_api_time(n.created_at)},
  };
}

json render(const std::vector<notification>& list) {
  return render_all(list);
}

json render(const notification_preference& p) {
  return {
    {"id", to_string(p.id)},
    {"user_id", to_string(p.user)},
    {"notification_type", to_string(p.type)},
    {"notification_type_label", label(p.type)},
    {"category", to_string(category(p.type))},
    {"in_app_enabled", p.channels.in_app},
    {"email_enabled", p.channels.email},
    {"push_enabled", p.channels.push},
    {"sms_enabled", p.channels.sms},
    {"created_at", format_api_time(p.created_at)},
    {"updated_at", format_api_time(p.updated_at)},
  };
}

json render(const std::vector<notification_preference>& list) {
  return render_all(list);
}

} // namespace carillon::http::notifications
