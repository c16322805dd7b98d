#include "outbound/delivery/web_push/web_push_gateway.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "domain/base64url.hpp"
#include "domain/ids.hpp"
#include "domain/push_endpoint.hpp"
#include "domain/text.hpp"
#include "outbound/delivery/web_push/message_encryption.hpp"
#include "outbound/retry_after.hpp"

namespace carillon::outbound {

namespace {

constexpr std::size_t max_payload = 3'000;
/// Nothing of an answer's body is used but for the log.
constexpr std::size_t shown_of_push_answer = 200;
/// A push service is chosen by the user: what it asks for has an end.
constexpr std::chrono::milliseconds longest_wait{3'600'000};

std::string dump(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// RFC 8030 §5.4: at most 32 characters of base64url. The same for every try,
/// so that a browser that was away shows one notice.
std::string topic_of(const std::string& notification) {
  const auto id = parse_uuid(notification);
  if (!id)
    return {};
  return encode_base64url({reinterpret_cast<const char*>(id->bytes.data()), id->bytes.size()});
}

/// Of one byte within a JSON string.
std::size_t escaped_size(char c) {
  if (c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t')
    return 2;
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 ? 6 : 1;
}

/// As many characters as fit with an ellipsis into `room` bytes of JSON;
/// empty when not even one does.
std::string cut_to(const std::string& text, std::size_t room) {
  constexpr std::string_view ellipsis = "\xe2\x80\xa6";
  std::size_t used = ellipsis.size();
  std::size_t end = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
      if (used > room)
        break;
      end = i;
    }
    used += escaped_size(text[i]);
  }
  return end == 0 ? std::string{} : text.substr(0, end) + std::string{ellipsis};
}

/// For the log: one line of printable ASCII.
std::string printable_push_answer(std::string_view text) {
  std::string out{text.substr(0, shown_of_push_answer)};
  std::replace_if(
    out.begin(), out.end(), [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

result<done> judge(const http_response& r, instant now) {
  if (!r.answered())
    return failure{r.why, "push service: " + r.detail, {}, {}};
  if (r.status >= 200 && r.status < 300)
    return done{};
  auto said = "the push service answered " + std::to_string(r.status);
  if (!r.body.empty())
    said += ": " + printable_push_answer(r.body);
  std::optional<std::chrono::milliseconds> wait = parse_retry_after(r.header("retry-after"), now);
  if (wait)
    wait = std::min(*wait, longest_wait);
  if (r.status == 404 || r.status == 410)
    return failure{errc::not_found, std::move(said), {}, {}};
  if (r.status == 429)
    return failure{errc::throttled, std::move(said), {}, wait};
  if (r.status == 408 || r.status >= 500)
    return failure{errc::transient, std::move(said), {}, wait};
  return failure{errc::permanent, std::move(said), {}, {}};
}

} // namespace

std::string render_push_payload(const push_message& what) {
  nlohmann::ordered_json out{{"id", what.notification_id},
                             {"type", what.type},
                             {"title", what.title},
                             {"message", what.message},
                             {"action_url", what.action_url}};
  auto text = dump(out);
  for (const auto* field : {"message", "title"})
    if (text.size() > max_payload) {
      const auto whole = out[field].get<std::string>();
      out[field] = "";
      const auto others = dump(out).size();
      out[field] = cut_to(whole, max_payload > others ? max_payload - others : 0);
      text = dump(out);
    }
  return text;
}

web_push_gateway::web_push_gateway(http_client& http, const clock_port& clock, vapid_signer vapid,
                                   web_push_options options)
  : http_(http), clock_(clock), vapid_(std::move(vapid)), options_(std::move(options)) {
}

void web_push_gateway::send(push_address to, push_message what, callback done) {
  const auto refuse = [&done, this](failure why) {
    http_.loop().after(std::chrono::milliseconds{0},
                       [done = std::move(done), why = std::move(why)](bool) { done(why); });
  };
  const auto endpoint = parse_push_endpoint(to.endpoint, options_.trusted_hosts);
  if (!endpoint)
    return refuse(endpoint.error());
  auto body = encrypt_push(render_push_payload(what), to);
  if (!body)
    return refuse(std::move(body).error());
  auto who = vapid_.authorization(endpoint->origin, clock_.now());
  if (!who)
    return refuse(std::move(who).error());

  http_request request;
  request.method = "POST";
  request.url = endpoint->url;
  request.timeout = options_.timeout;
  request.refuse_private_addresses = !endpoint->trusted;
  request.headers = {{"Authorization", std::move(*who)},
                     {"Content-Encoding", "aes128gcm"},
                     {"Content-Type", "application/octet-stream"},
                     {"TTL", std::to_string(options_.time_to_live.count())},
                     {"Urgency", what.urgent ? "high" : "normal"}};
  if (auto topic = topic_of(what.notification_id); !topic.empty())
    request.headers.emplace_back("Topic", std::move(topic));
  request.body = std::move(*body);
  http_.send(std::move(request),
             [done = std::move(done), &clock = clock_](const http_response& r) { done(judge(r, clock.now())); });
}

} // namespace carillon::outbound
