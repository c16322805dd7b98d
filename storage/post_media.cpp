// The media of a post and what becomes of them with it: the part of
// post_repository that keeps their rows. The files are the object store's.
#include "domain/post_state.hpp"
#include "storage/fence.hpp"
#include "storage/post_repository.hpp"
#include "storage/post_rows.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr auto only_editable = "Only a draft or rejected post can be edited.";

constexpr auto measure_media = R"sql(
  SELECT count(*), coalesce(max(sort_order), 0) FROM carillon.post_media WHERE post_id = $1
)sql";

constexpr auto insert_media = R"sql(
  INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, file_size, mime_type, storage_path,
    cdn_url, thumbnail_url, dimensions, alt_text, sort_order, processing_status, metadata)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13, $14, $15::jsonb)
)sql";

constexpr auto move_media = R"sql(
  UPDATE carillon.post_media SET sort_order = $3, updated_at = now() WHERE id = $1 AND post_id = $2
)sql";

constexpr auto delete_media
  = "DELETE FROM carillon.post_media WHERE id = $1 AND post_id = $2 RETURNING storage_path";

constexpr auto count_media_at_path = R"sql(
  SELECT count(*) FROM carillon.post_media m JOIN carillon.posts p ON p.id = m.post_id
  WHERE m.storage_path = $1 AND p.workspace_id = $2 AND m.tenant_id = $3::uuid AND p.deleted_at IS NULL
)sql";

// Of two that attach and remove the same file, one waits for the other's
// commit: who counts a path's users counts them all. Taken after the post's
// row, several in one order.
constexpr auto lock_media_path = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || '/' || $2::text, 0))";

constexpr auto lock_media_paths_of_post = R"sql(
  SELECT pg_advisory_xact_lock(path.key) FROM (
    SELECT DISTINCT hashtextextended($2::text || '/' || storage_path, 0) AS key
    FROM carillon.post_media WHERE post_id = $1 ORDER BY key) path
)sql";

constexpr auto delete_media_of_post = R"sql(
  WITH gone AS (DELETE FROM carillon.post_media WHERE post_id = $1 RETURNING storage_path)
  SELECT DISTINCT storage_path FROM gone
)sql";

constexpr auto set_deleted
  = "UPDATE carillon.posts SET deleted_at = now(), updated_at = now() WHERE id = $1";

// In one order, as lock_media_paths_of_post. Any row keeps its file, whatever
// else is in it: a sweep errs on that side.
constexpr auto select_unnamed_paths = R"sql(
  SELECT path FROM unnest($1::text[]) AS path
  WHERE NOT EXISTS (
    SELECT FROM carillon.post_media m JOIN carillon.posts p ON p.id = m.post_id
    WHERE m.storage_path = path AND p.workspace_id = $2::uuid)
  ORDER BY hashtextextended($2::uuid::text || '/' || path, 0)
)sql";

/// After the rows of who removes it are gone, under the path's lock.
bool is_unused_path(pqxx::transaction_base& tx, const scope& who, workspace_id workspace, const std::string& path) {
  return tx.exec_params(count_media_at_path, path, to_string(workspace), tenant_param(who))[0][0].as<int>() == 0;
}

} // namespace

result<post_media> post_repository::add_media(const scope& who, workspace_id workspace, post_id id,
                                              const post_actor& actor, const new_media& media) {
  return db_.transact("add-media", [&](pqxx::work& tx) -> result<post_media> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_editable(locked->status))
      return wrong_post_status(only_editable);
    const auto there = tx.exec_params(measure_media, to_string(id))[0];
    if (there[0].as<int>() >= most_media_per_post)
      return post_rule("media", "A post cannot have more than " + std::to_string(most_media_per_post) + " media.");
    tx.exec_params(lock_media_path, to_string(workspace), media.path);
    const auto made = make_uuid_v7();
    tx.exec_params(insert_media, to_string(made), tenant_param(who), to_string(id), std::string{to_string(media.type)},
                   media.file_name, media.size, media.mime_type, media.path, media.url, media.thumbnail_url,
                   null_if_empty(media.dimensions), media.alt_text,
                   media.sort_order > 0 ? media.sort_order : there[1].as<int>() + 1,
                   std::string{to_string(media.processing)}, null_if_empty(media.metadata));
    count_post_change(tx, id);
    audit_post(tx, who, actor, audit_action::update, id, "Post media added", std::nullopt, std::nullopt);
    for (auto& one : read_post_media(tx, id))
      if (one.id == made)
        return std::move(one);
    return no_such_post();
  });
}

