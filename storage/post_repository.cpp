#include "storage/post_repository.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "domain/post_state.hpp"
#include "domain/text.hpp"
#include "storage/job_writer.hpp"
#include "storage/live_notes.hpp"
#include "storage/notification_writer.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr auto select_posts = R"sql(
  SELECT p.id, p.workspace_id, p.created_by_user_id, coalesce(u.name, '') AS author_name,
         p.content_text, p.content_variations, p.status, p.post_type, p.scheduled_at,
         p.scheduled_timezone, p.published_at, p.hashtags, p.mentions, p.link_url, p.link_preview,
         p.first_comment, p.rejection_reason, p.created_at, p.updated_at,
         (SELECT count(*) FROM carillon.post_targets t WHERE t.post_id = p.id) AS target_count,
         (SELECT count(*) FROM carillon.post_media m WHERE m.post_id = p.id) AS media_count
  FROM carillon.posts p LEFT JOIN carillon.users u ON u.id = p.created_by_user_id
)sql";

constexpr auto this_post
  = "WHERE p.id = $1 AND p.workspace_id = $2 AND p.tenant_id = $3::uuid AND p.deleted_at IS NULL";

constexpr auto find_post = R"sql(
  SELECT 1 FROM carillon.posts
  WHERE id = $1 AND workspace_id = $2 AND tenant_id = $3::uuid AND deleted_at IS NULL
)sql";

constexpr auto lock_post = R"sql(
  SELECT status, created_by_user_id, content_text FROM carillon.posts
  WHERE id = $1 AND workspace_id = $2 AND tenant_id = $3::uuid AND deleted_at IS NULL FOR UPDATE
)sql";

constexpr auto post_condition = R"sql(
  WHERE p.workspace_id = $1 AND p.tenant_id = $2::uuid AND p.deleted_at IS NULL
    AND ($3::text IS NULL OR p.status = $3)
    AND ($4::uuid IS NULL OR p.created_by_user_id = $4::uuid)
    AND ($5::text IS NULL OR p.post_type = $5)
    AND ($6::timestamptz IS NULL OR p.created_at >= $6)
    AND ($7::timestamptz IS NULL OR p.created_at <= $7)
    AND ($8::text IS NULL OR p.content_text ILIKE $8)
)sql";

constexpr auto select_targets = R"sql(
  SELECT t.id, t.social_account_id, t.platform_code, s.account_name, t.status, t.external_post_id,
         t.external_post_url, t.published_at, t.error_code, t.error_message
  FROM carillon.post_targets t JOIN carillon.social_accounts s ON s.id = t.social_account_id
  WHERE t.post_id = $1 ORDER BY t.created_at, t.id
)sql";

constexpr auto select_media = R"sql(
  SELECT id, type, storage_path, cdn_url, thumbnail_url, file_name, file_size, mime_type, sort_order,
         metadata, processing_status
  FROM carillon.post_media WHERE post_id = $1 ORDER BY sort_order, id
)sql";

constexpr auto insert_post = R"sql(
  INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text,
    content_variations, post_type, scheduled_at, scheduled_timezone, hashtags, mentions, link_url,
    first_comment)
  SELECT $1::uuid, w.tenant_id, w.id, $4::uuid, $5, $6::jsonb, $7, $8::timestamptz, $9, $10::jsonb, $11::jsonb,
    $12, $13
  FROM carillon.workspaces w
  WHERE w.id = $3::uuid AND w.tenant_id = $2::uuid AND w.deleted_at IS NULL AND w.status <> 'deleted'
)sql";

constexpr auto update_post = R"sql(
  UPDATE carillon.posts SET
    content_text = coalesce($2, content_text),
    content_variations = coalesce($3::jsonb, content_variations),
    hashtags = coalesce($4::jsonb, hashtags), mentions = coalesce($5::jsonb, mentions),
    link_url = coalesce($6, link_url), first_comment = coalesce($7, first_comment),
    status = $8, rejection_reason = NULL, revision = revision + 1, updated_at = now()
  WHERE id = $1
)sql";

constexpr auto count_change
  = "UPDATE carillon.posts SET revision = revision + 1, updated_at = now() WHERE id = $1";

