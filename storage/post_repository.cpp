#include "storage/post_repository.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "domain/post_state.hpp"
#include "domain/text.hpp"
#include "storage/job_writer.hpp"
#include "storage/live_notes.hpp"
#include "storage/notification_writer.hpp"
#include "storage/post_rows.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

using nlohmann::json;

constexpr auto find_post = R"sql(
  SELECT 1 FROM carillon.posts
  WHERE id = $1 AND workspace_id = $2 AND tenant_id = $3::uuid AND deleted_at IS NULL
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

constexpr auto count_unknown_targets = R"sql(
  SELECT count(*) FROM carillon.post_targets
  WHERE post_id = $1 AND status = 'failed' AND error_code = 'OUTCOME_UNKNOWN'
)sql";

constexpr auto copy_post = R"sql(
  INSERT INTO carillon.posts (id, tenant_id, workspace_id, created_by_user_id, content_text,
    content_variations, post_type, hashtags, mentions, link_url, link_preview, first_comment, metadata)
  SELECT $2::uuid, tenant_id, workspace_id, $3::uuid, content_text, content_variations, post_type,
    hashtags, mentions, link_url, link_preview, first_comment, jsonb_build_object('duplicated_from', id)
  FROM carillon.posts WHERE id = $1
)sql";

constexpr auto copy_targets = R"sql(
  INSERT INTO carillon.post_targets (id, tenant_id, post_id, social_account_id, platform_code, content_override)
  SELECT gen_random_uuid(), tenant_id, $2::uuid, social_account_id, platform_code, content_override
  FROM carillon.post_targets WHERE post_id = $1 ORDER BY created_at, id
)sql";

// The lock: who removes media at this moment sees the copy, or this copies
// only what stays.
constexpr auto lock_media = "SELECT 1 FROM carillon.post_media WHERE post_id = $1 FOR SHARE";

constexpr auto copy_media = R"sql(
  INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, file_size, mime_type, storage_path,
    cdn_url, thumbnail_url, dimensions, duration_seconds, alt_text, sort_order, processing_status, metadata)
  SELECT gen_random_uuid(), tenant_id, $2::uuid, type, file_name, file_size, mime_type, storage_path,
    cdn_url, thumbnail_url, dimensions, duration_seconds, alt_text, sort_order, processing_status, metadata
  FROM carillon.post_media WHERE post_id = $1
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
  out.reason = nullable_post_text(row["rejection_reason"]);
  out.comment = nullable_post_text(row["comment"]);
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
    audit_post(tx, who, actor, audit_action::create, id, "Post created", std::nullopt,
          post_status::draft);
    return read_post_detail(tx, who, workspace, id);
  });
}

result<post_detail> post_repository::load(const scope& who, workspace_id workspace, post_id id) {
  return db_.transact("load-post", [&](pqxx::work& tx) {
    return read_post_detail(tx, who, workspace, id);
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
      out.items.push_back(post_from_row(row));
    return out;
  });
}

result<post_detail> post_repository::update(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor, const post_content& content) {
  return db_.transact("update-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto edited = transition(locked->status, post_event::edit);
    if (!edited)
      return wrong_post_status("Only a draft or rejected post can be edited.");
    tx.exec_params(update_post, to_string(id), content.content_text, content.content_variations,
                   content.hashtags, content.mentions, content.link_url, content.first_comment,
                   std::string{to_string(*edited)});
    if (*edited != locked->status)
      note_post_status(tx, id, locked->status);
    audit_post(tx, who, actor, audit_action::update, id, "Post edited", locked->status, *edited);
    return read_post_detail(tx, who, workspace, id);
  });
}

result<post_detail> post_repository::set_targets(const scope& who, workspace_id workspace,
                                                 post_id id, const post_actor& actor,
                                                 const std::vector<social_account_id>& accounts) {
  return db_.transact("set-targets", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_editable(locked->status))
      return wrong_post_status("Only a draft or rejected post can be edited.");
    tx.exec_params(delete_targets, to_string(id));
    if (auto added = add_targets(tx, who, workspace, id, accounts); !added)
      return std::move(added).error();
    count_post_change(tx, id);
    audit_post(tx, who, actor, audit_action::update, id, "Post targets changed", std::nullopt,
          std::nullopt);
    return read_post_detail(tx, who, workspace, id);
  });
}

result<done> post_repository::remove_target(const scope& who, workspace_id workspace, post_id id,
                                            target_id target, const post_actor& actor) {
  return db_.transact("remove-target", [&](pqxx::work& tx) -> result<done> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (tx.exec_params(find_target, to_string(target), to_string(id)).empty())
      return failure{errc::not_found, "the target is not the post's", {}, {}};
    if (!is_editable(locked->status))
      return post_rule("post", "Only a draft or rejected post can be edited.");
    tx.exec_params(delete_target, to_string(target));
    count_post_change(tx, id);
    audit_post(tx, who, actor, audit_action::update, id, "Post target removed", std::nullopt,
          std::nullopt);
    return done{};
  });
}

