#include "storage/post_rows.hpp"

#include <nlohmann/json.hpp>

#include "storage/connection.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

const char* const select_posts = R"sql(
  SELECT p.id, p.workspace_id, p.created_by_user_id, coalesce(u.name, '') AS author_name,
         p.content_text, p.content_variations, p.status, p.post_type, p.scheduled_at,
         p.scheduled_timezone, p.published_at, p.hashtags, p.mentions, p.link_url, p.link_preview,
         p.first_comment, p.rejection_reason, p.created_at, p.updated_at,
         (SELECT count(*) FROM carillon.post_targets t WHERE t.post_id = p.id) AS target_count,
         (SELECT count(*) FROM carillon.post_media m WHERE m.post_id = p.id) AS media_count
  FROM carillon.posts p LEFT JOIN carillon.users u ON u.id = p.created_by_user_id
)sql";

const char* const target_columns = R"sql(
  t.id, t.social_account_id, t.platform_code, s.account_name, t.status, t.external_post_id,
  t.external_post_url, t.published_at, t.error_code, t.error_message
)sql";

namespace {

constexpr auto targets_of_post = R"sql(
  FROM carillon.post_targets t JOIN carillon.social_accounts s ON s.id = t.social_account_id
  WHERE t.post_id = $1 ORDER BY t.created_at, t.id
)sql";

constexpr auto where_this_post
  = "WHERE p.id = $1 AND p.workspace_id = $2 AND p.tenant_id = $3::uuid AND p.deleted_at IS NULL";

constexpr auto lock_this_post = R"sql(
  SELECT status, created_by_user_id, content_text FROM carillon.posts
  WHERE id = $1 AND workspace_id = $2 AND tenant_id = $3::uuid AND deleted_at IS NULL FOR UPDATE
)sql";

constexpr auto select_post_media = R"sql(
  SELECT id, type, storage_path, cdn_url, thumbnail_url, file_name, file_size, mime_type, alt_text,
         sort_order, metadata, processing_status
  FROM carillon.post_media WHERE post_id = $1 ORDER BY sort_order, id
)sql";

constexpr auto count_change_of_post
  = "UPDATE carillon.posts SET revision = revision + 1, updated_at = now() WHERE id = $1";

constexpr auto insert_post_audit = R"sql(
  INSERT INTO carillon.audit_logs (id, tenant_id, user_id, action, auditable_type, auditable_id,
                                   description, old_values, new_values, request_id)
  VALUES ($1, $2, $3, $4, 'post', $5, $6, $7::jsonb, $8::jsonb, left($9, 50))
)sql";

std::optional<std::string> status_values(std::optional<post_status> status) {
  if (!status)
    return std::nullopt;
  return nlohmann::json{{"status", to_string(*status)}}.dump();
}

post_media media_from_row(const pqxx::row& row) {
  post_media media;
  media.id = read_uuid(row["id"]);
  media.type = parse<media_type>(row["type"].c_str()).value_or(media_type::image);
  media.path = row["storage_path"].as<std::string>();
  media.url = nullable_post_text(row["cdn_url"]);
  media.thumbnail_url = nullable_post_text(row["thumbnail_url"]);
  media.file_name = row["file_name"].as<std::string>();
  media.size = nullable<std::int64_t>(row["file_size"]);
  media.mime_type = nullable_post_text(row["mime_type"]);
  media.alt_text = nullable_post_text(row["alt_text"]);
  media.sort_order = row["sort_order"].as<int>();
  media.metadata = text_or_empty(row["metadata"]);
  media.processing = parse<media_processing_status>(row["processing_status"].c_str())
                       .value_or(media_processing_status::pending);
  return media;
}

} // namespace

std::optional<std::string> nullable_post_text(const pqxx::field& f) {
  return f.is_null() ? std::nullopt : std::optional{text_or_empty(f)};
}

