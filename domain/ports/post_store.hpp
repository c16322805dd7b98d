// Posts, their targets and approvals (contract §3.2). Every command is one
// compare-and-set transaction: of two that race, one wins and the other gets
// the failure of the state that it then meets.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "domain/enums.hpp"
#include "domain/hint.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/job.hpp"
#include "domain/network.hpp"
#include "domain/ownership.hpp"
#include "domain/result.hpp"
#include "domain/scope.hpp"

namespace carillon {

/// JSON columns are JSON text, empty for none.
struct post {
  post_id id;
  workspace_id workspace;
  user_id author;
  std::string author_name;
  std::optional<std::string> content_text;
  std::string content_variations;
  post_status status = post_status::draft;
  post_type type = post_type::standard;
  std::optional<instant> scheduled_at;
  std::optional<std::string> scheduled_timezone;
  std::optional<instant> published_at;
  std::string hashtags;
  std::string mentions;
  std::optional<std::string> link_url;
  std::string link_preview;
  std::optional<std::string> first_comment;
  std::optional<std::string> rejection_reason;
  std::int64_t target_count = 0;
  std::int64_t media_count = 0;
  instant created_at{};
  instant updated_at{};
};

struct post_target {
  target_id id;
  social_account_id account;
  std::string platform_code;       ///< As stored.
  std::optional<network> platform; ///< Nothing: a newer node's network.
  std::string account_name;
  target_status status = target_status::pending;
  std::optional<std::string> external_id;
  std::optional<std::string> external_url;
  std::optional<instant> published_at;
  std::optional<std::string> error_code;
  std::optional<std::string> error_message;
};

struct post_media {
  uuid id;
  media_type type = media_type::image;
  std::string path;
  std::optional<std::string> url;
  std::optional<std::string> thumbnail_url;
  std::string file_name;
  std::optional<std::int64_t> size;
  std::optional<std::string> mime_type;
  std::optional<std::string> alt_text;
  int sort_order = 0;
  std::string metadata;
  media_processing_status processing = media_processing_status::pending;
};

struct post_detail {
  carillon::post post;
  std::vector<post_target> targets;
  std::vector<post_media> media;
};

struct approval {
  uuid id;
  post_id post;
  user_id decided_by;
  std::string decided_by_name;
  approval_decision decision = approval_decision::approved;
  std::optional<std::string> reason;
  std::optional<std::string> comment;
  bool is_active = true;
  instant decided_at{};
};

/// What a post says. Nothing in an update means: keep what is stored.
struct post_content {
  std::optional<std::string> content_text;
  std::optional<std::string> content_variations;
  std::optional<std::string> hashtags;
  std::optional<std::string> mentions;
  std::optional<std::string> link_url;
  std::optional<std::string> first_comment;
};

/// A draft. The time is a wish until the post is scheduled.
struct new_post {
  post_content content;
  post_type type = post_type::standard;
  std::optional<instant> scheduled_at;
  std::optional<std::string> scheduled_timezone;
  std::vector<social_account_id> accounts; ///< An account counts once.
};

/// Media that join a post.
struct new_media {
  media_type type = media_type::image;
  std::string path; ///< Of the object, inside the workspace's part of the store.
  std::optional<std::string> url;
  std::optional<std::string> thumbnail_url;
  std::string file_name;
  std::optional<std::int64_t> size;
  std::optional<std::string> mime_type;
  std::optional<std::string> alt_text;
  std::string dimensions; ///< A JSON object, or empty for not known.
  int sort_order = 0;     ///< 0: after the last.
  std::string metadata;
  media_processing_status processing = media_processing_status::pending;
};

struct media_position {
  uuid media;
  int sort_order = 0;
};

/// The most that a post may have; networks take fewer.
inline constexpr int most_media_per_post = 20;

/// One call of a network for a target.
struct publish_attempt {
  attempt_id id;
  int number = 0;
  std::string state; ///< As stored: see migrations/0001.
  instant started_at{};
  std::optional<instant> concluded_at;
  std::optional<std::chrono::milliseconds> latency;
  std::optional<std::string> error_code;
  /// What the network said when it refused; the log's words for all else.
  std::optional<std::string> error_message;
  std::optional<std::string> external_id;
  std::optional<std::string> external_url;
};

struct target_attempts {
  post_target target;
  int retry_count = 0;
  /// Nothing is done for a target that is publishing before then; none: at
  /// once.
  std::optional<instant> next_action_at;
  std::vector<publish_attempt> attempts; ///< In their order.
};

struct post_filter {
  enum class column { created_at, updated_at, submitted_at, scheduled_at, published_at, status };
  std::optional<post_status> status;
  std::optional<user_id> author;
  std::optional<post_type> type;
  std::optional<instant> from;
  std::optional<instant> to;
  std::string search;
  column sort = column::created_at;
  bool ascending = false;
  int page = 1;
  int per_page = 15;
};

struct post_page {
  std::vector<post> items;
  std::int64_t total = 0;
};

/// Who commands, for notices and audit.
struct post_actor {
  user_id user;
  std::string name;
  std::string correlation_id;
};

/// Every call needs a tenant scope. Failures of the commands: not_found;
/// forbidden, where contract §3.2 says 403 for the wrong status; conflict on
/// `post`, `content` or `targets`, where it says 422; invalid_argument on
/// `social_account_ids.N` for an account that is not the workspace's, and on
/// `scheduled_at` for a time that is not in the future of the database's
/// clock. Every call also fails as storage's connection::transact says. A
/// command that fails has changed nothing and adds no hints.
class post_store {
public:
  virtual ~post_store() = default;

