#include "storage/publish_repository.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "domain/backoff.hpp"
#include "domain/crash_point.hpp"
#include "domain/enums.hpp"
#include "domain/ports/object_store.hpp"
#include "domain/post_text.hpp"
#include "domain/text.hpp"
#include "storage/failure_notice.hpp"
#include "storage/fence.hpp"
#include "storage/job_writer.hpp"
#include "storage/live_notes.hpp"
#include "storage/notification_writer.hpp"
#include "storage/ownership_repository.hpp"
#include "storage/social_account_repository.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

// A post without targets stays scheduled; `repair` tells its author. Those of
// one workspace that are due at the same instant come one after the other, so
// that they are planned and recorded together.
constexpr auto lock_due_posts = R"sql(
  SELECT p.id, p.tenant_id, p.workspace_id FROM carillon.posts p
  WHERE p.status = 'scheduled' AND p.deleted_at IS NULL AND p.scheduled_at <= clock_timestamp()
    AND p.shard = ANY($1::smallint[])
    AND EXISTS (SELECT 1 FROM carillon.post_targets t WHERE t.post_id = p.id)
  ORDER BY p.scheduled_at, p.workspace_id, p.id LIMIT $2 FOR UPDATE OF p SKIP LOCKED
)sql";

constexpr auto start_posts = R"sql(
  UPDATE carillon.posts SET status = 'publishing', updated_at = now() WHERE id = ANY($1::uuid[])
)sql";

// `IS TRUE` keeps the index on the status out: its statistics are of before the
// rush, and it would walk over all that are under way, for each batch.
constexpr auto start_due_targets = R"sql(
  UPDATE carillon.post_targets
  SET status = 'publishing', publishing_since = clock_timestamp(), next_action_at = NULL,
      retry_count = 0, error_code = NULL, error_message = NULL, updated_at = now()
  WHERE post_id = ANY($1::uuid[]) AND (status IN ('pending', 'failed')) IS TRUE
)sql";

constexpr auto select_next_scheduled = R"sql(
  SELECT greatest(0, ceil(extract(epoch FROM p.scheduled_at - clock_timestamp()) * 1000))::bigint
  FROM carillon.posts p
  WHERE p.status = 'scheduled' AND p.deleted_at IS NULL AND p.shard = ANY($1::smallint[])
    AND EXISTS (SELECT 1 FROM carillon.post_targets t WHERE t.post_id = p.id)
  ORDER BY p.scheduled_at LIMIT 1
)sql";

constexpr auto select_without_job = R"sql(
  SELECT p.id, p.tenant_id, p.workspace_id FROM carillon.posts p
  WHERE p.status = 'publishing' AND p.shard = ANY($1::smallint[])
    AND NOT EXISTS (SELECT 1 FROM carillon.jobs j WHERE j.unique_key = 'publish-post-' || p.id)
  FOR UPDATE OF p SKIP LOCKED
)sql";

constexpr auto select_without_targets = R"sql(
  UPDATE carillon.posts p
  SET metadata = coalesce(p.metadata, '{}') || '{"warned_no_targets": true}', updated_at = now()
  WHERE p.status = 'scheduled' AND p.deleted_at IS NULL AND p.scheduled_at <= clock_timestamp()
    AND p.shard = ANY($1::smallint[])
    AND NOT EXISTS (SELECT 1 FROM carillon.post_targets t WHERE t.post_id = p.id)
    AND NOT coalesce(p.metadata, '{}') ? 'warned_no_targets'
  RETURNING p.id, p.tenant_id, p.workspace_id, p.created_by_user_id, p.content_text
)sql";

// Who shares a transaction with a post that somebody holds locked waits no
// longer than this; then they are divided (actors/jobs/publish_desk.cpp).
constexpr auto wait_for_locks_briefly = "SELECT set_config('lock_timeout', '1s', true)";

// Each only where its job says that it is. `IS TRUE` as above.
constexpr auto lock_publishing_posts = R"sql(
  SELECT p.id, p.tenant_id, p.workspace_id, p.created_by_user_id, p.status, p.content_text, p.content_variations,
         p.hashtags, p.link_url, p.revision, p.deleted_at, p.scheduled_at, p.post_type, p.first_comment
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (id, workspace_id, tenant_id)
  JOIN carillon.posts p ON p.id = w.id AND (p.workspace_id = w.workspace_id AND p.tenant_id = w.tenant_id) IS TRUE
  ORDER BY p.id FOR UPDATE OF p
)sql";

// Everything about the targets that still have to do something. `IS TRUE` as
// above.
constexpr auto select_open_targets = R"sql(
  SELECT t.post_id, t.id, t.platform_code, t.content_override, t.retry_count, t.created_at AS made_at,
         t.next_action_at > clock_timestamp() AS waits, t.next_action_at,
         s.id AS account_id, s.status AS account_status, s.platform_account_id,
         s.metadata ->> 'instance_url' AS instance_url, s.access_token_encrypted,
         s.token_expires_at <= clock_timestamp() AS token_expired,
         i.is_enabled IS FALSE OR i.status = 'disabled' AS integration_off,
         t.publishing_since <= clock_timestamp() - $2 * interval '1 millisecond' AS waited_enough,
         ceil(extract(epoch FROM s.calls_wait_until - clock_timestamp()) * 1000)::bigint AS calls_wait,
         ceil(extract(epoch FROM s.uploads_wait_until - clock_timestamp()) * 1000)::bigint AS uploads_wait,
         s.calls_limit, s.calls_left,
         ceil(extract(epoch FROM s.calls_window_ends - clock_timestamp()) * 1000)::bigint AS calls_ends_in,
         s.uploads_limit, s.uploads_left,
         ceil(extract(epoch FROM s.uploads_window_ends - clock_timestamp()) * 1000)::bigint AS uploads_ends_in,
         a.id AS attempt_id, a.state AS attempt_state, a.started_at,
         a.incarnation, a.deadline_at > clock_timestamp() AS may_still_run, a.deadline_at
  FROM carillon.post_targets t
  JOIN carillon.social_accounts s ON s.id = t.social_account_id
  LEFT JOIN carillon.social_platform_integrations i ON i.platforms ? t.platform_code
  LEFT JOIN carillon.publish_attempts a ON a.target_id = t.id AND a.state IN ('open', 'unknown')
  WHERE t.post_id = ANY($1::uuid[]) AND (t.status = 'publishing') IS TRUE ORDER BY t.post_id, t.id
)sql";

constexpr auto select_publish_media = R"sql(
  SELECT post_id, storage_path, coalesce(mime_type, 'application/octet-stream'), coalesce(alt_text, ''), id
  FROM carillon.post_media WHERE post_id = ANY($1::uuid[]) ORDER BY post_id, sort_order, id
)sql";

// What was uploaded ahead, of the posts as they are now.
constexpr auto select_prepared_media = R"sql(
  SELECT r.target_id, r.media_id, r.reference
  FROM carillon.post_targets t
  JOIN carillon.posts p ON p.id = t.post_id
  JOIN carillon.prepared_media r ON r.target_id = t.id AND r.revision = p.revision
  WHERE t.post_id = ANY($1::uuid[]) AND r.reference IS NOT NULL AND r.holds_until > clock_timestamp()
)sql";

