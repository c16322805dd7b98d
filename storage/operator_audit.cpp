#include "storage/operator_audit.hpp"

#include <nlohmann/json.hpp>

#include "storage/connection.hpp"

namespace carillon::storage {

namespace {

constexpr auto insert_operator_audit = R"sql(
  INSERT INTO carillon.audit_logs (id, tenant_id, admin_id, action, auditable_type, auditable_id, description,
                                   metadata, ip_address, request_id)
  VALUES ($1, (SELECT id FROM carillon.tenants WHERE id = $2), $3, 'update', 'other', $4, $5, $6::jsonb,
          left($7, 45), left($8, 50))
)sql";

} // namespace

void audit_operator(pqxx::transaction_base& tx, const operator_identity& by, const std::optional<tenant_id>& tenant,
                    const std::optional<uuid>& about, const std::string& what, const nlohmann::json& metadata) {
  const auto text = [](const auto& id) {
    return id ? std::optional{to_string(*id)} : std::nullopt;
  };
  tx.exec_params(insert_operator_audit, to_string(make_uuid_v7()), text(tenant), text(by.admin), text(about), what,
                 metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), null_if_empty(by.address),
                 null_if_empty(by.request_id));
}

} // namespace carillon::storage
