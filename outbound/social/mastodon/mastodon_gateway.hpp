// Publishing on Mastodon and on every server that speaks its API.
//
// What the protocol promises, and what this relies on:
// - POST /api/v1/statuses with an Idempotency-Key answers a repeated key with
//   the status made first, for one hour:
//   https://docs.joinmastodon.org/methods/statuses/#create
// - POST /api/v2/media answers 200 when the file is ready and 202 while it is
//   processed; GET /api/v1/media/:id then answers 206 until it is ready:
//   https://docs.joinmastodon.org/methods/media/#v2
// - A file that no status shows is deleted when it is a day old; half of that
//   is counted on here:
//   https://github.com/mastodon/mastodon/blob/main/app/lib/vacuum/media_attachments_vacuum.rb
// - GET /api/v1/accounts/:id/statuses pages backwards with max_id, 40 at most:
//   https://docs.joinmastodon.org/methods/accounts/#statuses
// - GET /api/v2/instance names the limits:
//   https://docs.joinmastodon.org/entities/Instance/#max_characters
// - 429 names the end of the wait in X-RateLimit-Reset:
//   https://docs.joinmastodon.org/api/rate-limits/
// - Errors are `{"error": "…"}`: https://docs.joinmastodon.org/entities/Error/
// - `content` is HTML with shortened links and mentions:
//   https://docs.joinmastodon.org/entities/Status/#content
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"
#include "outbound/social/host_circuits.hpp"

namespace carillon::outbound {

struct mastodon_options {
  /// The pause before asking whether an upload is ready; doubles up to 5 s.
  std::chrono::milliseconds media_poll{500};
  /// With less time left than this (or than a tenth of the whole time-out,
  /// when that is less) the status is not sent any more: a call that is cut
  /// off would leave its outcome unknown.
  std::chrono::milliseconds least_status_time{2'000};
  /// What an instance says of its limits is believed so long.
  std::chrono::seconds limits_lifetime{3'600};
  /// The first pause before an answer that was certainly not published is
  /// tried again; doubles. At most three tries.
  std::chrono::milliseconds answer_pause{500};
};

namespace mastodon {
class limits_cache;
}
class rate_budgets;

/// The account that a token speaks for.
struct verified_account {
  std::string id;
  std::string username;
  std::string display_name;
  std::string url;
  std::string avatar_url;
};

/// Answers become failures like this, for the status call:
///
///     429                      throttled, wait from Retry-After or
///                              X-RateLimit-Reset
///     401, 403                 unauthorized
///     408, 425                 transient: not carried out
///     any other 4xx; 301, 307, 308   permanent, with the server's `error`
///     5xx                      outcome_unknown: a proxy's error page may
///                              hide an accepted post, that of a 503 too
///     2xx without a readable status, other 3xx   outcome_unknown
///     no connection            transient
///     sent, no full answer     outcome_unknown
///
/// Uploads and reads differ in one thing: what would be outcome_unknown is
/// transient, since nothing is public. A repeated attempt uploads again; the
/// server removes files that no status uses.
///
/// A status with a file that was uploaded earlier and that answers 404 or 422
/// is sent once more with all files uploaded anew, as the server may have
/// forgotten one. Servers that leave a forgotten file out instead publish the
/// post, and `left_out` says so.
///
/// A 401 or 403 without the API's words (a page of a proxy) is unauthorized
/// only when the token is refused also by verify_credentials; else it is
/// transient (401) or permanent (403).
///
/// A text of up to 500 characters is sent without a question. For a longer
/// one, a thread, or more than four files the instance's limits are read
/// first; what exceeds them is permanent, with the limit in `detail`. An
/// instance that does not tell them has the last word, and its threads are
/// divided by the defaults. When they cannot be read for now (no answer, 429,
/// 5xx, a page of a proxy), publish and find_published fail as a read does,
/// before anything is sent: a text divided by a guess would be lost or doubled.
///
/// The parts of a thread and the first comment are answers to the post
/// before, with keys of their own. An answer is tried again only when it was
/// certainly not published. When a key gives back what an earlier call made
/// of the same text by other limits, nothing follows, and `left_out` says so.
class mastodon_gateway final : public social_gateway {
public:
  using verify_callback = std::function<void(result<verified_account>)>;

  /// All three outlive the gateway and its calls. `uploads`: see social_http.
  mastodon_gateway(http_client& http, const clock_port& clock,
                   mastodon_options options = {},
                   std::shared_ptr<host_circuits> circuits = std::make_shared<host_circuits>(),
                   http_client* uploads = nullptr);
  ~mastodon_gateway() override;

  network platform() const noexcept override {
    return network::mastodon;
  }

  account_rates take_learned_rates(const account_credentials& account) override;

  std::chrono::seconds keeps_media() const noexcept override {
    return std::chrono::hours{12};
  }

  void prepare_media(early_upload what, prepare_callback done) override;

  void publish(outgoing_post post, publish_callback done) override;

  void list_recent(account_credentials account, instant since,
                   std::chrono::milliseconds timeout,
                   list_callback done) override;

  /// Reads the account's own posts back: the ones with the same text that
  /// answer no other.
  void find_published(outgoing_post post, instant since,
                      std::chrono::milliseconds timeout,
                      list_callback done) override;

  /// Whom the token speaks for. A read.
  /// https://docs.joinmastodon.org/methods/accounts/#verify_credentials
  void verify_account(account_credentials account,
                      std::chrono::milliseconds timeout,
                      verify_callback done);

private:
  social_http http_;
  const clock_port& clock_;
  mastodon_options options_;
  std::shared_ptr<mastodon::limits_cache> limits_;
  std::shared_ptr<rate_budgets> rates_;
};

} // namespace carillon::outbound
