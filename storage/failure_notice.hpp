// A job that was given up reaches people (spec §14, contract §4.1).
#pragma once

#include <string>

#include <pqxx/pqxx>

#include "domain/hint.hpp"
#include "domain/job.hpp"

namespace carillon::storage {

/// What failures have in common that differ in ids, times and counts only: the
/// kind and the first line of the error, without its numbers.
std::string cause_of(const job& dead, const std::string& error);

/// Notifies the owners and admins of the job's tenant, in the caller's
/// transaction: once per cause and hour; later ones of the hour raise the count of the notice.
/// `except`: a user who was told already, as SQL text, or empty.
void tell_admins(pqxx::transaction_base& tx, const job& dead, const std::string& error, hints& out,
                 const std::string& except = {});

} // namespace carillon::storage