// The two partial unique indexes decide: no row back means that this target,
// or another post with the same text on this account, is not settled yet.
constexpr auto open_attempts = R"sql(
  INSERT INTO carillon.publish_attempts
    (id, tenant_id, workspace_id, post_id, target_id, social_account_id, number, idempotency_key,
     text_hash, state, node, incarnation, started_at, deadline_at)
  SELECT c.id, c.tenant_id, c.workspace_id, c.post_id, c.target_id, c.account_id,
         1 + (SELECT count(*) FROM carillon.publish_attempts a WHERE a.post_id = c.post_id AND a.target_id = c.target_id),
         c.key, encode(sha256(convert_to(c.text, 'UTF8')), 'hex'), 'open', $9, $10, clock_timestamp(),
         clock_timestamp() + $11 * interval '1 millisecond'
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::uuid[])
    AS c (id, post_id, target_id, account_id, key, text, tenant_id, workspace_id)
  ORDER BY c.account_id, c.text
  ON CONFLICT DO NOTHING RETURNING id
)sql";

constexpr auto delay_target = R"sql(
  UPDATE carillon.post_targets
  SET next_action_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto keep_account_rates = R"sql(
  UPDATE carillon.social_accounts s
  SET calls_wait_until = coalesce(clock_timestamp() + nullif($4, 0) * interval '1 millisecond', calls_wait_until),
      uploads_wait_until = coalesce(clock_timestamp() + nullif($5, 0) * interval '1 millisecond', uploads_wait_until),
      calls_limit = coalesce($6, calls_limit), calls_left = coalesce($7, calls_left),
      calls_window_ends = coalesce(clock_timestamp() + $8 * interval '1 millisecond', calls_window_ends),
      uploads_limit = coalesce($9, uploads_limit), uploads_left = coalesce($10, uploads_left),
      uploads_window_ends = coalesce(clock_timestamp() + $11 * interval '1 millisecond', uploads_window_ends)
  WHERE s.id = coalesce((SELECT social_account_id FROM carillon.publish_attempts WHERE id = $1), $1)
    AND s.tenant_id = $2 AND s.workspace_id = $3
)sql";

constexpr auto orphan_attempt
  = "UPDATE carillon.publish_attempts SET state = 'unknown' WHERE id = $1 AND state = 'open'";

constexpr auto fail_target = R"sql(
  UPDATE carillon.post_targets
  SET status = 'failed', error_code = $2, error_message = $3, next_action_at = NULL, updated_at = now()
  WHERE id = $1 AND status = 'publishing'
)sql";

// What the network refused a post with is not used for it again.
constexpr auto forget_refused_media = "DELETE FROM carillon.prepared_media WHERE target_id = $1";

constexpr auto expire_account = R"sql(
  UPDATE carillon.social_accounts SET status = 'token_expired', updated_at = now()
  WHERE id = $1 AND status = 'connected'
  RETURNING tenant_id, workspace_id, platform, account_name, connected_by_user_id
)sql";

// Also of a post that has no targets.
constexpr auto count_targets = R"sql(
  SELECT p.id, c.open, c.published, c.failed, c.next_in,
         (SELECT error_message FROM carillon.post_targets
          WHERE post_id = p.id AND status = 'failed' ORDER BY updated_at DESC LIMIT 1)
  FROM unnest($1::uuid[]) AS p (id)
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status IN ('pending', 'publishing')) AS open,
           count(*) FILTER (WHERE status = 'published') AS published,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           greatest(1, ceil(extract(epoch FROM
             min(coalesce(next_action_at, now())) FILTER (WHERE status = 'publishing')
             - clock_timestamp()) * 1000))::bigint AS next_in
    FROM carillon.post_targets WHERE post_id = p.id) AS c
)sql";

constexpr auto conclude_posts = R"sql(
  UPDATE carillon.posts
  SET status = $2::text, published_at = CASE WHEN $2::text = 'published' THEN clock_timestamp() END,
      updated_at = now()
  WHERE id = ANY($1::uuid[]) RETURNING id, published_at
)sql";

constexpr auto insert_publish_audits = R"sql(
  INSERT INTO carillon.audit_logs (id, tenant_id, action, auditable_type, auditable_id, description,
                                   old_values, new_values, metadata, request_id)
  SELECT carillon.uuid_v7(), a.tenant_id, 'update', 'post', a.post_id,
         CASE WHEN a.status = 'published' THEN 'Post published' ELSE 'Post failed to publish' END,
         '{"status": "publishing"}', jsonb_build_object('status', a.status), a.metadata::jsonb, a.job_id
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
    AS a (tenant_id, post_id, status, metadata, job_id)
)sql";

constexpr auto reschedule_job = R"sql(
  UPDATE carillon.jobs
  SET run_at = clock_timestamp() + $2 * interval '1 millisecond', state = 'retrying', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto count_job_try = R"sql(
  UPDATE carillon.jobs
  SET attempt = (SELECT coalesce(max(retry_count), 0) FROM carillon.post_targets WHERE post_id = $2)
  WHERE id = $1
)sql";

constexpr auto lock_attempts = R"sql(
  SELECT a.id, a.state, a.target_id, a.social_account_id, a.started_at, a.absence_reads,
         t.status AS target_status, t.retry_count,
         (clock_timestamp() - $2 * interval '1 millisecond')
           >= a.deadline_at + $3 * interval '1 millisecond' AS absence_counts,
         clock_timestamp() >= a.started_at + $4 * interval '1 millisecond' AS past_deadline,
         (extract(epoch FROM clock_timestamp() - a.started_at) * 1000)::bigint AS age
  FROM carillon.publish_attempts a JOIN carillon.post_targets t ON t.id = a.target_id
  WHERE a.id = ANY($1::uuid[]) ORDER BY a.id FOR UPDATE OF a, t
)sql";

constexpr auto conclude_attempt = R"sql(
  UPDATE carillon.publish_attempts
  SET state = $2::text, concluded_at = CASE WHEN $2::text IN ('open', 'unknown') THEN NULL ELSE clock_timestamp() END,
      external_post_id = NULL, external_post_url = NULL, error_code = $3, error_message = left($4, 2000),
      latency_ms = coalesce($5, latency_ms)
  WHERE id = $1
)sql";

constexpr auto conclude_accepted_attempts = R"sql(
  UPDATE carillon.publish_attempts a
  SET state = 'succeeded', concluded_at = clock_timestamp(), external_post_id = nullif(c.external_id, ''),
      external_post_url = nullif(c.url, ''), error_code = NULL, error_message = NULL,
      latency_ms = coalesce(c.latency, a.latency_ms)
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) AS c (id, external_id, url, latency)
  WHERE a.id = c.id
)sql";

constexpr auto publish_targets = R"sql(
  UPDATE carillon.post_targets t
  SET status = 'published', external_post_id = c.external_id, external_post_url = nullif(c.url, ''),
      published_at = clock_timestamp(), error_code = CASE WHEN c.left_out <> '' THEN 'INCOMPLETE' END,
      error_message = nullif(c.left_out, ''), next_action_at = NULL, updated_at = now()
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS c (id, external_id, url, left_out)
  WHERE t.id = c.id
)sql";

