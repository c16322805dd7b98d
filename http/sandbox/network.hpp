// The sandbox network itself: accounts, posts, files and idempotency keys in
// memory. No sockets, no clock: every call is told what time it is.
#pragma once

#include "domain/instant.hpp"
#include "domain/result.hpp"
#include "http/sandbox/limits.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace carillon::http::sandbox {

/// Of posts and files: milliseconds since 1970 and a running number, so that
/// ids sort by time, also as texts.
using object_id = std::uint64_t;

/// The low bits: what tells those of one millisecond apart.
inline constexpr int id_sequence_bits = 16;

std::optional<object_id> parse_object_id(std::string_view text);

struct account {
  std::string name; ///< Also its id.
  instant since{};
  std::uint64_t post_count = 0;

  /// Posts that are to be seen, and those of them that everyone may see.
  std::set<object_id> shown;
  std::set<object_id> shown_to_all;
};

/// Letters, digits, `_`, `-` and `.`; at most 64 of them.
bool is_account_name(std::string_view text) noexcept;

/// `acme_europe` is shown as "Acme Europe".
std::string display_name(std::string_view account_name);

enum class audience : std::uint8_t { everyone, unlisted, followers, mentioned };

std::string_view to_string(audience a) noexcept; ///< Mastodon's words.
std::optional<audience> parse_audience(std::string_view text);

struct post {
  object_id id = 0;
  std::string account;
  std::string text; ///< Plain, as it was posted.
  audience seen_by = audience::everyone;
  std::vector<object_id> media;
  std::optional<object_id> in_reply_to;
  std::string idempotency_key;
  bool sensitive = false;
  std::string spoiler_text;
  std::string language;
  /// Of a post that came as a record: its key, unique in its account, and the
  /// record as JSON.
  std::string record_key;
  std::string record;
  instant created_at{};
  instant visible_at{};

  bool visible = false;
  bool deleted = false;    ///< By its account; kept for the count.
  std::uint64_t calls = 1; ///< Publish calls that came to it.
};

struct draft {
  std::string text;
  audience seen_by = audience::everyone;
  std::vector<std::string> media_ids;
  std::string in_reply_to;
  std::string idempotency_key;
  bool sensitive = false;
  std::string spoiler_text;
  std::string language;
  std::string record_key;
  std::string record; ///< Its text was checked by other rules.
};

struct upload {
  std::string mime_type;
  std::string file_name;
  std::string description;
  std::string bytes;
};

struct medium {
  object_id id = 0;
  std::string account;
  std::string mime_type;
  std::string file_name;
  std::string description;
  std::size_t size = 0;
  unsigned width = 0; ///< Of a picture, when its header tells.
  unsigned height = 0;
  instant ready_at{};
  std::optional<object_id> used_by;
  /// Of a picture that is still kept.
  std::shared_ptr<const std::string> bytes;
};

/// What a listing leaves out; `limit` is at least 1.
struct listing {
  std::optional<object_id> max_id;   ///< Only older ones.
  std::optional<object_id> since_id; ///< Only newer ones.
  std::optional<object_id> min_id;   ///< The ones right after this.
  std::size_t limit = default_page;
};

struct publish_how {
  std::chrono::milliseconds visibility_delay{0};
  bool ignore_idempotency_keys = false;
};

struct publish_result {
  const post* what = nullptr;
  bool repeated = false; ///< The key was known: it is the post made first.
};

struct network_counts {
  std::uint64_t posts = 0; ///< Ever accepted.
  std::uint64_t kept = 0;
  std::uint64_t visible = 0;
  std::uint64_t not_visible_yet = 0;
  std::uint64_t deleted = 0;
  std::uint64_t accounts = 0;
  std::uint64_t media = 0;
  std::uint64_t idempotent_repeats = 0;
  /// Posts whose account had the same text among the posts already.
  std::uint64_t duplicates = 0;
};

/// Single-threaded: the caller makes one call at a time. What a call returns
/// a pointer to lives until the next call that is not const. No call costs
/// more than the logarithm of what is kept, but the listings, which cost what
/// they list, and reset.
class network {
public:
  explicit network(capacity most = {});