// Future means the future of the clock that will start the post.
constexpr auto is_future = "SELECT $1::timestamptz > clock_timestamp()";

constexpr auto delete_targets = "DELETE FROM carillon.post_targets WHERE post_id = $1";

constexpr auto find_target = "SELECT 1 FROM carillon.post_targets WHERE id = $1 AND post_id = $2";

constexpr auto delete_target = "DELETE FROM carillon.post_targets WHERE id = $1";

// Nothing is inserted for an account of another workspace or tenant.
constexpr auto insert_target = R"sql(
  INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code)
  SELECT $1, tenant_id, $2, id, platform FROM carillon.social_accounts
  WHERE id = $3 AND workspace_id = $4 AND tenant_id = $5::uuid
)sql";

constexpr auto set_status
  = "UPDATE carillon.posts SET status = $2, updated_at = now() WHERE id = $1";

constexpr auto set_submitted = R"sql(
  UPDATE carillon.posts SET status = 'submitted', submitted_at = now(), updated_at = now() WHERE id = $1
)sql";

constexpr auto set_rejected = R"sql(
  UPDATE carillon.posts SET status = 'rejected', rejection_reason = $2, updated_at = now() WHERE id = $1
)sql";

constexpr auto set_deleted
  = "UPDATE carillon.posts SET deleted_at = now(), updated_at = now() WHERE id = $1";

constexpr auto set_scheduled = R"sql(
  UPDATE carillon.posts
  SET status = 'scheduled', scheduled_at = $2::timestamptz,
      scheduled_timezone = coalesce($3, scheduled_timezone, 'UTC'), updated_at = now()
  WHERE id = $1
)sql";

constexpr auto restart_targets = R"sql(
  UPDATE carillon.post_targets
  SET status = 'publishing', publishing_since = clock_timestamp(), next_action_at = NULL,
      retry_count = 0, error_code = NULL, error_message = NULL, updated_at = now()
  WHERE post_id = $1 AND status <> 'published'
)sql";

constexpr auto count_parts = R"sql(
  SELECT (SELECT count(*) FROM carillon.post_targets WHERE post_id = $1),
         (SELECT count(*) FROM carillon.post_media WHERE post_id = $1)
)sql";

constexpr auto deactivate_approvals = R"sql(
  UPDATE carillon.approval_decisions SET is_active = false, updated_at = now()
  WHERE post_id = $1 AND is_active
)sql";

constexpr auto insert_approval = R"sql(
  INSERT INTO carillon.approval_decisions (id, tenant_id, post_id, decided_by_user_id, decision,
                                           comment, decided_at)
  VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
)sql";

constexpr auto select_approvals = R"sql(
  SELECT a.id, a.post_id, a.decided_by_user_id, coalesce(u.name, '') AS name, a.decision, a.comment,
         a.is_active, a.decided_at, p.rejection_reason
  FROM carillon.approval_decisions a JOIN carillon.posts p ON p.id = a.post_id
  LEFT JOIN carillon.users u ON u.id = a.decided_by_user_id
  WHERE a.post_id = $1 AND ($2::uuid IS NULL OR a.id = $2::uuid)
  ORDER BY a.decided_at DESC, a.id DESC
)sql";

constexpr auto select_approvers = R"sql(
  SELECT m.user_id FROM carillon.workspace_memberships m JOIN carillon.users u ON u.id = m.user_id
  WHERE m.workspace_id = $1 AND u.tenant_id = $2::uuid AND m.role IN ('owner', 'admin')
    AND u.status = 'active' AND u.deleted_at IS NULL
  ORDER BY m.user_id
)sql";

constexpr auto insert_post_audit = R"sql(
  INSERT INTO carillon.audit_logs (id, tenant_id, user_id, action, auditable_type, auditable_id,
                                   description, old_values, new_values, request_id)
  VALUES ($1, $2, $3, $4, 'post', $5, $6, $7::jsonb, $8::jsonb, left($9, 50))
)sql";

std::optional<std::string> nullable_text(const pqxx::field& f) {
  return f.is_null() ? std::nullopt : std::optional{text_or_empty(f)};
}