constexpr auto retry_target = R"sql(
  UPDATE carillon.post_targets
  SET retry_count = retry_count + 1, error_code = $3, error_message = $4,
      next_action_at = clock_timestamp() + $2 * interval '1 millisecond', updated_at = now()
  WHERE id = $1
)sql";

constexpr auto select_owned_ids = R"sql(
  SELECT external_post_id FROM carillon.post_targets
  WHERE social_account_id = $1 AND external_post_id IS NOT NULL AND created_at > $2::timestamptz - interval '400 days'
)sql";

constexpr auto count_absence
  = "UPDATE carillon.publish_attempts SET absence_reads = absence_reads + 1 WHERE id = $1";

constexpr auto lock_open_target_ids = R"sql(
  SELECT t.id, a.id AS attempt_id FROM carillon.post_targets t
  LEFT JOIN carillon.publish_attempts a ON a.target_id = t.id AND a.state IN ('open', 'unknown')
  WHERE t.post_id = $1 AND t.status = 'publishing' FOR UPDATE OF t
)sql";

// What a tenant may read on a target. The network's own words are kept; what
// went wrong between the two stays in the log and in the attempt row.
constexpr auto unreachable_text = "The network could not be reached.";
constexpr auto throttled_text = "The network asked to slow down.";
constexpr auto unknown_text
  = "The network did not confirm the post, and it could not be found afterwards. "
    "It may still be public: look before you publish it again.";

/// The network's clock may be behind ours by this much.
constexpr std::chrono::seconds clock_skew{120};

/// Between two looks at a network for a post whose fate is unknown.
constexpr std::chrono::milliseconds check_interval{1'000};

double uniform() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return std::uniform_real_distribution<double>{0.0, 1.0}(random);
}

struct post_row {
  post_id id;
  tenant_id tenant;
  workspace_id workspace;
  user_id author;
  post_status status = post_status::draft;
  std::string text;
  json variations;
  std::vector<std::string> hashtags;
  std::string link;
  int revision = 1;
  std::optional<instant> scheduled_at;
  bool is_thread = false;
  std::string first_comment;
};

json parse_json(const pqxx::field& f) {
  if (f.is_null())
    return {};
  return json::parse(f.c_str(), nullptr, false);
}

std::optional<post_id> post_of(const job& job) {
  const auto payload = json::parse(job.payload, nullptr, false);
  if (!payload.is_object() || !payload.contains("post_id") || !payload["post_id"].is_string())
    return std::nullopt;
  return post_id::parse(payload["post_id"].get<std::string>());
}

post_row read_publishing_post(const pqxx::row& row, const job& job) {
  post_row post;
  post.id = read_id<post_id>(row["id"]);
  post.tenant = job.tenant;
  post.workspace = job.workspace;
  post.author = read_id<user_id>(row["created_by_user_id"]);
  post.status = parse<post_status>(row["status"].c_str()).value_or(post_status::draft);
  post.text = text_or_empty(row["content_text"]);
  post.variations = parse_json(row["content_variations"]);
  if (const auto tags = parse_json(row["hashtags"]); tags.is_array())
    for (const auto& tag : tags)
      if (tag.is_string())
        post.hashtags.push_back(tag.get<std::string>());
  post.link = text_or_empty(row["link_url"]);
  post.revision = row["revision"].as<int>();
  post.scheduled_at = read_nullable_instant(row["scheduled_at"]);
  post.is_thread = text_or_empty(row["post_type"]) == to_string(post_type::thread);
  post.first_comment = text_or_empty(row["first_comment"]);
  return post;
}

/// The posts of `jobs`, locked, in one order; by job. Of several jobs of a post
/// the first.
std::map<job_id, post_row> lock_posts_of(pqxx::transaction_base& tx, const std::vector<const job*>& jobs) {
  std::map<std::tuple<post_id, workspace_id, tenant_id>, const job*> wanted;
  std::vector<post_id> ids;
  std::vector<workspace_id> workspaces;
  std::vector<tenant_id> tenants;
  for (const auto* one : jobs)
    if (const auto id = post_of(*one); id && wanted.emplace(std::tuple{*id, one->workspace, one->tenant}, one).second) {
      ids.push_back(*id);
      workspaces.push_back(one->workspace);
      tenants.push_back(one->tenant);
    }
  std::map<job_id, post_row> out;
  if (ids.empty())
    return out;
  for (const auto& row :
       exec_planned(tx, lock_publishing_posts, uuid_array(ids), uuid_array(workspaces), uuid_array(tenants))) {
    const auto& one = *wanted.at({read_id<post_id>(row["id"]), read_id<workspace_id>(row["workspace_id"]),
                                  read_id<tenant_id>(row["tenant_id"])});
    out.emplace(one.id, read_publishing_post(row, one));
  }
  return out;
}

std::optional<post_row> lock_post_of(pqxx::transaction_base& tx, const job& job) {
  auto found = lock_posts_of(tx, {&job});
  return found.empty() ? std::nullopt : std::optional{std::move(found.begin()->second)};
}

/// A network's own text, first comment or audience: `content_variations` has
/// for each network either a text or an object of these.
std::string variation_of(const post_row& post, const std::string& platform, const char* what) {
  if (!post.variations.is_object())
    return {};
  const auto i = post.variations.find(platform);
  if (i == post.variations.end())
    return {};
  if (i->is_string())
    return std::string_view{what} == "text" ? i->get<std::string>() : std::string{};
  if (!i->is_object())
    return {};
  const auto field = i->find(what);
  return field != i->end() && field->is_string() ? field->get<std::string>() : std::string{};
}

/// What goes out for a target, but for the account and the key.
outgoing_post content_for(const post_row& post, const std::string& override_text, const std::string& platform,
                          const std::vector<outgoing_media>& media) {
  const auto first_filled = [](std::initializer_list<std::string> texts) {
    const auto i = std::find_if(texts.begin(), texts.end(), [](const std::string& t) { return !t.empty(); });
    return i == texts.end() ? std::string{} : *i;
  };
  outgoing_post out;
  out.text = compose_post_text(first_filled({override_text, variation_of(post, platform, "text"), post.text}),
                               post.hashtags, post.link);
  out.media = media;
  out.is_thread = post.is_thread;
  out.first_comment = first_filled({variation_of(post, platform, "first_comment"), post.first_comment});
  out.visibility = variation_of(post, platform, "visibility");
  return out;
}

/// Same target and revision, same key, so that a repeat is harmless on a
/// network that honours it.
std::string idempotency_key(const std::string& target, int revision) {
  return "carillon-" + target + "-" + std::to_string(revision);
}

std::string action_url(const post_row& post) {
  return "/app/w/" + to_string(post.workspace) + "/posts/" + to_string(post.id) + "/edit";
}

