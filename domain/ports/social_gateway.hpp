// The one way to a social network. Implementations live in
// outbound/social/<network>/.
#pragma once

#include <chrono>
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
  std::string path; ///< A file that the node can read.
  std::string mime_type;
  std::string alt_text;
};

struct outgoing_post {
  account_credentials account;
  std::string text;
  std::vector<outgoing_media> media;
  /// Same target and revision, same key (RFC draft idempotency-key-header).
  std::string idempotency_key;
  /// W3C traceparent of the request that caused this, passed on.
  std::string correlation_id;
  /// The whole call, uploads included, ends within this time.
  std::chrono::milliseconds timeout{30'000};
};

/// A post as the network shows it.
struct public_post {
  std::string id;
  std::string url;
  /// Text without mark-up, as `normalise_text` leaves it.
  std::string text;
  instant created_at{};
};

/// Callbacks run on the outbound thread, exactly once, and must not block.
class social_gateway {
public:
  using publish_callback = std::function<void(result<public_post>)>;
  using list_callback = std::function<void(result<std::vector<public_post>>)>;

  virtual ~social_gateway() = default;

  virtual network platform() const noexcept = 0;

  /// Failures: throttled (429, with retry_after), transient (the request was
  /// certainly not carried out: no connection, 503), permanent (the network
  /// refused; `detail` says why), unauthorized (401/403), outcome_unknown
  /// (sent, but no readable answer). Never sends the same call twice.
  virtual void publish(outgoing_post post, publish_callback done) = 0;

  /// The account's own latest public posts, newest first, at least back to
  /// `since` or 200 posts. A read: may be retried.
  virtual void list_recent(account_credentials account, instant since,
                           std::chrono::milliseconds timeout,
                           list_callback done)
    = 0;
};

/// What two texts must agree on to be the same post: mark-up removed,
/// white space collapsed, link shapes reduced. Pure.
std::string normalise_text(std::string_view text);

} // namespace carillon
