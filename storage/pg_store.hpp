// Everything a database worker offers, on one connection.
#pragma once

#include <functional>
#include <memory>

#include <pqxx/pqxx>

#include "domain/job.hpp"
#include "domain/ownership.hpp"
#include "domain/ports/store.hpp"
#include "domain/result.hpp"
#include "storage/connection.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::storage {

/// Connects on first use. `tokens` and `log` outlive it. Used by one thread.
std::unique_ptr<store> make_pg_store(session_options options, const token_cipher& tokens,
                                     logger& log);

/// For job handlers with SQL of their own: runs `effect` and concludes the
/// job in one transaction, fenced by the life the job was taken under. `db`
/// is a store of make_pg_store. Failures: cancelled (that life was ended, or
/// the job is not this run's any more: nothing was written, the run ends as
/// `concluded`), the effect's own, and connection::transact's.
result<done> run_effect(store& db, const node_identity& me, const job& work,
                        const std::function<result<done>(pqxx::work&)>& effect);

} // namespace carillon::storage