post read_post(const pqxx::row& row) {
  post out;
  out.id = read_id<post_id>(row["id"]);
  out.workspace = read_id<workspace_id>(row["workspace_id"]);
  out.author = read_id<user_id>(row["created_by_user_id"]);
  out.author_name = row["author_name"].as<std::string>();
  out.content_text = nullable_text(row["content_text"]);
  out.content_variations = text_or_empty(row["content_variations"]);
  out.status = parse<post_status>(row["status"].c_str()).value_or(post_status::draft);
  out.type = parse<post_type>(row["post_type"].c_str()).value_or(post_type::standard);
  out.scheduled_at = read_nullable_instant(row["scheduled_at"]);
  out.scheduled_timezone = nullable_text(row["scheduled_timezone"]);
  out.published_at = read_nullable_instant(row["published_at"]);
  out.hashtags = text_or_empty(row["hashtags"]);
  out.mentions = text_or_empty(row["mentions"]);
  out.link_url = nullable_text(row["link_url"]);
  out.link_preview = text_or_empty(row["link_preview"]);
  out.first_comment = nullable_text(row["first_comment"]);
  out.rejection_reason = nullable_text(row["rejection_reason"]);
  out.target_count = row["target_count"].as<std::int64_t>();
  out.media_count = row["media_count"].as<std::int64_t>();
  out.created_at = read_instant(row["created_at"]);
  out.updated_at = read_instant(row["updated_at"]);
  return out;
}

failure no_such_post() {
  return {errc::not_found, "The post does not exist.", {}, {}};
}

failure business(const char* field, std::string reason) {
  return {errc::conflict, reason, {{field, reason}}, {}};
}

failure wrong_status(std::string reason) {
  return {errc::forbidden, std::move(reason), {}, {}};
}

result<post_detail> read_detail(pqxx::transaction_base& tx, const scope& who, workspace_id workspace,
                                post_id id) {
  const auto rows = tx.exec_params(std::string{select_posts} + this_post, to_string(id),
                                   to_string(workspace), tenant_param(who));
  if (rows.empty())
    return no_such_post();
  post_detail out;
  out.post = read_post(rows[0]);
  for (const auto& row : tx.exec_params(select_targets, to_string(id))) {
    post_target target;
    target.id = read_id<target_id>(row["id"]);
    target.account = read_id<social_account_id>(row["social_account_id"]);
    target.platform_code = row["platform_code"].as<std::string>();
    target.platform = parse<network>(target.platform_code);
    target.account_name = row["account_name"].as<std::string>();
    target.status = parse<target_status>(row["status"].c_str()).value_or(target_status::pending);
    target.external_id = nullable_text(row["external_post_id"]);
    target.external_url = nullable_text(row["external_post_url"]);
    target.published_at = read_nullable_instant(row["published_at"]);
    target.error_code = nullable_text(row["error_code"]);
    target.error_message = nullable_text(row["error_message"]);
    out.targets.push_back(std::move(target));
  }
  for (const auto& row : tx.exec_params(select_media, to_string(id))) {
    post_media media;
    media.id = read_uuid(row["id"]);
    media.type = parse<media_type>(row["type"].c_str()).value_or(media_type::image);
    media.path = row["storage_path"].as<std::string>();
    media.url = nullable_text(row["cdn_url"]);
    media.thumbnail_url = nullable_text(row["thumbnail_url"]);
    media.file_name = row["file_name"].as<std::string>();
    media.size = nullable<std::int64_t>(row["file_size"]);
    media.mime_type = nullable_text(row["mime_type"]);
    media.sort_order = row["sort_order"].as<int>();
    media.metadata = text_or_empty(row["metadata"]);
    media.processing = parse<media_processing_status>(row["processing_status"].c_str())
                         .value_or(media_processing_status::pending);
    out.media.push_back(std::move(media));
  }
  return out;
}

struct locked_post {
  post_status status = post_status::draft;
  user_id author;
  std::string text;
};

std::optional<locked_post> lock(pqxx::transaction_base& tx, const scope& who, workspace_id workspace,
                                post_id id) {
  const auto rows = tx.exec_params(lock_post, to_string(id), to_string(workspace), tenant_param(who));
  if (rows.empty())
    return std::nullopt;
  return locked_post{parse<post_status>(rows[0][0].c_str()).value_or(post_status::draft),
                     read_id<user_id>(rows[0][1]), text_or_empty(rows[0][2])};
}