post post_from_row(const pqxx::row& row) {
  post out;
  out.id = read_id<post_id>(row["id"]);
  out.workspace = read_id<workspace_id>(row["workspace_id"]);
  out.author = read_id<user_id>(row["created_by_user_id"]);
  out.author_name = row["author_name"].as<std::string>();
  out.content_text = nullable_post_text(row["content_text"]);
  out.content_variations = text_or_empty(row["content_variations"]);
  out.status = parse<post_status>(row["status"].c_str()).value_or(post_status::draft);
  out.type = parse<post_type>(row["post_type"].c_str()).value_or(post_type::standard);
  out.scheduled_at = read_nullable_instant(row["scheduled_at"]);
  out.scheduled_timezone = nullable_post_text(row["scheduled_timezone"]);
  out.published_at = read_nullable_instant(row["published_at"]);
  out.hashtags = text_or_empty(row["hashtags"]);
  out.mentions = text_or_empty(row["mentions"]);
  out.link_url = nullable_post_text(row["link_url"]);
  out.link_preview = text_or_empty(row["link_preview"]);
  out.first_comment = nullable_post_text(row["first_comment"]);
  out.rejection_reason = nullable_post_text(row["rejection_reason"]);
  out.target_count = row["target_count"].as<std::int64_t>();
  out.media_count = row["media_count"].as<std::int64_t>();
  out.created_at = read_instant(row["created_at"]);
  out.updated_at = read_instant(row["updated_at"]);
  return out;
}

post_target target_from_row(const pqxx::row& row) {
  post_target target;
  target.id = read_id<target_id>(row["id"]);
  target.account = read_id<social_account_id>(row["social_account_id"]);
  target.platform_code = row["platform_code"].as<std::string>();
  target.platform = parse<network>(target.platform_code);
  target.account_name = row["account_name"].as<std::string>();
  target.status = parse<target_status>(row["status"].c_str()).value_or(target_status::pending);
  target.external_id = nullable_post_text(row["external_post_id"]);
  target.external_url = nullable_post_text(row["external_post_url"]);
  target.published_at = read_nullable_instant(row["published_at"]);
  target.error_code = nullable_post_text(row["error_code"]);
  target.error_message = nullable_post_text(row["error_message"]);
  return target;
}

failure no_such_post() {
  return {errc::not_found, "The post does not exist.", {}, {}};
}

failure post_rule(const char* field, std::string reason) {
  return {errc::conflict, reason, {{field, reason}}, {}};
}

failure wrong_post_status(std::string reason) {
  return {errc::forbidden, std::move(reason), {}, {}};
}

std::vector<post_media> read_post_media(pqxx::transaction_base& tx, post_id id) {
  std::vector<post_media> out;
  for (const auto& row : tx.exec_params(select_post_media, to_string(id)))
    out.push_back(media_from_row(row));
  return out;
}

result<post_detail> read_post_detail(pqxx::transaction_base& tx, const scope& who, workspace_id workspace,
                                     post_id id) {
  const auto rows = tx.exec_params(std::string{select_posts} + where_this_post, to_string(id),
                                   to_string(workspace), tenant_param(who));
  if (rows.empty())
    return no_such_post();
  post_detail out;
  out.post = post_from_row(rows[0]);
  for (const auto& row : tx.exec_params(std::string{"SELECT"} + target_columns + targets_of_post, to_string(id)))
    out.targets.push_back(target_from_row(row));
  out.media = read_post_media(tx, id);
  return out;
}

std::optional<locked_post> lock_post_row(pqxx::transaction_base& tx, const scope& who,
                                         workspace_id workspace, post_id id) {
  const auto rows = tx.exec_params(lock_this_post, to_string(id), to_string(workspace), tenant_param(who));
  if (rows.empty())
    return std::nullopt;
  return locked_post{parse<post_status>(rows[0][0].c_str()).value_or(post_status::draft),
                     read_id<user_id>(rows[0][1]), text_or_empty(rows[0][2])};
}

void count_post_change(pqxx::transaction_base& tx, post_id id) {
  tx.exec_params(count_change_of_post, to_string(id));
}

void audit_post(pqxx::transaction_base& tx, const scope& who, const post_actor& actor,
                audit_action action, post_id id, const char* description,
                std::optional<post_status> from, std::optional<post_status> to) {
  tx.exec_params(insert_post_audit, to_string(make_uuid_v7()), tenant_param(who), to_string(actor.user),
                 std::string{to_string(action)}, to_string(id), description, status_values(from),
                 status_values(to), null_if_empty(actor.correlation_id));
}

} // namespace carillon::storage
