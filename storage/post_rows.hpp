// Rows of posts, and what every command on a post begins and ends with:
// shared by the parts of post_repository.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "domain/ports/post_store.hpp"

namespace carillon::storage {

/// What post_from_row reads; WHERE and ORDER BY are the caller's, `p` is the
/// post.
extern const char* const select_posts;

post post_from_row(const pqxx::row& row);

std::optional<std::string> nullable_post_text(const pqxx::field& f);

/// errc::not_found for a post that is deleted, or not this workspace's.
result<post_detail> read_post_detail(pqxx::transaction_base& tx, const scope& who,
                                     workspace_id workspace, post_id id);

/// `t` is the target, `s` its account: what target_from_row reads.
extern const char* const target_columns;

post_target target_from_row(const pqxx::row& row);

/// In their order.
std::vector<post_media> read_post_media(pqxx::transaction_base& tx, post_id id);

struct locked_post {
  post_status status = post_status::draft;
  user_id author;
  std::string text;
};

/// Holds the row until the transaction ends; nothing when there is none.
std::optional<locked_post> lock_post_row(pqxx::transaction_base& tx, const scope& who,
                                         workspace_id workspace, post_id id);

/// The text, targets or media changed: the next attempt has another key.
void count_post_change(pqxx::transaction_base& tx, post_id id);

void audit_post(pqxx::transaction_base& tx, const scope& who, const post_actor& actor,
                audit_action action, post_id id, const char* description,
                std::optional<post_status> from, std::optional<post_status> to);

failure no_such_post();
/// A business rule that is answered with 422 on `field`.
failure post_rule(const char* field, std::string reason);
/// A status that is answered with 403 (contract §3.2).
failure wrong_post_status(std::string reason);

} // namespace carillon::storage