/// Of a post that has none. An account that is named twice counts once.
result<done> add_targets(pqxx::transaction_base& tx, const scope& who, workspace_id workspace,
                         post_id id, const std::vector<social_account_id>& accounts) {
  failure bad{errc::invalid_argument, "unknown accounts", {}, {}};
  for (auto i = accounts.begin(); i != accounts.end(); ++i) {
    if (std::find(accounts.begin(), i, *i) != i)
      continue;
    const auto added = tx.exec_params(insert_target, to_string(target_id::make()), to_string(id),
                                      to_string(*i), to_string(workspace), tenant_param(who));
    if (added.affected_rows() == 0)
      bad.fields.push_back({"social_account_ids." + std::to_string(i - accounts.begin()),
                            "The account does not exist in this workspace."});
  }
  if (!bad.fields.empty())
    return bad;
  return done{};
}

std::optional<failure> refuse_past(pqxx::transaction_base& tx, instant at) {
  if (tx.exec_params(is_future, param(at))[0][0].as<bool>())
    return std::nullopt;
  return invalid("scheduled_at", "The scheduled_at field must be a date in the future.");
}

/// Networks refuse a text that shows nothing.
bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

std::string path_to(workspace_id workspace, post_id id) {
  return "/app/w/" + to_string(workspace) + "/posts/" + to_string(id) + "/edit";
}

new_notification notice(const scope& who, workspace_id workspace, user_id to, notification_type type,
                        const post_actor& actor) {
  new_notification out;
  out.tenant = *who.tenant();
  out.workspace = workspace;
  out.user = to;
  out.type = type;
  out.correlation_id = actor.correlation_id;
  return out;
}

json notice_data(workspace_id workspace, post_id id) {
  return {{"post_id", to_string(id)}, {"workspace_id", to_string(workspace)}};
}

std::string quote(const std::string& text) {
  return "\"" + excerpt(text, "(post without text)") + "\"";
}

std::optional<std::string> status_values(std::optional<post_status> status) {
  if (!status)
    return std::nullopt;
  return json{{"status", to_string(*status)}}.dump();
}

void audit(pqxx::transaction_base& tx, const scope& who, const post_actor& actor,
           audit_action action, post_id id, const char* description,
           std::optional<post_status> from, std::optional<post_status> to) {
  tx.exec_params(insert_post_audit, to_string(make_uuid_v7()), tenant_param(who), to_string(actor.user),
                 std::string{to_string(action)}, to_string(id), description, status_values(from),
                 status_values(to), null_if_empty(actor.correlation_id));
}

void append(hints& to, const hints& more) {
  to.insert(to.end(), more.begin(), more.end());
}

approval read_approval(const pqxx::row& row) {
  approval out;
  out.id = read_uuid(row["id"]);
  out.post = read_id<post_id>(row["post_id"]);
  out.decided_by = read_id<user_id>(row["decided_by_user_id"]);
  out.decided_by_name = row["name"].as<std::string>();
  out.decision = parse<approval_decision>(row["decision"].c_str()).value_or(approval_decision::approved);
  out.reason = nullable_text(row["rejection_reason"]);
  out.comment = nullable_text(row["comment"]);
  out.is_active = row["is_active"].as<bool>();
  out.decided_at = read_instant(row["decided_at"]);
  return out;
}

approval decide(pqxx::transaction_base& tx, const scope& who, post_id id, const post_actor& actor,
                approval_decision decision, const std::optional<std::string>& comment) {
  const auto made = to_string(make_uuid_v7());
  tx.exec_params(deactivate_approvals, to_string(id));
  tx.exec_params(insert_approval, made, tenant_param(who), to_string(id), to_string(actor.user),
                 std::string{to_string(decision)}, comment);
  return read_approval(tx.exec_params(select_approvals, to_string(id), made)[0]);
}

template <class Value>
std::optional<std::string> text_of(const std::optional<Value>& value) {
  if (!value)
    return std::nullopt;
  return std::string{to_string(*value)};
}