  virtual result<post_detail> create(const scope& who, workspace_id workspace,
                                     const post_actor& actor, const new_post& draft)
    = 0;
  virtual result<post_detail> load(const scope& who, workspace_id workspace, post_id id) = 0;
  virtual result<post_page> list(const scope& who, workspace_id workspace, const post_filter& filter)
    = 0;

  /// Of a draft or rejected post; a rejected one becomes a draft and loses its
  /// reason.
  virtual result<post_detail> update(const scope& who, workspace_id workspace, post_id id,
                                     const post_actor& actor, const post_content& content)
    = 0;
  /// Soft, but for its media; a published or publishing post stays. Answers
  /// the paths of objects that no post refers to any more, for the caller to
  /// remove.
  virtual result<std::vector<std::string>> remove(const scope& who, workspace_id workspace, post_id id,
                                                  const post_actor& actor)
    = 0;

  /// Replaces all targets of a draft or rejected post.
  virtual result<post_detail> set_targets(const scope& who, workspace_id workspace, post_id id,
                                          const post_actor& actor,
                                          const std::vector<social_account_id>& accounts)
    = 0;
  /// not_found: the target is not this post's. conflict on `post`: the post is
  /// neither draft nor rejected.
  virtual result<done> remove_target(const scope& who, workspace_id workspace, post_id id,
                                     target_id target, const post_actor& actor)
    = 0;

  /// Tells the workspace's owners and admins.
  virtual result<post_detail> submit(const scope& who, workspace_id workspace, post_id id,
                                     const post_actor& actor, hints& out)
    = 0;
  /// Tells the author; earlier decisions become inactive.
  virtual result<approval> approve(const scope& who, workspace_id workspace, post_id id,
                                   const post_actor& actor,
                                   const std::optional<std::string>& comment, hints& out)
    = 0;
  virtual result<approval> reject(const scope& who, workspace_id workspace, post_id id,
                                  const post_actor& actor, const std::string& reason,
                                  const std::optional<std::string>& comment, hints& out)
    = 0;
  /// Latest first.
  virtual result<std::vector<approval>> approvals(const scope& who, workspace_id workspace,
                                                  post_id id)
    = 0;

  /// Of an approved post, or (`move`) of a scheduled one. A zone that is not
  /// given stays, else it is UTC. Tells the author, and hints post_due.
  virtual result<post_detail> schedule(const scope& who, workspace_id workspace, post_id id,
                                       const post_actor& actor, instant at,
                                       const std::optional<std::string>& zone, bool move, hints& out)
    = 0;
  /// Now: post and targets to publishing, one publish_post job.
  virtual result<post_detail> publish(const scope& who, workspace_id workspace, post_id id,
                                      const post_actor& actor, hints& out)
    = 0;
  virtual result<post_detail> cancel(const scope& who, workspace_id workspace, post_id id,
                                     const post_actor& actor)
    = 0;
  /// A failed post again: its targets that are not live, in one publish_post
  /// job. conflict on `confirm_duplicate_risk` while nobody has confirmed it
  /// and the outcome of a target is unknown: it may be live already.
  virtual result<post_detail> retry(const scope& who, workspace_id workspace, post_id id,
                                    const post_actor& actor, bool risk_confirmed, hints& out)
    = 0;
  /// A draft of the actor's with the same text, targets and media.
  virtual result<post_detail> duplicate(const scope& who, workspace_id workspace, post_id id,
                                        const post_actor& actor)
    = 0;
  /// Target by target.
  virtual result<std::vector<target_attempts>> attempts(const scope& who, workspace_id workspace,
                                                        post_id id)
    = 0;

  // -- media: of a draft or rejected post ---------------------------------------

  /// conflict on `media` when the post has as many as it may have.
  virtual result<post_media> add_media(const scope& who, workspace_id workspace, post_id id,
                                       const post_actor& actor, const new_media& media)
    = 0;
  /// Moves those that are named; invalid_argument on `media_order` for one
  /// that is not the post's. Answers all in their order.
  virtual result<std::vector<post_media>> order_media(const scope& who, workspace_id workspace,
                                                      post_id id, const post_actor& actor,
                                                      const std::vector<media_position>& positions)
    = 0;
  /// Answers the path of an object that no post refers to any more, for the
  /// caller to remove. conflict on `post`: neither draft nor rejected.
  virtual result<std::optional<std::string>> remove_media(const scope& who, workspace_id workspace,
                                                          post_id id, const uuid& media,
                                                          const post_actor& actor)
    = 0;

  /// Calls `remove` for those of `paths`, of the job's workspace, that no row
  /// names, not even a deleted post's, while nobody can begin to; how many it
  /// said true for. Fenced; needs no scope.
  virtual result<int> remove_unnamed_files(const node_identity& me, const job& work,
                                           const std::vector<std::string>& paths,
                                           const std::function<bool(const std::string& path)>& remove)
    = 0;
};

} // namespace carillon
