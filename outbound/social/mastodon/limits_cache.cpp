#include "outbound/social/mastodon/limits_cache.hpp"

#include <algorithm>

namespace carillon::outbound::mastodon {

namespace {

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'
         || c == '.';
}

/// Why the limits cannot be read now, though perhaps later.
std::optional<failure> passing_failure_of(const http_response& response, instant now) {
  auto f = failure_of(response, effect::none, now);
  if (f && response.answered()) {
    if (is_refusal_by_something_else(response))
      f->code = errc::transient;
    if (f->code != errc::transient && f->code != errc::throttled)
      return std::nullopt;
  }
  if (!f && parse_answer(response).is_discarded())
    f = failure{errc::transient, "the body is unreadable", {}, {}};
  if (f)
    f->detail = "the server's limits could not be read: " + f->detail;
  return f;
}

} // namespace

void limits_cache::ask(const social_http& http, const account_credentials& account, std::chrono::milliseconds timeout,
                       callback done) {
  const auto now = std::chrono::steady_clock::now();
  if (const auto known = by_instance_.find(account.instance_url);
      known != by_instance_.end() && known->second.until > now)
    return done(known->second.limits);
  http_request req;
  req.url = account.instance_url + "/api/v2/instance";
  // Some instances show this to members only.
  req.headers = {{"Authorization", "Bearer " + account.access_token}, {"Accept", "application/json"}};
  req.timeout = timeout;
  http.send(std::move(req), [this, instance = account.instance_url, done = std::move(done)](const http_response& response) {
    if (auto f = passing_failure_of(response, clock_.now()))
      return done(std::move(*f));
    const auto limits = response.status == 200 ? read_limits(response) : std::nullopt;
    if (!limits)
      return done(instance_limits{});
    if (by_instance_.size() >= most_instances)
      by_instance_.clear();
    by_instance_[instance] = {*limits, std::chrono::steady_clock::now() + lifetime_};
    done(*limits);
  });
}

std::size_t text_length(std::string_view text, std::size_t per_url,
                        const std::function<std::size_t(std::string_view)>& count) {
  std::size_t out = 0;
  std::size_t plain_from = 0;
  const auto add_plain = [&](std::size_t to) {
    out += count(text.substr(plain_from, to - plain_from));
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto rest = text.substr(i);
    const bool begins_word = i == 0 || !is_name_character(text[i - 1]);
    if (begins_word && (rest.starts_with("http://") || rest.starts_with("https://"))) {
      add_plain(i);
      out += per_url;
      i += std::min(rest.find_first_of(" \t\r\n<>\""), rest.size());
      plain_from = i;
    } else if (begins_word && rest.front() == '@') {
      std::size_t name_end = 1;
      while (name_end < rest.size() && is_name_character(rest[name_end]))
        ++name_end;
      i += name_end;
      if (name_end > 1 && i < text.size() && text[i] == '@') {
        add_plain(i);
        ++i;
        while (i < text.size() && is_name_character(text[i]))
          ++i;
        plain_from = i;
      }
    } else {
      ++i;
    }
  }
  add_plain(text.size());
  return out;
}

} // namespace carillon::outbound::mastodon