const char* column_of(post_filter::column column) {
  switch (column) {
    case post_filter::column::updated_at:
      return "p.updated_at";
    case post_filter::column::submitted_at:
      return "p.submitted_at";
    case post_filter::column::scheduled_at:
      return "p.scheduled_at";
    case post_filter::column::published_at:
      return "p.published_at";
    case post_filter::column::status:
      return "p.status";
    case post_filter::column::created_at:
      break;
  }
  return "p.created_at";
}

} // namespace

result<post_detail> post_repository::create(const scope& who, workspace_id workspace,
                                            const post_actor& actor, const new_post& draft) {
  return db_.transact("create-post", [&](pqxx::work& tx) -> result<post_detail> {
    if (draft.scheduled_at)
      if (auto refused = refuse_past(tx, *draft.scheduled_at))
        return std::move(*refused);
    const auto id = post_id::make();
    const auto& content = draft.content;
    const auto inserted
      = tx.exec_params(insert_post, to_string(id), tenant_param(who), to_string(workspace),
                       to_string(actor.user), content.content_text, content.content_variations,
                       std::string{to_string(draft.type)}, param(draft.scheduled_at),
                       draft.scheduled_timezone, content.hashtags, content.mentions, content.link_url,
                       content.first_comment);
    if (inserted.affected_rows() == 0)
      return failure{errc::not_found, "there is no workspace " + to_string(workspace), {}, {}};
    if (auto added = add_targets(tx, who, workspace, id, draft.accounts); !added)
      return std::move(added).error();
    audit(tx, who, actor, audit_action::create, id, "Post created", std::nullopt,
          post_status::draft);
    return read_detail(tx, who, workspace, id);
  });
}

result<post_detail> post_repository::load(const scope& who, workspace_id workspace, post_id id) {
  return db_.transact("load-post", [&](pqxx::work& tx) {
    return read_detail(tx, who, workspace, id);
  });
}

result<post_page> post_repository::list(const scope& who, workspace_id workspace,
                                        const post_filter& filter) {
  return db_.transact("list-posts", [&](pqxx::work& tx) -> result<post_page> {
    const auto run = [&](const std::string& sql) {
      return tx.exec_params(sql, to_string(workspace), tenant_param(who), text_of(filter.status),
                            text_of(filter.author), text_of(filter.type), param(filter.from),
                            param(filter.to), contains_param(filter.search));
    };
    post_page out;
    out.total = run(std::string{"SELECT count(*) FROM carillon.posts p "} + post_condition)[0][0]
                  .as<std::int64_t>();
    const std::string direction = filter.ascending ? " ASC" : " DESC";
    const auto offset = static_cast<std::int64_t>(filter.page - 1) * filter.per_page;
    const auto order = std::string{"ORDER BY "} + column_of(filter.sort) + direction
                       + " NULLS LAST, p.id" + direction + " LIMIT "
                       + std::to_string(filter.per_page) + " OFFSET " + std::to_string(offset);
    for (const auto& row : run(std::string{select_posts} + post_condition + order))
      out.items.push_back(read_post(row));
    return out;
  });
}

result<post_detail> post_repository::update(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor, const post_content& content) {
  return db_.transact("update-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto edited = transition(locked->status, post_event::edit);
    if (!edited)
      return wrong_status("Only a draft or rejected post can be edited.");
    tx.exec_params(update_post, to_string(id), content.content_text, content.content_variations,
                   content.hashtags, content.mentions, content.link_url, content.first_comment,
                   std::string{to_string(*edited)});
    if (*edited != locked->status)
      note_post_status(tx, id, locked->status);
    audit(tx, who, actor, audit_action::update, id, "Post edited", locked->status, *edited);
    return read_detail(tx, who, workspace, id);
  });
}

result<done> post_repository::remove(const scope& who, workspace_id workspace, post_id id,
                                     const post_actor& actor) {
  return db_.transact("delete-post", [&](pqxx::work& tx) -> result<done> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_deletable(locked->status))
      return business("post", "A post that is published or being published cannot be deleted.");
    tx.exec_params(set_deleted, to_string(id));
    audit(tx, who, actor, audit_action::delete_, id, "Post deleted", locked->status, std::nullopt);
    return done{};
  });
}