new_notification notice_to_author(const post_row& post, const job& job, bool published,
                                  const std::string& published_at, int failed_targets,
                                  const std::string& reason) {
  new_notification message;
  message.tenant = post.tenant;
  message.user = post.author;
  message.workspace = post.workspace;
  message.correlation_id = job.correlation_id;
  message.action_url = action_url(post);
  json data{{"post_id", to_string(post.id)}, {"workspace_id", to_string(post.workspace)}};
  const auto quoted = "\"" + excerpt(post.text, "(post without text)") + "\"";
  if (published) {
    message.type = notification_type::post_published;
    message.title = "Post published successfully";
    message.message = "Your post " + quoted + " has been published.";
    if (failed_targets > 0)
      message.message += " " + std::to_string(failed_targets)
                         + (failed_targets == 1 ? " account" : " accounts") + " failed: " + reason;
    data["published_at"] = published_at;
  } else {
    message.type = notification_type::post_failed;
    message.title = "Post failed to publish";
    message.message = "Your post " + quoted + " could not be published: " + reason;
    data["failure_reason"] = reason;
  }
  message.data = data.dump();
  return message;
}

struct post_of_job {
  const post_row* post;
  const carillon::job* job;
};

/// Where no target is left to do: concludes post and job and tells the author,
/// all in this transaction. The posts' rows are locked by the caller, else two
/// last targets would each see the other one open. The ids of those that were
/// concluded.
std::set<post_id> roll_up(pqxx::transaction_base& tx, const std::vector<post_of_job>& candidates,
                          job_state job_ends_as, hints& out) {
  std::set<post_id> settled;
  if (candidates.empty())
    return settled;
  struct ending {
    const post_of_job* of = nullptr;
    bool published = false;
    int failed_targets = 0;
    std::string reason;
    std::string published_at;
  };
  std::map<std::string, ending> endings;
  std::vector<post_id> asked;
  for (const auto& candidate : candidates) {
    endings[to_string(candidate.post->id)].of = &candidate;
    asked.push_back(candidate.post->id);
  }
  std::vector<post_id> published;
  std::vector<post_id> failed;
  for (const auto& row : exec_planned(tx, count_targets, uuid_array(asked))) {
    const auto i = endings.find(row[0].as<std::string>());
    if (row[1].as<int>() > 0) {
      endings.erase(i);
      continue;
    }
    auto& end = i->second;
    end.published = row[2].as<int>() > 0;
    end.failed_targets = row[3].as<int>();
    end.reason = row[5].is_null() ? std::string{"it has no accounts"} : text_or_empty(row[5]);
    (end.published ? published : failed).push_back(end.of->post->id);
    settled.insert(end.of->post->id);
  }
  if (settled.empty())
    return settled;
  if (!published.empty())
    for (const auto& row : exec_planned(tx, conclude_posts, uuid_array(published), "published"))
      endings.at(row[0].as<std::string>()).published_at = format_api_time(read_instant(row[1]));
  if (!failed.empty())
    exec_planned(tx, conclude_posts, uuid_array(failed), "failed");
  note_post_status(tx, {settled.begin(), settled.end()}, post_status::publishing);

  std::vector<new_notification> notices;
  std::vector<tenant_id> tenants;
  std::vector<post_id> posts;
  std::vector<job_id> jobs;
  std::vector<std::string> statuses, metadata, job_texts;
  for (const auto& [text, end] : endings) {
    const auto& [post, job] = *end.of;
    notices.push_back(
      notice_to_author(*post, *job, end.published, end.published_at, end.failed_targets, end.reason));
    tenants.push_back(post->tenant);
    posts.push_back(post->id);
    jobs.push_back(job->id);
    statuses.emplace_back(end.published ? "published" : "failed");
    metadata.push_back(json{{"job", job->kind}, {"job_id", to_string(job->id)}, {"attempt", job->attempt + 1},
                            {"workspace_id", to_string(post->workspace)}}.dump());
    job_texts.push_back(to_string(job->id));
  }
  write_notices(tx, notices, out);
  // Their notices are rows that others of the tenant write as well: one order.
  std::map<std::pair<tenant_id, std::string>, std::vector<const ending*>> by_reason;
  for (const auto& [text, end] : endings)
    if (!end.published)
      by_reason[{end.of->post->tenant, cause_of(*end.of->job, end.reason)}].push_back(&end);
  for (const auto& [cause, ends] : by_reason)
    for (const auto* end : ends)
      tell_admins(tx, *end->of->job, end->reason, out, to_string(end->of->post->author));
  exec_planned(tx, insert_publish_audits, uuid_array(tenants), uuid_array(posts),
               text_array(statuses), text_array(metadata), text_array(job_texts));
  move_to_history(tx, jobs, job_ends_as);
  crash_point(crash_points::in_roll_up);
  return settled;
}

struct attempt_row {
  std::string state;
  std::string target;
  std::string account;
  instant started_at{};
  int absence_reads = 0;
  target_status target_state = target_status::pending;
  int retry_count = 0;
  bool absence_counts = false;
  bool past_deadline = false;
  std::chrono::milliseconds age{};

  bool is_unsettled() const {
    return state == "open" || state == "unknown";
  }
};

std::map<attempt_id, attempt_row> lock_all_attempts(pqxx::transaction_base& tx, const std::vector<attempt_id>& ids,
                                                    std::chrono::milliseconds read_age,
                                                    const publish_rules& rules) {
  std::map<attempt_id, attempt_row> found;
  for (const auto& row : exec_planned(tx, lock_attempts, uuid_array(ids), read_age.count(),
                                      rules.visibility_delay.count(), rules.reconcile_deadline.count())) {
    attempt_row out;
    out.state = row["state"].as<std::string>();
    out.target = row["target_id"].as<std::string>();
    out.account = row["social_account_id"].as<std::string>();
    out.started_at = read_instant(row["started_at"]);
    out.absence_reads = row["absence_reads"].as<int>();
    out.target_state = parse<target_status>(row["target_status"].c_str()).value_or(target_status::failed);
    out.retry_count = row["retry_count"].as<int>();
    out.absence_counts = row["absence_counts"].as<bool>();
    out.past_deadline = row["past_deadline"].as<bool>();
    out.age = std::chrono::milliseconds{row["age"].as<std::int64_t>()};
    found.emplace(read_id<attempt_id>(row["id"]), std::move(out));
  }
  return found;
}

std::optional<attempt_row> lock_attempt(pqxx::transaction_base& tx, attempt_id id,
                                        std::chrono::milliseconds read_age, const publish_rules& rules) {
  auto found = lock_all_attempts(tx, {id}, read_age, rules);
  return found.empty() ? std::nullopt : std::optional{std::move(found.begin()->second)};
}

void settle_attempt(pqxx::transaction_base& tx, attempt_id id, const char* state,
                    const std::string& code, const std::string& detail,
                    std::optional<std::int64_t> latency) {
  exec_planned(tx, conclude_attempt, to_string(id), state, null_if_empty(code), null_if_empty(detail), latency);
}

