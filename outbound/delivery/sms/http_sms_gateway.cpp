#include "outbound/delivery/sms/http_sms_gateway.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <kainjow/mustache.hpp>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "domain/phone_number.hpp"
#include "domain/text.hpp"
#include "outbound/retry_after.hpp"

namespace carillon::outbound {

namespace {

namespace mustache = kainjow::mustache;
using nlohmann::json;

constexpr std::size_t shown_of_answer = 200;

using escape = std::string (*)(const std::string&);

std::string as_it_is(const std::string& text) {
  return text;
}

std::string for_url(const std::string& text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (plain.find(c) != plain.npos) {
      out += c;
    } else {
      out += '%';
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
  return out;
}

/// Between the quotes of a JSON string.
std::string for_json(const std::string& text) {
  const auto quoted = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

std::string for_xml(const std::string& text) {
  return mustache::html_escape(text);
}

bool names(const std::string& content_type, std::string_view kind) {
  auto lower = content_type;
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return lower.find(kind) != lower.npos;
}

escape escape_for(const std::string& content_type) {
  if (names(content_type, "json"))
    return for_json;
  if (names(content_type, "x-www-form-urlencoded"))
    return for_url;
  return names(content_type, "xml") ? for_xml : as_it_is;
}

std::string render(const std::string& text, escape how, const sms_message& message, const std::string& from) {
  mustache::mustache parsed{text};
  parsed.set_custom_escape(how);
  mustache::data values;
  values.set("to", message.to);
  values.set("from", from);
  values.set("text", message.text);
  values.set("reference", message.notification_id);
  return parsed.render(values);
}

std::string body_of(const sms_provider_options& o, const sms_message& message) {
  if (!o.body.empty())
    return render(o.body, escape_for(o.content_type), message, o.from);
  const bool as_json = names(o.content_type, "json");
  auto object = nlohmann::ordered_json::object();
  std::string form;
  for (const auto& field : o.fields) {
    const auto equals = field.find('=');
    const auto name = field.substr(0, equals);
    const auto value = render(field.substr(equals + 1), as_it_is, message, o.from);
    object[name] = value;
    form += (form.empty() ? "" : "&") + for_url(name) + '=' + for_url(value);
  }
  return as_json ? object.dump(-1, ' ', false, json::error_handler_t::replace) : form;
}

std::string base64_of_text(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const auto length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::optional<std::pair<int, int>> parse_statuses(std::string_view text) {
  const auto dash = text.find('-');
  const auto number = [](std::string_view part) -> std::optional<int> {
    int out = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), out);
    if (read.ec != std::errc{} || read.ptr != part.data() + part.size() || out < 100 || out > 599)
      return std::nullopt;
    return out;
  };
  const auto first = number(text.substr(0, dash));
  const auto last = dash == text.npos ? first : number(text.substr(dash + 1));
  if (!first || !last || *first > *last)
    return std::nullopt;
  return std::pair{*first, *last};
}

bool is_pointer(const std::string& text) {
  try {
    static_cast<void>(json::json_pointer{text});
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

/// A text or a number there; empty for anything else.
std::string at(const json& answer, const std::string& pointer) {
  if (pointer.empty() || !answer.is_structured())
    return {};
  const json::json_pointer where{pointer};
  if (!answer.contains(where))
    return {};
  const auto& found = answer.at(where);
  if (found.is_string())
    return found.get<std::string>();
  return found.is_number() ? found.dump() : std::string{};
}

/// Errors quote the number they are about: it is not for logs.
std::string without_number(std::string text, const std::string& phone) {
  for (const auto& spelling : {phone, for_url(phone), phone.substr(1)})
    for (auto i = text.find(spelling); i != text.npos; i = text.find(spelling, i))
      text.replace(i, spelling.size(), "(the number)");
  return text;
}

std::string printable(std::string_view text) {
  std::string out{first_characters(is_valid_utf8(text) ? text : std::string_view{"unreadable"}, shown_of_answer)};
  std::replace_if(
    out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::string reason_in(const http_response& r, const sms_provider_options& o, const std::string& phone) {
  const auto answer = json::parse(r.body, nullptr, false);
  std::string said;
  for (const auto& pointer : o.error_pointers)
    if (const auto part = at(answer, pointer); !part.empty())
      said += (said.empty() ? "" : ": ") + part;
  return "the SMS provider answered " + std::to_string(r.status)
         + (said.empty() ? "" : ": " + printable(without_number(std::move(said), phone)));
}

result<std::string> judge(const http_response& r, const sms_provider_options& o,
                          const std::vector<std::pair<int, int>>& success, const std::string& phone, instant now) {
  if (!r.answered())
    return failure{r.why, "SMS provider: " + r.detail, {}, {}};
  if (std::any_of(success.begin(), success.end(),
                  [&](const auto& range) { return r.status >= range.first && r.status <= range.second; }))
    return at(json::parse(r.body, nullptr, false), o.id_pointer);
  auto said = reason_in(r, o, phone);
  if (r.status == 429)
    return failure{errc::throttled, std::move(said), {}, parse_retry_after(r.header("retry-after"), now)};
  if (r.status == 408 || r.status == 503)
    return failure{errc::transient, std::move(said), {}, parse_retry_after(r.header("retry-after"), now)};
  // Another failure of the server's can come after it has taken the text.
  if (r.status >= 500)
    return failure{errc::outcome_unknown, std::move(said), {}, {}};
  return failure{errc::permanent, std::move(said), {}, {}};
}

failure refused(std::string why) {
  return {errc::invalid_argument, std::move(why), {}, {}};
}

} // namespace

http_sms_gateway::http_sms_gateway(http_client& http, const clock_port& clock, sms_provider_options options,
                                   std::vector<std::pair<int, int>> success)
  : http_(http),
    clock_(clock),
    options_(std::make_shared<const sms_provider_options>(std::move(options))),
    success_(std::make_shared<const std::vector<std::pair<int, int>>>(std::move(success))) {
}

result<std::shared_ptr<http_sms_gateway>> http_sms_gateway::make(http_client& http, const clock_port& clock,
                                                                 sms_provider_options options) {
  std::vector<std::string> templates{options.url, options.body};
  for (const auto& field : options.fields) {
    const auto equals = field.find('=');
    if (equals == 0 || equals == field.npos)
      return refused("the field " + field + " is not name=template");
    templates.push_back(field.substr(equals + 1));
  }
  for (const auto& text : templates)
    if (mustache::mustache parsed{text}; !parsed.is_valid())
      return refused("the template " + text + ": " + parsed.error_message());
  std::vector<std::pair<int, int>> success;
  for (const auto& text : options.success_statuses) {
    const auto range = parse_statuses(text);
    if (!range)
      return refused("the status " + text + " is neither 201 nor 200-299");
    success.push_back(*range);
  }
  auto pointers = options.error_pointers;
  pointers.push_back(options.id_pointer);
  for (const auto& pointer : pointers)
    if (!is_pointer(pointer))
      return refused(pointer + " is no JSON pointer");
  return std::shared_ptr<http_sms_gateway>{
    new http_sms_gateway{http, clock, std::move(options), std::move(success)}};
}

void http_sms_gateway::send(sms_message message, callback done) {
  if (!is_e164(message.to)) {
    http_.loop().after(std::chrono::milliseconds{0},
                       [done = std::move(done)](bool) { done(refused("not a phone number in E.164")); });
    return;
  }
  const auto& o = *options_;
  http_request request;
  request.method = o.method;
  request.url = render(o.url, for_url, message, o.from);
  request.timeout = o.timeout;
  request.headers = {{"Content-Type", o.content_type}, {"Accept", "application/json"}};
  switch (o.auth) {
    case sms_auth::none:
      break;
    case sms_auth::basic:
      request.headers.emplace_back("Authorization", "Basic " + base64_of_text(o.username + ':' + o.secret));
      break;
    case sms_auth::bearer:
      request.headers.emplace_back("Authorization", "Bearer " + o.secret);
      break;
    case sms_auth::header:
      request.headers.emplace_back(o.header, o.secret);
      break;
  }
  request.body = body_of(o, message);
  http_.send(std::move(request), [done = std::move(done), options = options_, success = success_,
                                  phone = message.to, &clock = clock_](const http_response& r) {
    done(judge(r, *options, *success, phone, clock.now()));
  });
}

} // namespace carillon::outbound