result<post_detail> post_repository::set_targets(const scope& who, workspace_id workspace,
                                                 post_id id, const post_actor& actor,
                                                 const std::vector<social_account_id>& accounts) {
  return db_.transact("set-targets", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_editable(locked->status))
      return wrong_status("Only a draft or rejected post can be edited.");
    tx.exec_params(delete_targets, to_string(id));
    if (auto added = add_targets(tx, who, workspace, id, accounts); !added)
      return std::move(added).error();
    tx.exec_params(count_change, to_string(id));
    audit(tx, who, actor, audit_action::update, id, "Post targets changed", std::nullopt,
          std::nullopt);
    return read_detail(tx, who, workspace, id);
  });
}

result<done> post_repository::remove_target(const scope& who, workspace_id workspace, post_id id,
                                            target_id target, const post_actor& actor) {
  return db_.transact("remove-target", [&](pqxx::work& tx) -> result<done> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (tx.exec_params(find_target, to_string(target), to_string(id)).empty())
      return failure{errc::not_found, "the target is not the post's", {}, {}};
    if (!is_editable(locked->status))
      return business("post", "Only a draft or rejected post can be edited.");
    tx.exec_params(delete_target, to_string(target));
    tx.exec_params(count_change, to_string(id));
    audit(tx, who, actor, audit_action::update, id, "Post target removed", std::nullopt,
          std::nullopt);
    return done{};
  });
}

result<post_detail> post_repository::submit(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor, hints& out) {
  hints committed;
  auto submitted = db_.transact("submit-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::submit);
    if (!next)
      return business("post", "Only a draft can be submitted for approval.");
    const auto parts = tx.exec_params(count_parts, to_string(id))[0];
    if (is_blank(locked->text) && parts[1].as<int>() == 0)
      return business("content", "The post needs a text or media.");
    if (parts[0].as<int>() == 0)
      return business("targets", "The post needs at least one account.");
    tx.exec_params(set_submitted, to_string(id));
    note_post_status(tx, id, locked->status);
    for (const auto& row : tx.exec_params(select_approvers, to_string(workspace), tenant_param(who))) {
      auto message = notice(who, workspace, read_id<user_id>(row[0]),
                            notification_type::post_submitted, actor);
      message.title = "Post submitted for approval";
      message.message = actor.name + " submitted " + quote(locked->text) + " for approval.";
      message.action_url = "/app/w/" + to_string(workspace) + "/approvals";
      auto data = notice_data(workspace, id);
      data["submitter_id"] = to_string(actor.user);
      data["submitter_name"] = actor.name;
      message.data = data.dump();
      write_notification(tx, message, committed);
    }
    audit(tx, who, actor, audit_action::update, id, "Post submitted", locked->status, *next);
    return read_detail(tx, who, workspace, id);
  });
  if (submitted)
    append(out, committed);
  return submitted;
}

result<approval> post_repository::approve(const scope& who, workspace_id workspace, post_id id,
                                          const post_actor& actor,
                                          const std::optional<std::string>& comment, hints& out) {
  hints committed;
  auto approved = db_.transact("approve-post", [&](pqxx::work& tx) -> result<approval> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::approve);
    if (!next)
      return wrong_status("Only a submitted post can be approved.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(*next)});
    note_post_status(tx, id, locked->status);
    auto decision = decide(tx, who, id, actor, approval_decision::approved, comment);
    auto message = notice(who, workspace, locked->author, notification_type::post_approved, actor);
    message.title = "Post approved";
    message.message = actor.name + " approved your post " + quote(locked->text) + ".";
    message.action_url = path_to(workspace, id);
    auto data = notice_data(workspace, id);
    data["approver_id"] = to_string(actor.user);
    data["approver_name"] = actor.name;
    message.data = data.dump();
    write_notification(tx, message, committed);
    audit(tx, who, actor, audit_action::update, id, "Post approved", locked->status, *next);
    return decision;
  });
  if (approved)
    append(out, committed);
  return approved;
}

