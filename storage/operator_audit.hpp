// The audit row of what an operator did.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>
#include <pqxx/pqxx>

#include "domain/ids.hpp"
#include "domain/ports/job_store.hpp"

namespace carillon::storage {

/// In the transaction of the act itself.
void audit_operator(pqxx::transaction_base& tx, const operator_identity& by, const std::optional<tenant_id>& tenant,
                    const std::optional<uuid>& about, const std::string& what, const nlohmann::json& metadata);

} // namespace carillon::storage
