#include "storage/operations_repository.hpp"

namespace carillon::storage {

namespace {

constexpr auto insert_config_change = R"sql(
  INSERT INTO carillon.config_changes (node, key, old_value, new_value, source)
  VALUES ($1, $2, $3, $4, $5)
)sql";

} // namespace

result<done> operations_repository::record_config_changes(const std::string& node,
                                                          const std::string& source,
                                                          const std::vector<config_change>& changes) {
  return db_.transact("record-config-changes", [&](pqxx::work& tx) -> result<done> {
    for (const auto& change : changes)
      tx.exec_params(insert_config_change, node, change.key, change.old_value, change.new_value,
                     source);
    return done{};
  });
}

} // namespace carillon::storage
