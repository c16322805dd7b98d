// What was tried for a post: the reading part of post_repository.
#include <map>

#include "storage/post_repository.hpp"
#include "storage/post_rows.hpp"
#include "storage/query_param.hpp"

namespace carillon::storage {

namespace {

constexpr auto find_tried_post = R"sql(
  SELECT 1 FROM carillon.posts
  WHERE id = $1 AND workspace_id = $2 AND tenant_id = $3::uuid AND deleted_at IS NULL
)sql";

constexpr auto select_tried_targets = R"sql(,
  t.retry_count, t.next_action_at
  FROM carillon.post_targets t JOIN carillon.social_accounts s ON s.id = t.social_account_id
  WHERE t.post_id = $1 ORDER BY t.created_at, t.id
)sql";

constexpr auto select_attempts_of_post = R"sql(
  SELECT id, target_id, number, state, started_at, concluded_at, latency_ms, error_code, error_message,
         external_post_id, external_post_url
  FROM carillon.publish_attempts WHERE post_id = $1 ORDER BY started_at, number, id
)sql";

publish_attempt attempt_from_row(const pqxx::row& row) {
  publish_attempt out;
  out.id = read_id<attempt_id>(row["id"]);
  out.number = row["number"].as<int>();
  out.state = row["state"].as<std::string>();
  out.started_at = read_instant(row["started_at"]);
  out.concluded_at = read_nullable_instant(row["concluded_at"]);
  if (const auto latency = nullable<std::int64_t>(row["latency_ms"]))
    out.latency = std::chrono::milliseconds{*latency};
  out.error_code = nullable_post_text(row["error_code"]);
  out.error_message = nullable_post_text(row["error_message"]);
  out.external_id = nullable_post_text(row["external_post_id"]);
  out.external_url = nullable_post_text(row["external_post_url"]);
  return out;
}

} // namespace

result<std::vector<target_attempts>> post_repository::attempts(const scope& who, workspace_id workspace,
                                                               post_id id) {
  return db_.transact("list-attempts", [&](pqxx::work& tx) -> result<std::vector<target_attempts>> {
    if (tx.exec_params(find_tried_post, to_string(id), to_string(workspace), tenant_param(who)).empty())
      return no_such_post();
    std::vector<target_attempts> out;
    std::map<target_id, std::size_t> place;
    for (const auto& row :
         tx.exec_params(std::string{"SELECT"} + target_columns + select_tried_targets, to_string(id))) {
      target_attempts one;
      one.target = target_from_row(row);
      one.retry_count = row["retry_count"].as<int>();
      one.next_action_at = read_nullable_instant(row["next_action_at"]);
      place.emplace(one.target.id, out.size());
      out.push_back(std::move(one));
    }
    for (const auto& row : tx.exec_params(select_attempts_of_post, to_string(id)))
      if (const auto i = place.find(read_id<target_id>(row["target_id"])); i != place.end())
        out[i->second].attempts.push_back(attempt_from_row(row));
    return out;
  });
}

} // namespace carillon::storage