result<post_detail> post_repository::submit(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor, hints& out) {
  hints committed;
  auto submitted = db_.transact("submit-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::submit);
    if (!next)
      return post_rule("post", "Only a draft can be submitted for approval.");
    const auto parts = tx.exec_params(count_parts, to_string(id))[0];
    if (is_blank(locked->text) && parts[1].as<int>() == 0)
      return post_rule("content", "The post needs a text or media.");
    if (parts[0].as<int>() == 0)
      return post_rule("targets", "The post needs at least one account.");
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
    audit_post(tx, who, actor, audit_action::update, id, "Post submitted", locked->status, *next);
    return read_post_detail(tx, who, workspace, id);
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
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::approve);
    if (!next)
      return wrong_post_status("Only a submitted post can be approved.");
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
    audit_post(tx, who, actor, audit_action::update, id, "Post approved", locked->status, *next);
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
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::reject);
    if (!next)
      return wrong_post_status("Only a submitted post can be rejected.");
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
    audit_post(tx, who, actor, audit_action::update, id, "Post rejected", locked->status, *next);
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
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::schedule);
    if (!next || (locked->status == post_status::scheduled) != move)
      return wrong_post_status(move ? "Only a scheduled post can be moved."
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
    audit_post(tx, who, actor, audit_action::update, id, move ? "Post rescheduled" : "Post scheduled",
          locked->status, *next);
    committed.push_back({hint::subject::post_due, workspace, at});
    return read_post_detail(tx, who, workspace, id);
  });
  if (scheduled)
    append(out, committed);
  return scheduled;
}

result<post_detail> post_repository::publish(const scope& who, workspace_id workspace, post_id id,
                                             const post_actor& actor, hints& out) {
  auto job = inserted::refused;
  auto publishing = db_.transact("publish-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::publish);
    if (!next || !is_publishable(locked->status))
      return post_rule("post", "Only an approved or scheduled post can be published.");
    if (tx.exec_params(count_parts, to_string(id))[0][0].as<int>() == 0)
      return post_rule("targets", "The post needs at least one account.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(*next)});
    note_post_status(tx, id, locked->status);
    tx.exec_params(restart_targets, to_string(id));
    job = insert_job_to_run(tx, publish_job_for(id, *who.tenant(), workspace, actor.correlation_id));
    audit_post(tx, who, actor, audit_action::update, id, "Post publishing started", locked->status,
          *next);
    return read_post_detail(tx, who, workspace, id);
  });
  if (publishing && job != inserted::taken)
    out.push_back({hint::subject::job_ready, workspace, instant{}});
  return publishing;
}

result<post_detail> post_repository::cancel(const scope& who, workspace_id workspace, post_id id,
                                            const post_actor& actor) {
  return db_.transact("cancel-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto next = transition(locked->status, post_event::cancel);
    if (!next)
      return post_rule("post", "Only a draft or scheduled post can be cancelled.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(*next)});
    note_post_status(tx, id, locked->status);
    audit_post(tx, who, actor, audit_action::update, id, "Post cancelled", locked->status, *next);
    return read_post_detail(tx, who, workspace, id);
  });
}

result<post_detail> post_repository::retry(const scope& who, workspace_id workspace, post_id id,
                                           const post_actor& actor, bool risk_confirmed, hints& out) {
  auto job = inserted::refused;
  auto publishing = db_.transact("retry-post", [&](pqxx::work& tx) -> result<post_detail> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (locked->status != post_status::failed)
      return post_rule("post", "Only a failed post can be tried again.");
    if (tx.exec_params(count_parts, to_string(id))[0][0].as<int>() == 0)
      return post_rule("targets", "The post needs at least one account.");
    if (!risk_confirmed && tx.exec_params(count_unknown_targets, to_string(id))[0][0].as<int>() > 0)
      return post_rule("confirm_duplicate_risk",
                       "The post may be public already on an account that did not confirm it. Look there first, "
                       "then confirm that it may be published twice.");
    tx.exec_params(set_status, to_string(id), std::string{to_string(post_status::publishing)});
    note_post_status(tx, id, locked->status);
    tx.exec_params(restart_targets, to_string(id));
    job = insert_job_to_run(tx, publish_job_for(id, *who.tenant(), workspace, actor.correlation_id));
    audit_post(tx, who, actor, audit_action::update, id,
               risk_confirmed ? "Post tried again, risk of a double confirmed" : "Post tried again",
               locked->status, post_status::publishing);
    return read_post_detail(tx, who, workspace, id);
  });
  if (publishing && job != inserted::taken)
    out.push_back({hint::subject::job_ready, workspace, instant{}});
  return publishing;
}

result<post_detail> post_repository::duplicate(const scope& who, workspace_id workspace, post_id id,
                                               const post_actor& actor) {
  return db_.transact("duplicate-post", [&](pqxx::work& tx) -> result<post_detail> {
    // Held, so that the copy is the post as it was at one moment.
    if (!lock_post_row(tx, who, workspace, id))
      return no_such_post();
    const auto copy = post_id::make();
    tx.exec_params(copy_post, to_string(id), to_string(copy), to_string(actor.user));
    tx.exec_params(copy_targets, to_string(id), to_string(copy));
    tx.exec_params(lock_media, to_string(id));
    tx.exec_params(copy_media, to_string(id), to_string(copy));
    audit_post(tx, who, actor, audit_action::create, copy, "Post duplicated", std::nullopt, post_status::draft);
    return read_post_detail(tx, who, workspace, copy);
  });
}

} // namespace carillon::storage