/// A transient failure: the next step of the schedule, or the end.
void retry_or_fail(pqxx::transaction_base& tx, const attempt_row& attempt, const std::string& code,
                   const std::string& text, std::chrono::milliseconds at_least,
                   const publish_rules& rules) {
  if (attempt.retry_count >= static_cast<int>(rules.retry_delays.size())) {
    exec_planned(tx, fail_target, attempt.target, code, text);
    return;
  }
  const auto delay = std::max(at_least, stepped_delay(rules.retry_delays, attempt.retry_count,
                                                      rules.retry_jitter, uniform()));
  exec_planned(tx, retry_target, attempt.target, delay.count(), code, text);
}

/// The account needs its owner: marked, and whoever connected it is told.
/// Only the first one who finds it connected does so, so nobody is told for
/// every post.
void mark_account_expired(pqxx::transaction_base& tx, const std::string& account,
                          const std::string& correlation_id, hints& told) {
  const auto marked = exec_planned(tx, expire_account, account);
  if (marked.empty())
    return;
  const auto row = marked[0];
  const auto platform = text_or_empty(row["platform"]);
  const auto known = parse<network>(platform);
  new_notification message;
  message.tenant = read_id<tenant_id>(row["tenant_id"]);
  message.workspace = read_id<workspace_id>(row["workspace_id"]);
  message.user = read_id<user_id>(row["connected_by_user_id"]);
  message.correlation_id = correlation_id;
  message.type = notification_type::account_token_expired;
  message.title = "Social account has to be reconnected";
  message.message = (known ? std::string{label(*known)} : platform) + " no longer accepts the token of "
                    + excerpt(text_or_empty(row["account_name"])) + ". Posts for it fail until it is connected again.";
  message.action_url = "/app/w/" + to_string(message.workspace) + "/social-accounts";
  message.data = json{{"account_id", account},
                      {"workspace_id", to_string(message.workspace)},
                      {"platform", platform},
                      {"reason", "token refused or expired"}}.dump();
  write_notification(tx, message, told);
}

/// What a failed call means for its target.
void record_failure(pqxx::transaction_base& tx, const job& job, attempt_id id,
                    const attempt_row& attempt, const failure& why,
                    std::int64_t latency, const publish_rules& rules, hints& told) {
  append_job_error(tx, job.id, std::string{to_string(why.code)} + ": " + why.detail);
  switch (why.code) {
    case errc::outcome_unknown:
      settle_attempt(tx, id, "unknown", "OUTCOME_UNKNOWN", why.detail, latency);
      exec_planned(tx, delay_target, attempt.target, check_interval.count());
      break;
    case errc::throttled:
      settle_attempt(tx, id, "failed", "THROTTLED", why.detail, latency);
      retry_or_fail(tx, attempt, "PUBLISH_ERROR", throttled_text,
                    why.retry_after.value_or(std::chrono::milliseconds{0}), rules);
      break;
    case errc::cancelled:
      if (why.retry_after) {
        // The gateway kept a wait that the network had asked for, or left a
        // server that is down alone: no call was made, so none of the tries is
        // used up.
        settle_attempt(tx, id, "failed", "NOT_SENT", why.detail, latency);
        exec_planned(tx, delay_target, attempt.target, std::max(*why.retry_after, check_interval).count());
        break;
      }
      [[fallthrough]];
    case errc::transient:
      settle_attempt(tx, id, "failed", "EXCEPTION", why.detail, latency);
      retry_or_fail(tx, attempt, "EXCEPTION", unreachable_text,
                    why.retry_after.value_or(std::chrono::milliseconds{0}), rules);
      break;
    case errc::not_found:
      // A folder that is away for a moment looks the same as a file that is
      // gone: only the last try tells.
      settle_attempt(tx, id, "failed", "MEDIA_MISSING", why.detail, latency);
      retry_or_fail(tx, attempt, "PUBLISH_ERROR", "A media file of the post is not there.",
                    std::chrono::milliseconds{0}, rules);
      break;
    case errc::unauthorized:
      settle_attempt(tx, id, "refused", "TOKEN_EXPIRED", why.detail, latency);
      mark_account_expired(tx, attempt.account, job.correlation_id, told);
      exec_planned(tx, fail_target, attempt.target, "TOKEN_EXPIRED",
                     "The network no longer accepts this account's token. Reconnect the account.");
      break;
    default:
      settle_attempt(tx, id, "refused", "PUBLISH_ERROR", why.detail, latency);
      exec_planned(tx, fail_target, attempt.target, "PUBLISH_ERROR",
                     std::string{first_characters(why.detail, 500)});
      exec_planned(tx, forget_refused_media, attempt.target);
  }
}

/// What was published, for one statement each.
class accepted_posts {
public:
  void add(attempt_id id, const attempt_row& attempt, const public_post& post, std::optional<std::int64_t> latency) {
    const auto url = std::string{first_characters(post.url, 500)};
    attempts_.push_back(id);
    attempt_ids_.push_back(post.id);
    attempt_urls_.push_back(url);
    latencies_ += latencies_.empty() ? "{" : ",";
    latencies_ += latency ? std::to_string(*latency) : "NULL";
    if (attempt.target_state == target_status::published)
      return;
    targets_.push_back(attempt.target);
    target_ids_.push_back(post.id);
    target_urls_.push_back(url);
    left_out_.emplace_back(first_characters(post.left_out, 500));
  }

  void write(pqxx::transaction_base& tx) const {
    if (!attempts_.empty())
      exec_planned(tx, conclude_accepted_attempts, uuid_array(attempts_), text_array(attempt_ids_),
                   text_array(attempt_urls_), latencies_ + "}");
    if (!targets_.empty())
      exec_planned(tx, publish_targets, text_array(targets_), text_array(target_ids_), text_array(target_urls_),
                   text_array(left_out_));
  }

private:
  std::vector<attempt_id> attempts_;
  std::vector<std::string> attempt_ids_;
  std::vector<std::string> attempt_urls_;
  std::string latencies_;
  std::vector<std::string> targets_;
  std::vector<std::string> target_ids_;
  std::vector<std::string> target_urls_;
  std::vector<std::string> left_out_;
};

void record_success(pqxx::transaction_base& tx, attempt_id id, const attempt_row& attempt, const public_post& post) {
  accepted_posts one;
  one.add(id, attempt, post, std::nullopt);
  one.write(tx);
}

/// Roll-up after an outcome, only under the fence.
publish_progress finish(pqxx::transaction_base& tx, bool fenced, const std::optional<post_row>& post,
                        const job& job) {
  publish_progress out;
  if (!fenced || !post || post->status != post_status::publishing)
    return out;
  exec_planned(tx, count_job_try, to_string(job.id), to_string(post->id));
  out.settled = !roll_up(tx, {{&*post, &job}}, job_state::succeeded, out.after_commit).empty();
  return out;
}

/// A post that is being planned, and where its plan goes.
struct post_at_work {
  post_row post;
  const carillon::job* job;
  publish_plan* plan;
  std::vector<outgoing_media> media;
  std::vector<std::string> media_ids; ///< Of `media`.
};

/// References by target and medium.
using prepared_references = std::map<std::pair<std::string, std::string>, std::string>;

