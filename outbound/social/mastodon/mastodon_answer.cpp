#include "outbound/social/mastodon/mastodon_answer.hpp"

#include <nlohmann/json.hpp>

#include "outbound/social/call.hpp"

namespace carillon::outbound::mastodon {

namespace {

using json = nlohmann::json;

/// What the server says of its refusal; an HTML page says only its status.
std::string describe(const http_response& response) {
  auto out = "HTTP " + std::to_string(response.status);
  const auto body = parse_answer(response);
  const auto error = text_of(body, "error");
  const auto more = text_of(body, "error_description");
  if (!error.empty())
    out += ": " + error;
  if (!more.empty())
    out += " (" + more + ")";
  return one_line(std::move(out));
}

failure unreadable(errc code, const http_response& response) {
  return {code, describe(response) + ", but the body is unreadable", {}, {}};
}

std::optional<public_post> read_status(const json& status) {
  public_post out;
  out.id = text_of(status, "id");
  auto content = status.is_object() ? status.find("content") : status.end();
  if (!is_plain_id(out.id) || content == status.end() || !content->is_string())
    return std::nullopt;
  out.url = plain_address(text_of(status, "url"));
  if (out.url.empty())
    out.url = plain_address(text_of(status, "uri"));
  out.text = normalise_text(content->get_ref<const std::string&>());
  out.in_reply_to = text_of(status, "in_reply_to_id");
  if (auto created = parse_time(text_of(status, "created_at")))
    out.created_at = *created;
  return out;
}

std::optional<std::size_t> count_at(const json& body, const char* pointer) {
  const auto at = json::json_pointer{pointer};
  if (!body.is_object() || !body.contains(at) || !body.at(at).is_number_unsigned())
    return std::nullopt;
  return body.at(at).get<std::size_t>();
}

} // namespace

bool is_refusal_by_something_else(const http_response& response) {
  return response.answered() && (response.status == 401 || response.status == 403)
         && text_of(parse_answer(response), "error").empty();
}

std::optional<instance_limits> read_limits(const http_response& response) {
  const auto body = parse_answer(response);
  const auto characters = count_at(body, "/configuration/statuses/max_characters");
  if (!characters || *characters == 0)
    return std::nullopt;
  instance_limits out;
  out.is_known = true;
  out.characters = *characters;
  if (const auto files = count_at(body, "/configuration/statuses/max_media_attachments"))
    out.files = *files;
  if (const auto url = count_at(body, "/configuration/statuses/characters_reserved_per_url"))
    out.characters_per_url = *url;
  return out;
}

std::optional<failure> failure_of(const http_response& response, effect what,
                                  instant now) {
  if (auto undelivered = failure_of_delivery(response, what))
    return undelivered;
  if (response.status >= 200 && response.status < 300)
    return std::nullopt;
  failure out{code_of_status(response.status, what), describe(response), {}, {}};
  if (out.code == errc::throttled || out.code == errc::transient)
    out.retry_after = wait_of(response, now);
  return out;
}

result<public_post> read_published(const http_response& response,
                                   instant now) {
  auto post = read_status(parse_answer(response));
  if (!post)
    return unreadable(errc::outcome_unknown, response);
  if (post->created_at == instant{})
    post->created_at = now;
  return std::move(*post);
}

bool may_miss_media(const http_response& response) {
  return response.answered() && (response.status == 404 || response.status == 422)
         && !text_of(parse_answer(response), "error").empty();
}

std::optional<std::size_t> count_attachments(const http_response& response) {
  const auto body = parse_answer(response);
  const auto files = body.is_object() ? body.find("media_attachments") : body.end();
  if (files == body.end() || !files->is_array())
    return std::nullopt;
  return files->size();
}

result<status_page> read_page(const http_response& response) {
  const auto body = parse_answer(response);
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
  const auto body = parse_answer(response);
  verified_account out{text_of(body, "id"), text_of(body, "username"),
                       text_of(body, "display_name"), text_of(body, "url"),
                       text_of(body, "avatar")};
  if (out.id.empty())
    return unreadable(errc::transient, response);
  return out;
}

result<uploaded_media> read_media(const http_response& response) {
  uploaded_media out{text_of(parse_answer(response), "id"),
                     response.status != 202 && response.status != 206};
  if (out.id.empty())
    return unreadable(errc::transient, response);
  return out;
}

} // namespace carillon::outbound::mastodon
