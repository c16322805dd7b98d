// Pure: what a Mastodon server's answer means.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "domain/ports/social_gateway.hpp"
#include "domain/result.hpp"
#include "outbound/http_client.hpp"
#include "outbound/social/call.hpp"
#include "outbound/social/mastodon/mastodon_gateway.hpp"

namespace carillon::outbound::mastodon {

/// The failure that an answer (or the lack of one) stands for; nothing when
/// the answer is a 2xx. See mastodon_gateway for the table. `now` dates
/// waits when the answer has no Date header.
std::optional<failure> failure_of(const http_response& response, effect what,
                                  instant now);

/// A 401 or 403 without the API's own words: a page of a proxy or firewall,
/// or a server that answers errors as HTML. Whether the token is still good
/// has to be asked for.
bool is_refusal_by_something_else(const http_response& response);

/// What an instance allows, as long as it does not say otherwise.
struct instance_limits {
  bool is_known = false; ///< The instance said so.
  std::size_t characters = 500;
  std::size_t files = 4;
  std::size_t characters_per_url = 23;
};

/// From an Instance entity (v2); nothing when it does not say.
std::optional<instance_limits> read_limits(const http_response& response);

/// A Status entity, or outcome_unknown. `now` stands in for an unreadable
/// created_at: the server has just made it.
result<public_post> read_published(const http_response& response,
                                   instant now);

/// The API refuses a status in a way in which it says that it does not know a
/// file; it may mean something else. Nothing was published.
bool may_miss_media(const http_response& response);

/// How many files a Status entity shows; nothing when it does not say.
std::optional<std::size_t> count_attachments(const http_response& response);

struct status_page {
  std::vector<public_post> posts;
  std::string last_id; ///< Empty when the page is.
};

/// A list of Status entities, or transient. Every entry must be readable in
/// full: one that is skipped could be the post that is looked for.
result<status_page> read_page(const http_response& response);

result<verified_account> read_account(const http_response& response);

struct uploaded_media {
  std::string id;
  bool ready = false;
};

/// A MediaAttachment entity, or transient. 202 and 206 are not ready yet.
result<uploaded_media> read_media(const http_response& response);

} // namespace carillon::outbound::mastodon