prepared_references read_prepared_references(pqxx::transaction_base& tx, const std::string& posts) {
  prepared_references out;
  for (const auto& row : exec_planned(tx, select_prepared_media, posts))
    out.emplace(std::pair{row[0].as<std::string>(), row[1].as<std::string>()}, row[2].as<std::string>());
  return out;
}

/// The posts of `jobs` that are publishing, locked, by id. The jobs of the
/// others end silently: not there, or not publishing any more (contract §4.2).
std::map<std::string, post_at_work> lock_publishing(pqxx::transaction_base& tx, const std::vector<const job*>& jobs,
                                                    std::vector<publish_plan>& plans) {
  auto found = lock_posts_of(tx, jobs);
  std::map<std::string, post_at_work> out;
  std::vector<job_id> ended;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto post = found.find(jobs[i]->id);
    if (post != found.end() && post->second.status == post_status::publishing) {
      auto text = to_string(post->second.id);
      out.emplace(std::move(text), post_at_work{std::move(post->second), jobs[i], &plans[i], {}, {}});
    } else {
      ended.push_back(jobs[i]->id);
      plans[i].settled = true;
    }
  }
  if (!ended.empty())
    move_to_history(tx, ended, job_state::succeeded);
  return out;
}

/// Attempt rows that are opened by one statement.
class attempts_to_open {
public:
  void add(const planned_call& call, const post_row& post, const std::string& account) {
    ids_.push_back(call.attempt);
    posts_.push_back(post.id);
    targets_.push_back(call.target);
    accounts_.push_back(account);
    keys_.push_back(call.post.idempotency_key);
    texts_.push_back(normalise_text(call.post.text));
    tenants_.push_back(post.tenant);
    workspaces_.push_back(post.workspace);
  }

  /// Those that may be made now.
  std::set<attempt_id> open(pqxx::transaction_base& tx, const node_identity& me,
                            std::chrono::milliseconds call_timeout) const {
    std::set<attempt_id> out;
    if (ids_.empty())
      return out;
    for (const auto& row : exec_planned(tx, open_attempts, uuid_array(ids_), uuid_array(posts_), uuid_array(targets_),
                                        text_array(accounts_), text_array(keys_), text_array(texts_),
                                        uuid_array(tenants_), uuid_array(workspaces_), me.node, me.incarnation,
                                        call_timeout.count()))
      out.insert(read_id<attempt_id>(row[0]));
    return out;
  }

private:
  std::vector<attempt_id> ids_;
  std::vector<post_id> posts_;
  std::vector<target_id> targets_;
  std::vector<std::string> accounts_;
  std::vector<std::string> keys_;
  std::vector<std::string> texts_;
  std::vector<tenant_id> tenants_;
  std::vector<workspace_id> workspaces_;
};

} // namespace

result<started_posts> publish_repository::start_due(const node_identity& me,
                                                    const shard_list& shards, int limit) {
  return db_.transact("start-due-posts", [&](pqxx::work& tx) -> result<started_posts> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    started_posts out;
    const auto owned = shard_array(shards);
    const auto due = exec_planned(tx, lock_due_posts, owned, limit);
    if (!due.empty()) {
      crash_point(crash_points::before_start);
      std::vector<post_id> ids;
      for (const auto& row : due)
        ids.push_back(read_id<post_id>(row[0]));
      exec_planned(tx, start_posts, uuid_array(ids));
      note_post_status(tx, ids, post_status::scheduled);
      exec_planned(tx, start_due_targets, uuid_array(ids));
      std::vector<new_job> jobs;
      for (const auto& row : due)
        jobs.push_back(publish_job_for(read_id<post_id>(row[0]), read_id<tenant_id>(row[1]),
                                       read_id<workspace_id>(row[2]), {}));
      insert_jobs(tx, jobs);
      out.started = static_cast<int>(due.size());
    }
    const auto next = exec_planned(tx, select_next_scheduled, owned);
    if (!next.empty())
      out.next_in = std::chrono::milliseconds{next[0][0].as<std::int64_t>()};
    return out;
  });
}

result<int> publish_repository::repair(const node_identity& me, const shard_list& shards) {
  return db_.transact("repair-posts", [&](pqxx::work& tx) -> result<int> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    const auto owned = shard_array(shards);
    int repaired = 0;
    for (const auto& row : exec_planned(tx, select_without_job, owned)) {
      insert_job(tx, publish_job_for(read_id<post_id>(row[0]), read_id<tenant_id>(row[1]),
                                     read_id<workspace_id>(row[2]), {}));
      ++repaired;
    }
    hints unused; // The next sweep of the feed finds the e-mail jobs.
    for (const auto& row : exec_planned(tx, select_without_targets, owned)) {
      post_row post;
      post.id = read_id<post_id>(row[0]);
      post.workspace = read_id<workspace_id>(row[2]);
      new_notification message;
      message.tenant = read_id<tenant_id>(row[1]);
      message.workspace = post.workspace;
      message.user = read_id<user_id>(row[3]);
      message.type = notification_type::post_failed;
      message.title = "Scheduled post has no accounts";
      message.message = "Your post \"" + excerpt(text_or_empty(row[4]), "(post without text)")
                        + "\" is due, but no account is chosen. It stays scheduled until you choose one.";
      message.action_url = action_url(post);
      message.data = json{{"post_id", to_string(post.id)},
                          {"workspace_id", to_string(post.workspace)},
                          {"failure_reason", "no targets"}}.dump();
      write_notification(tx, message, unused);
      ++repaired;
    }
    return repaired;
  });
}