  /// The account of this name, made when there is none. forbidden when there
  /// is no room for one more.
  result<const account*> use_account(std::string_view name, instant now);
  const account* find_account(std::string_view name) const;

  /// invalid_argument (422) and not_found (404), worded as Mastodon does. A
  /// key that the account has used within the hour answers the post made
  /// first, whatever else the draft says.
  result<publish_result> publish(std::string_view account, draft d, instant now,
                                 publish_how how = {});

  /// Puts a post back that an earlier run has accepted; false when a post
  /// with this id is there, or its account cannot be.
  bool restore(post p, instant now);

  /// not_found when it is not the account's. Says its state before.
  result<post> remove(std::string_view account, object_id id, instant now);
  /// As remove, for posts of an earlier run.
  void restore_removal(object_id id);

  /// Null when it is unknown, deleted or not to be seen by `viewer` (empty:
  /// somebody without a token).
  const post* find_visible(object_id id, std::string_view viewer, instant now);
  /// Visible or not.
  const post* find(object_id id) const;
  /// Visible or not, but not deleted.
  const post* find_record(std::string_view account,
                          std::string_view record_key) const;
  /// A call came that meant this post again.
  void count_repeat(object_id id);

  // Newest first, only what `viewer` may see.
  std::vector<const post*> list_account(const account& of,
                                        std::string_view viewer,
                                        const listing& which, instant now);
  std::vector<const post*> list_public(const listing& which, instant now);

  // For the operator, newest first, of every audience.
  std::vector<const post*> list_visible(const listing& which, instant now);
  /// In the order in which they become visible.
  std::vector<const post*> list_not_visible_yet(std::size_t limit, instant now);
  /// Oldest first.
  std::vector<const post*> list_replies(object_id to, std::size_t limit,
                                        instant now);
  /// Of the visible ones.
  std::size_t count_replies(object_id to) const;
  /// Every post that is kept, oldest first.
  const std::map<object_id, post>& all_posts(instant now);

  /// invalid_argument (422) for a kind of file or a description that Mastodon
  /// refuses.
  result<const medium*> add_medium(std::string_view account, upload file,
                                   std::chrono::milliseconds processing,
                                   instant now);
  const medium* find_medium(object_id id) const;

  /// not_found when it is not the account's or a post has it already.
  result<const medium*> describe_medium(std::string_view account, object_id id,
                                        std::string text);

  /// Forgets everything.
  void reset();

  network_counts counts(instant now);

  /// Changes with everything that a page could show.
  std::uint64_t revision(instant now);

private:
  void settle(instant now);
  object_id next_id(instant now);
  std::optional<failure> check(const draft& d) const;
  result<std::vector<object_id>> check_media(std::string_view account,
                                             const draft& d, instant now) const;
  post& keep(post p, instant now);
  void show(post& p);
  void hide(post& p);
  void forget_oldest_post();
  void forget_oldest_medium();

  capacity most_;
  std::uint64_t revision_ = 1;
  object_id last_id_ = 0;

  std::map<std::string, account, std::less<>> accounts_;
  std::map<object_id, post> posts_;
  std::set<object_id> shown_;
  std::set<object_id> shown_in_public_;
  /// When they become visible.
  std::set<std::pair<instant, object_id>> waiting_;
  /// Visible ones, by what they answer.
  std::map<object_id, std::set<object_id>> replies_;
  /// `account\nrecord key`, of posts that are not deleted.
  std::unordered_map<std::string, object_id> records_;
  /// How many of the kept posts say the same: `account\ntext`.
  std::unordered_map<std::string, std::uint64_t> said_;

  struct used_key {
    object_id post = 0;
    instant until{};
  };
  /// `account\nkey`.
  std::unordered_map<std::string, used_key> keys_;
  std::deque<std::pair<instant, std::string>> keys_by_age_;

  std::map<object_id, medium> media_;
  /// Those whose bytes are kept, oldest first.
  std::deque<object_id> pictures_;
  std::size_t picture_bytes_ = 0;

  std::uint64_t accepted_ = 0;
  std::uint64_t deleted_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t duplicates_ = 0;
};

} // namespace carillon::http::sandbox
