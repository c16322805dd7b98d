#include "outbound/social/mastodon/mastodon_answer.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "outbound/retry_after.hpp"

namespace carillon::outbound::mastodon {

namespace {

using json = nlohmann::json;
using delivery = http_response::delivery;

json parse_body(const http_response& response) {
  if (response.body_truncated)
    return json(json::value_t::discarded);
  return json::parse(response.body, nullptr, false);
}

std::string text_of(const json& object, const char* name) {
  if (!object.is_object())
    return {};
  auto i = object.find(name);
  if (i == object.end())
    return {};
  if (i->is_string())
    return i->get<std::string>();
  return i->is_number_integer() ? i->dump() : std::string{};
}

/// One printable line of at most 500 bytes.
std::string one_line(std::string text) {
  std::replace_if(
    text.begin(), text.end(),
    [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
    },
    ' ');
  if (text.size() > 500) {
    auto end = std::size_t{500};
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;
    text.resize(end);
  }
  return text;
}

/// What the server says of its refusal; an HTML page says only its status.
std::string describe(const http_response& response) {
  auto out = "HTTP " + std::to_string(response.status);
  const auto body = parse_body(response);
  const auto error = text_of(body, "error");
  const auto more = text_of(body, "error_description");
  if (!error.empty())
    out += ": " + error;
  if (!more.empty())
    out += " (" + more + ")";
  return one_line(std::move(out));
}

std::optional<std::chrono::milliseconds> wait_of(const http_response& response,
                                                 instant now) {
  // The server's own clock, where it tells it, makes its dates mean waits.
  if (auto date = parse_http_date(response.header("date")))
    now = *date;
  if (auto wait = parse_retry_after(response.header("retry-after"), now))
    return wait;
  if (response.status == 429)
    return parse_rate_limit_reset(response.header("x-ratelimit-reset"), now);
  return std::nullopt;
}

errc code_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return errc::unauthorized;
    case 408: // gave up waiting for the request
    case 425: // will not run the risk of a replayed request
    case 503:
      return errc::transient;
    case 429:
      return errc::throttled;
    case 301:
    case 307:
    case 308:
      return errc::permanent;
    default:
      return status >= 400 && status < 500 ? errc::permanent
                                           : errc::outcome_unknown;
  }
}

failure unreadable(errc code, const http_response& response) {
  return {code, describe(response) + ", but the body is unreadable", {}, {}};
}

std::optional<public_post> read_status(const json& status) {
  public_post out;
  out.id = text_of(status, "id");
  auto content = status.is_object() ? status.find("content") : status.end();
  if (out.id.empty() || content == status.end() || !content->is_string())
    return std::nullopt;
  out.url = text_of(status, "url");
  if (out.url.empty())
    out.url = text_of(status, "uri");
  out.text = normalise_text(content->get_ref<const std::string&>());
  if (auto created = parse_time(text_of(status, "created_at")))
    out.created_at = *created;
  return out;
}

} // namespace

std::optional<failure> failure_of(const http_response& response, effect what,
                                  instant now) {
  auto soften = [what](errc code) {
    return code == errc::outcome_unknown && what == effect::none
             ? errc::transient
             : code;
  };
  switch (response.how) {
    case delivery::not_sent:
      return failure{response.why == errc::invalid_argument ? errc::permanent
                                                            : errc::transient,
                     "not sent: " + one_line(response.detail),
                     {},
                     {}};
    case delivery::no_answer:
      return failure{soften(errc::outcome_unknown),
                     "sent, but no full answer: " + one_line(response.detail),
                     {},
                     {}};
    case delivery::answered:
      break;
  }
  if (response.status >= 200 && response.status < 300)
    return std::nullopt;
  failure out{soften(code_of(response.status)), describe(response), {}, {}};
  if (out.code == errc::throttled || out.code == errc::transient)
    out.retry_after = wait_of(response, now);
  return out;
}

result<public_post> read_published(const http_response& response,
                                   instant now) {
  auto post = read_status(parse_body(response));
  if (!post)
    return unreadable(errc::outcome_unknown, response);
  if (post->created_at == instant{})
    post->created_at = now;
  return std::move(*post);
}

result<status_page> read_page(const http_response& response) {
  const auto body = parse_body(response);
  if (!body.is_array())
    return unreadable(errc::transient, response);
  status_page page;
  for (auto& item : body) {
    auto post = read_status(item);
    if (!post || post->created_at == instant{})
      return unreadable(errc::transient, response);
    page.last_id = post->id;
    page.posts.push_back(std::move(*post));
  }
  return page;
}

result<verified_account> read_account(const http_response& response) {
  const auto body = parse_body(response);
  verified_account out{text_of(body, "id"), text_of(body, "username"),
                       text_of(body, "display_name"), text_of(body, "url"),
                       text_of(body, "avatar")};
  if (out.id.empty())
    return unreadable(errc::transient, response);
  return out;
}

result<uploaded_media> read_media(const http_response& response) {
  uploaded_media out{text_of(parse_body(response), "id"),
                     response.status != 202 && response.status != 206};
  if (out.id.empty())
    return unreadable(errc::transient, response);
  return out;
}

} // namespace carillon::outbound::mastodon