result<std::vector<publish_plan>> publish_repository::plan(const node_identity& me,
                                                           const std::vector<const job*>& jobs,
                                                           const publish_rules& rules,
                                                           std::chrono::milliseconds call_timeout) {
  using answer = std::vector<publish_plan>;
  auto planned = db_.transact("plan-publishing", [&](pqxx::work& tx) -> result<answer> {
    exec_planned(tx, wait_for_locks_briefly);
    if (!hold_fence(tx, me))
      return fenced_out(me);
    answer out(jobs.size());
    auto active = lock_publishing(tx, jobs, out);
    if (active.empty())
      return out;
    std::vector<post_id> ids;
    for (const auto& [text, one] : active)
      ids.push_back(one.post.id);
    const auto posts = uuid_array(ids);
    for (const auto& row : exec_planned(tx, select_publish_media, posts)) {
      auto& one = active.at(row[0].as<std::string>());
      auto path = row[1].as<std::string>();
      // Whether it is there is seen where it is read: a disk may hang.
      if (rules.media_are_objects)
        path = object_key(one.post.tenant, one.post.workspace, path);
      one.media.push_back({std::move(path), row[2].as<std::string>(), row[3].as<std::string>()});
      one.media_ids.push_back(row[4].as<std::string>());
    }
    const bool has_media = std::any_of(active.begin(), active.end(), [](const auto& a) { return !a.second.media.empty(); });
    const auto prepared = has_media ? read_prepared_references(tx, posts) : prepared_references{};

    attempts_to_open wanted;
    std::map<std::string, post_at_work*> expired; // By account: they are locked in one order.
    for (const auto& row : exec_planned(tx, select_open_targets, posts, rules.reconcile_deadline.count())) {
      const auto found = active.find(row["post_id"].as<std::string>());
      if (found == active.end())
        continue;
      auto& [post, job, plan, media, media_ids] = found->second;
      const auto target = row["id"].as<std::string>();
      const auto platform = row["platform_code"].as<std::string>();
      const bool waits = !row["waits"].is_null() && row["waits"].as<bool>();
      const auto flag = [&](const char* column) {
        return !row[column].is_null() && row[column].as<bool>();
      };
      account_credentials account;
      account.platform = parse<network>(platform).value_or(network::mastodon);
      account.instance_url = text_or_empty(row["instance_url"]);
      account.platform_account_id = row["platform_account_id"].as<std::string>();
      const auto decrypt = [&]() -> result<std::string> {
        return tokens_.decrypt(row["access_token_encrypted"].as<std::string>(),
                               bound_to(read_id<social_account_id>(row["account_id"]), "access_token"));
      };
      auto content = content_for(post, text_or_empty(row["content_override"]), platform, media);
      for (std::size_t i = 0; i < media_ids.size(); ++i)
        if (const auto reference = prepared.find({target, media_ids[i]}); reference != prepared.end())
          content.media[i].reference = reference->second;
      content.idempotency_key = idempotency_key(target, post.revision);
      content.made_at = read_instant(row["made_at"]);
      content.correlation_id = job->correlation_id;
      content.timeout = call_timeout;
      content.has_waited_enough = flag("waited_enough");
      content.workspace = post.workspace;
      content.known_rates.calls = read_rate_window(row, "calls");
      content.known_rates.uploads = read_rate_window(row, "uploads");

      if (!row["attempt_id"].is_null()) {
        if (waits)
          continue;
        const auto attempt = read_id<attempt_id>(row["attempt_id"]);
        // This life's own call may still be running: its callback records it.
        if (row["attempt_state"].as<std::string>() == "open"
            && row["incarnation"].as<std::int64_t>() == me.incarnation && flag("may_still_run")) {
          exec_planned(tx, delay_target, target, check_interval.count());
          continue;
        }
        exec_planned(tx, orphan_attempt, to_string(attempt));
        auto token = decrypt();
        if (!token) {
          exec_planned(tx, delay_target, target, std::int64_t{60'000});
          continue;
        }
        account.access_token = std::move(*token);
        content.account = std::move(account);
        plan->checks.push_back({attempt, *target_id::parse(target), std::move(content), read_instant(row["started_at"])});
        continue;
      }
      if (waits)
        continue;

      const auto fail = [&](const char* code, const char* reason) {
        exec_planned(tx, fail_target, target, code, reason);
      };
      if (const auto refusal = why_not_publishable(platform, rules.networks)) {
        exec_planned(tx, fail_target, target, std::string{refusal->code}, refusal->reason);
        continue;
      }
      if (row["account_status"].as<std::string>() == "token_expired" || flag("token_expired")) {
        expired.try_emplace(row["account_id"].as<std::string>(), &found->second);
        fail("TOKEN_EXPIRED", "The account's token has expired. Reconnect the account.");
        continue;
      }
      if (row["account_status"].as<std::string>() != "connected") {
        fail("ACCOUNT_UNAVAILABLE", "The account is not connected.");
        continue;
      }
      if (flag("integration_off")) {
        fail("INTEGRATION_DISABLED", "Publishing to this network is switched off.");
        continue;
      }
      const auto wait_of = [&](const char* column) {
        return row[column].is_null() ? std::int64_t{0} : row[column].as<std::int64_t>();
      };
      const bool uploads = std::any_of(content.media.begin(), content.media.end(),
                                       [](const outgoing_media& one) { return one.reference.empty(); });
      if (const auto wait = std::max(wait_of("calls_wait"), uploads ? wait_of("uploads_wait") : 0); wait > 0) {
        exec_planned(tx, delay_target, target, wait);
        continue;
      }
      auto token = decrypt();
      if (!token || account.instance_url.empty()) {
        fail("ACCOUNT_UNAVAILABLE", "The account has to be reconnected.");
        continue;
      }
      account.access_token = std::move(*token);
      planned_call call;
      call.attempt = attempt_id::make();
      call.target = *target_id::parse(target);
      call.post = std::move(content);
      call.post.account = std::move(account);
      if (row["retry_count"].as<int>() == 0)
        call.due = post.scheduled_at;
      wanted.add(call, post, row["account_id"].as<std::string>());
      plan->calls.push_back(std::move(call));
    }

    for (const auto& [account, of] : expired)
      mark_account_expired(tx, account, of->job->correlation_id, of->plan->after_commit);
    const auto opened = wanted.open(tx, me, call_timeout);
    std::vector<post_of_job> without_calls;
    for (auto& [text, one] : active) {
      auto& [post, job, plan, media, media_ids] = one;
      std::erase_if(plan->calls, [&](const planned_call& call) {
        if (opened.contains(call.attempt))
          return false;
        exec_planned(tx, delay_target, to_string(call.target), check_interval.count());
        return true;
      });
      if (plan->calls.empty() && plan->checks.empty())
        without_calls.push_back({&post, job});
    }
    hints committed;
    const auto settled = roll_up(tx, without_calls, job_state::succeeded, committed);
    for (const auto& [post, job] : without_calls) {
      auto& plan = *active.at(to_string(post->id)).plan;
      plan.settled = settled.contains(post->id);
      if (!plan.settled) {
        const auto next = exec_planned(tx, count_targets, uuid_array(std::vector{post->id}))[0][4];
        plan.resumes_in = std::chrono::milliseconds{next.as<std::int64_t>()};
        exec_planned(tx, reschedule_job, to_string(job->id), plan.resumes_in->count());
      }
    }
    out.front().after_commit.insert(out.front().after_commit.end(), committed.begin(), committed.end());
    return out;
  });
  if (planned && std::any_of(planned->begin(), planned->end(), [](const auto& p) { return !p.calls.empty(); }))
    crash_point(crash_points::after_attempt);
  return planned;
}

result<recorded_outcomes> publish_repository::record(const node_identity& me,
                                                     const std::vector<call_outcome>& outcomes,
                                                     const publish_rules& rules) {
  auto recorded = db_.transact("record-outcomes", [&](pqxx::work& tx) -> result<recorded_outcomes> {
    exec_planned(tx, wait_for_locks_briefly);
    const bool fenced = hold_fence(tx, me);
    std::vector<const job*> jobs;
    std::vector<attempt_id> ids;
    for (const auto& outcome : outcomes) {
      jobs.push_back(outcome.job);
      ids.push_back(outcome.attempt);
    }
    const auto posts = lock_posts_of(tx, jobs);
    const auto attempts = lock_all_attempts(tx, ids, std::chrono::milliseconds{0}, rules);
    recorded_outcomes out;
    accepted_posts accepted;
    std::map<job_id, post_of_job> touched;
    crash_point(crash_points::before_record);
    // Accounts that have to be marked are locked in one order.
    std::vector<std::pair<std::string, const call_outcome*>> ordered;
    for (const auto& outcome : outcomes)
      if (const auto row = attempts.find(outcome.attempt); row != attempts.end())
        ordered.emplace_back(row->second.account, &outcome);
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [account, outcome] : ordered) {
      const auto& [job, attempt, said, latency] = *outcome;
      const auto row = attempts.find(attempt);
      bool counts_a_try = row->second.retry_count > 0;
      if (*said) {
        // A network's yes is never thrown away, whoever settled it meanwhile.
        if (row->second.state != "succeeded")
          accepted.add(attempt, row->second, **said, latency.count());
      } else if (row->second.is_unsettled()) {
        if (fenced || said->error().code == errc::outcome_unknown)
          record_failure(tx, *job, attempt, row->second, said->error(), latency.count(), rules, out.after_commit);
        else
          settle_attempt(tx, attempt, "unknown", {}, said->error().detail, latency.count());
        counts_a_try = true;
      }
      const auto post = posts.find(job->id);
      if (!fenced || post == posts.end() || post->second.status != post_status::publishing)
        continue;
      touched.insert_or_assign(job->id, post_of_job{&post->second, job});
      if (counts_a_try)
        exec_planned(tx, count_job_try, to_string(job->id), to_string(post->second.id));
    }
    accepted.write(tx);
    std::vector<post_of_job> candidates;
    for (const auto& [id, one] : touched)
      candidates.push_back(one);
    const auto settled = roll_up(tx, candidates, job_state::succeeded, out.after_commit);
    for (const auto& outcome : outcomes) {
      const auto one = touched.find(outcome.job->id);
      out.settled.push_back(!attempts.contains(outcome.attempt)
                            || (one != touched.end() && settled.contains(one->second.post->id)));
    }
    return out;
  });
  crash_point(crash_points::after_record);
  return recorded;
}

result<publish_progress> publish_repository::record_check(
  const node_identity& me, const job& job, attempt_id attempt,
  const result<std::vector<public_post>>& candidates, std::chrono::milliseconds read_age,
  const publish_rules& rules) {
  return db_.transact("record-read-back", [&](pqxx::work& tx) -> result<publish_progress> {
    const bool fenced = hold_fence(tx, me);
    const auto post = lock_post_of(tx, job);
    const auto row = lock_attempt(tx, attempt, read_age, rules);
    if (!row || !row->is_unsettled())
      return finish(tx, fenced, post, job);

    const public_post* found = nullptr;
    if (candidates && !candidates->empty()) {
      std::vector<std::string> owned;
      for (const auto& other : exec_planned(tx, select_owned_ids, row->account, param(row->started_at)))
        owned.push_back(other[0].as<std::string>());
      for (const auto& candidate : *candidates)
        if (candidate.created_at >= row->started_at - clock_skew
            && std::find(owned.begin(), owned.end(), candidate.id) == owned.end()
            && (!found || candidate.created_at < found->created_at))
          found = &candidate;
    }
    if (found) {
      record_success(tx, attempt, *row, *found);
      return finish(tx, fenced, post, job);
    }
    if (!fenced)
      return publish_progress{};
    if (candidates && row->absence_counts) {
      if (row->absence_reads + 1 >= 2) {
        settle_attempt(tx, attempt, "absent", "ABSENT", "read back twice, not there", std::nullopt);
        append_job_error(tx, job.id, "outcome_unknown: proven absent, will be retried");
        retry_or_fail(tx, *row, "EXCEPTION", unreachable_text, std::chrono::milliseconds{0}, rules);
        return finish(tx, fenced, post, job);
      }
      exec_planned(tx, count_absence, to_string(attempt));
    }
    if (row->past_deadline) {
      settle_attempt(tx, attempt, "abandoned", "OUTCOME_UNKNOWN", "not settled in time", std::nullopt);
      exec_planned(tx, fail_target, row->target, "OUTCOME_UNKNOWN", unknown_text);
      return finish(tx, fenced, post, job);
    }
    // Reads that fail are asked the less often the longer that goes on.
    const auto pause = candidates ? check_interval
                                  : std::clamp(row->age / 8, 5 * check_interval, 60 * check_interval);
    exec_planned(tx, delay_target, row->target, pause.count());
    return finish(tx, fenced, post, job);
  });
}

/// What is kept of an account's window, while it lasts.
std::optional<rate_window> publish_repository::read_rate_window(const pqxx::row& row, const std::string& counted) {
  const auto ends_in = row[counted + "_ends_in"];
  if (ends_in.is_null() || ends_in.as<std::int64_t>() <= 0)
    return std::nullopt;
  return rate_window{row[counted + "_limit"].as<std::int64_t>(), row[counted + "_left"].as<std::int64_t>(),
                     std::chrono::milliseconds{ends_in.as<std::int64_t>()}};
}

void publish_repository::keep_rates(pqxx::transaction_base& tx, const std::string& whose, tenant_id tenant,
                                    workspace_id workspace, const account_rates& told) {
  if (told.is_none())
    return;
  const auto column = [](const std::optional<rate_window>& window, auto read) {
    return window ? std::optional<std::int64_t>{read(*window)} : std::nullopt;
  };
  const auto limit = [](const rate_window& w) { return w.limit; };
  const auto left = [](const rate_window& w) { return w.left; };
  const auto ends_in = [](const rate_window& w) { return std::int64_t{w.ends_in.count()}; };
  exec_planned(tx, keep_account_rates, whose, to_string(tenant), to_string(workspace),
               std::int64_t{told.calls_wait.count()}, std::int64_t{told.uploads_wait.count()},
               column(told.calls, limit), column(told.calls, left), column(told.calls, ends_in),
               column(told.uploads, limit), column(told.uploads, left), column(told.uploads, ends_in));
}

result<done> publish_repository::remember_rates(const job& job, attempt_id attempt, const account_rates& told) {
  return db_.transact("remember-rates", [&](pqxx::work& tx) -> result<done> {
    keep_rates(tx, to_string(attempt), job.tenant, job.workspace, told);
    return done{};
  });
}

result<publish_progress> publish_repository::give_up(const node_identity& me, const job& job,
                                                     const std::string& reason) {
  return db_.transact("give-up-publishing", [&](pqxx::work& tx) -> result<publish_progress> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    append_job_error(tx, job.id, reason);
    const auto post = lock_post_of(tx, job);
    if (!post || post->status != post_status::publishing) {
      move_to_history(tx, {job.id}, job_state::discarded);
      return publish_progress{true, {}};
    }
    for (const auto& row : exec_planned(tx, lock_open_target_ids, to_string(post->id))) {
      if (row[1].is_null()) {
        exec_planned(tx, fail_target, row[0].as<std::string>(), "EXCEPTION",
                       "Publishing failed repeatedly for an internal reason.");
      } else {
        settle_attempt(tx, read_id<attempt_id>(row[1]), "abandoned", "OUTCOME_UNKNOWN", reason, std::nullopt);
        exec_planned(tx, fail_target, row[0].as<std::string>(), "OUTCOME_UNKNOWN", unknown_text);
      }
    }
    publish_progress out;
    out.settled = !roll_up(tx, {{&*post, &job}}, job_state::discarded, out.after_commit).empty();
    return out;
  });
}

} // namespace carillon::storage
