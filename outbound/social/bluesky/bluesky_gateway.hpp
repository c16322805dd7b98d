// Publishing on Bluesky and on every PDS of the AT Protocol.
//
// What the protocol promises, and what this relies on:
// - com.atproto.repo.putRecord writes a record under a key that the caller
//   chooses; with `swapRecord: null` it writes only when there is none, else
//   it answers 400 InvalidSwap:
//   https://docs.bsky.app/docs/api/com-atproto-repo-put-record
// - com.atproto.repo.getRecord reads it back, without a token:
//   https://docs.bsky.app/docs/api/com-atproto-repo-get-record
// - com.atproto.repo.uploadBlob takes a file; the answer's `blob` goes into
//   the record: https://docs.bsky.app/docs/api/com-atproto-repo-upload-blob
//   A blob that no record names is deleted after a time that each PDS chooses
//   ("eg, minutes"); the specification asks for an hour at least, and half of
//   that is counted on here: https://atproto.com/specs/blob
// - A post has at most 300 graphemes and 3,000 bytes, four pictures, and
//   answers another by the two's strong references:
//   https://docs.bsky.app/docs/advanced-guides/posts
// - Links, tags and mentions are facets with offsets in bytes:
//   https://docs.bsky.app/docs/advanced-guides/post-richtext
// - Errors are `{"error": "Name", "message": "…"}`:
//   https://atproto.com/specs/xrpc#error-responses
// - Limits: 5,000 points an hour (a new record costs 3), told in RateLimit-…
//   headers: https://docs.bsky.app/docs/advanced-guides/rate-limits
#pragma once

#include <chrono>
#include <memory>

#include "domain/clock.hpp"
#include "domain/ports/social_gateway.hpp"
#include "outbound/http_client.hpp"
#include "outbound/social/host_circuits.hpp"

namespace carillon::outbound {

namespace bluesky {
class sessions;
}
class rate_budgets;

struct bluesky_options {
  /// As mastodon_options::least_status_time.
  std::chrono::milliseconds least_record_time{2'000};
  /// As mastodon_options::answer_pause.
  std::chrono::milliseconds answer_pause{500};
};

/// `account_credentials::access_token` is the account's app password,
/// `platform_account_id` its DID or handle, `instance_url` its PDS.
///
/// The record key is made from `made_at` and `idempotency_key`, so a repeat
/// meets the record of the first call: that one is answered when it says the
/// same, else the failure is permanent. Nothing that is there is overwritten.
///
/// Answers become failures as mastodon_gateway's, but for these:
///
///     400 ExpiredToken, InvalidToken   the session is renewed once
///     400 AccountTakedown and the like unauthorized
///     400 others, 413, 501             permanent, with the PDS's words
///     401, 403 without an XRPC error   transient: not the PDS's words
///
/// What comes before the first record (session, uploads) publishes nothing:
/// its unclear ends are transient. A handle that is not known, or whose lookup
/// fails in any other way but a refused session, stays plain text. A lookup
/// gets 3 s or a quarter of the time left, whichever is less, and all of them
/// half of the time.
///
/// A record with a file that was uploaded earlier and that answers 400 or 404
/// is sent once more with all files uploaded anew: the PDS may have forgotten
/// one.
///
/// Posts here are public: `visibility` may be empty or `public`, the others
/// are permanent. Media are pictures of at most 4 MB; the PDS may allow less.
class bluesky_gateway final : public social_gateway {
public:
  /// All three outlive the gateway and its calls. `uploads`: see social_http.
  bluesky_gateway(http_client& http, const clock_port& clock, bluesky_options options = {},
                  std::shared_ptr<host_circuits> circuits = std::make_shared<host_circuits>(),
                  http_client* uploads = nullptr);
  ~bluesky_gateway() override;

  network platform() const noexcept override {
    return network::bluesky;
  }

  account_rates take_learned_rates(const account_credentials& account) override;

  std::chrono::seconds keeps_media() const noexcept override {
    return std::chrono::minutes{30};
  }

  void prepare_media(early_upload what, prepare_callback done) override;

  void publish(outgoing_post post, publish_callback done) override;

  /// By record key, newest first: for a post that was made long before it was
  /// due that is not the order of publication.
  void list_recent(account_credentials account, instant since, std::chrono::milliseconds timeout,
                   list_callback done) override;

  /// Reads the record of the post's key, and those of what follows it.
  void find_published(outgoing_post post, instant since, std::chrono::milliseconds timeout,
                      list_callback done) override;

private:
  social_http http_;
  const clock_port& clock_;
  bluesky_options options_;
  std::shared_ptr<bluesky::sessions> sessions_;
  std::shared_ptr<rate_budgets> rates_;
};

} // namespace carillon::outbound
