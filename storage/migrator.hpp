// Forward-only schema migrations, checksummed, one process at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "domain/ports/log.hpp"
#include "domain/result.hpp"

namespace carillon::storage {

struct migration {
  std::string name; ///< `0001_create_domain_tables`
  std::string_view sql;
};

/// The files of migrations/, in order, as built into this program.
const std::vector<migration>& embedded_migrations();

/// Applies what is missing, each file in its own transaction, under an
/// advisory lock. Where the URL's role may, it makes the roles carillon_owner,
/// as which files run and which owns the schema `carillon`, and carillon_app,
/// which may use what they make. Where it may not, and nobody made them
/// beforehand and granted them to it, all belongs to the URL's role.
/// Returns the names applied now. Failures: conflict when an applied file
/// was edited or the database is newer than this program; transient when the
/// server cannot be reached; permanent when a file fails (nothing of it
/// stays). Blocks.
result<std::vector<std::string>> migrate(const std::string& url,
                                         const std::vector<migration>& files,
                                         logger& log);

/// Whether every one of `files` is applied. Failures: conflict when not (what
/// to do is in `detail`), transient when the server cannot be reached.
result<done> check_schema(const std::string& url, const std::vector<migration>& files,
                          logger& log);

} // namespace carillon::storage
