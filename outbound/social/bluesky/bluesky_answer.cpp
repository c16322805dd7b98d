#include "outbound/social/bluesky/bluesky_answer.hpp"

#include <array>

#include "domain/base64url.hpp"

namespace carillon::outbound::bluesky {

namespace {

using nlohmann::json;

std::string described(const http_response& response) {
  auto out = "HTTP " + std::to_string(response.status);
  const auto body = parse_answer(response);
  const auto error = text_of(body, "error");
  const auto message = text_of(body, "message");
  if (!error.empty())
    out += ": " + error;
  if (!message.empty())
    out += (error.empty() ? ": " : " (") + message + (error.empty() ? "" : ")");
  return one_line(std::move(out));
}

failure not_readable(errc code, const http_response& response) {
  return {code, described(response) + ", but the body is unreadable", {}, {}};
}

template <std::size_t N>
bool is_one_of(const std::string& text, const std::array<std::string_view, N>& names) {
  for (const auto name : names)
    if (text == name)
      return true;
  return false;
}

/// `exp` of a JSON Web Token (RFC 7519 §4.1.4), unverified: only to save a
/// call that would be refused.
std::optional<instant> expiry_of(const std::string& token) {
  const auto first = token.find('.');
  const auto second = token.find('.', first == std::string::npos ? first : first + 1);
  if (second == std::string::npos)
    return std::nullopt;
  const auto payload = decode_base64url(std::string_view{token}.substr(first + 1, second - first - 1));
  if (!payload)
    return std::nullopt;
  const auto claims = json::parse(payload->begin(), payload->end(), nullptr, false);
  if (!claims.is_object() || !claims.contains("exp") || !claims["exp"].is_number_unsigned())
    return std::nullopt;
  const auto seconds = claims["exp"].get<std::uint64_t>();
  if (seconds > 9'000'000'000)
    return std::nullopt;
  return instant{std::chrono::seconds{static_cast<std::int64_t>(seconds)}};
}

std::optional<public_post> post_of(const json& item) {
  const auto value = item.is_object() ? item.find("value") : item.end();
  if (value == item.end() || !value->is_object() || !value->contains("text") || !(*value)["text"].is_string())
    return std::nullopt;
  public_post out;
  out.id = text_of(item, "uri");
  out.url = web_address(out.id);
  if (out.url.empty() || !is_plain_id(out.id))
    return std::nullopt;
  out.text = normalise_text((*value)["text"].get_ref<const std::string&>());
  if (auto created = parse_time(text_of(*value, "createdAt")))
    out.created_at = *created;
  if (const auto reply = value->find("reply"); reply != value->end() && reply->is_object() && reply->contains("parent"))
    out.in_reply_to = text_of((*reply)["parent"], "uri");
  return out;
}

} // namespace

std::string error_name(const http_response& response) {
  return response.answered() ? text_of(parse_answer(response), "error") : std::string{};
}

bool is_session_refused(const http_response& response) {
  static constexpr std::array<std::string_view, 2> names{"ExpiredToken", "InvalidToken"};
  return response.answered() && (response.status == 400 || response.status == 401)
         && is_one_of(error_name(response), names);
}

bool is_record_missing(const http_response& response) {
  if (!response.answered() || (response.status != 400 && response.status != 404))
    return false;
  const auto body = parse_answer(response);
  return text_of(body, "error") == "RecordNotFound"
         || text_of(body, "message").starts_with("Could not locate record");
}

std::optional<failure> failure_of(const http_response& response, effect what, instant now) {
  if (auto undelivered = failure_of_delivery(response, what))
    return undelivered;
  if (response.status >= 200 && response.status < 300)
    return std::nullopt;
  failure out{code_of_status(response.status, what), described(response), {}, {}};
  const auto error = error_name(response);
  static constexpr std::array<std::string_view, 6> account_names{
    "AccountTakedown", "AccountDeactivated", "AccountSuspended", "RepoTakendown", "RepoDeactivated", "RepoSuspended"};
  if (is_session_refused(response) || (response.status == 400 && is_one_of(error, account_names)))
    out.code = errc::unauthorized;
  else if (out.code == errc::unauthorized && error.empty())
    out.code = errc::transient; // A page of a proxy or firewall says nothing of the account.
  else if (response.status == 501)
    out.code = errc::permanent;
  if (out.code == errc::throttled || out.code == errc::transient)
    out.retry_after = wait_of(response, now);
  return out;
}

result<session> read_session(const http_response& response) {
  const auto body = parse_answer(response);
  session out{text_of(body, "did"), text_of(body, "handle"), text_of(body, "accessJwt"), text_of(body, "refreshJwt"), {}};
  if (!out.did.starts_with("did:") || out.access_token.empty() || out.refresh_token.empty())
    return not_readable(errc::transient, response);
  out.expires_at = expiry_of(out.access_token);
  return out;
}

result<record_reference> read_put(const http_response& response) {
  const auto body = parse_answer(response);
  record_reference out{text_of(body, "uri"), text_of(body, "cid")};
  if (!out.uri.starts_with("at://") || !is_plain_id(out.uri) || out.cid.empty())
    return not_readable(errc::outcome_unknown, response);
  return out;
}

result<stored_record> read_record(const http_response& response) {
  const auto body = parse_answer(response);
  auto post = post_of(body);
  stored_record out{{text_of(body, "uri"), text_of(body, "cid")}, {}};
  if (!post || out.reference.cid.empty())
    return not_readable(errc::transient, response);
  out.post = std::move(*post);
  return out;
}

result<record_page> read_page(const http_response& response) {
  const auto body = parse_answer(response);
  if (!body.is_object() || !body.contains("records") || !body["records"].is_array())
    return not_readable(errc::transient, response);
  record_page out;
  for (const auto& item : body["records"]) {
    auto post = post_of(item);
    if (!post)
      return not_readable(errc::transient, response);
    out.posts.push_back(std::move(*post));
  }
  out.cursor = text_of(body, "cursor");
  return out;
}

result<std::string> read_did(const http_response& response) {
  auto did = text_of(parse_answer(response), "did");
  if (!did.starts_with("did:"))
    return not_readable(errc::transient, response);
  return did;
}

result<json> read_blob(const http_response& response) {
  auto body = parse_answer(response);
  if (!body.is_object() || !body.contains("blob") || !body["blob"].is_object())
    return not_readable(errc::transient, response);
  return std::move(body["blob"]);
}

std::optional<json> read_reference(const std::string& text) {
  auto blob = json::parse(text, nullptr, false);
  const auto link = json::json_pointer{"/ref/$link"};
  if (!blob.is_object() || text_of(blob, "$type") != "blob" || !blob.contains(link) || !blob.at(link).is_string())
    return std::nullopt;
  return blob;
}

std::string web_address(const std::string& uri) {
  constexpr std::string_view scheme = "at://";
  constexpr std::string_view collection = "/app.bsky.feed.post/";
  const auto at = uri.find(collection);
  if (!uri.starts_with(scheme) || at == std::string::npos)
    return {};
  return "https://bsky.app/profile/" + uri.substr(scheme.size(), at - scheme.size()) + "/post/"
         + uri.substr(at + collection.size());
}

} // namespace carillon::outbound::bluesky
