// Posts, their targets and approvals in PostgreSQL.
#pragma once

#include "domain/ports/post_store.hpp"
#include "storage/connection.hpp"

namespace carillon::storage {

/// Used on the connection's thread only.
class post_repository final : public post_store {
public:
  explicit post_repository(connection& db) : db_(db) {
  }

  result<post_detail> create(const scope& who, workspace_id workspace, const post_actor& actor,
                             const new_post& draft) override;
  result<post_detail> load(const scope& who, workspace_id workspace, post_id id) override;
  result<post_page> list(const scope& who, workspace_id workspace,
                         const post_filter& filter) override;
  result<post_detail> update(const scope& who, workspace_id workspace, post_id id,
                             const post_actor& actor, const post_content& content) override;
  result<std::vector<std::string>> remove(const scope& who, workspace_id workspace, post_id id,
                                          const post_actor& actor) override;
  result<post_detail> set_targets(const scope& who, workspace_id workspace, post_id id,
                                  const post_actor& actor,
                                  const std::vector<social_account_id>& accounts) override;
  result<done> remove_target(const scope& who, workspace_id workspace, post_id id,
                             target_id target, const post_actor& actor) override;
  result<post_detail> submit(const scope& who, workspace_id workspace, post_id id,
                             const post_actor& actor, hints& out) override;
  result<approval> approve(const scope& who, workspace_id workspace, post_id id,
                           const post_actor& actor, const std::optional<std::string>& comment,
                           hints& out) override;
  result<approval> reject(const scope& who, workspace_id workspace, post_id id,
                          const post_actor& actor, const std::string& reason,
                          const std::optional<std::string>& comment, hints& out) override;
  result<std::vector<approval>> approvals(const scope& who, workspace_id workspace,
                                          post_id id) override;
  result<post_detail> schedule(const scope& who, workspace_id workspace, post_id id,
                               const post_actor& actor, instant at,
                               const std::optional<std::string>& zone, bool move,
                               hints& out) override;
  result<post_detail> publish(const scope& who, workspace_id workspace, post_id id,
                              const post_actor& actor, hints& out) override;
  result<post_detail> cancel(const scope& who, workspace_id workspace, post_id id,
                             const post_actor& actor) override;
  result<post_detail> retry(const scope& who, workspace_id workspace, post_id id,
                            const post_actor& actor, bool risk_confirmed, hints& out) override;
  result<post_detail> duplicate(const scope& who, workspace_id workspace, post_id id,
                                const post_actor& actor) override;
  result<std::vector<target_attempts>> attempts(const scope& who, workspace_id workspace,
                                                post_id id) override;
  result<post_media> add_media(const scope& who, workspace_id workspace, post_id id,
                               const post_actor& actor, const new_media& media) override;
  result<std::vector<post_media>> order_media(const scope& who, workspace_id workspace, post_id id,
                                              const post_actor& actor,
                                              const std::vector<media_position>& positions) override;
  result<std::optional<std::string>> remove_media(const scope& who, workspace_id workspace,
                                                  post_id id, const uuid& media,
                                                  const post_actor& actor) override;
  result<int> remove_unnamed_files(const node_identity& me, const job& work, const std::vector<std::string>& paths,
                                   const std::function<bool(const std::string& path)>& remove) override;

private:
  connection& db_;
};

} // namespace carillon::storage