result<approval> post_repository::reject(const scope& who, workspace_id workspace, post_id id,
                                         const post_actor& actor, const std::string& reason,
                                         const std::optional<std::string>& comment, hints& out) {
  hints committed;
  auto rejected = db_.transact("reject-post", [&](pqxx::work& tx) -> result<approval> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::reject);
    if (!next)
      return wrong_status("Only a submitted post can be rejected.");
    tx.exec_params(set_rejected, to_string(id), reason);
    note_post_status(tx, id, locked->status);
    auto decision = decide(tx, who, id, actor, approval_decision::rejected, comment);
    auto message = notice(who, workspace, locked->author, notification_type::post_rejected, actor);
    message.title = "Post rejected";
    message.message = actor.name + " rejected your post " + quote(locked->text) + ": " + reason;
    message.action_url = path_to(workspace, id);
    auto data = notice_data(workspace, id);
    data["rejector_id"] = to_string(actor.user);
    data["rejector_name"] = actor.name;
    data["reason"] = reason;
    message.data = data.dump();
    write_notification(tx, message, committed);
    audit(tx, who, actor, audit_action::update, id, "Post rejected", locked->status, *next);
    return decision;
  });
  if (rejected)
    append(out, committed);
  return rejected;
}

result<std::vector<approval>> post_repository::approvals(const scope& who, workspace_id workspace,
                                                         post_id id) {
  return db_.transact("list-approvals", [&](pqxx::work& tx) -> result<std::vector<approval>> {
    if (tx.exec_params(find_post, to_string(id), to_string(workspace), tenant_param(who)).empty())
      return no_such_post();
    std::vector<approval> out;
    const std::optional<std::string> every_one;
    for (const auto& row : tx.exec_params(select_approvals, to_string(id), every_one))
      out.push_back(read_approval(row));
    return out;
  });
}

result<post_detail> post_repository::schedule(const scope& who, workspace_id workspace, post_id id,
                                              const post_actor& actor, instant at,
                                              const std::optional<std::string>& zone, bool move,
                                              hints& out) {
  hints committed;
  auto scheduled = db_.transact("schedule-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::schedule);
    if (!next || (locked->status == post_status::scheduled) != move)
      return wrong_status(move ? "Only a scheduled post can be moved."
                               : "Only an approved post can be scheduled.");
    if (auto refused = refuse_past(tx, at))
      return std::move(*refused);
    tx.exec_params(set_scheduled, to_string(id), param(at), zone);
    if (!move)
      note_post_status(tx, id, locked->status);
    auto message = notice(who, workspace, locked->author, notification_type::post_scheduled, actor);
    message.title = move ? "Post rescheduled" : "Post scheduled";
    message.message = "Your post " + quote(locked->text) + " will be published at "
                      + format_api_time(at) + ".";
    message.action_url = path_to(workspace, id);
    auto data = notice_data(workspace, id);
    data["scheduled_at"] = format_api_time(at);
    message.data = data.dump();
    write_notification(tx, message, committed);
    audit(tx, who, actor, audit_action::update, id, move ? "Post rescheduled" : "Post scheduled",
          locked->status, *next);
    committed.push_back({hint::subject::post_due, workspace, at});
    return read_detail(tx, who, workspace, id);
  });
  if (scheduled)
    append(out, committed);
  return scheduled;
}

result<post_detail> post_repository::publish(const scope& who, workspace_id workspace, post_id id,
                                             const post_actor& actor, hints& out) {
  auto publishing = db_.transact("publish-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::publish);
    if (!next || !is_publishable(locked->status))
      return business("post", "Only an approved or scheduled post can be published.");
    if (tx.exec_params(count_parts, to_string(id))[0][0].as<int>() == 0)
      return business("targets", "The post needs at least one account.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(*next)});
    note_post_status(tx, id, locked->status);
    tx.exec_params(restart_targets, to_string(id));
    insert_job(tx, publish_job_for(id, *who.tenant(), workspace, actor.correlation_id));
    audit(tx, who, actor, audit_action::update, id, "Post publishing started", locked->status,
          *next);
    return read_detail(tx, who, workspace, id);
  });
  if (publishing)
    out.push_back({hint::subject::job_ready, workspace, instant{}});
  return publishing;
}

result<post_detail> post_repository::cancel(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor) {
  return db_.transact("cancel-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::cancel);
    if (!next)
      return business("post", "Only a draft or scheduled post can be cancelled.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(*next)});
    note_post_status(tx, id, locked->status);
    audit(tx, who, actor, audit_action::update, id, "Post cancelled", locked->status, *next);
    return read_detail(tx, who, workspace, id);
  });
}

} // namespace carillon::storage
