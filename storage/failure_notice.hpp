// A job that was given up reaches people (spec §14, contract §4.1).
#pragma once

#include <string>

#include <pqxx/pqxx>

#include "domain/hint.hpp"
#include "domain/job.hpp"

namespace carillon::storage {

/// Notifies the owners and admins of the job's tenant, in the caller's
/// transaction: once per cause (kind and first line of the error without its
/// numbers) and hour; later ones of the hour raise the count of the notice.
/// `except`: a user who was told already, as SQL text, or empty.
void tell_admins(pqxx::transaction_base& tx, const job& dead, const std::string& error, hints& out,
                 const std::string& except = {});

} // namespace carillon::storage