result<std::vector<post_media>> post_repository::order_media(const scope& who, workspace_id workspace, post_id id,
                                                             const post_actor& actor,
                                                             const std::vector<media_position>& positions) {
  return db_.transact("order-media", [&](pqxx::work& tx) -> result<std::vector<post_media>> {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_editable(locked->status))
      return wrong_post_status(only_editable);
    for (const auto& one : positions)
      if (tx.exec_params(move_media, to_string(one.media), to_string(id), one.sort_order).affected_rows() == 0)
        return invalid("media_order", "The media " + to_string(one.media) + " are not the post's.");
    count_post_change(tx, id);
    audit_post(tx, who, actor, audit_action::update, id, "Post media reordered", std::nullopt, std::nullopt);
    return read_post_media(tx, id);
  });
}

result<std::optional<std::string>> post_repository::remove_media(const scope& who, workspace_id workspace,
                                                                 post_id id, const uuid& media,
                                                                 const post_actor& actor) {
  using outcome = result<std::optional<std::string>>;
  return db_.transact("remove-media", [&](pqxx::work& tx) -> outcome {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    const auto removed = tx.exec_params(delete_media, to_string(media), to_string(id));
    if (removed.empty())
      return failure{errc::not_found, "the media are not the post's", {}, {}};
    if (!is_editable(locked->status))
      return post_rule("post", only_editable);
    count_post_change(tx, id);
    audit_post(tx, who, actor, audit_action::update, id, "Post media removed", std::nullopt, std::nullopt);
    auto path = removed[0][0].as<std::string>();
    tx.exec_params(lock_media_path, to_string(workspace), path);
    if (!is_unused_path(tx, who, workspace, path))
      return std::optional<std::string>{};
    return std::optional{std::move(path)};
  });
}

result<int> post_repository::remove_unnamed_files(const node_identity& me, const job& work,
                                                  const std::vector<std::string>& paths,
                                                  const std::function<bool(const std::string& path)>& remove) {
  return db_.transact("remove-unnamed-files", [&](pqxx::work& tx) -> result<int> {
    if (!hold_fence(tx, me))
      return fenced_out(me);
    const auto workspace = to_string(work.workspace);
    int removed = 0;
    for (const auto& row : tx.exec_params(select_unnamed_paths, text_array(paths), workspace)) {
      const auto path = row[0].as<std::string>();
      tx.exec_params(lock_media_path, workspace, path);
      // Somebody may have named it before the lock was this run's.
      if (tx.exec_params(select_unnamed_paths, text_array({path}), workspace).empty())
        continue;
      if (remove(path))
        ++removed;
    }
    return removed;
  });
}

result<std::vector<std::string>> post_repository::remove(const scope& who, workspace_id workspace, post_id id,
                                                         const post_actor& actor) {
  using outcome = result<std::vector<std::string>>;
  return db_.transact("delete-post", [&](pqxx::work& tx) -> outcome {
    const auto locked = lock_post_row(tx, who, workspace, id);
    if (!locked)
      return no_such_post();
    if (!is_deletable(locked->status))
      return post_rule("post", "A post that is published or being published cannot be deleted.");
    tx.exec_params(set_deleted, to_string(id));
    audit_post(tx, who, actor, audit_action::delete_, id, "Post deleted", locked->status, std::nullopt);
    tx.exec_params(lock_media_paths_of_post, to_string(id), to_string(workspace));
    std::vector<std::string> unused;
    for (const auto& row : tx.exec_params(delete_media_of_post, to_string(id)))
      if (auto path = row[0].as<std::string>(); is_unused_path(tx, who, workspace, path))
        unused.push_back(std::move(path));
    return unused;
  });
}

} // namespace carillon::storage
