#include "http/wire.hpp"

#include "http/answer_body.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace carillon::http {

namespace {

bool has_control_character(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

void add_header(std::string& out, std::string_view name,
                std::string_view value) {
  if (name.empty() || has_control_character(name)
      || has_control_character(value))
    return;
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

/// RFC 9110 §5.6.7.
std::string format_http_date(std::time_t now) {
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed",
                                   "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> buffer{};
  // The locale's names of days and months must not leak in.
  std::strftime(buffer.data(), buffer.size(), ", %d ... %Y %H:%M:%S GMT", &utc);
  std::string out = days[static_cast<std::size_t>(utc.tm_wday)];
  out += buffer.data();
  out.replace(out.find("..."), 3, months[static_cast<std::size_t>(utc.tm_mon)]);
  return out;
}

/// Of now; made once a second.
std::string_view http_date() {
  thread_local std::time_t second = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (text.empty() || now != second) {
    text = format_http_date(now);
    second = now;
  }
  return text;
}

bool may_have_body(int status) noexcept {
  return status >= 200 && status != 204 && status != 304;
}

void add_cors(std::string& out, const answer_form& form,
              const std::vector<std::string>& allowed) {
  if (allowed.empty())
    return;
  // Also where no Origin came: a cache must not give that answer to a page of
  // another origin, which would miss the header below.
  add_header(out, "Vary", "Origin");
  if (form.origin.empty())
    return;
  if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) {
    add_header(out, "Access-Control-Allow-Origin", "*");
    return;
  }
  if (std::find(allowed.begin(), allowed.end(), form.origin) != allowed.end())
    add_header(out, "Access-Control-Allow-Origin", form.origin);
}

} // namespace

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
  case 101:
    return "Switching Protocols";
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 206:
    return "Partial Content";
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 416:
    return "Range Not Satisfiable";
  case 417:
    return "Expectation Failed";
  case 422:
    return "Unprocessable Content";
  case 426:
    return "Upgrade Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  default:
    return "Unknown";
  }
}

std::string render_payload(const reply& r) {
  if (!may_have_body(r.status))
    return {};
  if (r.streamed)
    return {};
  if (r.raw)
    return *r.raw;
  return r.body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string take_payload(reply& r) {
  if (r.raw && may_have_body(r.status))
    return std::move(*r.raw);
  return render_payload(r);
}

std::string render_answer(const reply& r, std::string_view payload,
                          const answer_form& form,
                          const std::vector<std::string>& cors_origins) {
  std::string out;
  out.reserve(payload.size() + 512);
  out += "HTTP/1.1 ";
  out += std::to_string(r.status);
  out += ' ';
  out += reason_phrase(r.status);
  out += "\r\n";
  add_header(out, "Date", http_date());
  if (may_have_body(r.status)) {
    add_header(out, "Content-Type", r.content_type);
    if (!r.next_owner)
      add_header(out, "Content-Length", std::to_string(r.streamed ? r.streamed->size() : payload.size()));
  }
  add_header(out, "X-Correlation-Id", form.correlation_id);
  add_header(out, "X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : r.headers)
    add_header(out, name, value);
  add_cors(out, form, cors_origins);
  if (!form.keep_alive)
    add_header(out, "Connection", "close");
  else if (form.http_1_0)
    add_header(out, "Connection", "keep-alive");
  out += "\r\n";
  if (!form.head && !r.next_owner && !r.streamed && may_have_body(r.status))
    out += payload;
  return out;
}

std::optional<reply> preflight_answer(const request& req) {
  if (req.method != "OPTIONS" || req.header("origin").empty()
      || req.header("access-control-request-method").empty())
    return std::nullopt;
  reply out;
  out.status = 204;
  out.headers.emplace_back("Access-Control-Allow-Methods",
                           "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  // `*` would not cover Authorization (Fetch standard, CORS protocol).
  auto wanted = req.header("access-control-request-headers");
  out.headers.emplace_back("Access-Control-Allow-Headers",
                           wanted.empty() ? "Authorization, Content-Type"
                                          : std::move(wanted));
  out.headers.emplace_back("Access-Control-Max-Age", "0");
  return out;
}

} // namespace carillon::http
