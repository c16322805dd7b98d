// The one way to a social network. Implementations live in
// outbound/social/<network>/.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/network.hpp"
#include "domain/result.hpp"

namespace carillon {

/// What a call needs to speak for an account. `access_token` is a secret:
/// never logged, never stored in clear.
struct account_credentials {
  network platform = network::mastodon;
  /// Base URL of the server (`https://mastodon.example`), no trailing slash.
  std::string instance_url;
  /// The account's id at the network.
  std::string platform_account_id;
  std::string access_token;
};

struct outgoing_media {
  /// Of a file: as the program's uploads are told to find it.
  std::string path;
  std::string mime_type;
  std::string alt_text;
  /// What prepare_media answered for the same account and file; empty: the
  /// file is still to be uploaded.
  std::string reference{};
};

/// What is left of the calls that a network counts in a window of time.
struct rate_window {
  std::int64_t limit = 0;
  std::int64_t left = 0;
  std::chrono::milliseconds ends_in{0};
};

/// What a network asks of an account: what another node has to know that calls
/// for it next.
struct account_rates {
  /// To be left alone so long.
  std::chrono::milliseconds calls_wait{0};
  /// Where uploads are counted apart: holds back only posts with files.
  std::chrono::milliseconds uploads_wait{0};
  std::optional<rate_window> calls{};
  std::optional<rate_window> uploads{};

  bool is_none() const noexcept {
    return calls_wait.count() <= 0 && uploads_wait.count() <= 0 && !calls && !uploads;
  }

  /// What holds of it so much later.
  account_rates after(std::chrono::milliseconds elapsed) const noexcept {
    constexpr std::chrono::milliseconds none{0};
    account_rates out = *this;
    out.calls_wait = std::max(none, calls_wait - elapsed);
    out.uploads_wait = std::max(none, uploads_wait - elapsed);
    for (auto* window : {&out.calls, &out.uploads})
      if (*window && ((*window)->ends_in -= elapsed) <= none)
        window->reset();
    return out;
  }
};

struct outgoing_post {
  account_credentials account;
  /// Whose post it is: what one may use up of what all share is bounded.
  workspace_id workspace{};
  std::string text;
  std::vector<outgoing_media> media;
  /// Same target and revision, same key (RFC draft idempotency-key-header).
  std::string idempotency_key;
  /// When the target was made: for networks whose keys hold a time. Same
  /// target, same instant.
  instant made_at{};
  /// What does not fit into one post goes on in answers to it.
  bool is_thread = false;
  /// Published as an answer to the post, or to the last one of a thread.
  std::string first_comment{};
  /// `public`, `unlisted` or `private`; empty: as the account has it. Networks
  /// that know no such thing publish to everyone or refuse.
  std::string visibility{};
  /// W3C traceparent of the request that caused this, passed on.
  std::string correlation_id;
  /// It has waited so long that it is sent also to a server that is known to
  /// be down: only a call can bring it to its end.
  bool has_waited_enough = false;
  /// What is remembered of the account's windows, for a node that has heard
  /// nothing of them itself.
  account_rates known_rates{};
  /// The whole call, uploads included, ends within this time.
  std::chrono::milliseconds timeout{30'000};
};

/// In bytes: what a network calls a file is kept.
inline constexpr std::size_t longest_media_reference = 10'000;

/// One file of a post, to be uploaded before the post is due.
struct early_upload {
  account_credentials account;
  workspace_id workspace{};
  outgoing_media media;
  /// As outgoing_post::known_rates.
  account_rates known_rates{};
  /// The whole call ends within this time.
  std::chrono::milliseconds timeout{30'000};
};

/// A post as the network shows it.
struct public_post {
  std::string id;
  std::string url;
  /// Text without mark-up, as `normalise_text` leaves it.
  std::string text;
  instant created_at{};
  /// Which of a thread's later parts and the first comment are not public,
  /// and why, for the author to read. Empty when all is there.
  std::string left_out{};
  /// The id of the post that this one answers; empty for none.
  std::string in_reply_to{};
};

/// Callbacks run on the outbound thread, exactly once, and must not block.
class social_gateway {
public:
  using publish_callback = std::function<void(result<public_post>)>;
  using list_callback = std::function<void(result<std::vector<public_post>>)>;
  /// With outgoing_media::reference.
  using prepare_callback = std::function<void(result<std::string>)>;

  virtual ~social_gateway() = default;

  virtual network platform() const noexcept = 0;

  /// What the network has told of this account since this was asked last, and
  /// is worth to be remembered: waits, and windows that are half used up, each
  /// time that what is left has halved. Safe from any thread.
  virtual account_rates take_learned_rates(const account_credentials&) {
    return {};
  }

  /// How long the network surely keeps a file that no post shows; zero when
  /// nothing can be uploaded before its post.
  virtual std::chrono::seconds keeps_media() const noexcept {
    return std::chrono::seconds{0};
  }

  /// Uploads a file, which publishes nothing: a repeat is harmless. Failures
  /// as publish's, never outcome_unknown. What it would use up of the rates
  /// that posts may need before long is left alone (cancelled).
  virtual void prepare_media(early_upload, prepare_callback done) {
    done(failure{errc::permanent, "nothing can be prepared on this network", {}, {}});
  }

  /// Files with a reference are not uploaded. When the network does not know
  /// one any more and refuses the post, they are, within the same call.
  ///
  /// Failures: throttled (429, with retry_after), transient (the request was
  /// certainly not carried out: no connection, 503), permanent (the network
  /// refused; `detail` says why), unauthorized (401/403), outcome_unknown
  /// (sent, but no readable answer), not_found (a file cannot be read at
  /// present; not sent), cancelled (not sent, as the network had
  /// asked this account to wait, or its server does not answer at present;
  /// `retry_after` is when to come back). Never sends the same call twice.
  /// The failure is the first post's: once that is public the answer is the
  /// post, and what became of the rest is in `left_out`.
  virtual void publish(outgoing_post post, publish_callback done) = 0;

  /// The account's own latest public posts, newest first, at least back to
  /// `since` or 200 posts. A read: may be retried.
  virtual void list_recent(account_credentials account, instant since,
                           std::chrono::milliseconds timeout,
                           list_callback done)
    = 0;

  /// The public posts that an earlier publish() of `post`, begun not before
  /// `since`, can have made: none proves that it is not visible now. A read.
  virtual void find_published(outgoing_post post, instant since,
                              std::chrono::milliseconds timeout,
                              list_callback done)
    = 0;
};

/// What two texts must agree on to be the same post: mark-up removed,
/// white space collapsed, link shapes reduced. Pure.
std::string normalise_text(std::string_view text);

} // namespace carillon
