#include "outbound/social/bluesky/sessions.hpp"

#include <algorithm>
#include <utility>

#include <openssl/sha.h>

namespace carillon::outbound::bluesky {

namespace {

/// A token that ends sooner than this is not used any more.
constexpr std::chrono::seconds shortest_use{60};
constexpr std::chrono::seconds longest_request{10};
/// A request that ends with its asker's time says more of why than a timer.
constexpr std::chrono::milliseconds answer_first{100};

std::string session_key(const account_credentials& account) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(account.access_token.data()), account.access_token.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return account.instance_url + '\n' + account.platform_account_id + '\n' + digest;
}

http_request server_call(const account_credentials& account, std::string_view method,
                         std::chrono::steady_clock::time_point deadline) {
  http_request out;
  out.method = "POST";
  out.url = account.instance_url + "/xrpc/com.atproto.server." + std::string{method};
  out.headers = {{"Accept", "application/json"}};
  out.timeout = time_left(deadline);
  return out;
}

} // namespace

void sessions::ask(const account_credentials& account, std::chrono::milliseconds timeout, callback done) {
  make_room();
  auto& known = entries_[session_key(account)];
  const bool lasts = !known.current.expires_at || *known.current.expires_at > clock_.now() + shortest_use;
  if (known.is_usable && lasts)
    return done(known.current);
  auto waiting = std::make_shared<waiter>(waiter{std::move(done), std::chrono::steady_clock::now() + timeout});
  known.waiting.push_back(waiting);
  http_.loop().after(timeout + answer_first, [waiting](bool runs) {
    if (runs && waiting->done)
      std::exchange(waiting->done, nullptr)(out_of_time("a session was made"));
  });
  if (!known.is_asking)
    make(account, known);
}

void sessions::make(const account_credentials& account, entry& known) {
  known.is_asking = true;
  known.is_usable = false;
  const auto now = std::chrono::steady_clock::now();
  known.asks_until = now;
  for (const auto& one : known.waiting)
    known.asks_until = std::max(known.asks_until, std::min(one->deadline, now + longest_request));
  known.is_cut_short = known.asks_until < now + longest_request;
  if (known.current.refresh_token.empty())
    create(account, known.asks_until);
  else
    refresh(account, known.asks_until);
}

void sessions::forget_access(const account_credentials& account, const std::string& access_token) {
  const auto known = entries_.find(session_key(account));
  if (known != entries_.end() && known->second.current.access_token == access_token)
    known->second.is_usable = false;
}

void sessions::refresh(const account_credentials& account, std::chrono::steady_clock::time_point deadline) {
  auto req = server_call(account, "refreshSession", deadline);
  req.headers.emplace_back("Authorization", "Bearer " + entries_[session_key(account)].current.refresh_token);
  http_.send(std::move(req), [self = shared_from_this(), account, deadline](const http_response& response) {
    // A refresh token that is over, used up or not known: the password decides.
    if (response.answered() && (response.status == 400 || response.status == 401))
      return self->create(account, deadline);
    if (auto f = failure_of(response, effect::none, self->clock_.now()))
      return self->finish(account, std::move(*f));
    self->finish(account, read_session(response));
  });
}

void sessions::create(const account_credentials& account, std::chrono::steady_clock::time_point deadline) {
  if (time_left(deadline) <= std::chrono::milliseconds{0})
    return finish(account, out_of_time("a session was made"));
  auto req = server_call(account, "createSession", deadline);
  req.headers.emplace_back("Content-Type", "application/json");
  req.body = nlohmann::json{{"identifier", account.platform_account_id}, {"password", account.access_token}}.dump(
    -1, ' ', false, nlohmann::json::error_handler_t::replace);
  http_.send(std::move(req), [self = shared_from_this(), account](const http_response& response) {
    if (auto f = failure_of(response, effect::none, self->clock_.now()))
      return self->finish(account, std::move(*f));
    self->finish(account, read_session(response));
  });
}

void sessions::finish(const account_credentials& account, result<session> outcome) {
  auto& known = entries_[session_key(account)];
  known.is_asking = false;
  known.is_usable = outcome.has_value();
  if (outcome)
    known.current = *outcome;
  else if (outcome.error().code == errc::unauthorized)
    known.current = {};
  auto waiting = std::exchange(known.waiting, {});
  std::erase_if(waiting, [](const auto& one) { return !one->done; });
  // Whoever joined a request that had less time than he has: it says nothing.
  // Whole milliseconds end a request a little before its deadline.
  const auto now = std::chrono::steady_clock::now();
  if (!outcome && known.is_cut_short && now + answer_first >= known.asks_until)
    std::erase_if(waiting, [&](const auto& one) {
      const bool goes_on = one->deadline > now + answer_first && outcome.error().code != errc::unauthorized;
      if (goes_on)
        known.waiting.push_back(one);
      return goes_on;
    });
  if (!known.waiting.empty())
    make(account, known);
  // A callback may ask again.
  for (const auto& one : waiting)
    std::exchange(one->done, nullptr)(outcome);
}

void sessions::make_room() {
  if (entries_.size() < most_entries)
    return;
  std::erase_if(entries_, [](const auto& e) { return !e.second.is_asking; });
}

} // namespace carillon::outbound::bluesky
