// Enqueue inside the caller's transaction.
#pragma once

#include <pqxx/pqxx>

#include "domain/job.hpp"

namespace carillon::storage {

/// Plain INSERT with the kind's policy. False when a live job holds the
/// unique key: nothing was written.
bool insert_job(pqxx::transaction_base& tx, const new_job& job);

} // namespace carillon::storage
