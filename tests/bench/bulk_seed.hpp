// Many tenants, workspaces and scheduled posts in a few statements.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <pqxx/pqxx>

#include "storage/token_cipher.hpp"

namespace carillon::bench {

struct bulk_plan {
  int workspaces = 0;
  int posts = 0; ///< Spread over the workspaces in turn, one account each.
  /// Workspaces with nothing to do: a member, an account, a draft, and a post
  /// for another day.
  int idle_workspaces = 0;
  std::string instance_url;
  std::chrono::seconds due_in{10};
  /// Of the measured posts; each of them has one picture of its own.
  double share_with_files = 0;
  std::int64_t file_bytes = 0;
};

/// Text of every post that is measured, followed by its number.
inline constexpr auto measured_text = "measured post ";

/// Writes the rows, one transaction, and leaves the tables analysed and
/// checkpointed and the log's segments written once, as on a server that has
/// been up for a while. The posts are due at one instant, `due_in` after the commit.
void write_bulk(pqxx::connection& db, const storage::token_cipher& tokens, const bulk_plan& plan);

} // namespace carillon::bench
