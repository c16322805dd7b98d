#include "http/handlers/notifications/notification_json.hpp"

#include "http/envelope.hpp"
#include "http/json_text.hpp"

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

void append_time_or_null(std::string& out, const std::optional<instant>& t) {
  if (!t) {
    out += "null";
    return;
  }
  out += '"';
  out += format_api_time(*t);
  out += '"';
}

/// What jsonb prints is JSON.
std::string_view data_text(const std::string& text) {
  if (text.empty())
    return "null";
  return text.front() == '{' ? std::string_view{text} : std::string_view{"{}"};
}

// Every name and every value that is not another's text needs no escape.
void append_notification(std::string& out, const notification& n) {
  out += R"({"id":")";
  out += to_string(n.id);
  out += R"(","user_id":")";
  out += to_string(n.user);
  out += R"(","type":")";
  out += to_string(n.type);
  out += R"(","type_label":")";
  out += label(n.type);
  out += R"(","category":")";
  out += to_string(category(n.type));
  out += R"(","channel":")";
  out += to_string(n.channel);
  out += R"(","title":)";
  append_json_text(out, n.title);
  out += R"(,"message":)";
  append_json_text(out, n.message);
  out += R"(,"data":)";
  out += data_text(n.data);
  out += R"(,"action_url":)";
  if (n.action_url.empty())
    out += "null";
  else
    append_json_text(out, n.action_url);
  out += R"(,"icon":)";
  append_json_text(out, n.icon.empty() ? default_icon(n.type) : std::string_view{n.icon});
  out += n.read_at ? R"(,"is_read":true)" : R"(,"is_read":false)";
  out += is_urgent(n.type) ? R"(,"is_urgent":true,"read_at":)" : R"(,"is_urgent":false,"read_at":)";
  append_time_or_null(out, n.read_at);
  out += R"(,"sent_at":)";
  append_time_or_null(out, n.sent_at);
  out += R"(,"created_at":")";
  out += format_api_time(n.created_at);
  out += R"("})";
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

std::string render_text(const std::vector<notification>& list) {
  constexpr std::size_t usual_bytes = 600;
  std::string out;
  out.reserve(usual_bytes * list.size() + 2);
  out += '[';
  for (const auto& one : list) {
    if (out.size() > 1)
      out += ',';
    append_notification(out, one);
  }
  out += ']';
  return out;
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
