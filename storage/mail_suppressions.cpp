#include "storage/delivery_repository.hpp"
#include "storage/operator_audit.hpp"
#include "storage/query_param.hpp"

#include <nlohmann/json.hpp>

namespace carillon::storage {

namespace {

constexpr auto list_suppressions_sql = R"sql(
  SELECT tenant_id, address, reason, created_at FROM carillon.mail_suppressions
  WHERE ($1::uuid IS NULL OR tenant_id = $1::uuid) AND ($2::text IS NULL OR strpos(address, lower($2::text)) > 0)
    AND ($3::uuid IS NULL OR (tenant_id, address) > ($3::uuid, $4::text))
  ORDER BY tenant_id, address LIMIT $5::int
)sql";

constexpr auto lift_suppression_sql = R"sql(
  DELETE FROM carillon.mail_suppressions WHERE tenant_id = $1::uuid AND address = lower($2::text)
  RETURNING tenant_id, address, reason, created_at
)sql";

mail_suppression suppression_from_row(const pqxx::row& row) {
  return {read_id<tenant_id>(row[0]), row[1].as<std::string>(), row[2].as<std::string>(), read_instant(row[3])};
}

} // namespace

result<std::vector<mail_suppression>> delivery_repository::suppressions(const scope& s,
                                                                        const mail_suppression_filter& filter) {
  return db_.transact("list-suppressions", [&](pqxx::work& tx) -> result<std::vector<mail_suppression>> {
    std::optional<std::string> tenant;
    std::optional<std::string> address;
    if (filter.after) {
      tenant = to_string(filter.after->first);
      address = filter.after->second;
    }
    std::vector<mail_suppression> out;
    for (const auto& row : tx.exec_params(list_suppressions_sql, tenant_param(s), null_if_empty(filter.address), tenant,
                                          address, filter.limit))
      out.push_back(suppression_from_row(row));
    return out;
  });
}

result<mail_suppression> delivery_repository::lift_suppression(const scope& s, const operator_identity& by,
                                                               const std::string& address) {
  return db_.transact("lift-suppression", [&](pqxx::work& tx) -> result<mail_suppression> {
    const auto rows = tx.exec_params(lift_suppression_sql, tenant_param(s), address);
    if (rows.empty())
      return failure{errc::not_found, "the tenant does not suppress this address", {}, {}};
    auto lifted = suppression_from_row(rows[0]);
    audit_operator(tx, by, lifted.tenant, std::nullopt, "Mail suppression lifted",
                   {{"address", lifted.address}, {"reason", lifted.reason}, {"since", format_api_time(lifted.created_at)}});
    return lifted;
  });
}

} // namespace carillon::storage
